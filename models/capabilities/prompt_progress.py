"""How far a model is with reading its prompt: a chunk of an answer that has no text.

Imported only where answers are streamed: LangChain's messages cost 0.3 s and 40 MB.
"""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessageChunk, BaseMessageChunk


class PromptProgress(AIMessageChunk):
    """A chunk that says that `processed` of `total` tokens of the prompt were read.

    Added to other chunks it adds nothing.
    """

    processed: int
    total: int

    def __add__(self, other: Any) -> BaseMessageChunk:  # type: ignore[override]
        # LangChain makes a sum of the class of its first part.
        whole: BaseMessageChunk = AIMessageChunk(content="", id=self.id) + other
        return whole
