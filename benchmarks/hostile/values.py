"""What is put where a well-meant value is expected."""

from __future__ import annotations

import gzip

NOWHERE = "7b0e6a5c-0000-4000-8000-000000000000"

PATH_PARTS = (
    *("x", NOWHERE, "0" * 64, "%00", "a%00b", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%ff%fe"),
    *("%F0%9F%92%A9", "%20", "a%0d%0aX:%20y", "'%3B%20DROP%20TABLE%20runs%3B--", "%7B%7B7*7%7D%7D"),
    *("$(id)", "-1", "9" * 40, "%25%30%30", "<script>", "null", "__proto__", "a" * 5000, "a@b@c"),
    *("%E2%80%AE", "con", "~", "%5c..%5c", "a" * 30_000, "*", "%C0%AF"),
)

QUERIES = (
    *("limit=-1", "limit=0", "limit=1e9", "limit=NaN", f"limit={'9' * 400}", f"offset={2**63}"),
    *(
        "offset=-1",
        "after=-1",
        f"after={'9' * 30}",
        "status=weird",
        "start=-1&end=-1",
        "%",
        "&&==;",
    ),
    *("start=0&end=99999999999999999999", "limit=1&limit=x", "where=%7B", "where=%5B%5D"),
    *(
        "where=" + "%5B" * 5000,
        "where=%7B%22a%22%3A%7B%22glob%22%3A%22" + "*a" * 3000 + "%22%7D%7D",
    ),
    *("a=" + "b" * 60_000, "&".join(f"p{n}=1" for n in range(5000)), "to=%00", "hash=%ff", "x=1"),
)

JSON_VALUES: tuple[bytes, ...] = (
    *(b"", b"null", b"true", b"0", b"[]", b"{}", b'"text"', b"{", b'{"a":', b"[1,]", b"{'a': 1}"),
    *(
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"\xff\xfe{}",
        '{"a": 1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
    ),
    *(
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a": 1, "a": 2}',
        b'{"__class__": "x"}',
        b"\0" * 999,
    ),
    *(b"[" * 100_000, b"[" * 90 + b"]" * 90, b'{"a":' * 90 + b"1" + b"}" * 90, b"9" * 4000, b"-"),
    *(b'{"input": ' + b"[" * 5000 + b"]" * 5000 + b"}", b"[" + b"1," * 50_000 + b"1]"),
    *(
        b"{" + b",".join(b'"k%d": 1' % n for n in range(20_000)) + b"}",
        b'"' + b"x" * 200_000 + b'"',
    ),
)
WIDE = b"1," * 150_000 + b"1]}"
JSON_VALUES += (
    b'{"query": "x", "indexes": ["library"], "documents": [' + WIDE,
    b'{"ids": [' + WIDE,
    b'{"input": {"text": [' + WIDE + b"}",
    b'{"metadata": {"a": [' + (b"[" * 90 + b"]" * 90 + b",") * 5000 + b"1]}}",
)
"""Bodies that are no JSON, no object, too deep, too wide, or not what they claim to be."""

FIELD_VALUES: tuple[object, ...] = (
    *(
        None,
        True,
        -1,
        0,
        2**63,
        2**200,
        1e308,
        -0.0,
        "",
        " ",
        "\0",
        "x" * 100_000,
        "\u202e",
        "../../x",
    ),
    *(
        [],
        {},
        [[[[[]]]]],
        {"$ref": "#"},
        ["x"] * 5000,
        {"a": {"b": {"c": 1}}},
        "http://169.254.169.254/",
    ),
    *(
        "file:///etc/passwd",
        "{{ 7 * 7 }}",
        "a\nb",
        ["a", 1, None, {}],
        {"": ""},
        "9" * 5000,
        [None],
    ),
    *("data:;base64,%%", "data:text/plain,x", {"configurable": []}, {"checkpoint_id": 5}, "%s%n"),
)
"""What a field of a body may be sent as."""

CONTENT_TYPES = (
    *("", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"),
    *("application/xml", "a/b;;;", "application/json, text/plain", "multipart/form-data", "/", ";"),
    *("multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 500, "x" * 10_000),
    *(
        "multipart/mixed; boundary=B",
        "application/yaml",
        "application/json;\tx",
        "APPLICATION/JSON",
    ),
)

PART = b'--B\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nx\r\n'
FORMS: tuple[bytes, ...] = (
    *(
        b"garbage",
        b"--B",
        b"--B\r\n",
        b"--B--\r\n",
        PART,
        PART * 2000 + b"--B--\r\n",
        b"\r\n" * 5000,
    ),
    b'--B\r\nContent-Disposition: form-data; name="' + b"n" * 30_000 + b'"\r\n\r\nx\r\n--B--\r\n',
    b'--B\r\nContent-Disposition: form-data; name="files"; filename="../x\0"\r\n\r\nx\r\n--B--\r\n',
    b'--B\r\nContent-Disposition: form-data; name="input"\r\n\r\n{"a":\r\n--B--\r\n',
    b"--B\r\n" + b"X: y\r\n" * 5000 + b"\r\nx\r\n--B--\r\n",
    b"--B\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%\r\n--B--\r\n",
)

CODINGS: tuple[tuple[str, bytes], ...] = (
    ("gzip", b"no gzip"),
    ("gzip", gzip.compress(b"{}")[:-3]),
    ("gzip", gzip.compress(bytes(10**7))),
    ("gzip", gzip.compress(b"") * 2000),
    ("gzip, gzip", gzip.compress(gzip.compress(b"{}"))),
    ("br", b"{}"),
    ("deflate", b"{}"),
    ("x" * 5000, b"{}"),
)

HEADERS: tuple[tuple[str, bytes], ...] = (
    *(
        ("Range", b"bytes=99999999-"),
        ("Range", b"bytes=a-b"),
        ("Range", b"bytes=" + b"0-0," * 9000),
    ),
    *(
        ("Range", b"x"),
        ("If-Range", b'"x"'),
        ("If-None-Match", b'"a", ' * 9000 + b'"b"'),
        ("If-None-Match", b"*"),
    ),
    *(("If-Modified-Since", b"soon"), ("If-Modified-Since", b"Mon, 99 Foo 99999 99:99:99 XYZ")),
    *(("Accept", b"a/b;q=x," * 6000), ("Accept", b"text/event-stream;q=0"), ("Accept", b"\xff")),
    *(("Accept", b"application/json;q=0"), ("Accept-Encoding", b"identity;q=0"), ("Expect", b"x")),
    *(("Last-Event-ID", b"soon"), ("Last-Event-ID", b"9" * 5000), ("Last-Event-ID", b"-2")),
    *(("Idempotency-Key", b"k" * 300), ("Idempotency-Key", b"\xff\xfe"), ("Idempotency-Key", b"")),
    *(
        ("Host", b"evil.example"),
        ("Host", b""),
        ("Origin", b"null"),
        ("Origin", b"https://evil.example"),
    ),
    *(
        ("Sec-Fetch-Site", b"cross-site"),
        ("Cookie", b"a=b;" * 5000),
        ("Authorization", b"Basic %%"),
    ),
    *(("X-HTTP-Method-Override", b"DELETE"), ("Upgrade", b"h2c")),
    *(("X-Forwarded-For", b"127.0.0.1, ::1"), ("X" * 30_000, b"y")),
)

METHODS = ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD", "POST", "GET", "PROPFIND", "LOCK")
