"""The classes and functions in a syntax tree, whatever its language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tree_sitter import Node

DEFINING = {
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
FUNCTIONS = {"arrow_function", "function_expression", "function", "class", "generator_function"}
WITH_BODY = {
    *("struct_specifier", "class_specifier", "enum_specifier", "union_specifier"),
    "namespace_definition",
}
"""These define only where they have a body."""
WRAPPERS = {
    *("decorated_definition", "export_statement", "template_declaration", "ambient_declaration"),
    *("lexical_declaration", "variable_declaration", "type_declaration", "type_definition"),
}
"""A definition begins where such a node around it does."""
ABOVE = {
    *("attribute_item", "decorator", "annotation", "template_parameter_list", "attribute_list"),
}
NAMES = {
    *("identifier", "type_identifier", "simple_identifier", "constant", "word"),
    *("field_identifier", "qualified_identifier", "property_identifier"),
}
MAX_LEVEL = 6
MAX_NAME_CHARS = 120


@dataclass(frozen=True, slots=True)
class Definition:
    """Lines `first_row` to `last_row`, counted from 0, define `name`, at `level` 1 and below."""

    name: str
    level: int
    first_row: int
    last_row: int


def definitions(root: Node, lines: Sequence[bytes]) -> Iterator[Definition]:
    """In order, outer ones before those within. One that begins on the line of another is part
    of it: code that was made small has thousands on a line."""
    outer: list[Definition] = []
    lead = _Lead(lines)
    reached = -1
    for node in _nodes(root):
        row = node.start_point.row
        lead.take(node)
        if row <= reached or node.type not in DEFINING or not (name := _name(node)):
            continue
        while outer and outer[-1].last_row < row:
            outer.pop()
        if len(outer) == MAX_LEVEL:
            continue
        path = f"{outer[-1].name}.{name}" if outer else name
        first = max(lead.first_row(row), reached + 1)
        found = Definition(path[-MAX_NAME_CHARS:], len(outer) + 1, first, _last_row(node))
        reached = row
        yield found
        outer.append(found)


def _nodes(root: Node) -> Iterator[Node]:
    """The named nodes below `root`, in order. Without recursion: hostile code nests a hundred
    thousand braces."""
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
    """A node that ends at the start of a line ends on the one above."""
    return max(node.start_point.row, node.end_point.row - (node.end_point.column == 0))


class _Lead:
    """The comments, decorators and wrappers right above what comes next."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines
        self._first = self._last = -2

    def take(self, node: Node) -> None:
        """To be told of each node in order."""
        comment = "comment" in node.type
        if comment and self._lines[node.start_point.row][: node.start_point.column].strip():
            return
        if comment or node.type in ABOVE:
            self._extend(node.start_point.row, _last_row(node))
        elif node.type in WRAPPERS:
            self._extend(node.start_point.row, node.start_point.row - 1)

    def first_row(self, row: int) -> int:
        """Where that begins which a definition on `row` goes with."""
        return self._first if self._first <= row <= self._last + 1 else row

    def _extend(self, first: int, last: int) -> None:
        if not self._first <= first <= self._last + 1:
            self._first = first
        self._last = last


def _name(node: Node) -> str:
    """What a node defines; "" where it defines nothing by name."""
    if node.type in WITH_BODY and not node.child_by_field_name("body"):
        return ""
    if node.type == "variable_declarator":
        value = node.child_by_field_name("value")
        if not value or value.type not in FUNCTIONS:
            return ""
    if node.type == "impl_item":
        of = node.child_by_field_name("type")
        return _text((of and of.child_by_field_name("type")) or of)
    name = _text(node.child_by_field_name("name") or _declared(node) or _first_name(node))
    receiver = node.child_by_field_name("receiver")
    return f"{_receiver_type(receiver)}.{name}" if name and receiver else name


def _declared(node: Node) -> Node | None:
    """The name within C's declarators: `char *(*name(int))[3]`."""
    found = node.child_by_field_name("declarator")
    while found and found.type.endswith("declarator"):
        children = (child for child in found.named_children if child.type.endswith("declarator"))
        below = found.child_by_field_name("declarator") or next(children, None)
        if not below:
            return None
        found = below
    return found


def _first_name(node: Node) -> Node | None:
    return next((child for child in node.named_children if child.type in NAMES), None)


def _receiver_type(receiver: Node) -> str:
    """The type that Go's method belongs to: of `(s *Session[T])`, `Session`."""
    waiting = [receiver]
    while waiting:
        node = waiting.pop()
        if node.type == "type_identifier":
            return _text(node)
        waiting += reversed(node.named_children)
    return ""


def _text(node: Node | None) -> str:
    name = (node.text or b"").decode(errors="replace") if node else ""
    return " ".join(name.split())
