# ruff: noqa: E501 - tables of one line for each case
"""Requests that no server should grant, each with the refusal that it deserves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

NOWHERE = "7b0e6a5c-0000-4000-8000-000000000000"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=B"}


@dataclass(frozen=True)
class Case:
    """`{agent}`, `{index}`, `{document}`, `{thread}`, `{run}` in a path become those that exist."""

    name: str
    method: str
    path: str
    status: int
    code: str
    field: str
    request: Callable[[], dict[str, Any]] = dict


def body(name: str, path: str, json: Any, status: int, code: str, field: str) -> Case:
    return Case(name, "POST", path, status, code, field, lambda: {"json": json})


def raw(
    name: str,
    path: str,
    content: bytes,
    status: int,
    code: str,
    field: str,
    headers: dict[str, str] = JSON,
) -> Case:
    request = {"content": content, "headers": headers}
    return Case(name, "POST", path, status, code, field, lambda: request)


def chunked(
    name: str, path: str, headers: dict[str, str], start: bytes = b"", size: int = 2**21
) -> Case:
    """A body that is too large and does not say so beforehand."""

    async def chunks() -> AsyncIterator[bytes]:
        yield start
        for _ in range(size // 2**16):
            yield b"x" * 2**16

    def request() -> dict[str, Any]:
        return {"content": chunks(), "headers": headers}

    return Case(name, "POST", path, 413, "too_large", "body", request)


def upload(name: str, filename: str, data: bytes, code: str, field: str, type_: str = "") -> Case:
    files = {"files": (filename, data, type_) if type_ else (filename, data)}
    path = "/indexes/{index}/documents"
    return Case(name, "POST", path, 422, code, field, lambda: {"files": files})


def get(name: str, path: str, status: int, code: str, field: str, **headers: str) -> Case:
    return Case(name, "GET", path, status, code, field, lambda: {"headers": headers})


RUN = "/agents/{agent}/run"
INPUT = {"text": "hello"}
DOCUMENTS = "/indexes/{index}/documents"
SEARCH = "/indexes/{index}/search"
STATE = "/threads/{thread}/state"

BODIES = [
    raw("JSON cut off", RUN, b'{"input": ', 400, "malformed_body", "body"),
    raw("JSON that is a list", RUN, b"[1]", 422, "invalid_request", "body"),
    raw("JSON null", RUN, b"null", 422, "invalid_request", "body"),
    raw("no body", RUN, b"", 422, "invalid_request", "body"),
    raw("NaN", RUN, b'{"metadata": {"x": NaN}}', 400, "malformed_body", "body"),
    raw("infinity", RUN, b'{"metadata": {"x": 1e999}}', 400, "malformed_body", "body"),
    raw("half a surrogate", RUN, b'{"input": "\\ud800"}', 400, "malformed_body", "body"),
    *(
        raw(f"{name} with a number of 80 bits", path, content, 422, "invalid_request", field)
        for name, path, content, field in (
            ("input", RUN, b'{"input": {"text": 1208925819614629174706176}}', "input.text"),
            ("metadata", RUN, b'{"metadata": {"n": [1208925819614629174706176]}}', "metadata.n.0"),
            ("state", STATE, b'{"values": {"n": 1208925819614629174706176}}', "values.n"),
            ("thread", "/threads", b'{"metadata": {"n": 1208925819614629174706176}}', "metadata.n"),
            ("answer", "/runs/{run}/resume", b'{"answer": 1208925819614629174706176}', "answer"),
            ("search", "/threads/search", b'{"limit": 1208925819614629174706176}', "limit"),
        )
    ),
    raw("broken UTF-8", RUN, b'{"input": "\xff"}', 400, "malformed_body", "body"),
    raw("UTF-16", RUN, '{"input": 1}'.encode("utf-16"), 400, "malformed_body", "body"),
    raw(
        "nested 200 deep",
        RUN,
        b'{"input":' + b"[" * 200 + b"]" * 200 + b"}",
        400,
        "malformed_body",
        "body",
    ),
    raw("nested without end", RUN, b"[" * 100_000, 400, "malformed_body", "body"),
    raw(
        "JSON sent as a form",
        RUN,
        b'{"input": {"text": "x"}}',
        415,
        "unsupported_media_type",
        "Content-Type",
        {"Content-Type": "application/x-www-form-urlencoded"},
    ),
    raw("JSON sent as nothing", RUN, b"{}", 415, "unsupported_media_type", "Content-Type", {}),
    raw(
        "body too large",
        RUN,
        b'{"input": {"text": "' + b"x" * 2**18 + b'"}}',
        413,
        "too_large",
        "body",
    ),
    chunked("body too large in chunks", RUN, JSON),
    chunked("YAML too large in chunks", "/agents", {"Content-Type": "application/yaml"}),
    raw(
        "YAML of broken UTF-8",
        "/agents",
        b"version: 1\nname: \xff",
        400,
        "malformed_body",
        "body",
        {"Content-Type": "application/yaml"},
    ),
    raw(
        "YAML sent as a form",
        "/agents",
        b"version: 1",
        415,
        "unsupported_media_type",
        "Content-Type",
        {"Content-Type": "application/x-www-form-urlencoded"},
    ),
    body("YAML that is a number", "/agents", {"yaml": 5}, 422, "invalid_request", "yaml"),
    body("agent without YAML", "/agents", {"yml": "x"}, 422, "invalid_request", "yaml"),
]

RUNS = [
    body("unknown field", RUN, {"inputs": {}}, 422, "invalid_request", "inputs"),
    body("stream that is no boolean", RUN, {"stream": "perhaps"}, 422, "invalid_request", "stream"),
    body(
        "unknown strategy",
        RUN,
        {"multitask_strategy": "fight"},
        422,
        "invalid_request",
        "multitask_strategy",
    ),
    body("metadata that is a list", RUN, {"metadata": [1]}, 422, "invalid_request", "metadata"),
    body("input that is a text", RUN, {"input": "x"}, 422, "invalid_input", "input"),
    body("input of a wrong type", RUN, {"input": {"text": 1}}, 422, "invalid_input", "input.text"),
    body("input left out", RUN, {}, 422, "invalid_input", "input.text"),
    body("unknown input", RUN, {"input": {"txet": ""}}, 422, "invalid_input", "input.txet"),
    body("unknown agent", "/agents/nobody/run", {"input": {}}, 404, "agent_not_found", "agent"),
    body("thread that is no UUID", RUN, {"thread_id": "../x"}, 422, "invalid_request", "thread_id"),
    body(
        "thread to be made that is no UUID",
        RUN,
        {"input": INPUT, "thread_id": "nope", "if_not_exists": "create"},
        422,
        "invalid_request",
        "thread_id",
    ),
    body(
        "unknown thread",
        RUN,
        {"input": INPUT, "thread_id": NOWHERE},
        404,
        "thread_not_found",
        "thread_id",
    ),
    body(
        "checkpoint without thread",
        RUN,
        {"input": INPUT, "checkpoint_id": "x"},
        422,
        "invalid_request",
        "thread_id",
    ),
    body("resume without thread", RUN, {"resume": 1}, 422, "invalid_request", "thread_id"),
    body(
        "resume where none waits",
        RUN,
        {"resume": 1, "thread_id": NOWHERE},
        409,
        "run_not_waiting",
        "resume",
    ),
    body(
        "resume of an unknown run",
        f"/runs/{NOWHERE}/resume",
        {"answer": 1},
        404,
        "run_not_found",
        "run_id",
    ),
    body(
        "resume of a finished run",
        "/runs/{run}/resume",
        {"answer": 1},
        409,
        "run_not_waiting",
        "run_id",
    ),
    body("resume without an answer", "/runs/{run}/resume", {}, 422, "invalid_request", "answer"),
    body("cancel of a finished run", "/runs/{run}/cancel", None, 409, "run_ended", "run_id"),
    body("cancel of an unknown run", "/runs/nope/cancel", None, 404, "run_not_found", "run_id"),
    body(
        "webhook that is no URL",
        RUN,
        {"input": INPUT, "webhook": "ftp://example.org"},
        422,
        "forbidden_url",
        "webhook",
    ),
    body(
        "webhook inside the network",
        RUN,
        {"input": INPUT, "webhook": "http://169.254.169.254/latest"},
        422,
        "forbidden_address",
        "webhook",
    ),
    Case(
        "idempotency key too long",
        "POST",
        RUN,
        422,
        "invalid_request",
        "idempotency-key",
        lambda: {"json": {"input": INPUT}, "headers": {"Idempotency-Key": "k" * 300}},
    ),
    get("unknown run", "/runs/nope", 404, "run_not_found", "run_id"),
    get("run with a null byte", "/runs/a%00b", 404, "run_not_found", "run_id"),
    get("events of an unknown run", f"/runs/{NOWHERE}/events", 404, "run_not_found", "run_id"),
    get(
        "Last-Event-ID that is no number",
        "/runs/{run}/events",
        422,
        "invalid_request",
        "Last-Event-ID",
        **{"Last-Event-ID": "soon"},
    ),
    get(
        "Last-Event-ID without end",
        "/runs/{run}/events",
        422,
        "invalid_request",
        "Last-Event-ID",
        **{"Last-Event-ID": "9" * 40},
    ),
    get(
        "events after less than nothing",
        "/runs/{run}/events?after=-1",
        422,
        "invalid_request",
        "after",
    ),
    get("page of no events", "/runs/{run}/events?limit=0", 422, "invalid_request", "limit"),
    get("limit in words", "/runs?limit=many", 422, "invalid_request", "limit"),
    get("offset beyond numbers", f"/runs?offset={'9' * 30}", 422, "invalid_request", "offset"),
    get("unknown status", "/runs?status=weird", 422, "invalid_request", "status"),
]

THREADS = [
    get("thread by a name", "/threads/nope", 422, "invalid_request", "thread_id"),
    get("thread that is not there", f"/threads/{NOWHERE}", 404, "thread_not_found", "thread_id"),
    body(
        "new thread by a name",
        "/threads",
        {"thread_id": "../x"},
        422,
        "invalid_request",
        "thread_id",
    ),
    body(
        "new thread that exists",
        "/threads",
        {"thread_id": "{thread}"},
        409,
        "thread_exists",
        "thread_id",
    ),
    body("thread with an unknown field", "/threads", {"meta": 1}, 422, "invalid_request", "meta"),
    body(
        "copy of no thread", f"/threads/{NOWHERE}/copy", None, 404, "thread_not_found", "thread_id"
    ),
    body(
        "threads beyond numbers",
        "/threads/search",
        {"offset": 2**63},
        422,
        "invalid_request",
        "offset",
    ),
    body(
        "threads by an unknown field",
        "/threads/search",
        {"color": 1},
        422,
        "invalid_request",
        "color",
    ),
    get("unknown checkpoint", STATE + "/nope", 404, "checkpoint_not_found", "checkpoint_id"),
    body("state that is a number", STATE, {"values": 5}, 422, "invalid_request", "values"),
    body(
        "state of a missing channel",
        STATE,
        {"values": {"anser": 1}},
        422,
        "invalid_request",
        "values.anser",
    ),
    body(
        "state by an unknown node",
        STATE,
        {"values": {}, "as_node": "nope"},
        422,
        "invalid_request",
        "as_node",
    ),
    body(
        "state at an unknown checkpoint",
        STATE,
        {"values": {"answer": "x"}, "checkpoint_id": "nope"},
        404,
        "checkpoint_not_found",
        "checkpoint_id",
    ),
    body(
        "state at a checkpoint without id",
        STATE,
        {"values": {}, "checkpoint": {"configurable": 5}},
        422,
        "invalid_request",
        "checkpoint.checkpoint_id",
    ),
    body(
        "history by hostile metadata",
        "/threads/{thread}/history",
        {"metadata": {"a') OR 1=1 --": 1}},
        422,
        "invalid_request",
        "metadata",
    ),
    body(
        "history before nothing",
        "/threads/{thread}/history",
        {"before": {}},
        422,
        "invalid_request",
        "before.checkpoint_id",
    ),
]

INDEXES = [
    body("index without a name", "/indexes", {}, 422, "invalid_index", "name"),
    body("index that climbs", "/indexes", {"name": "../x"}, 422, "invalid_index", "name"),
    body("index with an unknown field", "/indexes", {"name": "ok", "x": 1}, 422, "invalid_index", "x"),
    body("passages without end", "/indexes", {"name": "ok", "chunk_words": 10**9}, 422, "invalid_index", "chunk_words"),
    body("index that exists", "/indexes", {"name": "{index}"}, 409, "index_exists", "name"),
    get("unknown index", "/indexes/nope", 404, "index_not_found", "index"),
    Case("deleting an unknown index", "DELETE", "/indexes/nope", 404, "index_not_found", "index"),
    body("search in no index", "/indexes/nope/search", {"query": "x"}, 404, "index_not_found", "index"),
    body("search for nothing", SEARCH, {"query": ""}, 422, "invalid_request", "query"),
    body("search for blanks", SEARCH, {"query": "   "}, 422, "invalid_request", "query"),
    body("search for a book", SEARCH, {"query": "x" * 5000}, 422, "invalid_request", "query"),
    body("search for everything", SEARCH, {"query": "x", "limit": 10**6}, 422, "invalid_request", "limit"),
    body("search by magic", SEARCH, {"query": "x", "mode": "magic"}, 422, "invalid_request", "mode"),
    body("search in no document", SEARCH, {"query": "x", "documents": ["nope"]}, 404, "document_not_found", "document"),
    body("document of nothing", DOCUMENTS, {}, 422, "invalid_request", "body"),
    body("document of two things", DOCUMENTS, {"text": "x", "source": "y", "url": "z"}, 422, "invalid_request", "body"),
    body("text without a source", DOCUMENTS, {"text": "x"}, 422, "invalid_request", "body"),
    body("text that is empty", DOCUMENTS, {"text": "", "source": "a.md"}, 422, "unreadable_document", "data"),
    body("folder that does not exist", DOCUMENTS, {"folder": "/no/where"}, 403, "forbidden", "folder"),
    body("folder that is a file", DOCUMENTS, {"folder": "/etc/passwd"}, 403, "forbidden", "folder"),
    body("folder with a null byte", DOCUMENTS, {"folder": "/tmp/\0"}, 403, "forbidden", "folder"),
    body("folder with a long name", DOCUMENTS, {"folder": "/" + "a" * 5000}, 403, "forbidden", "folder"),
    body("folder of no user", DOCUMENTS, {"folder": "~nobody-here/x"}, 403, "forbidden", "folder"),
    body("URL of the cloud's secrets", DOCUMENTS, {"url": "http://169.254.169.254/"}, 422, "forbidden_address", "url"),
    body("URL of this machine", DOCUMENTS, {"url": "http://[::1]:8000/"}, 422, "forbidden_address", "url"),
    body("URL of this machine as a number", DOCUMENTS, {"url": "http://2130706434/"}, 422, "forbidden_address", "url"),
    body("URL of a file", DOCUMENTS, {"url": "file:///etc/passwd"}, 422, "forbidden_url", "url"),
    body("URL that is none", DOCUMENTS, {"url": "http://[x"}, 422, "forbidden_url", "url"),
    raw("document as text", DOCUMENTS, b"hello", 415, "unsupported_media_type", "Content-Type", {"Content-Type": "text/plain"}),
    raw("document of broken JSON", DOCUMENTS, b'{"text":', 400, "malformed_body", "body"),
    get("unknown document", DOCUMENTS + "/nope", 404, "document_not_found", "document"),
    Case("deleting no document", "DELETE", DOCUMENTS + "/nope", 404, "document_not_found", "document"),
    get("documents beyond numbers", DOCUMENTS + f"?offset={'9' * 30}", 422, "invalid_request", "offset"),
    get("citation without a span", DOCUMENTS + "/{document}/citation", 422, "invalid_request", "start"),
    get("citation beyond the end", DOCUMENTS + "/{document}/citation?start=0&end=99999", 422, "invalid_span", "end"),
    get("citation backwards", DOCUMENTS + "/{document}/citation?start=9&end=5", 422, "invalid_span", "end"),
    get("citation of no document", DOCUMENTS + "/nope/citation?start=0&end=1", 404, "document_not_found", "document"),
]  # fmt: skip

LATER = [
    body("search in several of which one is unknown", "/search", {"query": "x", "indexes": ["docs", "nope"]}, 404, "index_not_found", "index"),
    body("search in no indexes", "/search", {"query": "x", "indexes": []}, 422, "invalid_request", "indexes"),
    body("search in too many indexes", "/search", {"query": "x", "indexes": ["a"] * 33}, 422, "invalid_request", "indexes"),
    body("search in an index that climbs", "/search", {"query": "x", "indexes": ["../x"]}, 422, "invalid_index", "name"),
    body("filter that is a list", SEARCH, {"query": "x", "where": ["a"]}, 422, "invalid_request", "where"),
    body("filter with an unknown operator", SEARCH, {"query": "x", "where": {"a": {"lik": 1}}}, 422, "invalid_filter", "where.a"),
    body("filter with SQL", SEARCH, {"query": "x", "where": {"a') OR 1 --": {"or": 1}}}, 422, "invalid_filter", "where.a') OR 1 --"),
    body("filter of two kinds", SEARCH, {"query": "x", "where": {"a": {"in": [1, "1"]}}}, 422, "invalid_filter", "where.a"),
    body("filter without end", SEARCH, {"query": "x", "where": {str(n): n for n in range(99)}}, 422, "invalid_filter", "where"),
    body("search that grows by magic", SEARCH, {"query": "x", "expand": "book"}, 422, "invalid_request", "expand"),
    body("search explained by a word", SEARCH, {"query": "x", "explain": "why"}, 422, "invalid_request", "explain"),
    get("documents by a broken filter", DOCUMENTS + "?where=%7B", 422, "invalid_filter", "where"),
    get("documents by a filter that is a number", DOCUMENTS + "?where=7", 422, "invalid_filter", "where"),
    get("documents like none", DOCUMENTS + "/nope/similar", 404, "document_not_found", "document"),
    get("too many like one", DOCUMENTS + "/{document}/similar?limit=999", 422, "invalid_request", "limit"),
    get("unknown passage", "/indexes/{index}/passages/nope.0", 404, "passage_not_found", "passage"),
    get("passage of no number", "/indexes/{index}/passages/{document}.-1", 404, "passage_not_found", "passage"),
    get("sizes of no index", "/indexes/nope/stats", 404, "index_not_found", "index"),
    get("snapshot of no index", "/indexes/nope/export", 404, "index_not_found", "index"),
    get("snapshot that climbs", "/indexes/%2e%2e/export", 422, "invalid_index", "name"),
    get("ingests of no index", "/indexes/nope/ingests", 404, "index_not_found", "index"),
    Case("ending no ingest", "DELETE", "/indexes/{index}/ingests/nope", 404, "ingest_not_found", "ingest"),
    Case("refreshing no index", "POST", "/indexes/nope/refresh", 404, "index_not_found", "index"),
    Case("rebuilding no index", "POST", "/indexes/nope/rebuild", 404, "index_not_found", "index"),
    body("import of no file", "/indexes/import", {"path": "/no/where"}, 403, "forbidden", "path"),
    body("import of a password file", "/indexes/import", {"path": "/etc/passwd"}, 403, "forbidden", "path"),
    body("import of a null byte", "/indexes/import", {"path": "/\0"}, 403, "forbidden", "path"),
    Case("import of garbage", "POST", "/indexes/import", 422, "invalid_snapshot", "path", lambda: {"files": {"file": b"x" * 999}}),
    Case("import without a file", "POST", "/indexes/import", 422, "invalid_request", "file", lambda: {"files": {"other": b"x"}}),
    raw("import of text", "/indexes/import", b"x", 415, "unsupported_media_type", "Content-Type", {"Content-Type": "text/plain"}),
    body("crawl of the cloud's secrets", DOCUMENTS, {"crawl": "http://169.254.169.254/"}, 422, "forbidden_address", "url"),
    body("site map of this machine", DOCUMENTS, {"sitemap": "http://[::1]/sitemap.xml"}, 422, "forbidden_address", "url"),
    body("crawl of a file", DOCUMENTS, {"crawl": "file:///etc/passwd"}, 422, "forbidden_url", "crawl"),
    body("site map with a password", DOCUMENTS, {"sitemap": "http://a:b@example.org/"}, 422, "forbidden_url", "sitemap"),
    body("crawl without end", DOCUMENTS, {"crawl": "http://example.org/", "max_pages": 10**9}, 422, "invalid_request", "max_pages"),
    body("text in the background", DOCUMENTS, {"text": "x", "source": "y", "background": True}, 422, "invalid_request", "body"),
    Case("upload with metadata that is none", "POST", DOCUMENTS, 422, "invalid_request", "metadata", lambda: {"files": {"files": ("a.md", b"x")}, "data": {"metadata": "[1]"}}),
]  # fmt: skip

MODEL = "/models/minilm"
MODELS = [
    get("unknown model", "/models/nope", 404, "model_not_found", "model"),
    get("unknown model of a back end", "/models/ollama/no/such:model", 404, "model_not_found", "model"),
    get("model with a null byte", "/models/a%00b", 404, "model_not_found", "model"),
    get("model that climbs", "/models/..%2f..%2fetc", 404, "model_not_found", "model"),
    body("loading no model", "/models/nope/load", {}, 404, "model_not_found", "model"),
    body("loading for less than no time", MODEL + "/load", {"wait_s": -1}, 422, "invalid_request", "wait_s"),
    body("loading for ever", MODEL + "/load", {"wait_s": 1e9}, 422, "invalid_request", "wait_s"),
    body("loading in words", MODEL + "/load", {"wait_s": "soon"}, 422, "invalid_request", "wait_s"),
    body("loading by an unknown field", MODEL + "/load", {"wait": 1}, 422, "invalid_request", "wait"),
    raw("loading by broken JSON", MODEL + "/load", b'{"wait_s":', 400, "malformed_body", "body"),
    body("unloading no model", "/models/nope/unload", None, 404, "model_not_loaded", "model"),
    Case("pinning no model", "PUT", "/models/nope/pin", 404, "model_not_found", "model"),
    Case("unpinning no model", "DELETE", "/models/nope/pin", 404, "model_not_found", "model"),
    body("pulling nothing", "/models/pull", {"name": ""}, 422, "invalid_request", "name"),
    body("pulling a model of no name", "/models/pull", {}, 422, "invalid_request", "name"),
    body("pulling a book", "/models/pull", {"name": "ollama/" + "x" * 600}, 422, "invalid_request", "name"),
    body("pulling by magic", "/models/pull", {"name": "x", "backend": "magic"}, 422, "unknown_backend", "backend"),
    body("pulling what is unknown", "/models/pull", {"name": "nope"}, 404, "model_not_found", "model"),
    body("pulling what comes with Motet", "/models/pull", {"name": "minilm"}, 422, "not_pullable", "name"),
    get("unknown pull", "/models/pulls/ollama/nope", 404, "pull_not_found", "pull"),
    Case("ending no pull", "DELETE", "/models/pulls/ollama/nope", 404, "pull_not_found", "pull"),
    get("models' events after less than nothing", "/models/events?after=-1", 422, "invalid_request", "after"),
    get("models' events after a word", "/models/events", 422, "invalid_request", "Last-Event-ID", **{"Last-Event-ID": "soon"}),
]  # fmt: skip

UPLOADS = [
    upload("upload of bytes", "a.bin", bytes(range(256)), "unsupported_document", "media_type"),
    upload("upload of a film", "a.mp4", b"\0\0\0 ftypisom", "unsupported_document", "media_type", "video/mp4"),
    upload("upload of half a picture", "a.png", b"\x89PNG\r\n\x1a\n", "unreadable_document", "data", "image/png"),
    upload("upload of broken UTF-8", "a.md", b"# ok \xff\xfe\x80", "unreadable_document", "data"),
    upload("upload of binary text", "a.txt", bytes(100), "unreadable_document", "data"),
    upload("upload of binary HTML", "a.html", bytes(range(256)) * 10, "unreadable_document", "data"),
    upload("upload of empty HTML", "a.html", b"<html></html", "unreadable_document", "data"),
    Case("upload without a file", "POST", DOCUMENTS, 422, "invalid_request", "files", lambda: {"files": {"other": b"x"}}),
    raw("upload without boundary", DOCUMENTS, b"--B\r\n", 400, "invalid_request", "body", {"Content-Type": "multipart/form-data"}),
    raw("upload of no form", DOCUMENTS, b"garbage", 400, "invalid_request", "body", FORM),
    raw(
        "upload with a null byte in its name",
        DOCUMENTS,
        b'--B\r\nContent-Disposition: form-data; name="files"; filename="a\0.md"\r\n\r\nx\r\n--B--\r\n',
        422,
        "invalid_request",
        "source",
        FORM,
    ),
    Case(
        "upload too large",
        "POST",
        DOCUMENTS,
        413,
        "too_large",
        "body",
        lambda: {"files": {"files": ("a.md", b"x" * (2**20 + 1))}},
    ),
    chunked(
        "upload too large in chunks",
        DOCUMENTS,
        FORM,
        b'--B\r\nContent-Disposition: form-data; name="files"; filename="a.md"\r\n\r\n',
    ),
]  # fmt: skip

PLACES = [
    get("agent that climbs", "/agents/..%2f..%2fetc%2fpasswd", 404, "route_not_found", "path"),
    Case("deleting an agent that climbs", "DELETE", "/agents/..%2fruns", 404, "route_not_found", "path"),
    Case("deleting an agent with dots", "DELETE", "/agents/%2e%2e", 404, "agent_not_found", "agent"),
    get("agent with a null byte", "/agents/a%00b", 404, "agent_not_found", "agent"),
    get("agent of broken UTF-8", "/agents/%ff%fe", 404, "agent_not_found", "agent"),
    get("picture of nobody", "/agents/nobody/picture.svg", 404, "agent_not_found", "agent"),
    Case("replacing nobody", "PUT", "/agents/nobody", 404, "agent_not_found", "agent", lambda: {"json": {"yaml": "x"}}),
    get("index that climbs up", "/indexes/..%2f..%2fruns.db", 404, "route_not_found", "path"),
    get("document that climbs", DOCUMENTS + "/..%2f..%2fruns.db", 404, "route_not_found", "path"),
    get("unknown artifact", "/artifacts/" + "a" * 64, 404, "artifact_not_found", "artifact"),
    get("artifact with dots", "/artifacts/%2e%2e", 404, "artifact_not_found", "artifact"),
    get("artifact that climbs", "/artifacts/..%2f..%2fruns.db/about", 404, "route_not_found", "path"),
    get("artifact with a null byte", "/artifacts/%00", 404, "artifact_not_found", "artifact"),
    get("nothing there", "/nothing/here", 404, "route_not_found", "path"),
    Case("wrong method", "DELETE", "/agents", 405, "method_not_allowed", "method"),
    get("another wrong method", "/agents/{agent}/run", 405, "method_not_allowed", "method"),
    get("name of another site", "/agents", 403, "forbidden", "Host", Host="evil.example"),
    Case(
        "page of another site",
        "POST",
        RUN,
        403,
        "forbidden",
        "Origin",
        lambda: {"json": {"input": INPUT}, "headers": {"Origin": "https://evil.example"}},
    ),
]  # fmt: skip

CASES = [*BODIES, *RUNS, *THREADS, *INDEXES, *LATER, *MODELS, *UPLOADS, *PLACES]
