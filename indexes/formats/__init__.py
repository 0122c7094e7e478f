"""The formats that documents come in: one module for each way to read one, listed here by media
type.

A reader is a function from `SourceFile` to `ParsedText`. Which one reads a document is decided by
`reading.documents`; a format's module is imported only there, in a worker, when it is needed.

    text      plain, markdown, html, code (with definitions), jsons, table
    office    docx, pptx (with office), sheets; archive guards all that are ZIP files
    pages     epub, pdf: pdf_words and pdf_shapes read a page through PDFium, pdf_grids, pdf_order,
              pdf_lines and pdf_layout find its structure, pdf_info and pdf_headings its headings,
              pdf_furniture drops what repeats, pdf_writer writes the document
    others    mail, image
    shared    composer builds a text with its blocks, rows writes tables, magic knows bytes
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """A media type, the file endings that stand for it, and its reader as `module:function`.

    `aliases` are what else the type is called. The text of a `captioned` format is what a model
    writes about it.
    """

    media_type: str
    suffixes: tuple[str, ...]
    reader: str
    aliases: tuple[str, ...] = ()
    captioned: bool = False


def _code(name: str, *suffixes: str, aliases: tuple[str, ...] = ()) -> Format:
    return Format(f"text/x-{name}", suffixes, "code:read_code", aliases)


def _image(name: str, *suffixes: str, aliases: tuple[str, ...] = ()) -> Format:
    return Format(f"image/{name}", suffixes, "image:read_image", aliases, captioned=True)


OPEN_XML = "application/vnd.openxmlformats-officedocument"
"""The common beginning of the media types of ECMA-376."""
FORMATS = (
    Format("text/markdown", (".md", ".markdown"), "markdown:read_markdown"),
    Format("text/plain", (".txt", ".text"), "plain:read_plain"),
    Format("text/x-rst", (".rst",), "plain:read_plain"),
    Format("text/html", (".html", ".htm"), "html:read_html"),
    Format("application/xhtml+xml", (".xhtml",), "html:read_html"),
    Format("application/pdf", (".pdf",), "pdf:read_pdf"),
    Format(f"{OPEN_XML}.wordprocessingml.document", (".docx",), "docx:read_docx"),
    Format(f"{OPEN_XML}.presentationml.presentation", (".pptx",), "pptx:read_pptx"),
    Format("application/epub+zip", (".epub",), "epub:read_epub"),
    Format("text/csv", (".csv",), "table:read_csv", ("application/csv", "text/x-csv")),
    Format("text/tab-separated-values", (".tsv", ".tab"), "table:read_csv"),
    Format("application/vnd.ms-excel", (".xls",), "sheets:read_sheets"),
    Format(f"{OPEN_XML}.spreadsheetml.sheet", (".xlsx",), "sheets:read_sheets"),
    Format("application/vnd.ms-excel.sheet.macroenabled.12", (".xlsm",), "sheets:read_sheets"),
    Format(
        "application/vnd.ms-excel.sheet.binary.macroenabled.12", (".xlsb",), "sheets:read_sheets"
    ),
    Format("application/vnd.oasis.opendocument.spreadsheet", (".ods",), "sheets:read_sheets"),
    Format("application/json", (".json",), "jsons:read_json", ("text/json",)),
    Format(
        "application/x-ndjson",
        (".jsonl", ".ndjson"),
        "jsons:read_json_lines",
        ("application/jsonl", "application/x-jsonlines", "application/json-lines"),
    ),
    Format("message/rfc822", (".eml",), "mail:read_mail"),
    Format("application/mbox", (".mbox",), "mail:read_mailbox"),
    _code("python", ".py", ".pyi", aliases=("text/x-script.python", "application/x-python")),
    Format(
        "text/javascript",
        (".js", ".mjs", ".cjs", ".jsx"),
        "code:read_code",
        ("application/javascript", "application/x-javascript"),
    ),
    _code("typescript", ".ts", ".mts", ".cts", ".tsx", aliases=("application/typescript",)),
    _code("go", ".go"),
    _code("rust", ".rs", aliases=("text/rust",)),
    _code("java", ".java", aliases=("text/x-java-source",)),
    _code("csrc", ".c"),
    _code("c++src", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", aliases=("text/x-chdr",)),
    _code("csharp", ".cs"),
    _code("ruby", ".rb", aliases=("application/x-ruby",)),
    _code("php", ".php", aliases=("application/x-php", "application/x-httpd-php")),
    _code("swift", ".swift"),
    _code("kotlin", ".kt", ".kts"),
    _code("scala", ".scala"),
    _code("sh", ".sh", ".bash", aliases=("application/x-sh", "text/x-shellscript")),
    _code("lua", ".lua"),
    _code("sql", ".sql", aliases=("application/sql", "application/x-sql")),
    _code("perl", ".pl", ".pm", aliases=("application/x-perl",)),
    _code("r", ".r"),
    _code("haskell", ".hs"),
    _code("elixir", ".ex", ".exs"),
    _code("clojure", ".clj"),
    _code("yaml", ".yaml", ".yml", aliases=("application/yaml", "application/x-yaml", "text/yaml")),
    _code("toml", ".toml", aliases=("application/toml",)),
    _code("ini", ".ini", ".cfg", ".conf", ".properties"),
    _code("log", ".log"),
    _image("png", ".png"),
    _image("jpeg", ".jpg", ".jpeg", aliases=("image/jpg",)),
    _image("webp", ".webp"),
    _image("gif", ".gif"),
    _image("bmp", ".bmp", aliases=("image/x-ms-bmp",)),
    _image("tiff", ".tif", ".tiff"),
)
"""Every format that can be indexed; `docs/indexes.md` lists the same ones."""
BY_TYPE = {name: format for format in FORMATS for name in (format.media_type, *format.aliases)}
BY_SUFFIX = {suffix: format for format in FORMATS for suffix in format.suffixes}
