"""Messages of a conversation, which anyone may have written, as a model is to see them.

Owns what becomes of callers' system messages and of the parts of a message's content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import (
    BaseMessage,
    HumanMessage,
    SystemMessage,
    convert_to_messages,
)

from config.errors import Invalid, Unavailable
from graphs.compile.node import NodeContext
from tools.address_policy import find_named_urls

CALLERS_INSTRUCTIONS = "Instructions of the caller:"
SUMMARY_HEADING = "Summary of the conversation until here:"
TEXT_PARTS = ("text", "input_text", "output_text")
PICTURE_PARTS = ("image_url", "image", "input_image")
"""Of a message's content, as the clients of several protocols write them."""


def to_messages(value: Any) -> list[BaseMessage]:
    """Convert a state's messages to LangChain's. Raises `Invalid` (`invalid_messages`)."""
    items = value if isinstance(value, list | tuple) else [value] if value else []
    try:
        return list(convert_to_messages(items))
    except (ValueError, NotImplementedError, TypeError, KeyError) as error:
        raise Invalid(f"These are no chat messages: {error}", code="invalid_messages") from error


def is_standing(message: BaseMessage) -> bool:
    """Tell whether a message holds for the whole conversation, as a summary of its begin does."""
    headings = (CALLERS_INSTRUCTIONS, SUMMARY_HEADING)
    return isinstance(message, HumanMessage) and str(message.text).startswith(headings)


async def take_over(
    message: BaseMessage, context: NodeContext, trust_system: bool = False
) -> BaseMessage:
    """Take over a message of a conversation, that anyone may have written.

    A system message becomes an instruction of the caller, unless it is trusted. Pictures are read
    here, so that no model server fetches an address. What clients of protocols add, and what Motet
    itself tells a model beside the text, is left out. Raises `Invalid` (`invalid_messages`) for
    other kinds of content, and as reading pictures does.
    """
    if isinstance(message, SystemMessage) and not trust_system:
        message = HumanMessage(f"{CALLERS_INSTRUCTIONS}\n\n{message.text}", id=message.id)
    message = message.model_copy(update={"additional_kwargs": {}})
    if not isinstance(message.content, list):
        return message
    parts = [await _take_part(part, message, context) for part in message.content]
    return message.model_copy(update={"content": [part for part in parts if part is not None]})


async def _take_part(part: Any, message: BaseMessage, context: NodeContext) -> Any:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    kind = part.get("type")
    if kind in TEXT_PARTS and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    if kind in PICTURE_PARTS:
        url = await read_picture(_picture_reference(part), "messages", context)
        return {"type": "image_url", "image_url": {"url": url}}
    if isinstance(message, HumanMessage | SystemMessage):
        raise Invalid(
            f"A message may hold text and pictures, not '{str(kind)[:40]}'.",
            code="invalid_messages",
            details={"field": "messages"},
        )
    return None  # what models add for themselves, such as their reasoning


def _picture_reference(part: Mapping[str, Any]) -> Any:
    """Return what a picture's part refers to, in each of the forms that clients write."""
    inner = part.get("image_url")
    url = inner.get("url") if isinstance(inner, Mapping) else inner
    data, kind = part.get("base64") or part.get("data"), part.get("mime_type", "image/png")
    return url or part.get("url") or (f"data:{kind};base64,{data}" if data else None)


async def read_picture(reference: Any, field: str, context: NodeContext) -> str:
    """Read a picture that a field names, and return it as a data URL.

    Raises `Unavailable` (`pictures_unavailable`) where the run's context reads none, `Invalid`
    (`address_not_allowed`), and as reading does.
    """
    read = context.run.read_picture
    if read is None:
        raise Unavailable(
            "Pictures cannot be read here.", code="pictures_unavailable", permanent=True
        )
    policy = context.addresses
    for url in find_named_urls(reference):
        policy.check(url)
    # A person's upload, or what was made of one.
    context.exposure.read_private()
    return await read(reference, field, context.run.tenant, policy.check)
