"""What a model writes, as events for the run's readers, piece by piece: `token` and `thinking`."""

from __future__ import annotations

from typing import NamedTuple

from langchain_core.messages import BaseMessage

from graphs.chat.foreign import MarkFilter
from graphs.chat.picture_filter import PictureFilter
from graphs.compile.node import NodeContext
from models.output.messages import UNOPENED_CHARS, thinking_of
from tools.address_policy import AddressPolicy


class _Filter(NamedTuple):
    """Filters the pieces of one text."""

    marks: MarkFilter
    pictures: PictureFilter

    def feed(self, piece: str) -> str:
        return self.pictures.feed(self.marks.feed(piece))

    def close(self) -> str:
        return self.pictures.feed(self.marks.close()) + self.pictures.close()


class TokenEvents:
    """Sends the events of one message.

    What a screen would load from elsewhere is linked, and marks of foreign texts are left out.
    """

    def __init__(self, context: NodeContext, addresses: AddressPolicy) -> None:
        self._context = context
        self._addresses = addresses
        self._text, self._thinking = self._open_filter(), self._open_filter()
        self._sent: list[str] = []
        self._message_id: str | None = None

    def _open_filter(self) -> _Filter:
        return _Filter(MarkFilter(self._context.mark), PictureFilter(self._addresses))

    def send(self, chunk: BaseMessage) -> None:
        self._message_id = chunk.id or self._message_id
        if thinking := thinking_of(chunk):
            self._emit("thinking", self._thinking.feed(thinking))
        self._emit("token", self._text.feed(str(chunk.text)))
        if chunk.response_metadata.get(UNOPENED_CHARS):
            self._take_back()

    def send_rest(self) -> None:
        self._emit("thinking", self._thinking.close())
        self._emit("token", self._text.close())

    def _take_back(self) -> None:
        """Say that all the tokens until here were thinking."""
        text = "".join(self._sent) + self._text.close()
        self._text, self._sent = self._open_filter(), []
        self._context.emit("thinking", text=text, message=self._message_id, was_token=True)

    def _emit(self, kind: str, text: str) -> None:
        if text:
            self._context.emit(kind, text=text, message=self._message_id)
            if kind == "token":
                self._sent.append(text)
