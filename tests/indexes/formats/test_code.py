"""Source code: a heading for each definition, spans in the file as it is."""

from __future__ import annotations

import pytest

from config.errors import Invalid
from indexes.reading.chunks import cut_into_chunks
from indexes.reading.content import Content
from indexes.reading.documents import read

PYTHON = '''"""The lead."""
import os

LIMIT = 1  # trailing
# Makes one,
# as it says.
@decorated
async def make(a):
    """Doc."""
    def inner():
        return 1

    return inner


class Session:
    kind = 1

    def close(self):
        pass

    after = 2


if __name__ == "__main__":
    make()
'''


def sections(content: Content) -> list[tuple[int, str, str]]:
    """(level, title, first line) of each heading"""
    found = []
    for block in content.blocks:
        if block.kind == "heading":
            line = content.text[block.start : block.end].split("\n")[0]
            found.append((block.level, block.title, line))
    return found


def titles(source: str, filename: str) -> list[str]:
    content = read(source.encode(), filename)
    assert content.text == source
    return [title for _, title, _ in sections(content)]


def test_code_text_equals_the_file_and_begins_with_its_lead() -> None:
    content = read(PYTHON.encode(), "a.py")
    assert content.text == PYTHON
    first = content.blocks[0]
    assert (first.kind, PYTHON[first.start : first.end]) == ("code", '"""The lead."""\nimport os')


def test_definitions_are_headed_by_qualified_names_from_the_comments_above_them_on() -> None:
    assert sections(read(PYTHON.encode(), "a.py")) == [
        (1, "make", "# Makes one,"),
        (2, "make.inner", "def inner():"),
        (1, "make", "return inner"),
        (1, "Session", "class Session:"),
        (2, "Session.close", "def close(self):"),
        (1, "Session", "after = 2"),
        (1, "", 'if __name__ == "__main__":'),
    ]


def test_passage_is_headed_by_the_definition_it_belongs_to() -> None:
    body = "\n".join(f"        value_{n} = compute(value_{n - 1}, {n})" for n in range(1, 60))
    source = f"class Session:\n    def open(self):\n{body}\n\n    def close(self):\n{body}\n"
    found = cut_into_chunks(read(source.encode(), "a.py"), 100)
    assert {chunk.heading for chunk in found} == {
        ("Session", "Session.open"),
        ("Session", "Session.close"),
    }
    for chunk in found:
        after = source.index("def close") <= chunk.start
        assert (chunk.heading[-1] == "Session.close") == after


