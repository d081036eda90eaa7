from __future__ import annotations

import pytest
from sample_reports import DEPLOYMENT, PATH, also, at, finding, report

from hetpd_cli.findings import LabelledPlace
from hetpd_cli.places import Place
from hetpd_cli.report import Options
from hetpd_cli.report.full import render
from hetpd_cli.report.style import width


def frame(text: str, *spots: LabelledPlace, columns: int | None = None, **texts: str) -> list[str]:
    """The rows between the message and the notes."""
    result = report(finding(*spots), texts={PATH: text} | texts)
    rows = render(result, Options(quiet=True, width=columns)).splitlines()
    first = next(index for index, row in enumerate(rows) if "-->" in row)
    last = next(index for index, row in enumerate(rows) if " = " in row)
    return rows[first : last - 1]


def caret_column(rows: list[str]) -> int:
    """The terminal column of the first caret."""
    row = next(row for row in rows if "^" in row)
    return width(row[: row.index("^")])


def token_column(rows: list[str], token: str) -> int:
    row = next(row for row in rows if token in row)
    return width(row[: row.index(token)])


def test_one_place() -> None:
    assert frame("a: 1\nb: 22\n", at("a: 1\nb: 22\n", "22", "two")) == [
        " --> prod/deploy.yaml:2:4",
        "  |",
        "2 | b: 22",
        "  |    ^^ two",
    ]


def test_places_within_two_lines_share_a_frame_and_show_what_is_between() -> None:
    text = "a: 1\nb: 2\nc: 3\nd: 4\n"
    assert frame(text, at(text, "3", "this"), also(text, "1", "that")) == [
        " --> prod/deploy.yaml:3:4",
        "  |",
        "1 | a: 1",
        "  |    - that",
        "2 | b: 2",
        "3 | c: 3",
        "  |    ^ this",
    ]
    assert ":::" in "\n".join(frame(text, at(text, "4", "this"), also(text, "1", "that")))


def test_two_places_on_one_line() -> None:
    text = "kv: {a: 1, b: 2}\n"
    assert frame(text, at(text, "1", "this"), also(text, "2", "that"))[2:] == [
        "1 | kv: {a: 1, b: 2}",
        "  |         ^ this",
        "  |               - that",
    ]


def test_the_primary_frame_comes_first_and_other_files_follow() -> None:
    other = also("x: 1\n", "1", path="other.yaml")
    rows = frame(DEPLOYMENT, other, at(DEPLOYMENT, "push"), **{"other.yaml": "x: 1\n"})
    heads = [row.strip() for row in rows if "-->" in row or ":::" in row]
    assert heads == ["--> prod/deploy.yaml:13:13", "::: other.yaml:1:4"]


@pytest.mark.parametrize(
    "text",
    [
        "\tdtype: fp16",
        "a\t\tb\tfp16",
        "模型: {种类: fp16}",
        "\uff46\uff50: fp16",
        "é\u0301: fp16",
        "a\x1b[31m: fp16",
        "🙂\tfp16",
    ],
)
def test_carets_stand_under_the_token(text: str) -> None:
    rows = frame(text, at(text, "fp16"))
    assert caret_column(rows) == token_column(rows, "fp16")
    assert "^^^^ here" in rows[-1]


def test_wide_tokens_get_wide_carets() -> None:
    assert frame("种类: 模型\n", at("种类: 模型\n", "模型"))[-1] == "  |       ^^^^ here"


@pytest.mark.parametrize("before", [0, 30, 300, 30_000])
@pytest.mark.parametrize("after", [0, 30, 30_000])
@pytest.mark.parametrize("columns", [40, 80, None])
@pytest.mark.parametrize("filler", ["x", "模", "\t", "\x1b"])
def test_long_lines_are_cut_around_the_caret(before: int, after: int, columns: int | None, filler: str) -> None:
    text = filler * before + "fp16" + filler * after
    rows = frame(text, at(text, "fp16"), columns=columns)
    code = rows[2]
    assert max(map(width, rows[1:])) <= (columns or 163)
    assert caret_column(rows) == token_column(rows, "fp16")
    assert "^^^^" in rows[3]
    assert code.split("| ")[1].startswith("…") or before < 30_000
    assert code.endswith("…") or after < 30_000
    assert before + after > 30 or "…" not in code or filler != "x"


