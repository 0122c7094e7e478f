# ruff: noqa: E501 - tables of one line for each case
"""Requests about models."""

from __future__ import annotations

from tests.acceptance.malformed.case import Case, body, get, raw

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
    body("adding nothing", "/models", {"model": ""}, 422, "invalid_request", "model"),
    body("adding no model", "/models", {}, 422, "invalid_request", "model"),
    body("adding what is unknown", "/models", {"model": "qwen3-4"}, 404, "model_not_found", "model"),
    body("adding a library", "/models", {"model": "hf.co/maker"}, 422, "invalid_model_source", "model"),
    body("adding by a climb", "/models", {"model": "ollama.com/../x"}, 422, "invalid_model_source", "model"),
    body("adding from anywhere", "/models", {"model": "http://127.0.0.1:9/a/b"}, 422, "not_pullable", "name"),
    body("adding a file of the machine", "/models", {"model": "/etc/passwd"}, 403, "forbidden", "model"),
    body("adding eyes of the machine", "/models", {"model": "qwen3-4b", "projector": "/etc/passwd"}, 403, "forbidden", "projector"),
    body("adding for singing", "/models", {"model": "qwen3-4b", "task": "sing"}, 422, "invalid_request", "task"),
    body("adding by a name that is none", "/models", {"model": "qwen3-0.6b", "name": "a/b"}, 422, "invalid_model_name", "name"),
    Case("removing no model", "DELETE", "/models/nope", 404, "model_not_found", "model"),
    Case("removing what comes with Motet", "DELETE", "/models/minilm", 409, "model_read_only", "model"),
    get("unknown pull", "/models/pulls/ollama/nope", 404, "pull_not_found", "pull"),
    Case("ending no pull", "DELETE", "/models/pulls/ollama/nope", 404, "pull_not_found", "pull"),
    get("models' events after less than nothing", "/models/events?after=-1", 422, "invalid_request", "after"),
    get("models' events after a word", "/models/events", 422, "invalid_request", "Last-Event-ID", **{"Last-Event-ID": "soon"}),
]  # fmt: skip
