"""`python -m recipes NAME`: makes a small model again."""

from __future__ import annotations

import argparse
import logging
from importlib import import_module
from pathlib import Path

MODELS = Path(__file__).resolve().parents[1] / "models" / "small"
RECIPES = {
    "drawing": "recipes.drawing",
    "captioner": "recipes.captioner",
    "storyteller": "recipes.storyteller",
    "voice": "recipes.voice",
    "whisper": "recipes.whisper",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m recipes", description=__doc__)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--folder", type=Path, help="where to; as it comes, where Motet looks")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    import_module(RECIPES[given.name]).make(given.folder or MODELS / given.name)


if __name__ == "__main__":
    main()
