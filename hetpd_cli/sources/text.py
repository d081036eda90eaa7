"""Bytes to text: reads one input within limits, and finds lines and columns in it."""

from __future__ import annotations

import os
import re
import stat
import sys
from bisect import bisect_right
from typing import NamedTuple

from hetpd_cli.findings import LabelledPlace
from hetpd_cli.places import Place
from hetpd_cli.sources.problems import Problem

STDIN = "-"
STDIN_SHOWN = "<stdin>"

_BOM = b"\xef\xbb\xbf"
# UTF-32 first: its little-endian mark starts with that of UTF-16.
_FOREIGN_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# A FIFO or terminal swapped in between stat and open must not block or become ours.
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_LINE_BREAK = re.compile(r"\r\n|\n|\r")


class Limits(NamedTuple):
    """What one input may cost.

    ``max_bytes`` is the size of the input. ``max_nodes`` counts scalars (keys too), containers and aliases of
    all its documents. ``max_depth`` counts nested containers, through aliases as well, so that whatever walks
    a tree may recurse. ``max_alias_nodes`` counts the nodes that a walk through every alias would reach by
    aliases, and apart from these the entries brought in by merge keys. ``max_pools`` and ``max_boundaries`` bound what
    one deployment makes of few bytes.
    """

    max_bytes: int = 8 * 2**20
    max_nodes: int = 250_000
    max_depth: int = 64
    max_alias_nodes: int = 250_000
    max_pools: int = 256
    max_boundaries: int = 2_048


class SourceText(NamedTuple):
    """A decoded input: ``path`` as shown to people, ``text`` without byte-order mark, line ends kept."""

    path: str
    text: str


def read_source(path: str, limits: Limits) -> SourceText | Problem:
    """Read the file ``path``, or standard input for ``-``, as UTF-8.

    Only regular files are opened. What cannot be read is a problem (``unreadable-file``, ``input-too-large``,
    ``not-utf-8``); nothing is raised.
    """
    shown = STDIN_SHOWN if path == STDIN else path
    try:
        data = _read_stdin(limits) if path == STDIN else _read_file(path, limits)
    except OSError as error:
        return _whole(shown, "unreadable-file", f"cannot read {shown}: {_reason(error)}", "cannot be read")
    except ValueError as error:
        return _whole(shown, "unreadable-file", f"cannot read {shown}: {error}", "cannot be read")
    if isinstance(data, str):
        return _whole(shown, "unreadable-file", f"{shown} is {data}, not a file", "no regular file")
    if isinstance(data, int):
        return _too_large(shown, data, limits)
    return _decode(shown, data)


def line_starts(text: str) -> list[int]:
    r"""Return the offset of the first character of each line; ``\n``, ``\r\n`` and lone ``\r`` end a line."""
    starts = [0]
    starts.extend(found.end() for found in _LINE_BREAK.finditer(text))
    return starts


class Positions:
    """A text with its lines: offsets to places."""

    __slots__ = ("path", "starts", "text")

    def __init__(self, source: SourceText) -> None:
        self.path, self.text = source
        self.starts = line_starts(self.text)

    def place(self, start: int, end: int) -> Place:
        """Return the place of ``text[start:end]``."""
        starts = self.starts
        line = bisect_right(starts, start)
        column = start - starts[line - 1] + 1
        if line == len(starts) or end < starts[line]:
            return Place(self.path, line, column, line, column + end - start, start, end)
        end_line = bisect_right(starts, end)
        return Place(self.path, line, column, end_line, end - starts[end_line - 1] + 1, start, end)

    def spot(self, offset: int) -> Place:
        """Return the place of the character at ``offset``, or of the last visible one if nothing follows."""
        if not self.text[offset : offset + 1].strip() and not self.text[offset:].strip():
            offset = max(len(self.text.rstrip()) - 1, 0)
        return self.place(offset, min(offset + 1, len(self.text)))

    def line_of(self, offset: int) -> str:
        """Return the line that holds ``offset``."""
        line = bisect_right(self.starts, offset)
        end = self.starts[line] if line < len(self.starts) else len(self.text)
        return self.text[self.starts[line - 1] : end]


def _read_stdin(limits: Limits) -> bytes | int:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise OSError("standard input is closed")
    data: bytes = stream.read(limits.max_bytes + 1)
    return data if len(data) <= limits.max_bytes else len(data)


def _read_file(path: str, limits: Limits) -> bytes | int | str:
    """Return the content of ``path``, its size if that is too large, or what it is if no regular file."""
    kind = _odd_kind(os.stat(path).st_mode)  # noqa: PTH116 (opening a device can have effects: look first)
    if kind:
        return kind
    descriptor = os.open(path, _OPEN_FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        kind = _odd_kind(status.st_mode)
        if kind:
            return kind
        if status.st_size > limits.max_bytes:
            return status.st_size
        # Files of /proc have no size and others may grow.
        data = file.read(limits.max_bytes + 1)
    return data if len(data) <= limits.max_bytes else len(data)


def _odd_kind(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    return next((name for test, name in _KINDS if test(mode)), "something else")


def _reason(error: OSError) -> str:
    known = {
        FileNotFoundError: "no such file",
        PermissionError: "permission denied",
        NotADirectoryError: "a part of its path is not a directory",
    }
    return known.get(type(error)) or (error.strerror or str(error)).lower()


def _decode(shown: str, data: bytes) -> SourceText | Problem:
    for mark, encoding in _FOREIGN_MARKS:
        if data.startswith(mark):
            fix = f"save it as UTF-8, for example with `iconv -f {encoding} -t UTF-8`"
            message = f"{shown} is {encoding}, not UTF-8"
            return _whole(shown, "not-utf-8", message, f"{encoding} byte-order mark", fix)
    # Parsers skip a mark without counting it, so that places behind it would be off.
    while data.startswith(_BOM):
        data = data.removeprefix(_BOM)
    try:
        return SourceText(shown, data.decode())
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        place = Positions(SourceText(shown, before)).place(len(before), len(before) + 1)
        message = f"{shown} is not UTF-8: byte 0x{data[error.start]:02x} starts no character"
        spot = LabelledPlace(place, "not UTF-8", primary=True)
        return Problem("not-utf-8", message, (spot,), "save it as UTF-8")


def _too_large(shown: str, size: int, limits: Limits) -> Problem:
    mib = 2**20
    said = "more than" if size == limits.max_bytes + 1 else f"{size / mib:.1f} MiB, more than"
    message = f"{shown} has {said} the {limits.max_bytes / mib:g} MiB that are read"
    return _whole(shown, "input-too-large", message, "too large")


def _whole(shown: str, rule: str, message: str, label: str, fix: str = "") -> Problem:
    """Return a problem of the input as a whole, put at its first character."""
    return Problem(rule, message, (LabelledPlace(Place(shown, 1, 1, 1, 1, 0, 0), label, primary=True),), fix)
