"""`python make_voices.py FOLDER`: tiny voices of coqui-tts, one for each thing that one can do."""

from __future__ import annotations

import sys
from pathlib import Path

from recipes.voice import make


def main() -> None:
    folder = Path(sys.argv[1])
    make(folder / "two")
    make(folder / "one", speakers=["only"])
    make(folder / "phonemes", speakers=["only"], phonemes=True)
    make(folder / "clones", clones=True)


if __name__ == "__main__":
    main()