@pytest.mark.parametrize(
    ("filename", "source", "expected"),
    [
        (
            "a.ts",
            "/** Doc */\nexport class A<T> extends B {\n  x = 1;\n"
            "  async go(): Promise<void> {\n"
            "  }\n}\nexport const f = async (a: number) => {\n  return a;\n};\nconst z = 3;\n"
            "interface I { a: string }\nenum E { A }\ntype T = string;\n",
            ["A", "A.go", "f", "", "I", "E", "T"],
        ),
        ("a.tsx", "const App = () => <div>hi</div>;\nfunction* g() {}\n", ["App", "g"]),
        (
            "a.jsx",
            "const App = () => <div>hi</div>;\nclass A {\n  go() {}\n}\n",
            ["App", "A", "A.go"],
        ),
        (
            "a.go",
            "package p\n\n// Doc\ntype Session[T any] struct {\n\ta int\n}\n\n"
            "func (s *Session[T]) Close() error {\n\treturn nil\n}\nfunc main() {}\n",
            ["Session", "Session.Close", "main"],
        ),
        (
            "a.rs",
            "/// Doc\n#[derive(Debug)]\npub struct Session { a: u8 }\n"
            "impl<T> Show for Session<T> {\n"
            "    /// Close\n    pub fn close(&self) {}\n}\n"
            "mod tests {\n    #[test]\n    fn t() {}\n}\n",
            ["Session", "Session", "Session.close", "tests", "tests.t"],
        ),
        (
            "A.java",
            "package a;\n/** Doc. */\n@Foo\npublic class A {\n  int x;\n  public A() {}\n"
            "  @Override\n  public void go() {\n  }\n}\nrecord R(int a) {}\n",
            ["A", "A.A", "A.go", "R"],
        ),
        (
            "a.c",
            "#include <x.h>\n/* does */\nstatic char *\nname(int a)\n{\n  return 0;\n}\n"
            "struct s { int a; };\nint (*fp(void))(int) { return 0; }\n",
            ["name", "s", "fp"],
        ),
        (
            "a.hpp",
            "namespace ns {\n// A\ntemplate <typename T>\nclass Foo {\n public:\n"
            "  int& get() const { return x_; }\n};\nint Foo::bar(int a) { return 1; }\n}\n",
            ["ns", "ns.Foo", "ns.Foo.get", "ns.Foo::bar"],
        ),
        (
            "a.cs",
            "namespace N {\n  /// Doc\n  [Attr]\n  public class C {\n    public C() {}\n"
            "    public void M() { }\n  }\n}\n",
            ["N", "N.C", "N.C.C", "N.C.M"],
        ),
        (
            "a.rb",
            "module M\n  # A\n  class C < B\n    def go; end\n    def self.x(a)\n      1\n    end\n"
            "  end\nend\n",
            ["M", "M.C", "M.C.go", "M.C.x"],
        ),
        (
            "a.php",
            "<?php\nnamespace A;\n/** doc */\nclass C {\n  public function m() {}\n}\n"
            "function f() {}\n",
            ["C", "C.m", "f"],
        ),
        (
            "a.swift",
            "/// S\nstruct S {\n  init() {}\n  func go() {}\n}\nprotocol P { func x() }\n",
            ["S", "S.init", "S.go", "P"],
        ),
        (
            "a.kt",
            "package a\n/** doc */\nclass C(val a: Int) {\n  fun go() {}\n}\n"
            "object O {}\nfun top() = 1\n",
            ["C", "C.go", "O", "top"],
        ),
        ("a.scala", "class C(a: Int) {\n  def go() = 1\n}\ntrait T {\n}\n", ["C", "C.go", "T"]),
        ("a.sh", "#!/bin/sh\nset -e\n# Greets\ngreet() {\n  echo hi\n}\ngreet\n", ["greet", ""]),
        (
            "a.lua",
            "local M = {}\n-- doc\nfunction M.go(a)\n  return 1\nend\n"
            "local function f() end\nreturn M\n",
            ["M.go", "f", ""],
        ),
    ],
)
def test_definitions_are_found_in_each_language(
    filename: str, source: str, expected: list[str]
) -> None:
    assert titles(source, filename) == expected


def test_files_without_a_grammar_are_cut_where_a_line_begins_that_is_not_indented() -> None:
    source = "create table x (\n\n  a int\n);\n\nselect 1\n  from x;\n"
    content = read(source.encode(), "a.sql")
    assert [source[block.start : block.end] for block in content.blocks] == [
        "create table x (\n\n  a int\n);",
        "select 1\n  from x;",
    ]


@pytest.mark.parametrize("filename", ["a.yaml", "a.toml", "a.ini", "a.cfg", "a.conf", "a.log"])
def test_settings_and_logs_are_plain_text(filename: str) -> None:
    content = read(b"# Title\n====\na: 1\n\nb: 2\n", filename)
    assert {block.kind for block in content.blocks} == {"code"}
    assert content.text == "# Title\n====\na: 1\n\nb: 2\n"


def test_code_with_syntax_errors_is_read() -> None:
    source = "def whole():\n    pass\n\ndef broken(:\n    x = = 1\n\nclass After:\n    y = 1\n"
    content = read(source.encode(), "a.py")
    assert "whole" in [title for _, title, _ in sections(content)]
    assert content.text == source


def test_spans_count_characters_and_not_bytes() -> None:
    source = "# ü 漢字 🎉\nx = '🎉🎉'\ndef größer():\n    return '漢'\n"
    content = read(source.encode(), "a.py")
    heading = next(block for block in content.blocks if block.kind == "heading")
    assert (heading.title, source[heading.start : heading.end]) == ("größer", "def größer():")


def test_code_in_an_old_encoding_is_read() -> None:
    source = "// Größe der Straße\nint grösse(int größe) { return größe; }\n"
    assert read(source.encode("cp1252"), "a.c").text == source


def test_code_that_a_machine_packed_is_refused() -> None:
    packed = "var a=" + ",".join(f"f({number})" for number in range(3000))
    with pytest.raises(Invalid, match="not written by a person"):
        read(packed.encode(), "bundle.js")
    assert read(packed.encode(), "bundle.log").text == packed
