"""Pages of lists, bounded by bytes besides the number of items.

Owns where a page ends and what the next one begins with. Invariant: a page has at least one item
where there is any, however large it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import TypeVar

from runs.events import dumps

PAGE_BYTES = 4 * 2**20
"""Of one page as JSON: writing it takes the event loop some 20 ms."""

Item = TypeVar("Item")


class Page(list[Item]):
    """Items, and the cursor `next` with which to ask for more; None where there are none."""

    def __init__(self, items: Iterable[Item] = (), next: str | None = None) -> None:
        super().__init__(items)
        self.next = next


async def fill_page(
    items: AsyncIterable[Item],
    limit: int,
    cursor: Callable[[Sequence[Item]], str],
    max_bytes: int = PAGE_BYTES,
) -> Page[Item]:
    """Take items until there are `limit`, or as many as fit; `cursor` names the page's end."""
    page: list[Item] = []
    size = 0
    async for item in items:
        size += len(dumps(item))
        if page and size > max_bytes:
            return Page(page, cursor(page))
        page.append(item)
        if len(page) == limit:
            return Page(page, cursor(page))
    return Page(page)
