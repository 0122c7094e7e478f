"""Finds classes and functions in a syntax tree of tree-sitter, whatever its language.

Owns which node types define something and what their names are; how the definitions become blocks
of a document is `code`'s matter. All walks are loops: hostile code nests deeper than Python
recurses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tree_sitter import Node

DEFINING_TYPES = {
    *("function_definition", "class_definition", "object_definition", "trait_definition"),
    *("enum_definition", "namespace_definition", "module_definition"),
    *("function_declaration", "generator_function_declaration", "class_declaration"),
    *("abstract_class_declaration", "interface_declaration", "enum_declaration"),
    *("record_declaration", "struct_declaration", "trait_declaration", "protocol_declaration"),
    *("object_declaration", "namespace_declaration", "annotation_type_declaration"),
    *("type_alias_declaration", "internal_module", "companion_object"),
    *("method_definition", "method_declaration", "constructor_declaration", "init_declaration"),
    *("protocol_function_declaration", "deinit_declaration"),
    *("function_item", "struct_item", "enum_item", "union_item", "trait_item", "impl_item"),
    *("mod_item", "macro_definition", "type_spec"),
    *("struct_specifier", "class_specifier", "enum_specifier", "union_specifier"),
    *("class", "module", "method", "singleton_method"),
    "variable_declarator",
}
"""Types of nodes that define what they name: those of each grammar, which do not collide."""
FUNCTION_VALUES = {
    "arrow_function",
    "function_expression",
    "function",
    "class",
    "generator_function",
}
"""What makes a variable's declaration a definition, where it is the value."""
DEFINING_WITH_BODY = {
    *("struct_specifier", "class_specifier", "enum_specifier", "union_specifier"),
    "namespace_definition",
}
"""These define only where they have a body."""
WRAPPER_TYPES = {
    *("decorated_definition", "export_statement", "template_declaration", "ambient_declaration"),
    *("lexical_declaration", "variable_declaration", "type_declaration", "type_definition"),
}
"""A definition begins where such a node around it does."""
LEADING_TYPES = {
    *("attribute_item", "decorator", "annotation", "template_parameter_list", "attribute_list"),
}
"""What may stand between a comment and the definition that it belongs to."""
NAME_TYPES = {
    *("identifier", "type_identifier", "simple_identifier", "constant", "word"),
    *("field_identifier", "qualified_identifier", "property_identifier"),
}
"""Nodes that are a name, for grammars without a field for it."""
MAX_DEFINITION_LEVEL = 6
"""As many levels as headings have."""
MAX_NAME_CHARS = 120


@dataclass(frozen=True, slots=True)
class Definition:
    """Lines `first_row` to `last_row`, counted from 0, that define `name`, at `level`
    1 and below.
    """

    name: str
    level: int
    first_row: int
    last_row: int


def find_definitions(root: Node, lines: Sequence[bytes]) -> Iterator[Definition]:
    """Yield the definitions in order, outer ones before those within.

    One that begins on the line of another is part of it: code that was made small has thousands on
    a line.
    """
    outer: list[Definition] = []
    leading = _LeadingLines(lines)
    reached = -1
    for node in _walk_named(root):
        row = node.start_point.row
        leading.take(node)
        if row <= reached or node.type not in DEFINING_TYPES or not (name := _defined_name(node)):
            continue
        while outer and outer[-1].last_row < row:
            outer.pop()
        if len(outer) == MAX_DEFINITION_LEVEL:
            continue
        path = f"{outer[-1].name}.{name}" if outer else name
        first = max(leading.first_row(row), reached + 1)
        definition = Definition(path[-MAX_NAME_CHARS:], len(outer) + 1, first, _last_row(node))
        reached = row
        yield definition
        outer.append(definition)


def _walk_named(root: Node) -> Iterator[Node]:
    """Yield the named nodes below `root` in document order.

    Walks without recursion: hostile code nests a hundred thousand braces.
    """
    cursor = root.walk()
    if not cursor.goto_first_child():
        return
    while True:
        if (node := cursor.node) and node.is_named:
            yield node
        if cursor.goto_first_child() or cursor.goto_next_sibling():
            continue
        while cursor.goto_parent() and cursor.depth:
            if cursor.goto_next_sibling():
                break
        if not cursor.depth:
            return


def _last_row(node: Node) -> int:
    """Return the row a node ends on: the one above, where it ends at the start of a line."""
    return max(node.start_point.row, node.end_point.row - (node.end_point.column == 0))


class _LeadingLines:
    """The comments, decorators and wrappers right above what comes next."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines
        self._first = self._last = -2

    def take(self, node: Node) -> None:
        """Take note of a node; every node is to be given in document order."""
        comment = "comment" in node.type
        if comment and self._lines[node.start_point.row][: node.start_point.column].strip():
            return
        if comment or node.type in LEADING_TYPES:
            self._extend(node.start_point.row, _last_row(node))
        elif node.type in WRAPPER_TYPES:
            self._extend(node.start_point.row, node.start_point.row - 1)

    def first_row(self, row: int) -> int:
        """Return the row where the lead of a definition on `row` begins."""
        return self._first if self._first <= row <= self._last + 1 else row

    def _extend(self, first: int, last: int) -> None:
        if not self._first <= first <= self._last + 1:
            self._first = first
        self._last = last


def _defined_name(node: Node) -> str:
    """Return the name that a node defines; "" where it defines nothing by name."""
    if node.type in DEFINING_WITH_BODY and not node.child_by_field_name("body"):
        return ""
    if node.type == "variable_declarator":
        value = node.child_by_field_name("value")
        if not value or value.type not in FUNCTION_VALUES:
            return ""
    if node.type == "impl_item":
        of = node.child_by_field_name("type")
        return _node_text((of and of.child_by_field_name("type")) or of)
    name = _node_text(
        node.child_by_field_name("name") or _find_declared_name(node) or _find_first_name(node)
    )
    receiver = node.child_by_field_name("receiver")
    return f"{_receiver_type(receiver)}.{name}" if name and receiver else name


def _find_declared_name(node: Node) -> Node | None:
    """Find the name within C's declarators: `char *(*name(int))[3]`."""
    declarator = node.child_by_field_name("declarator")
    while declarator and declarator.type.endswith("declarator"):
        children = (
            child for child in declarator.named_children if child.type.endswith("declarator")
        )
        inner = declarator.child_by_field_name("declarator") or next(children, None)
        if not inner:
            return None
        declarator = inner
    return declarator


def _find_first_name(node: Node) -> Node | None:
    return next((child for child in node.named_children if child.type in NAME_TYPES), None)


def _receiver_type(receiver: Node) -> str:
    """Return the type that Go's method belongs to: of `(s *Session[T])`, `Session`."""
    waiting = [receiver]
    while waiting:
        node = waiting.pop()
        if node.type == "type_identifier":
            return _node_text(node)
        waiting += reversed(node.named_children)
    return ""


def _node_text(node: Node | None) -> str:
    name = (node.text or b"").decode(errors="replace") if node else ""
    return " ".join(name.split())
