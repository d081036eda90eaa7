"""Text within text: a value taken out of a file, each character of which still knows where it came from.

A command in a YAML string, a JSON object in an argument of that command and a variable's value in the middle of it are
all :class:`Embedded`: they can be cut, joined and parsed, and whatever is found in them is reported at the user's line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.text import Positions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hetpd_cli.places import Place
    from hetpd_cli.sources.text import SourceText
    from hetpd_cli.sources.tree import Node


class Piece(NamedTuple):
    """``length`` characters that stand at ``start`` to ``end`` of the source of ``positions``.

    Where both are equally long, each character has its own place; else all of them share the whole (an escape, a
    folded line end, something put in by an expansion).
    """

    length: int
    start: int
    end: int
    positions: Positions

    def cut(self, start: int, end: int) -> Piece:
        """Return the characters ``start`` to ``end`` of the piece."""
        if self.end - self.start != self.length:
            return self._replace(length=end - start)
        return Piece(end - start, self.start + start, self.start + end, self.positions)


class Embedded:
    """A text whose characters have places. Never changed once made."""

    __slots__ = ("_starts", "pieces", "text")

    def __init__(self, text: str, pieces: Iterable[Piece]) -> None:
        self.text = text
        self.pieces = tuple(piece for piece in pieces if piece.length)
        self._starts: list[int] = []
        offset = 0
        for piece in self.pieces:
            self._starts.append(offset)
            offset += piece.length
        if offset != len(text):
            raise ValueError(f"{offset} characters have places, {len(text)} are there")

    def __repr__(self) -> str:
        return f"Embedded({self.text!r})"

    def __getitem__(self, span: slice) -> Embedded:
        """Return a part of the text; no steps."""
        start, end, _ = span.indices(len(self.text))
        return Embedded(self.text[start:end], self._cut(start, end))

    def _cut(self, start: int, end: int) -> Iterable[Piece]:
        index = max(bisect_right(self._starts, start) - 1, 0)
        for number in range(index, len(self.pieces)):
            piece, begin = self.pieces[number], self._starts[number]
            if begin >= end:
                return
            low, high = max(start - begin, 0), min(end - begin, piece.length)
            if low < high:
                yield piece.cut(low, high)

    def place(self, start: int = 0, end: int | None = None) -> Place:
        """Return where ``text[start:end]`` stands; of a text from several places where its first part stands.

        Raises ValueError for a text without characters.
        """
        found = list(self._cut(start, len(self.text) if end is None else end))
        if not found:
            raise ValueError("no characters, no place")
        first = last = found[0]
        for piece in found[1:]:
            if piece.positions is not first.positions or piece.start < last.start:
                break
            last = piece
        return first.positions.place(first.start, max(first.end, last.end))


def join(parts: Iterable[Embedded]) -> Embedded:
    """Return the parts as one text."""
    found = list(parts)
    return Embedded("".join(part.text for part in found), (piece for part in found for piece in part.pieces))


def whole(source: SourceText) -> Embedded:
    """Return the text of a file."""
    positions = Positions(source)
    return Embedded(source.text, [Piece(len(source.text), 0, len(source.text), positions)])


def put_in(text: str, place: Place, positions: Positions) -> Embedded:
    """Return a text of which every character stands for all of ``place`` in the source of ``positions``."""
    return Embedded(text, [Piece(len(text), place.start, place.end, positions)])


def of_scalar(node: Node, positions: Positions) -> Embedded:
    """Return the text of a scalar that was read from the source of ``positions``, as loaded: unquoted and folded."""
    text, start, end = node.source, node.place.start, node.place.end
    raw = positions.text[start:end]
    if raw == text:
        return Embedded(text, [Piece(len(text), start, end, positions)])
    aligned = _align(text, raw, start, positions)
    return put_in(text, node.place, positions) if aligned is None else Embedded(text, aligned)


_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^\r\n])")
_CONTINUED = re.compile(r"\\[ \t]*(?:\r\n|\r|\n)[ \t]*")
_LINE_ENDS = re.compile(r"[ \t]*(?:\r\n|\r|\n)(?:[ \t]*(?:\r\n|\r|\n))*")
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n)")


def _align(text: str, raw: str, offset: int, positions: Positions) -> list[Piece] | None:
    """Return where each character of ``text`` stands in ``raw``, its source; None if the two do not fit."""
    style = raw[:1]
    if style in "\"'" and style:
        body, end, indent = 1, len(raw) - 1, None
    elif style in "|>" and style:
        header = _BLOCK_HEADER.match(raw)
        if header is None:
            return None
        body, end = header.end(), len(raw)
        indent = _indentation(raw[body:], raw[: header.end()], offset, positions)
        blank = re.match(r"(?:[ \t]*(?:\r\n|\r|\n))*", raw[body:])
        body += (blank.end() if blank and not text.startswith("\n") else 0) + indent
    else:
        style, body, end, indent = "", 0, len(raw), None
    return _Aligner(text, raw, offset, positions, style, indent).run(body, end)


def _indentation(body: str, header: str, offset: int, positions: Positions) -> int:
    """Return by how many characters the lines of a block scalar are indented."""
    digits = re.search(r"\d", header)
    if digits is None:
        first = re.search(r"^[ ]*(?=[^ \r\n])", body, re.M)
        return len(first[0]) if first else 0
    line = positions.line_of(offset)
    return len(line) - len(line.lstrip(" -")) + int(digits[0])


class _Aligner:
    """Walks through a loaded scalar and its source side by side."""

    def __init__(self, text: str, raw: str, offset: int, positions: Positions, style: str, indent: int | None) -> None:
        self.text = text
        self.raw = raw
        self.offset = offset
        self.positions = positions
        self.style = style
        self.indent = indent
        self.pieces: list[Piece] = []

    def run(self, at: int, end: int) -> list[Piece] | None:
        """Return the pieces of the text, whose source is ``raw[at:end]``; None if they do not fit."""
        text = self.text
        done = 0
        while done < len(text):
            run = self._equal(done, at, end)
            if run:
                self._add(run, at, at + run)
                done, at = done + run, at + run
                continue
            if at >= end:
                # Line ends that a block scalar keeps at its end may lie behind the token.
                if text[done:].strip("\r\n"):
                    return None
                self._add(len(text) - done, end, end)
                break
            step = self._odd(done, at)
            if step is None:
                return None
            count, at_next = step
            self._add(count, at, at_next)
            done, at = done + count, at_next
        return self.pieces

    def _equal(self, done: int, at: int, end: int) -> int:
        """Return how many characters stand in the source as they are."""
        text, raw = self.text, self.raw
        special = {'"': '\\\r\n"', "'": "'\r\n"}.get(self.style, "\r\n")
        count = 0
        most = min(len(text) - done, end - at)
        while count < most and raw[at + count] == text[done + count] and raw[at + count] not in special:
            count += 1
        # Blanks before a folded line end are not part of the text.
        return count

    def _odd(self, done: int, at: int) -> tuple[int, int] | None:
        """Return how many characters of the text what stands at ``at`` makes, and where it ends."""
        text, raw = self.text, self.raw
        if self.style == "'" and raw.startswith("''", at):
            return (1, at + 2) if text[done] == "'" else None
        if self.style == '"' and raw[at] == "\\":
            continued = _CONTINUED.match(raw, at)
            if continued:
                return 0, continued.end()
            escape = _ESCAPE.match(raw, at)
            return (1, escape.end()) if escape else None
        lines = _LINE_ENDS.match(raw, at)
        if lines is None:
            return None
        count = 1 if text[done] == " " else len(text[done:]) - len(text[done:].lstrip("\r\n"))
        if self.indent is None:
            return count, lines.end() + len(raw[lines.end() :]) - len(raw[lines.end() :].lstrip(" \t"))
        spaces = len(raw[lines.end() :]) - len(raw[lines.end() :].lstrip(" "))
        return count, lines.end() + min(self.indent, spaces)

    def _add(self, length: int, start: int, end: int) -> None:
        self.pieces.append(Piece(length, self.offset + start, self.offset + end, self.positions))


class EmbeddedPositions(Positions):
    """Positions in an embedded text: what a parser finds at an offset is placed in the file that it came from."""

    __slots__ = ("embedded",)

    def __init__(self, embedded: Embedded) -> None:
        self.embedded = embedded
        self.text = embedded.text
        self.path = embedded.pieces[0].positions.path if embedded.pieces else ""
        self.starts = []

    def place(self, start: int, end: int) -> Place:
        """Return the place of ``text[start:end]`` in the file."""
        if not self.text:
            raise ValueError("no characters, no place")
        start = min(start, len(self.text) - 1)
        return self.embedded.place(start, max(min(end, len(self.text)), start + 1))

    def line_of(self, offset: int) -> str:
        """Return the line of the embedded text that holds ``offset``."""
        start = max(self.text.rfind("\n", 0, offset) + 1, 0)
        end = self.text.find("\n", offset)
        return self.text[start : end if end >= 0 else len(self.text)]
