"""Requests about threads and their states."""

from __future__ import annotations

from tests.acceptance.malformed.case import NOWHERE, STATE, body, get

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
