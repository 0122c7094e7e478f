"""Chat: a LangChain model, so that streaming and tool calls follow the ecosystem."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # at run time 0.3 s and 40 MB that a server without chat need not pay
    from langchain_core.language_models import BaseChatModel

Chat: TypeAlias = "BaseChatModel"
