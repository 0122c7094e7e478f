"""Vectors of texts that were embedded lately: the same passages answer many questions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from models.capabilities import Embed, Vectors

CAPACITY = 4096  # of 384 numbers: 6 MB


class Remembered:
    """Embeds what it does not remember; what was not asked for longest is forgotten."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._rows: OrderedDict[bytes, bytes] = OrderedDict()

    async def embed(self, embed: Embed, texts: Sequence[str]) -> Vectors:
        """One vector for each text, in order; someone waits for them."""
        keys = [self._key(embed, text) for text in texts]
        known = {key: self._rows[key] for key in keys if key in self._rows}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            found = await embed.embed(list(new.values()), urgent=True)
            known |= {key: found.row(number) for number, key in enumerate(new)}
        for key in keys:
            self._rows[key] = known[key]
            self._rows.move_to_end(key)
        while len(self._rows) > self._capacity:
            self._rows.popitem(last=False)
        return Vectors.joined(embed.dimensions, [known[key] for key in keys])

    @staticmethod
    def _key(embed: Embed, text: str) -> bytes:
        about = f"{embed.fingerprint}\0{text}".encode(errors="replace")
        return blake2b(about, digest_size=16).digest()
