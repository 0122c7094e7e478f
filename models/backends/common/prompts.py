"""What models that look at pictures are asked, and what they can be asked."""

from __future__ import annotations

from collections.abc import Sequence

from config.errors import Invalid

DESCRIBE = "Describe this picture in one or two sentences. Answer with the description alone."
BROKEN = ("failed to load image", "invalid_image", "invalid image", "could not process image")
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def check_pictures(images: Sequence[bytes]) -> None:
    """Raise `Invalid` where there are none (`no_image`) or one is not PNG or JPEG."""
    if not images:
        raise Invalid(
            "There is no picture to look at.", code="image_missing", details={"field": "images"}
        )
    for image in images:
        if not image.startswith(_MAGIC):
            raise bad_picture("it is neither PNG nor JPEG")


def bad_picture(why: str) -> Invalid:
    """Return the error of a picture that cannot be read."""
    return Invalid(
        f"The picture cannot be read: {why}.", code="unreadable_image", details={"field": "images"}
    )
