"""The double of Ollama as a program: `... serve`, on $OLLAMA_HOST, with a model `tiny`."""

from __future__ import annotations

import os
import signal
import sys
import threading

from tests.support.ollama import Ollama


def main() -> None:
    if sys.argv[1:] != ["serve"]:
        sys.exit(f"unknown command {sys.argv[1:]}")
    if os.environ.get("OLLAMA_DOUBLE_FAILS"):
        sys.exit("Error: no space left on device")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    double = Ollama(port=int(os.environ["OLLAMA_HOST"].rpartition(":")[2]))
    double.add("tiny", f"max {os.environ.get('OLLAMA_MAX_LOADED_MODELS')}")
    double.offer("more")
    double.start()
    ended.wait()
    double.stop()


if __name__ == "__main__":
    main()
