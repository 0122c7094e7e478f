"""How nodes call tools: nodes whose fields are a tool's arguments, and calls with events.

Owns the events `tool`, the words of models that write for a tool, and the guard against calling
twice a tool that must not be repeated. Finding tools and checking their arguments is `tools`'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from config.errors import MotetError, Unavailable
from graphs.chat.picture_filter import PictureFilter, link_pictures
from graphs.compile.node import CompiledNode, CompileScope, NodeContext
from graphs.spec.node_spec import NodeSpec
from tools.address_policy import AddressPolicy, find_named_urls, find_urls
from tools.spec import Tool, ToolContext

LITERAL_HOST = re.compile(r"\s*https?://([a-z0-9.-]+)(?::\d+)?(?=[/?#]|\s*\Z)", re.IGNORECASE)
"""A URL whose host no template can change."""
MAX_EVENT_CHARS = 2000
"""Of a tool's result in an event; the whole of it is in the state."""


def build_tool_node(tool: str) -> Callable[[NodeSpec, CompileScope], CompiledNode]:
    """Return the build function of a node whose own fields are the arguments of a tool."""

    def build(spec: NodeSpec, scope: CompileScope) -> CompiledNode:
        fields = _own_fields(spec)
        hosts = literal_hosts(fields)

        async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
            return await run_tool(tool, inputs, context, hosts)

        return CompiledNode(scope.optional(**fields), run)

    return build


async def run_tool(
    name: str, inputs: Mapping[str, Any], context: NodeContext, hosts: Iterable[str] = ()
) -> dict[str, Any]:
    """Call a shipped tool as the node's whole work; its events are the step's.

    Empty inputs are left out, so that the tool's own defaults hold. Raises as `Tool.call` does, and
    `Invalid` (`address_not_allowed`); addresses at `hosts` are allowed.
    """
    arguments = {key: value for key, value in inputs.items() if value not in (None, "")}
    tool = context.run.tools.get(name)
    policy = context.addresses.listing(hosts)
    result: dict[str, Any] = await _call(tool, arguments, context, policy)
    note_reading(tool, context)
    return result


async def call_tool(
    name: str,
    arguments: dict[str, Any],
    context: NodeContext,
    policy: AddressPolicy,
) -> Any:
    """Call any tool by name, and emit the call and its result.

    Raises as `Tool.call` does, and `Invalid` (`address_not_allowed`) for a URL that the policy does
    not allow, before anything is done. The error of a tool that must not be repeated is permanent.
    Where a call of such a tool was cut off, as by a crash, it raises `Unavailable`
    (`tool_cut_off`).
    """
    tool = context.run.tools.get(name)
    for url in urls_of(tool, arguments):
        policy.check(url)
    # The claim is durable before the call begins. A step that runs again after a crash finds its
    # claim taken, whether the tool took effect or not: then a person must look.
    claim = context.run.claim_step
    if not tool.repeatable and claim and not await claim(context.step):
        raise _cut_off(name)
    context.emit("tool", phase="called", tool=name, arguments=arguments)
    try:
        result = await _call(tool, arguments, context, policy)
    except MotetError as error:
        error.permanent = error.permanent or not tool.repeatable
        context.emit(
            "tool", phase="failed", tool=name, code=error.code, message=error.public_message
        )
        raise
    note_reading(tool, context)
    context.emit("tool", phase="returned", tool=name, result=_shorten(result))
    return result


def urls_of(tool: Tool, arguments: Mapping[str, Any]) -> list[str]:
    """Return the URLs of a call that its tool may fetch."""
    if tool.addresses is None:
        return list(find_urls(dict(arguments)))
    return [url for name in tool.addresses for url in find_named_urls(arguments.get(name))]


def note_reading(tool: Tool, context: NodeContext) -> None:
    """Note that a tool gave what may be private."""
    if tool.reads == "private":
        context.exposure.read_private()


def literal_hosts(value: Any) -> list[str]:
    """Return the hosts that a file itself names: what its templates give cannot change them."""
    if isinstance(value, str):
        match = LITERAL_HOST.match(value)
        return [match[1]] if match else []
    items = value.values() if isinstance(value, Mapping) else value
    if isinstance(items, str) or not isinstance(items, Iterable):
        return []
    return [host for item in items for host in literal_hosts(item)]


async def _call(
    tool: Tool, arguments: Mapping[str, Any], context: NodeContext, policy: AddressPolicy
) -> Any:
    """Call a tool; what a model writes for it, such as a caption, loads nothing from elsewhere."""
    addresses = replace(context.addresses, bounded=True)
    words = _ModelWords(context, addresses if tool.reads == "private" else context.addresses)
    run = context.run
    used = ToolContext(run.tenant, run.run_id, words.forward, context.node, policy.check)
    result = await tool.call(dict(arguments), used)
    words.send_rest()
    if words.came and isinstance(result, dict) and isinstance(result.get("text"), str):
        return {**result, "text": link_pictures(result["text"], words.addresses)}
    return result


class _ModelWords:
    """Forwards a tool's events, and filters those of a model that writes for it."""

    def __init__(self, context: NodeContext, addresses: AddressPolicy) -> None:
        self.addresses = addresses
        self._last: dict[str, Mapping[str, Any]] = {}
        """The last event of each kind."""
        self._context = context
        self._filters = {kind: PictureFilter(addresses) for kind in ("thinking", "token")}

    @property
    def came(self) -> bool:
        """Whether a model has written anything."""
        return "token" in self._last

    def forward(self, event: Mapping[str, Any]) -> None:
        kind = str(event.get("motet"))
        if kind in self._filters and isinstance(event.get("text"), str):
            self._last[kind] = event
            self._send(kind, self._filters[kind].feed(event["text"]))
        else:
            self._context.forward(event)

    def send_rest(self) -> None:
        for kind in self._last:
            self._send(kind, self._filters[kind].close())

    def _send(self, kind: str, text: str) -> None:
        if text:
            self._context.forward({**self._last[kind], "text": text})


def _cut_off(name: str) -> Unavailable:
    return Unavailable(
        f"Tool '{name}' was at work when it was cut off, and must not be called again. Whether "
        "it took effect is not known.",
        code="tool_cut_off",
        details={"tool": name},
        permanent=True,
    )


def _shorten(result: Any) -> Any:
    text = result if isinstance(result, str) else repr(result)
    return result if len(text) <= MAX_EVENT_CHARS else f"{text[:MAX_EVENT_CHARS]}…"


def _own_fields(spec: NodeSpec) -> dict[str, Any]:
    """Return a node's fields that not every node has, as far as they are given."""
    names = [name for name in type(spec).model_fields if name not in NodeSpec.model_fields]
    return {name: getattr(spec, name) for name in names if name in spec.model_fields_set}
