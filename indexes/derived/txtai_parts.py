"""Worker side: imports the two parts of txtai that a derived index is made of, without the rest.

Importing txtai imports torch, transformers and everything that its pipelines need: 4 s and 430 MB
in each worker, also after a crash, for BM25 and faiss which need numpy alone. So their modules are
imported below packages that run no `__init__`; these are taken away again, and whoever imports
txtai afterwards gets all of it.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

log = logging.getLogger(__name__)

PACKAGES = ("txtai", "txtai.ann", "txtai.ann.dense", "txtai.pipeline", "txtai.scoring")


class _Parts(NamedTuple):
    """The classes of txtai that are used."""

    BM25: Any
    Faiss: Any


def _import_parts() -> _Parts:
    try:
        with _bare_packages():
            bm25 = import_module("txtai.scoring.bm25").BM25
            return _Parts(bm25, import_module("txtai.ann.dense.faiss").Faiss)
    except (ImportError, AttributeError) as error:
        # Another release may be laid out otherwise.
        log.info("txtai's parts cannot be imported alone (%s): importing all of it", error)
        return _Parts(import_module("txtai.scoring").BM25, import_module("txtai.ann").Faiss)


@contextmanager
def _bare_packages() -> Iterator[None]:
    """Let txtai's modules be imported below packages that run no `__init__`."""
    before = {name: module for name, module in sys.modules.items() if _is_txtai(name)}
    for name in before:
        del sys.modules[name]
    spec = importlib.util.find_spec("txtai")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("txtai is not installed")
    root = Path(spec.submodule_search_locations[0])
    for name in PACKAGES:
        module = ModuleType(name)
        module.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = module
    # BM25 would cut texts with it; it is given words.
    sys.modules["txtai.pipeline"].Tokenizer = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_txtai(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_txtai(name: str) -> bool:
    return name == "txtai" or name.startswith("txtai.")


BM25, Faiss = _import_parts()
