"""What arguments and variables say, decoded as the same words in a deployment file are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.deployment import OPEN, Section, Stated
from hetpd_cli.facts.values import Unknown, Value
from hetpd_cli.fields import Field, field, resolve, schema_part
from hetpd_cli.sources.commands.words import UNRESOLVED_TAG, scalar
from hetpd_cli.sources.shape import Decoder
from hetpd_cli.sources.tree import Node

if TYPE_CHECKING:
    from hetpd_cli.places import Place
    from hetpd_cli.sources.commands import words
    from hetpd_cli.sources.problems import Problem

_PLACEHOLDER = re.compile(
    r"<[A-Za-z][^<>]*>|\{\{|\$[A-Za-z_{(]|`|\bYOUR_|\bREPLACE_|(?i:\byour[_-])|\.\.\.|\N{HORIZONTAL ELLIPSIS}"
    r"|^\{[A-Za-z]|^\[[A-Za-z][\w -]*\]$|^[xX]{3,}$|^[/.]+$"
)
_UNSET = ("None", "null")
_NUMBERS = ("number", "integer")


class Settings:
    """A section that is being filled, by what is said of each field; the last one to say something wins."""

    def __init__(self, kind: str, place: Place) -> None:
        self.kind = kind
        self.section = Section(kind, place, OPEN)
        self.decoder = Decoder()

    @property
    def problems(self) -> list[Problem]:
        """What does not decode."""
        return self.decoder.problems

    def text(self, path: str) -> str | None:
        """Return the stated text of a field, if it is known."""
        return self.section.text(path)

    def number(self, path: str) -> int | None:
        """Return the stated whole number of a field, if it is known."""
        value = self.section.value(path)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def known(self, path: str, value: Value, place: Place, written: str | None = None, note: str | None = None) -> None:
        """State a value that needs no decoding."""
        self._declare(path)
        self.section.stated[path] = Stated(value, place, written, note=note)

    def unknown(self, path: str, place: Place, reason: str) -> None:
        """State that a field is set, to a value that is not known."""
        self.known(path, Unknown(reason), place)

    def state(self, path: str, value: words.Value, where: str, left: tuple[str, ...] = ()) -> None:
        """State what a value given to ``where`` says of a field; ``left`` are words that leave it to the engine."""
        if value.source in left:
            reason = f"{where} {value.source} leaves it to the engine"
            self.known(path, Unknown(reason, identity=f"{path} left", left=True), value.place, value.source)
            return
        one = field(self.kind, path)
        node = scalar(value, as_text=one is not None and one.kind in {"text", "list"})
        if node is None:
            self.unknown(path, value.place, value.unresolved or f"{where} is empty")
        else:
            self.decode(path, node, where, value.unresolved)

    def decode(self, path: str, node: Node, where: str, unresolved: str = "") -> None:
        """State what ``node`` says of a field.

        What is not resolved is unknown, and so is a word that the field does not know: a release may bring new ones.
        """
        if node.kind == "scalar" and node.source in _UNSET and not node.tag:
            return
        reason = self._not_known(path, node, where, unresolved)
        if reason:
            self.known(path, Unknown(reason), node.place, node.source or None)
            return
        part = schema_part(self.kind, path)
        if part is None:
            return
        self._declare(path)
        self.decoder.value(_fitting(node, field(self.kind, path)), part, path, self.section, where)

    def _not_known(self, path: str, node: Node, where: str, unresolved: str) -> str:
        if node.kind != "scalar":
            inner = (self._not_known(path, item, where, unresolved) for item in node.items)
            return next((reason for reason in inner if reason), "")
        if node.tag == UNRESOLVED_TAG:
            return unresolved or f"{node.source} is not set in this file"
        if unresolved and ("$" in node.source or not node.source):
            return unresolved
        if _PLACEHOLDER.search(node.source):
            return f"{node.source} stands for a value"
        part = schema_part(self.kind, path)
        choices = None if part is None else resolve(part).get("enum")
        if choices is not None and node.source not in choices:
            return f"{node.source} is no word for {path} that is known here"
        return ""

    def _declare(self, path: str) -> None:
        parts = path.split(".")[:-1]
        self.section.declared.update(".".join(parts[: count + 1]) for count in range(len(parts)))
        self.section.declared.add("")


def _fitting(node: Node, one: Field | None) -> Node:
    """Return a scalar as the field's kind of value: engines take quoted numbers, and names like numbers."""
    if node.kind != "scalar" or one is None:
        return node
    from hetpd_cli.sources.scalars import resolve as resolve_scalar

    value = node.value
    if one.kind in {"text", "list"} and value is not None:
        value = node.source
    elif isinstance(value, str) and node.source and one.kind in {*_NUMBERS, "boolean"}:
        value = resolve_scalar(node.source.lower() if node.source in {"True", "False"} else node.source)
    return Node("scalar", node.place, value, node.source, node.plain)
