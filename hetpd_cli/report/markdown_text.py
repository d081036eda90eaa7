"""Text within Markdown of GitHub and GitLab: whatever a file or its name holds shows as it is and does nothing.

:func:`plain` writes character references, which are text to Markdown and HTML alike, so that one escaping serves
paragraphs, cells of tables and ``<summary>``. What GitHub or GitLab look for in the text after rendering (mentions,
references to issues and commits, emoji, bare addresses) is broken in two by an HTML comment.
"""

from __future__ import annotations

import re

from hetpd_cli.report.style import inert, prose

_BREAK = "<!-- -->"
_ACTIVE = re.compile(
    r"""
      (?P<dollar>\$)
    | (?P<split>@ | [\#!%^](?=\w) | \{(?=[+-]) | :(?=[\w+/-]) | www(?=\.) | \b(?:GH|CVE|GHSA)-(?=\w))
    | (?P<mark>[&<>\\`*\[\]|~] | (?<![A-Za-z0-9])_ | _(?![A-Za-z0-9]) | ^[-+=\#])
    | ^[0-9]+(?P<point>[.)])
    | (?P<commit>\b[0-9a-f]{7,}\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def plain(text: str) -> str:
    """Return text as one line of Markdown or HTML that marks up nothing and refers to nothing."""
    return _ACTIVE.sub(_harmless, prose(text))


def _harmless(match: re.Match[str]) -> str:
    text = match[0]
    if match["dollar"]:
        # GitHub looks for formulas between dollars, references included.
        return f"<span>{text}</span>"
    if match["mark"] or match["point"]:
        return f"{text[:-1]}&#{ord(text[-1])};"
    if match["commit"]:
        # Seven digits are the fewest that name a commit.
        return _BREAK.join(text[start : start + 6] for start in range(0, len(text), 6))
    return text + _BREAK


def code(text: str) -> str:
    """Return text as inline code. Backticks hold what has none; a bar would end a cell of a table."""
    text = inert(text)
    if text and text == text.strip() and "`" not in text and "|" not in text:
        return f"`{text}`"
    return f"<code>{plain(text)}</code>"


def fence(lines: list[str], language: str = "text") -> str:
    """Return harmless lines as a block of code that none of them ends."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    marks = "`" * max(3, longest + 1)
    return "\n".join([f"{marks}{language}", *lines, marks])


def link(text: str, address: str | None) -> str:
    """Return Markdown ``text`` as a link to ``address``; without one, or one that Markdown could not hold, as it is."""
    if address is None or not re.fullmatch(r"https?://[^\s<>\\]+", address):
        return text
    return f"[{text}](<{address}>)"
