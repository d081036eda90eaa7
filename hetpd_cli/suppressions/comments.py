"""Suppressions that stand in an input: ``# hetpd: ignore[name] reason``.

At the end of a line it speaks of findings with a place on that line; on a line of its own, of those on the next line
that is no comment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.text import Positions, SourceText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.places import Place

_DIRECTIVE = re.compile(
    r"(?:^|(?<=\s))#[ \t]*hetpd:[ \t]*(?P<word>[A-Za-z-]*)(?:[ \t]*\[(?P<rules>[^\]\r\n]*)\])?(?P<reason>[^\r\n]*)",
    re.M,
)
WORD = "ignore"


class Comment(NamedTuple):
    """A comment that speaks to hetpd: the word after the colon, rules, reason, and the line it is about."""

    place: Place
    word: str
    rules: tuple[str, ...] | None
    reason: str
    line: int


def comments(source: SourceText) -> Iterator[Comment]:
    """Yield every comment of ``source`` that speaks to hetpd."""
    if "hetpd:" not in source.text:
        return
    positions = Positions(source)
    for match in _DIRECTIVE.finditer(source.text):
        place = positions.place(match.start(), match.end())
        before = positions.line_of(match.start())[: place.column - 1]
        named = match["rules"]
        rules = None if named is None else tuple(word.strip() for word in named.split(",") if word.strip())
        alone = not before.strip()
        line = _next_line(positions, place.line) if alone else place.line
        yield Comment(place, match["word"], rules, match["reason"].strip(" \t:-"), line)


def _next_line(positions: Positions, line: int) -> int:
    """Return the number of the next line after ``line`` that holds more than a comment."""
    for number in range(line, len(positions.starts)):
        text = positions.line_of(positions.starts[number]).strip()
        if text and not text.startswith("#"):
            return number + 1
    return line
