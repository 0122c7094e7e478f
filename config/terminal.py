"""Texts that models, documents and other people wrote, on their way to a terminal.

Owns which characters would steer it. They are shown, never sent; all others stay as they are.
"""

from __future__ import annotations

import re

STEERING = re.compile(
    "\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Controls (but tabs and ends of lines), marks of direction, and halves of characters."""


def show_controls(text: str) -> str:
    """Write the characters that would steer a terminal as ones that it shows."""
    return STEERING.sub(lambda match: _shown(ord(match[0])), text)


def _shown(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)  # the symbol for the control
    return "␡" if code == 0x7F else f"\\u{code:04x}"
