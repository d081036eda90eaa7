"""Scripts as trees of tree-sitter, with offsets in characters."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from hetpd_cli.sources.embedded import join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hetpd_cli.sources.embedded import Embedded

LONGEST_SCRIPT = 2**20
"""Characters of a script that is parsed."""

Node = Any
"""A node of tree-sitter."""

Span = tuple[int, int]

# Not a redirection from a file and into another one: nobody writes these without blanks.
_PLACEHOLDER = re.compile(r"(?<![<\d&])<(?=[A-Za-z][\w.:/-]*>)([\w.:/-]+)>")
_VALUE = r"(?:[^\s'\"$`\\();&|<>]|'[^'\n]*'|\"[^\"\n\\]*\"|\$\w+|\$\{[^}\n]*\}|\$?\(\([^\n()]*\)\)|\([^()\n]*\))*"
# The parser takes what follows several assignments for a command of theirs, be it on the next line and a reserved word.
# A lone word there may end a here-document.
_ASSIGNMENTS = re.compile(
    rf"((?:^|(?<=then )|(?<=else )|(?<=do )|(?<=; ))[ \t]*(?:\w+\+?={_VALUE}[ \t]+)+\w+\+?={_VALUE}[ \t]*)\n"
    r"(?=\s*(?:(?:else|elif|fi|done|esac|\}|;;)(?!\w)|(?![ \t]*\w+[ \t]*$)))",
    re.M,
)
_PARSER: list[Any] = []


class Script:
    """A parsed script."""

    __slots__ = ("_ends", "root", "source", "text")

    def __init__(self, source: Embedded) -> None:
        self.source = _unix(source)
        self.text = self.source.text
        # What stands for something that the reader fills in is a word, whatever its brackets mean to a shell.
        parsed = _PLACEHOLDER.sub(r"_\1_", self.text)
        parsed = _ASSIGNMENTS.sub(r"\1;", parsed)
        data = parsed.encode("utf-8", "surrogatepass")
        self._ends: list[int] = []
        if len(data) != len(self.text):
            self._ends = _wide(parsed)
        self.root: Node = _parser().parse(data).root_node

    def span(self, node: Node) -> Span:
        """Return from where to where a node stands, in characters."""
        return self.offset(node.start_byte), self.offset(node.end_byte)

    def offset(self, byte: int) -> int:
        """Return the character that stands at a byte of UTF-8."""
        return byte - bisect_right(self._ends, byte) if self._ends else byte

    def words(self, nodes: Iterable[Node]) -> list[Span]:
        """Return the words that the nodes make: what touches, or continues on the next line, belongs together."""
        found: list[Span] = []
        for node in nodes:
            start, end = self.span(node)
            if found and not self.text[found[-1][1] : start].replace("\\\n", ""):
                found[-1] = (found[-1][0], end)
            elif end > start:
                found.append((start, end))
        return found


def _wide(text: str) -> list[int]:
    """Return the byte at which each byte ends that is no character of its own, as far as the count goes."""
    ends: list[int] = []
    byte = 0
    for character in text:
        size = len(character.encode("utf-8", "surrogatepass"))
        ends.extend(byte + 1 + number for number in range(1, size))
        byte += size
    return ends


def _unix(source: Embedded) -> Embedded:
    """Return a script with line ends as the shell knows them."""
    if "\r\n" not in source.text:
        return source
    kept, at = [], 0
    for found in re.finditer(r"\r(?=\n)", source.text):
        kept.append(source[at : found.start()])
        at = found.end()
    kept.append(source[at:])
    return join(kept)


def _parser() -> Any:
    if not _PARSER:
        import tree_sitter
        import tree_sitter_bash

        _PARSER.append(tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language())))
    return _PARSER[0]
