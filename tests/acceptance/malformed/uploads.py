# ruff: noqa: E501 - tables of one line for each case
"""Files that are uploaded into an index."""

from __future__ import annotations

from tests.acceptance.malformed.case import DOCUMENTS, FORM, Case, chunked, raw, upload

UPLOADS = [
    upload("upload of bytes", "a.bin", bytes(range(256)), "unsupported_document", "media_type"),
    upload("upload of a film", "a.mp4", b"\0\0\0 ftypisom", "unsupported_document", "media_type", "video/mp4"),
    upload("upload of half a picture", "a.png", b"\x89PNG\r\n\x1a\n", "unreadable_document", "data", "image/png"),
    upload("upload of broken UTF-8", "a.md", b"# ok \xff\xfe\x80", "unreadable_document", "data"),
    upload("upload of binary text", "a.txt", bytes(100), "unreadable_document", "data"),
    upload("upload of binary HTML", "a.html", bytes(range(256)) * 10, "unreadable_document", "data"),
    upload("upload of empty HTML", "a.html", b"<html></html", "unreadable_document", "data"),
    Case("upload without a file", "POST", DOCUMENTS, 422, "invalid_request", "files", lambda: {"files": {"other": b"x"}}),
    raw("upload without boundary", DOCUMENTS, b"--B\r\n", 400, "invalid_request", "body", {"Content-Type": "multipart/form-data"}),
    raw("upload of no form", DOCUMENTS, b"garbage", 400, "invalid_request", "body", FORM),
    raw(
        "upload with a null byte in its name",
        DOCUMENTS,
        b'--B\r\nContent-Disposition: form-data; name="files"; filename="a\0.md"\r\n\r\nx\r\n--B--\r\n',
        422,
        "invalid_request",
        "source",
        FORM,
    ),
    Case(
        "upload too large",
        "POST",
        DOCUMENTS,
        413,
        "too_large",
        "body",
        lambda: {"files": {"files": ("a.md", b"x" * (2**20 + 1))}},
    ),
    chunked(
        "upload too large in chunks",
        DOCUMENTS,
        FORM,
        b'--B\r\nContent-Disposition: form-data; name="files"; filename="a.md"\r\n\r\n',
    ),
]  # fmt: skip
