"""What kind of JSON value a node is, and which of them vLLM's classes of configuration take.

The classes are checked by pydantic in its lax mode: numbers may be text, and text never is a number. Which values of
which kind it takes was compared with vLLM's own ``KVTransferConfig``, built from JSON and from keywords, in 0.11.2 to
0.33.0: all releases agree.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hetpd_cli.sources.tree import Node

NULL, BOOLEAN, INTEGER, NUMBER, TEXT, ARRAY, OBJECT = "null", "boolean", "integer", "number", "text", "array", "object"

WORDS = {
    NULL: "null",
    BOOLEAN: "true or false",
    INTEGER: "a whole number",
    NUMBER: "a number",
    TEXT: "text",
    ARRAY: "a list",
    OBJECT: "an object",
}
"""The kinds in words."""

_INTEGER = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*(?:\.0+)?")
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+(?:_[0-9]+)*\.?(?:[0-9]+(?:_[0-9]+)*)?|\.[0-9]+(?:_[0-9]+)*)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)",
    re.IGNORECASE,
)
_SWITCH = frozenset({"0", "off", "f", "false", "n", "no", "1", "on", "t", "true", "y", "yes"})
SUFFIXED = re.compile(r'(?<!["\w.])[0-9]+(?:\.[0-9]+)?[kKmMgGtT](?![\w"])')
"""A number as vLLM writes it out before it reads JSON: ``80m`` is 80,000,000."""
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_LARGEST_WHOLE = 2.0**63
"""Beyond it a number with a point is no whole number to pydantic."""


def kind_of(node: Node) -> str:
    """Return which kind of JSON value ``node`` is; text in quotes is text, whatever stands in them."""
    if node.kind != "scalar":
        return OBJECT if node.kind == "mapping" else ARRAY
    if node.plain and node.source in _NOT_FINITE:
        return NUMBER
    if node.plain and SUFFIXED.fullmatch(node.source):
        return INTEGER
    if not node.plain or isinstance(node.value, str):
        return TEXT
    if node.value is None:
        return NULL
    if isinstance(node.value, bool):
        return BOOLEAN
    return INTEGER if isinstance(node.value, int) else NUMBER


def is_text(node: Node) -> bool:
    """Tell whether a field of text takes ``node``."""
    return kind_of(node) == TEXT


def is_integer(node: Node) -> bool:
    """Tell whether a field of whole numbers takes ``node``: 12, 12.0, true, "12", "1_000", but not 12.5 or "1e3"."""
    kind = kind_of(node)
    if kind == NUMBER and isinstance(node.value, float):
        return node.value.is_integer() and -_LARGEST_WHOLE <= node.value < _LARGEST_WHOLE
    return kind in {INTEGER, BOOLEAN} or (kind == TEXT and _INTEGER.fullmatch(node.source.strip()) is not None)


def is_number(node: Node) -> bool:
    """Tell whether a field of numbers takes ``node``."""
    kind = kind_of(node)
    return kind in {INTEGER, NUMBER, BOOLEAN} or (kind == TEXT and _NUMBER.fullmatch(node.source.strip()) is not None)


def is_switch(node: Node) -> bool:
    """Tell whether a field of truth takes ``node``: true, 1, 1.0, and words such as "yes", blanks excluded."""
    kind = kind_of(node)
    if kind in {INTEGER, NUMBER}:
        return isinstance(node.value, (int, float)) and node.value in {0, 1}
    return kind == BOOLEAN or (kind == TEXT and node.source.lower() in _SWITCH)


def is_object(node: Node) -> bool:
    """Tell whether a field of a mapping takes ``node``."""
    return kind_of(node) == OBJECT


TAKES: dict[str, Callable[[Node], bool]] = {
    TEXT: is_text,
    INTEGER: is_integer,
    NUMBER: is_number,
    BOOLEAN: is_switch,
    OBJECT: is_object,
}
"""Kind of a field to what it takes."""


def truth(node: Node) -> bool:
    """Return what Python makes of a value that is asked for its truth: any text but an empty one is true."""
    kind = kind_of(node)
    if kind == TEXT:
        return bool(node.source)
    if kind in {ARRAY, OBJECT}:
        return bool(node.items or node.entries)
    return bool(node.value)


def as_python(node: Node) -> str:
    """Return a scalar as ``str()`` of Python writes it: ``True`` for true, ``None`` for null; nothing for others."""
    if node.kind != "scalar":
        return ""
    return node.source if kind_of(node) == TEXT else str(node.value)


def switch_value(node: Node) -> bool:
    """Return what a field of truth makes of a value that it takes."""
    if kind_of(node) == TEXT:
        return node.source.lower() in {"1", "on", "t", "true", "y", "yes"}
    return bool(node.value)
