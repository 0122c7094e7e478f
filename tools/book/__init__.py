"""Books of scenes, each a text with a picture and a sound: one HTML file, and one EPUB."""

from tools.book.tool import book_tool

__all__ = ["book_tool"]
