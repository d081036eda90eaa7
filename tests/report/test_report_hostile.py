"""What comes out of a file never reaches the terminal, the log reader or the parser as a command."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import example as case
from hypothesis import given
from hypothesis import strategies as st
from sample_reports import at, report

from hetpd_cli.findings import (
    Evidence,
    FactView,
    Finding,
    InputReport,
    LabelledPlace,
    Need,
    PoolReport,
    Report,
    Tally,
    Undecided,
)
from hetpd_cli.places import Place
from hetpd_cli.report import FORMATS, Options, renderer
from hetpd_cli.report.style import inert
from tests.support import without_commands

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;https://evil.example\x07link\x1b]8;;\x07",
    "\x9b31m",
    "[red]x[/red] :warning:",
    "::error::owned",
    "a\n::error file=x::owned",
    "##[error]owned",
    "##vso[task.setvariable variable=x]y",
    "###[group]",
    "\u202egpj.exe\u202c",
    "\u2066x\u2069",
    "a\nb",
    "a\r\nb",
    "a\u2028b\u2029c\x85d",
    "\x00\x07\x08\x7f",
    "a\tb",
    "\udc80\udcff",
    "\U000e0041\u200b\ufeff",
    "zero\u00a0width",
    "<script>alert(1)</script>",
]


def hostile(text: str) -> Report:
    """A report in which everything that can come from a file is ``text``."""
    source = f"key: {text}\n"
    place = Place(text, 1, 6, 1, 6 + len(text), 5, 5 + len(text))
    finding = Finding(
        code="HPD201",
        name="kv-dtype-mismatch",
        severity="error",
        message=text,
        places=(LabelledPlace(place, text, True), LabelledPlace(place._replace(line=9), text)),
        why=text,
        fix=text,
        boundaries=(text, text),
        facts=(FactView(text or "x", text, text, "derived", place, text, text),),
        evidence=(Evidence(text or "x", text, text, text),),
        identity=(text,),
    )
    pool = PoolReport(text, "decode", 2, 8, {"tp": 8}, text, text, text, text, text, place)
    return Report(
        inputs=(
            InputReport(text, text, "unreadable", text, (text,)),
            InputReport(text, None, "checked", pools=(pool, pool._replace(role=None)), joined=(text,)),
        ),
        findings=(finding, finding._replace(suppressed=text)),
        undecided=(Undecided("HPD204", "x", None, (text,), (Need(text or "x", text, place),), text),),
        matrix={},
        tally=Tally(undecided=1),
        rules=1,
        settling=((text or "x", 1),),
        texts={text: source},
    )


def assert_inert(output: str) -> None:
    for line in output.split("\n"):
        assert line.isprintable(), ascii(line)
        assert not re.match(r"\s*::\w", line), line
        assert not re.search(r"##\w*\[", line), line
    output.encode("utf-8")
    assert not any(unicodedata.bidirectional(char) in {"LRE", "RLE", "LRO", "RLO", "PDF"} for char in output)


def printed(form: str, result: Report, options: Options) -> str:
    return without_commands(form, renderer(form).render(result, options))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("columns", [None, 30, 80])
def test_hostile_content_is_inert(text: str, form: str, columns: int | None) -> None:
    assert_inert(printed(form, hostile(text), Options(width=columns, verbose=True)))


@pytest.mark.parametrize("text", HOSTILE)
def test_json_carries_hostile_content_as_it_is(text: str) -> None:
    output = renderer("json").render(hostile(text), Options())
    assert output.isascii()
    message = json.loads(output)["findings"][0]["message"]
    assert message == text.encode("utf-8", "backslashreplace").decode("utf-8")


def test_markup_is_text() -> None:
    for form in ("full", "concise"):
        assert "[red]x[/red] :warning:" in renderer(form).render(hostile("[red]x[/red] :warning:"), Options())


def test_a_file_name_with_a_line_break_gives_no_second_line() -> None:
    spot = at("a: 1\n", "1", path="a\nb.yaml:1:1: error")
    finding = Finding("HPD201", "x", "error", "message", (spot,))
    assert renderer("concise").render(report(finding), Options(quiet=True)) == (
        "a\\nb.yaml:1:1: error:1:4: error HPD201 x: message\n"
    )


def test_a_wrapped_word_is_no_workflow_command() -> None:
    text = " ".join(["word"] * 15 + ["::error::owned"] * 40)
    output = renderer("full").render(hostile(text), Options(width=60))
    assert "::error::owned" in output
    assert_inert(output)


def test_inert_keeps_what_is_readable() -> None:
    for text in ("plain", "prefill[0].tp", "模型 é 🙂", "host: ::1", "C:\\dir", "# comment", "## heading"):
        assert inert(text) == text
    assert inert("\x1b\u202e\n\t\U000e0041") == "\\x1b\\u202e\\n\\t\\U000e0041"


@given(st.text(st.characters(), max_size=60), st.sampled_from([None, 1, 40, 80]))
@case("##" * 20 + "[", None)
def test_any_text_is_inert(text: str, columns: int | None) -> None:
    for form in FORMATS:
        assert_inert(printed(form, hostile(text), Options(width=columns, verbose=True)))


@given(
    st.text(st.characters(), max_size=80),
    *[st.integers(-3, 90) for _ in range(4)],
    st.sampled_from([None, 1, 40]),
)
def test_any_place_renders(
    source: str, line: int, column: int, end_line: int, end_column: int, columns: int | None
) -> None:
    spot = LabelledPlace(Place("x", line, column, end_line, end_column, 0, 0), "here", True)
    result = report(Finding("HPD201", "x", "error", "message", (spot,)), texts={"x": source})
    for form in FORMATS:
        assert_inert(printed(form, result, Options(width=columns)))
