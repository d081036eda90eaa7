"""Rows in aligned columns, the last one wrapped on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.report.style import width, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.report import Options
    from hetpd_cli.report.style import Style

_GAP = 2
_LEAST_LAST = 32
"""Columns that the last column needs; with fewer it stands on lines of its own."""


def aligned(
    rows: Sequence[Sequence[str]], roles: Sequence[str], options: Options, style: Style, *, indent: int = 0
) -> list[str]:
    """Return harmless ``rows`` as lines; ``roles`` colours the columns. The last column may be of any length."""
    if not rows:
        return []
    widths = [max(width(row[index]) for row in rows) for index in range(len(rows[0]) - 1)]
    start = indent + sum(widths) + _GAP * len(widths)
    below = options.width is not None and options.width - start < _LEAST_LAST
    lines: list[str] = []
    for row in rows:
        cells = [
            style(role, cell) + " " * (size - width(cell) + _GAP)
            for cell, role, size in zip(row[:-1], roles, widths, strict=False)
        ]
        lead = " " * indent + "".join(cells)
        if below:
            lines.append(lead.rstrip())
            hang = indent + 2 * _GAP
            if row[-1]:
                first, *rest = wrap(row[-1], options.width, hang, hang)
                lines += [" " * hang + first, *rest]
        else:
            first, *rest = wrap(row[-1], options.width, start, start)
            lines += [(lead + first).rstrip(), *rest]
    return lines
