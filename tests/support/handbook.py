"""A small handbook with facts that can be asked for, and as much filler as a test wants."""

from __future__ import annotations

from pathlib import Path

PAGES = {
    "harbour.md": """\
# The harbour

## Opening hours

The harbour office opens at six in the morning and closes at nine in the evening.
On Sundays it stays closed. Boats may enter at any hour.

## Fees

A berth costs fourteen crowns a night for boats up to ten metres. — “Längere” boats pay twenty-two
crowns. Fees are paid at the office, in advance.
""",
    "lighthouse.html": """\
<!doctype html><html><head><title>The lighthouse</title></head><body>
<nav>Home | Contact</nav>
<h1>The lighthouse</h1>
<p>The lighthouse was built in 1884 by <b>Ada&nbsp;Brandt</b> &amp; her brother.</p>
<h2>Visits</h2><p>Visitors climb 211 steps to the lantern room.</p>
</body></html>
""",
    "ferry.txt": """\
The ferry to Holm island leaves every forty minutes from pier three.

Bicycles travel free of charge; dogs need a ticket for children.
""",
}


def write_handbook(folder: Path) -> Path:
    """The pages as files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in PAGES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def filler(number: int, sections: int = 6) -> str:
    """A page of its own about nothing in particular."""
    lines = [f"# Log book {number}"]
    for section in range(sections):
        lines += [
            "",
            f"## Watch {section}",
            "",
            f"Entry {number}.{section}: wind from the north at {number % 30} knots, "
            f"barometer at {980 + number % 50}, {section * number} crates on deck. "
            + "The crew kept the usual order and nothing else was to be noted. "
            * 6,
        ]
    return "\n".join(lines)
