"""Where the keys of a TOML text stand: the standard library's parser gives values only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.sources.text import Positions, SourceText

if TYPE_CHECKING:
    from hetpd_cli.places import Place

Path = tuple[str | int, ...]

_PART = r"(?:[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_LINE = re.compile(
    rf"^[ \t]*(?:(?P<open>\[\[?)[ \t]*(?P<table>{_KEY})[ \t]*\]\]?"
    rf"|(?P<key>{_KEY})[ \t]*=[ \t]*(?P<quotes>\"\"\"|''')?)",
    re.M,
)


class KeyPlaces:
    """The place of each key of a TOML text, by its path; an array of tables counts its items.

    Keys within an inline table or array have the place of the key they stand under.
    """

    def __init__(self, source: SourceText) -> None:
        self._positions = Positions(source)
        self._found: dict[Path, Place] = {}
        self._read(source.text)

    def of(self, path: Path) -> Place:
        """Return the place of ``path``, or of the nearest key above it."""
        while path:
            if path in self._found:
                return self._found[path]
            path = path[:-1]
        return self._positions.spot(0)

    def _read(self, text: str) -> None:
        table: Path = ()
        counts: dict[Path, int] = {}
        end = 0
        for match in _LINE.finditer(text):
            if match.start() < end:
                continue
            if match["quotes"]:
                closing = text.find(match["quotes"], match.end())
                end = len(text) if closing < 0 else closing
            if match["table"]:
                table = self._below(_parts(match["table"]), counts)
                if match["open"] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                self._found.setdefault(table, self._positions.place(match.start("open"), match.end()))
            else:
                path = (*table, *_parts(match["key"]))
                self._found.setdefault(path, self._positions.place(match.start("key"), match.end("key")))

    @staticmethod
    def _below(parts: list[str], counts: dict[Path, int]) -> Path:
        """Return the path of a table, with the number of the item of each array of tables that it lies in."""
        path: Path = ()
        for index, part in enumerate(parts):
            path = (*path, part)
            if index < len(parts) - 1 and path in counts:
                path = (*path, counts[path])
        return path


def _parts(key: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_PART, key)]
