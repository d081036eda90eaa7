"""The code blocks of a Markdown page, with the headings that they stand under."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.embedded import join, whole

if TYPE_CHECKING:
    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.text import SourceText

_FENCE = re.compile(r"(?P<indent>[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)?)(?P<fence>`{3,}|~{3,})(?P<info>[^\r\n]*)")
_HEADING = re.compile(r"[ ]{0,3}(?P<marks>#{1,6})[ \t]+(?P<title>.*?)[ \t#]*(?:\r?\n)?$")
_TAB = re.compile(r"[ \t]*(?:=== |- tab: |<Tab(?:Item)?\b[^>]*\b(?:title|label)=)[\"']?(?P<title>[^\"'\r\n>]+)")
_PROMPT = re.compile(r"[ \t]*(?:\([\w.-]+\) ?)?(?:[\w.-]+@[\w.-]+:[^\s$#]*)?\$ ")
_LANGUAGE = re.compile(r"[\s{.]*([\w+-]*)")


class Block(NamedTuple):
    """A code block: its language in lower case, its text without indentation and prompts, the headings above it."""

    language: str
    text: Embedded
    headings: tuple[str, ...]


def blocks(source: SourceText) -> list[Block]:
    """Return the fenced code blocks of a page in order; one that is not closed goes to the end of the page."""
    page = whole(source)
    found: list[Block] = []
    headings: list[tuple[int, str]] = []
    lines: list[tuple[int, int]] = []
    opened: re.Match[str] | None = None
    at = 0
    for line in source.text.splitlines(keepends=True):
        begin, at = at, at + len(line)
        fence = _FENCE.match(line)
        if opened is None:
            heading = _HEADING.match(line)
            if heading:
                level = len(heading["marks"])
                headings = [*(known for known in headings if known[0] < level), (level, heading["title"])]
            elif fence and not (fence["fence"][0] == "`" and "`" in fence["info"]):
                opened, lines = fence, []
            elif _TAB.match(line):
                title = _TAB.match(line)
                headings = [*(known for known in headings if known[0] < 7), (7, title["title"] if title else "")]
            continue
        closes = fence and fence["fence"].startswith(opened["fence"]) and not fence["info"].strip()
        if not closes:
            lines.append((begin, at))
            continue
        found.append(_block(page, opened, lines, headings))
        opened = None
    if opened is not None:
        found.append(_block(page, opened, lines, headings))
    return found


def _block(
    page: Embedded, opened: re.Match[str], lines: list[tuple[int, int]], headings: list[tuple[int, str]]
) -> Block:
    language = _LANGUAGE.match(opened["info"])
    indent = len(opened["indent"])
    parts = []
    texts = [(begin + _indentation(page.text[begin:end], indent), end) for begin, end in lines]
    prompted = any(_PROMPT.match(page.text[begin:end]) for begin, end in texts)
    goes_on = False
    for begin, end in texts:
        line = page.text[begin:end]
        prompt = _PROMPT.match(line) if prompted else None
        if prompted and prompt is None and not goes_on:
            # What a command prints.
            continue
        start = begin + (prompt.end() if prompt else 0)
        if goes_on and prompt is None and prompted and re.match(r"> ", line):
            start += 2
        parts.append(page[start:end])
        goes_on = line.rstrip().endswith("\\")
    titles = tuple(title for _, title in headings)
    return Block(language[1].lower() if language else "", join(parts), titles)


def _indentation(line: str, most: int) -> int:
    return min(len(line) - len(line.lstrip(" \t>")), most) if most else 0
