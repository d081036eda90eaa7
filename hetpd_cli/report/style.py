"""Text on a terminal: colour, width, wrapping, and making the content of files harmless."""

from __future__ import annotations

import re

_ROLES = {
    "error": "1;31",
    "warning": "1;33",
    "info": "1;36",
    "good": "1;32",
    "strong": "1",
    "frame": "1;34",
    "faint": "2",
}
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Azure Pipelines and the GitHub runner obey `##vso[...]` and `##[...]` anywhere in a line of the log.
_LOG_COMMAND = re.compile(r"##(?=\w*\[)")
# The GitHub runner obeys `::name ...::` at the start of a line, blanks ignored.
_LINE_COMMAND = re.compile(r"(\s*):(?=:\w)")
_SOLID_BLANK = "\ue000"  # cannot stand in harmless text: private code points are escaped
_WIDEST_PROSE = 120
_NARROWEST_PROSE = 24


class Style:
    """Colours text by its role (``error``, ``strong``, ``frame``...), or leaves it as it is when off."""

    __slots__ = ("on",)

    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, role: str, text: str) -> str:
        """Return ``text`` in the colour of ``role``; roles without a colour leave it plain."""
        code = _ROLES.get(role)
        if not self.on or not text or code is None:
            return text
        return f"\x1b[{code}m{text}\x1b[0m"


def escape(character: str) -> str:
    r"""Return a character as itself if it is printable, else as ``\n``, ``\x1b`` or ``\u202e``."""
    if character.isprintable():
        return character
    if character in _ESCAPES:
        return _ESCAPES[character]
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def inert(text: str) -> str:
    r"""Return ``text`` with everything escaped that a terminal or a log reader could obey or hide.

    That is whatever :meth:`str.isprintable` refuses: control characters (C0, DEL, C1), bidirectional controls
    and other invisible format characters, line and paragraph separators, blanks other than the space, lone
    surrogates, private and unassigned code points. Log commands (``##[error]``, ``##vso[``) lose their second
    ``#`` to ``\x23``. The result is one line.
    """
    if not text.isprintable():
        text = "".join(map(escape, text))
    return _LOG_COMMAND.sub(r"#\\x23", text) if "##" in text else text


def inert_cells(line: str, tab: int = 4) -> list[str]:
    """Return what is shown for each code point of a source line: as :func:`inert`, but tabs become spaces."""
    hashes = {match.start() + 1 for match in _LOG_COMMAND.finditer(line)}
    cells: list[str] = []
    column = 0
    for index, character in enumerate(line):
        if character == "\t":
            cell = " " * (tab - column % tab)
        elif index in hashes:
            cell = "\\x23"
        else:
            cell = escape(character)
        cells.append(cell)
        column += width(cell)
    return cells


def guard(line: str) -> str:
    """Return an output line that no longer starts with a workflow command (``::error::``)."""
    return _LINE_COMMAND.sub(r"\1\\x3a", line, count=1) if _LINE_COMMAND.match(line) else line


def finish(lines: list[str]) -> str:
    """Join output lines into text that ends in a newline; no lines give the empty text."""
    return "".join(f"{guard(line)}\n" for line in lines)


def width(text: str) -> int:
    """Return the number of terminal columns of ``text``: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    columns = 0
    for character in text:
        if category(character) not in {"Mn", "Me"}:
            columns += 2 if east_asian_width(character) in {"W", "F"} else 1
    return columns


def wrap(text: str, columns: int | None, used: int, hang: int) -> list[str]:
    """Break ``text`` at spaces to fit ``columns``, or nowhere if that is None; words are never broken.

    The first line is to follow ``used`` columns of other text; the others are indented by ``hang``. Harmless
    text is expected (:func:`inert`); runs of spaces become one.
    """
    words = [word.replace(_SOLID_BLANK, " ") for word in text.split()]
    if columns is None or not words:
        return [" ".join(words)]
    limit = max(min(columns, _WIDEST_PROSE), hang + _NARROWEST_PROSE)
    lines, line, taken = [], words[0], used + width(words[0])
    for word in words[1:]:
        wanted = 1 + width(word)
        if taken + wanted <= limit:
            line, taken = f"{line} {word}", taken + wanted
        else:
            lines.append(line)
            line, taken = " " * hang + word, hang + wanted - 1
    return [*lines, line]


def solid(text: str) -> str:
    """Make harmless text one word for :func:`wrap`, blanks included."""
    return text.replace(" ", _SOLID_BLANK)


def prose(text: str) -> str:
    """Make text of several lines harmless and one line: line breaks become spaces."""
    return inert(" ".join(text.split()))
