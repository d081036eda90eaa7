"""Suppressions that stand in an input: ``# hetpd: ignore[name] reason``.

At the end of a line it speaks of findings with a place on that line; on a line of its own, of those on the next line
that is no comment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.nearest import nearest
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
    """Yield every comment of ``source`` that speaks to hetpd: with rules in brackets, or with a word like `ignore`."""
    if "hetpd:" not in source.text:
        return
    positions = Positions(source)
    following = _lines_with_content(positions)
    for match in _DIRECTIVE.finditer(source.text):
        named = match["rules"]
        if named is None and nearest(match["word"], (WORD,)) is None:
            continue
        place = positions.place(match.start(), match.end())
        rules = None if named is None else tuple(word.strip() for word in named.split(",") if word.strip())
        alone = not positions.line_of(match.start())[: place.column - 1].strip()
        line = following[place.line] if alone else place.line
        yield Comment(place, match["word"], rules, match["reason"].strip(" \t:-"), line)


def _lines_with_content(positions: Positions) -> list[int]:
    """Return for each number of a line the next line that holds more than a comment, or the last one."""
    starts = positions.starts
    following = [len(starts)] * (len(starts) + 1)
    for number in range(len(starts) - 1, 0, -1):
        text = positions.line_of(starts[number]).strip()
        following[number] = number + 1 if text and not text.startswith("#") else following[number + 1]
    return following
