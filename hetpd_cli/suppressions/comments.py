"""Suppressions that stand in an input: ``# hetpd: ignore[name] reason``.

At the end of a line it speaks of findings with a place on that line; on a line of its own, of those on the next line
that is no comment. A command that goes on behind a backslash is one line: no comment can stand within it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.nearest import nearest
from hetpd_cli.sources.text import Positions, SourceText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.places import Place

_DIRECTIVE = re.compile(
    r"(?:^|(?<=\s))#[ \t]*hetpd(?P<colon>[ \t]*:)?[ \t]*(?P<word>[a-z-]*)"
    r"(?:[ \t]*\[(?P<rules>[^\]\r\n]*)\])?(?P<reason>[^\r\n]*)",
    re.M | re.I,
)
WORD = "ignore"


class Comment(NamedTuple):
    """A comment that speaks to hetpd: the word after the colon, rules, reason, and the lines it is about.

    ``quiet`` says that it stands within a text of the input: a launch script, or a text that only looks like it.
    ``colon`` says that the colon behind `hetpd` is there.
    """

    place: Place
    word: str
    rules: tuple[str, ...] | None
    reason: str
    line: int
    last: int
    quiet: bool = False
    colon: bool = True


def comments(source: SourceText) -> Iterator[Comment]:
    """Yield every comment of ``source`` that speaks to hetpd: with rules in brackets, or with a word like `ignore`."""
    matches = [match for match in _DIRECTIVE.finditer(source.text) if _speaks_to_us(match)]
    if not matches:
        return
    positions = Positions(source)
    following = _lines_with_content(positions)
    last = _last_lines(positions)
    within = _texts_within(source.text)
    for match in matches:
        named = match["rules"]
        place = positions.place(match.start(), match.end())
        rules = None if named is None else tuple(word.strip() for word in named.split(",") if word.strip())
        alone = not positions.line_of(match.start())[: place.column - 1].strip()
        line = following[place.line] if alone else place.line
        quiet = any(start <= match.start() < end for start, end in within)
        reason = match["reason"].strip(" \t:-")
        yield Comment(
            place,
            match["word"].lower(),
            rules,
            reason,
            line,
            last[line] if alone else line,
            quiet,
            match["colon"] is not None,
        )


def _speaks_to_us(match: re.Match[str]) -> bool:
    like = nearest(match["word"], (WORD,)) is not None
    return match["rules"] is not None and like if match["colon"] is None else match["rules"] is not None or like


def _texts_within(text: str) -> list[tuple[int, int]]:
    """Return where the quoted and block scalars of a YAML text stand: a `#` within them begins no comment."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: list[tuple[int, int]] = []
    with suppress(yaml.YAMLError):
        events: Any = yaml.parse(text, Loader=loader)
        for event in events:
            if isinstance(event, yaml.ScalarEvent) and event.style is not None:
                found += [(event.start_mark.index, event.end_mark.index)]  # type: ignore[union-attr]
    return found


_GOES_ON = re.compile(r"(?<!\\)(?:\\\\)*\\\Z")
"""An odd number of backslashes at the end of a line."""


def _last_lines(positions: Positions) -> list[int]:
    """Return for each number of a line the last line of the command that begins or goes on there."""
    starts = positions.starts
    last = list(range(len(starts) + 1))
    for number in range(len(starts) - 1, 0, -1):
        if _GOES_ON.search(positions.line_of(starts[number - 1]).rstrip("\r\n")):
            last[number] = last[number + 1]
    return last


def _lines_with_content(positions: Positions) -> list[int]:
    """Return for each number of a line the next line that holds more than a comment, or the last one."""
    starts = positions.starts
    following = [len(starts)] * (len(starts) + 1)
    for number in range(len(starts) - 1, 0, -1):
        text = positions.line_of(starts[number]).strip()
        following[number] = number + 1 if text and not text.startswith("#") else following[number + 1]
    return following
