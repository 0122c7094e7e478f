"""Chat: a LangChain model, so that streaming and tool calls follow the ecosystem.

Its `profile`, LangChain's own field, is the one place that knows what the loaded model can take:
`max_input_tokens` is its context, prompt and answer together, where that is known. A call, or what
is bound to the model, says by the names of `models.capabilities.sampling` how it writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # at run time 0.3 s and 40 MB that a server without chat need not pay
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable

Chat: TypeAlias = "BaseChatModel"


@runtime_checkable
class TokenCounter(Protocol):
    """A chat model whose own tokenizer counts, in some milliseconds and without the model."""

    async def count_tokens(
        self, messages: Sequence[BaseMessage], options: Mapping[str, Any]
    ) -> int | None:
        """Count what a prompt takes; `options` are those of the call, tools among them.

        None where it cannot be told. Raises as asking does.
        """
        ...


@runtime_checkable
class SchemaBinder(Protocol):
    """A chat model that knows how its back end holds answers to a JSON schema."""

    def bind_schema(self, schema: Mapping[str, Any]) -> Runnable[Any, Any]:
        """Return the model with its answers held to a schema, as far as its back end can.

        What the back end cannot do is left to the prompt, and told in the log at debug: whoever
        asks describes the schema and checks the answer all the same.
        """
        ...


@runtime_checkable
class PromptCacher(Protocol):
    """A chat model that keeps what it reads of prompts, for others that begin alike."""

    def scope_fields(self, scope: str) -> Mapping[str, Any]:
        """Return the options of a call whose prompt serves this scope alone, such as a tenant.

        A call without them keeps nothing, and uses nothing that was kept.
        """
        ...
