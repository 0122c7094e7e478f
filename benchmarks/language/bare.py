"""`python -m benchmarks.language.bare FILE`: llama.cpp's own server, in a process of its own.

It is the server of the wheel that Motet's workers use, with llama.cpp's own settings but for those
that the caller names. Its first line of output is its address. It ends with its input.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import xllamacpp

WARNINGS = 2
"""What llama.cpp prints: no line for each request."""


def main() -> None:
    """Serve until the input ends, as it does with the process that started this one."""
    parser = argparse.ArgumentParser(prog="bare")
    parser.add_argument("file")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--template", default="")
    parser.add_argument("--no-jinja", action="store_true", help="no tools at all")
    parser.add_argument("--no-parsing", action="store_true", help="calls of tools stay text")
    server = xllamacpp.Server(make_params(parser.parse_args()))
    print(server.listening_address, flush=True)
    sys.stdin.read()


def make_params(chosen: argparse.Namespace) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = chosen.file
    params.port = chosen.port
    params.verbosity = WARNINGS
    params.ui = False
    params.warmup = False
    params.n_gpu_layers = 0
    params.fit_params = False
    params.n_ctx = chosen.context
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = chosen.threads
    params.use_jinja = not chosen.no_jinja
    params.force_pure_content_parser = chosen.no_parsing
    if chosen.template:
        params.chat_template = Path(chosen.template).read_text()
    return params


if __name__ == "__main__":
    main()
