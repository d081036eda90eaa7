"""Rows in columns: aligned, as narrow as asked, and the last column is never cut."""

from __future__ import annotations

import pytest

from hetpd_cli.report import Options
from hetpd_cli.report.columns import aligned
from hetpd_cli.report.style import Style, width

ROWS = [["a", "long name", "one two three four five six seven eight"], ["bb", "模型", "x"], ["c", "", ""]]


def lines(columns: int | None, colour: bool = False) -> list[str]:
    return aligned(ROWS, ("strong", "plain", "plain"), Options(width=columns), Style(colour), indent=1)


def test_columns_are_aligned() -> None:
    assert lines(None) == [" a   long name  one two three four five six seven eight", " bb  模型       x", " c"]


def test_the_last_column_is_wrapped_under_itself() -> None:
    assert lines(50)[:2] == [" a   long name  one two three four five six seven", "                eight"]


@pytest.mark.parametrize("columns", [30, 40, 50, 200])
def test_no_line_is_wider_than_asked(columns) -> None:
    assert max(map(width, lines(columns))) <= columns
    assert "eight" in "\n".join(lines(columns))


def test_colours_do_not_move_columns() -> None:
    assert [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines(50, colour=True)] == lines(50)


def test_nothing_gives_nothing() -> None:
    assert aligned([], ("plain",), Options(), Style(False)) == []
