"""A side effect that shows: a line of a file outside the data folder, as a mail would be."""

import asyncio

from tools import tool


@tool
def post(file: str, key: str, text: str) -> str:
    """Append a line; whoever calls it twice is found out."""
    with open(file, "a") as opened:
        opened.write(f"{key}|{text}\n")
    return "posted"


@tool(repeatable=True)
async def ponder() -> str:
    """Take a moment, in which a server may be killed."""
    await asyncio.sleep(0.3)
    return "done"
