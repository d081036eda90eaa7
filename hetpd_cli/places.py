"""Where something stands in a source file."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A span of source text.

    Lines and columns count from 1, columns in code points; the end is exclusive.
    ``start`` and ``end`` are code point offsets into the decoded text, byte-order mark excluded, so that
    ``text[start:end]`` is the token.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"
