"""Source lines with carets under the places of a finding."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.report.style import inert, inert_cells, width
from hetpd_cli.report.words import place_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hetpd_cli.findings import LabelledPlace
    from hetpd_cli.places import Place
    from hetpd_cli.report import Options
    from hetpd_cli.report.style import Style

_BREAK = re.compile(r"\r\n|\r|\n")
_SHARE_WITHIN_LINES = 2
_COLUMNS_OFF_TERMINAL = 160
_FEWEST_COLUMNS = 20
_CUT = "…"


class Sources:
    """Source texts by path, split into lines when a place asks for them."""

    __slots__ = ("_lines", "_texts")

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._lines: dict[str, list[str]] = {}

    def line(self, path: str, number: int) -> str | None:
        """Return a line, counted from 1, without its break; None if the text has no such line."""
        if path not in self._texts:
            return None
        if path not in self._lines:
            self._lines[path] = _BREAK.split(self._texts[path])
        lines = self._lines[path]
        return lines[number - 1] if 1 <= number <= len(lines) else None


class View(NamedTuple):
    """The visible part of a source line: its text, and the columns of it at which each code point starts.

    ``base`` is the index of the first code point that ``starts`` tells of; the last start is the end of the
    line. ``left`` and ``right`` bound the columns at which carets may stand.
    """

    text: str
    base: int
    starts: list[int]
    left: int
    right: int

    def column(self, index: int) -> int:
        """Return the column at which the code point ``index`` starts, or the nearest one that is visible."""
        position = min(max(index - self.base, 0), len(self.starts) - 1)
        return min(max(self.starts[position], self.left), self.right)

    def holds(self, index: int) -> bool:
        """Tell whether carets may start under the code point ``index``, the end of the line included."""
        position = min(max(index - self.base, -1), len(self.starts) - 1)
        return position >= 0 and self.left <= self.starts[position] <= self.right


def view(line: str, start: int, columns: int) -> View:
    """Return what is visible of ``line`` in ``columns`` columns, cut around the code point ``start``."""
    near = slice(max(0, start - 2 * columns), start + 2 * columns)
    cells = inert_cells(line[near])
    cut_left, cut_right = near.start > 0, near.stop < len(line)
    starts = [0, *accumulate(map(width, cells))]
    if not cut_left and not cut_right and starts[-1] <= columns:
        return View("".join(cells), 0, starts, 0, starts[-1])
    focus = starts[min(start - near.start, len(cells))]
    first = 0
    if cut_left or focus > columns * 2 // 3:
        first = bisect_left(starts, max(0, focus - columns // 3))
    lead = int(cut_left or first > 0)
    last = max(bisect_right(starts, starts[first] + columns - lead) - 1, first)
    if cut_right or last < len(cells):
        last = max(bisect_right(starts, starts[first] + columns - lead - 1) - 1, first)
    text = _CUT * lead + "".join(cells[first:last]) + _CUT * (cut_right or last < len(cells))
    shift = starts[first] - lead
    return View(text, near.start, [at - shift for at in starts], lead, starts[last] - shift)


class Frames:
    """Draws the places of one finding.

    ``gutter`` is the width of the column of line numbers, by which what follows the frames is indented too.
    """

    def __init__(self, places: Sequence[LabelledPlace], sources: Sources, options: Options, style: Style) -> None:
        self._places = places
        self._sources = sources
        self._options = options
        self._style = style
        self.gutter = max((len(str(spot.place.line)) for spot in places), default=1)

    def draw(self, severity: str) -> list[str]:
        """Return the frames: that of the primary place first, the others in the order of the finding."""
        groups = _groups(self._places, self._sources)
        return [row for group in groups for row in self._frame(group, severity)]

    def bar(self, code: str = "", number: int | None = None) -> str:
        """Return a row of a frame: number or blank, bar, code."""
        label = "" if number is None else str(number)
        return f"{self._style('frame', f'{label:>{self.gutter}} |')} {code}".rstrip()

    def _frame(self, group: list[LabelledPlace], severity: str) -> list[str]:
        anchor = next((spot for spot in group if spot.primary), group[0])
        arrow = self._style("frame", " " * self.gutter + ("-->" if anchor.primary else ":::"))
        head = f"{arrow} {place_text(anchor.place, self._options)}"
        if self._sources.line(anchor.place.path, anchor.place.line) is None:
            return [f"{head}: {inert(anchor.label)}" if anchor.label else head]
        rows = [head, self.bar()]
        for number in range(group[0].place.line, group[-1].place.line + 1):
            here = [spot for spot in group if spot.place.line == number]
            rows += self._line(anchor.place.path, number, here, severity)
        return rows

    def _line(self, path: str, number: int, spots: list[LabelledPlace], severity: str) -> list[str]:
        """Return a source line with carets; a line too long to show two places at once is shown again."""
        line = self._sources.line(path, number) or ""
        columns = self._columns()
        shown = view(line, spots[0].place.column - 1 if spots else 0, columns)
        rows = [self.bar(shown.text.rstrip(), number)]
        for spot in spots:
            if not shown.holds(spot.place.column - 1):
                shown = view(line, spot.place.column - 1, columns)
                rows.append(self.bar(shown.text.rstrip(), number))
            role = severity if spot.primary else "frame"
            rows += [self.bar(row) for row in self._carets(spot, shown, line, role)]
        return rows

    def _carets(self, spot: LabelledPlace, shown: View, line: str, role: str) -> list[str]:
        begin, end = shown.column(spot.place.column - 1), shown.column(_end(spot.place, line))
        marks = ("^" if spot.primary else "-") * max(1, end - begin)
        label = inert(spot.label)
        if not label:
            return [" " * begin + self._style(role, marks)]
        room = self._columns() - width(label)
        if self._options.width is None or begin + len(marks) + 1 <= room:
            return [" " * begin + self._style(role, f"{marks} {label}")]
        under = " " * max(0, min(begin, room)) + self._style(role, label)
        return [" " * begin + self._style(role, marks), under]

    def _columns(self) -> int:
        """Return the columns to the right of the bar."""
        total = self._options.width or _COLUMNS_OFF_TERMINAL
        return max(total - self.gutter - 3, _FEWEST_COLUMNS)


def _end(place: Place, line: str) -> int:
    """Return the index after the last code point to mark; only the first line of a place is marked."""
    return len(line.rstrip()) if place.end_line > place.line else place.end_column - 1


def _groups(places: Sequence[LabelledPlace], sources: Sources) -> list[list[LabelledPlace]]:
    """Gather places that stand within two lines of each other; the group of the primary place comes first."""
    rank = {spot: index for index, spot in enumerate(places)}
    groups: list[list[LabelledPlace]] = []
    for spot in sorted(rank, key=lambda spot: (spot.place[:3], rank[spot])):
        if groups and _adjacent(groups[-1][-1].place, spot.place, sources):
            groups[-1].append(spot)
        else:
            groups.append([spot])
    return sorted(groups, key=lambda group: min((not spot.primary, rank[spot]) for spot in group))


def _adjacent(above: Place, below: Place, sources: Sources) -> bool:
    near = above.path == below.path and below.line - above.line <= _SHARE_WITHIN_LINES
    return near and all(sources.line(place.path, place.line) is not None for place in (above, below))