def test_far_places_on_one_long_line_are_both_shown() -> None:
    text = f"kv: {{a: first, {'x' * 500}: 0, b: second}}"
    rows = frame(text, at(text, "first"), also(text, "second"), columns=80)
    assert "first" in rows[2]
    assert "second" in rows[4]
    assert rows[5].index("-") == rows[4].index("second")


def test_a_label_without_room_goes_below() -> None:
    text = " " * 25 + "fp16"
    rows = frame(text, at(text, "fp16", "KV written as fp16"), columns=40)
    assert rows[-2:] == ["  |" + " " * 26 + "^^^^", "  |" + " " * 19 + "KV written as fp16"]
    assert max(map(len, rows)) <= 40


@pytest.mark.parametrize("text", ["a: 1\nb: 22", "a: 1\r\nb: 22", "a: 1\rb: 22"])
def test_last_line_without_a_break(text: str) -> None:
    place = Place(PATH, 2, 4, 2, 6, len(text) - 2, len(text))
    assert frame(text, LabelledPlace(place, "two", True))[2:] == ["2 | b: 22", "  |    ^^ two"]


@pytest.mark.parametrize("text", ["", "a: 1", "a: 1\n"])
def test_end_of_the_text(text: str) -> None:
    line = text.count("\n") + 1
    column = len(text) - text.rfind("\n")
    place = Place(PATH, line, column, line, column, len(text), len(text))
    rows = frame(text, LabelledPlace(place, "ends here", True))
    assert rows[-1].index("^") == 4 + column - 1


def test_a_place_of_several_lines_is_marked_on_its_first() -> None:
    text = "kv: {a: 1,\n  b: 2}\nc: 3\n"
    assert frame(text, at(text, "{a: 1,\n  b: 2}"))[2:] == ["1 | kv: {a: 1,", "  |     ^^^^^^ here"]


@pytest.mark.parametrize(
    "place",
    [
        Place(PATH, 99, 7, 99, 9, 900, 902),
        Place("unknown.yaml", 3, 7, 3, 9, 30, 32),
        Place(PATH, 0, 0, 0, 0, 0, 0),
        Place(PATH, -3, -3, -4, -4, -9, -9),
    ],
)
def test_a_place_without_a_line_is_named_with_its_label(place: Place) -> None:
    (row,) = frame("a: 1\n", LabelledPlace(place, "here", True))
    assert row.strip() == f"--> {place}: here"


@pytest.mark.parametrize("column", [0, -5, 99, 10**9])
def test_a_column_beyond_the_line_does_not_raise(column: int) -> None:
    rows = frame("a: 1\n", LabelledPlace(Place(PATH, 1, column, 1, column - 3, 0, 0), "here", True))
    assert rows[-1].endswith("^ here")


def test_a_place_without_a_label() -> None:
    assert frame("a: 1\n", at("a: 1\n", "1", ""))[-1] == "  |    ^"


def test_many_places_are_capped_unless_verbose() -> None:
    text = "".join(f"k{number}: 1\n\n\n\n" for number in range(20))
    spots = [also(text, f"k{number}:", "there") for number in range(19)] + [at(text, "k19:", "here")]
    short = render(report(finding(*spots), texts={PATH: text}), Options(quiet=True))
    assert "^^^^ here" in short
    assert short.count(":::") == 7
    assert "and 12 more places" in short
    every = render(report(finding(*spots), texts={PATH: text}), Options(quiet=True, verbose=True))
    assert every.count(":::") == 19
