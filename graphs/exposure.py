"""Whether a run has read something private, and which addresses people have written to it.

Owns the hidden channel that keeps both over steps, checkpoints, called agents and the runs of a
thread. What follows from it for an address is `tools.address_policy`'s. Invariant: nothing takes a
mark back; what a model writes never counts as written by a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, FunctionMessage, ToolMessage

from tools.address_policy import (
    MAX_VALUES,
    AddressPolicy,
    find_written_addresses,
    join_written,
)

EXPOSURE = "_exposure"
"""Hidden channel: `{"private": bool, "written": [key of an address, ...]}`."""
OTHERS_ROLES = ("assistant", "ai", "tool", "function")
"""Of messages that no person wrote, whoever hands them in."""
SERIALIZED = "constructor"
"""The type of a message as LangChain serializes it; its class stands last in `id`."""


@dataclass
class Exposure:
    """What one step knows of its run, and what it adds to that.

    `changed` tells whether it adds anything, `reads_private` whether it reads something private
    itself.
    """

    private: bool = False
    written: list[str] = field(default_factory=list)
    changed: bool = False
    reads_private: bool = False

    def read_private(self) -> None:
        """Note that something private was read: from now on addresses are bounded."""
        self.changed = self.changed or not self.private
        self.private = self.reads_private = True

    def add_written(self, value: Any) -> None:
        """Note the addresses in what a person has written or approved."""
        self.add({"written": find_written_addresses(value)})

    def add(self, state: Any) -> None:
        """Take over what another state knows, such as that of a called agent."""
        if isinstance(state, Mapping):
            joined = combine(self.state(), state)
            self.changed = self.changed or joined != self.state()
            self.private, self.written = joined["private"], joined["written"]
            self.reads_private = self.reads_private or bool(state.get("private"))

    def state(self) -> dict[str, Any]:
        """Return the value of the channel."""
        return {"private": self.private, "written": list(self.written)}

    def policy(self, hosts: Iterable[str]) -> AddressPolicy:
        """Return which addresses may be chosen now, besides those of these hosts."""
        return AddressPolicy(self.private, frozenset(hosts), frozenset(self.written))


def exposure_of(state: Any) -> Exposure:
    """Read a channel's value; an absent one knows nothing."""
    exposure = Exposure()
    exposure.add(state)
    exposure.changed = exposure.reads_private = False
    return exposure


def exposure_after(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a called agent knows at its end.

    Of a graph in Python that is not known: it may have read anything.
    """
    known: dict[str, Any] = values.get(EXPOSURE) or {"private": True}
    return known


def combine(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, Any]:
    """Join two values of the channel."""
    old, new = old or {}, new or {}
    written = join_written(old.get("written", ()), new.get("written", ()))
    return {"private": bool(old.get("private") or new.get("private")), "written": written}


def exposure_of_input(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run knows as it begins: the addresses that its caller wrote.

    What models and tools said before is private, in whatever way the graph hands it on.
    """
    # Fields of the input itself may be called as those of messages are.
    items = list(values.values())
    written = find_written_addresses(items, _written_by_people)
    return {"private": _holds_words_of_others(items), "written": written}


def _written_by_people(item: Any) -> Any:
    """Return what a person has written of an item: of a message by a model or a tool nothing."""
    if _is_of_others(item):
        return None
    return item.content if isinstance(item, BaseMessage) else item


def _holds_words_of_others(items: list[Any]) -> bool:
    """Return whether a message by a model or a tool is within; too many values hold one."""
    pending = list(items)
    for _ in range(MAX_VALUES):
        if not pending:
            return False
        item = pending.pop()
        if _is_of_others(item):
            return True
        if isinstance(item, Mapping):
            pending += item.values()
        elif isinstance(item, list | tuple):
            pending += item
    return True


def _is_of_others(item: Any) -> bool:
    if isinstance(item, BaseMessage):
        return isinstance(item, AIMessage | ToolMessage | FunctionMessage)
    if isinstance(item, list | tuple) and len(item) == 2:
        return item[0] in OTHERS_ROLES
    if isinstance(item, Mapping) and item.get("type") == SERIALIZED:
        return not str(item.get("id")).rstrip("'\"])").endswith(("HumanMessage", "SystemMessage"))
    if isinstance(item, Mapping):
        return item.get("role") in OTHERS_ROLES or item.get("type") in OTHERS_ROLES
    return False
