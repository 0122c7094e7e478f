"""Bodies of requests: what is no JSON, too much of it, or not told as such."""

from __future__ import annotations

from tests.acceptance.malformed.case import JSON, RUN, STATE, body, chunked, raw

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
