# ruff: noqa: E501 - tables of one line for each case
"""Paths that lead out of what is served, and requests of other sites."""

from __future__ import annotations

from tests.acceptance.malformed.case import DOCUMENTS, INPUT, RUN, Case, get

PATHS = [
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
