"""Books of scenes, each a text with a picture and a sound: one HTML file, and one EPUB.

`tool` gathers the files, `pages` is a book before it is laid out, `html` and `epub` lay it out by
the templates.
"""

from tools.book.tool import book_tool

__all__ = ["book_tool"]
