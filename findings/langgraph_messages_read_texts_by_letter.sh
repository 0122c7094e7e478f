#!/usr/bin/env bash
# LangGraph 1.2.22: streaming with mode "messages" goes through every text that a node gives, letter
# by letter, on the event loop.
#
# StreamMessagesHandler._find_and_emit_messages looks for messages in each value of an update that is
# a Sequence, and a str is one (on_chain_start leaves texts out). What was seen, for a node that gives
# a text of 4,000,000 letters:
#
#   stream_mode="updates"              the loop is held up for less than 0.05 s
#   stream_mode=["updates","messages"] the loop is held up for 0.4 to 1.7 s
#
# One would expect that texts cost nothing: they hold no messages.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langgraph==1.2.22

cat >"$folder/stall.py" <<'PYTHON'
import asyncio
import time
from typing import TypedDict

from langgraph.graph import END, START, StateGraph


class State(TypedDict, total=False):
    text: str


async def write(state):
    return {"text": "x" * 4_000_000}


async def longest_stall(modes):
    graph = StateGraph(State)
    graph.add_node("write", write)
    graph.add_edge(START, "write")
    graph.add_edge("write", END)
    longest = 0.0

    async def probe():
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - before)

    probing = asyncio.create_task(probe())
    async for _ in graph.compile().astream({}, stream_mode=modes):
        pass
    probing.cancel()
    return longest


without = asyncio.run(longest_stall(["updates"]))
with_messages = asyncio.run(longest_stall(["updates", "messages"]))
print(f"updates: {without:.2f} s; updates and messages: {with_messages:.2f} s")
assert with_messages > 4 * without, "LangGraph does something else now"
PYTHON
"$folder/venv/bin/python" "$folder/stall.py"
