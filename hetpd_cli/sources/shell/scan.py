"""Where quotes and brackets end in shell text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.sources.shell.values import DEPTH

if TYPE_CHECKING:
    from hetpd_cli.sources.shell.values import Budget

_STOPS = re.compile(r"[\]\\'\"`$(){}]")


def closing(text: str, at: int, end: int, close: str, budget: Budget, depth: int = 0) -> int:
    """Return where the bracket ``close`` stands that ends what ``at`` is in; -1 if it is missing.

    ``close`` may be ``"`` too: then single quotes and brackets are characters.
    """
    if depth > DEPTH:
        return -1
    begin, opened, string = at, 0, close == '"'
    while True:
        stop = _STOPS.search(text, at, end)
        if stop is None:
            budget.spend(end - begin)
            return -1
        at = stop.start()
        character = text[at]
        if character == close and not opened:
            budget.spend(at - begin)
            return at
        if character == "\\":
            at += 2
        elif character == "'" and not string:
            at = text.find("'", at + 1, end) + 1
        elif character == "`":
            at = _backquote(text, at + 1, end) + 1
        elif character == '"':
            at = closing(text, at + 1, end, '"', budget, depth + 1) + 1
        elif character == "$" and text[at + 1 : at + 2] in ("{", "("):
            inner = "}" if text[at + 1] == "{" else ")"
            at = closing(text, at + 2, end, inner, budget, depth + 1) + 1
        elif character == "$" and text[at + 1 : at + 2] == "'" and not string:
            at = ansi_end(text, at + 2, end) + 1
        else:
            if not string and close == ")" and character in "()":
                opened += 1 if character == "(" else -1
            at += 1
        if at <= 0:
            budget.spend(end - begin)
            return -1


def _backquote(text: str, at: int, end: int) -> int:
    while at < end and text[at] != "`":
        at += 2 if text[at] == "\\" else 1
    return at if at < end else -1


def ansi_end(text: str, at: int, end: int) -> int:
    """Return where the quote stands that ends a ``$'..'``; -1 if it is missing."""
    while at < end and text[at] != "'":
        at += 2 if text[at] == "\\" else 1
    return at if at < end else -1


def backquote_end(text: str, at: int, end: int) -> int:
    """Return where the quote stands that ends a command in backquotes; -1 if it is missing."""
    return _backquote(text, at, end)


_BLANK = re.compile(r"(?:[ \t\r\n]|\\\n)+")
_WORD_STOPS = re.compile(r"[\\'\"`$ \t\r\n]")


def raw_words(text: str, at: int, end: int, budget: Budget) -> list[tuple[int, int]]:
    """Return from where to where the words of ``text[at:end]`` stand, quotes and expansions left as they are."""
    budget.spend(end - at)
    words = []
    while at < end:
        blank = _BLANK.match(text, at, end)
        if blank:
            at = blank.end()
            continue
        begin, at = at, _word_end(text, at, end, budget)
        words.append((begin, at))
    return words


def _word_end(text: str, at: int, end: int, budget: Budget) -> int:
    while at < end:
        stop = _WORD_STOPS.search(text, at, end)
        if stop is None:
            return end
        at = stop.start()
        character = text[at]
        if character == "\\":
            if text[at + 1 : at + 2] == "\n":
                return at
            at += 2
            continue
        if character == "'":
            found = text.find("'", at + 1, end)
        elif character == '"':
            found = closing(text, at + 1, end, '"', budget)
        elif character == "`":
            found = _backquote(text, at + 1, end)
        elif character == "$" and text[at + 1 : at + 2] in ("{", "("):
            found = closing(text, at + 2, end, "}" if text[at + 1] == "{" else ")", budget)
        elif character == "$":
            found = at
        else:
            return at
        at = end if found < 0 else found + 1
    return end
