"""--select and --ignore: codes, names, beginnings of codes, lists with commas."""

from __future__ import annotations

import pytest

from hetpd_cli.cli.app import run
from hetpd_cli.cli.selection import UnknownRuleError, selected
from hetpd_cli.engine.catalogue import catalogue
from tests.support import ROOT

ALL = [rule.code for rule in catalogue()]
FAULTY = str(ROOT / "examples" / "vllm-1p1d-mismatch.yaml")


def beginning(*starts: str) -> list[str]:
    return [code for code in ALL if code.startswith(starts)]


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        ((), (), ALL),
        (("HPD201",), (), ["HPD201"]),
        (("hpd201",), (), ["HPD201"]),
        (("kv-dtype-mismatch",), (), ["HPD201"]),
        (("KV-dtype-mismatch",), (), ["HPD201"]),
        (("HPD2",), (), beginning("HPD2")),
        (("HPD20",), (), beginning("HPD20")),
        (("HPD",), (), ALL),
        (("HPD2,HPD5",), (), beginning("HPD2", "HPD5")),
        (("HPD201, block-size-mismatch ,",), (), ["HPD201", "HPD202"]),
        (("HPD201", "HPD202"), (), ["HPD201", "HPD202"]),
        ((), ("HPD0",), [code for code in ALL if not code.startswith("HPD0")]),
        (("HPD2",), ("kv-dtype-mismatch",), [code for code in beginning("HPD2") if code != "HPD201"]),
        (("HPD201",), ("HPD2",), []),
    ],
)
def test_selection(select: tuple[str, ...], ignore: tuple[str, ...], expected: list[str]) -> None:
    assert [rule.code for rule in selected(catalogue(), select, ignore)] == expected


@pytest.mark.parametrize(
    ("word", "guess"),
    [
        ("kv-dtype-mismach", "kv-dtype-mismatch"),
        ("kv_dtype_mismatch", "kv-dtype-mismatch"),
        ("HP201", "HPD201"),
        ("HPD299", "HPD"),
        ("zzz", None),
        ("HPD", ""),
        ("HPD2011", "HPD201"),
    ],
)
def test_a_word_that_names_no_rule_names_the_nearest(word: str, guess: str | None) -> None:
    if word == "HPD":
        assert selected(catalogue(), (word,), ())
        return
    for select, ignore in (((word,), ()), ((), ("HPD201," + word,))):
        with pytest.raises(UnknownRuleError) as caught:
            selected(catalogue(), select, ignore)
        said = str(caught.value)
        assert said.startswith(f"{word} names no rule")
        assert ("did you mean" in said) is (guess is not None)
        assert (guess or "") in said


def test_what_is_not_selected_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", FAULTY, "-q", "-f", "concise", "-s", "HPD5"]) == 1
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["HPD501"]
    assert run(["check", FAULTY, "-q", "-f", "concise", "-s", "HPD5", "-i", "connector-mismatch"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("option", ["-s", "-i"])
def test_an_unknown_word_is_wrong_usage_in_one_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", FAULTY, option, "\x1b[31mconector-mismatch"]) == 2
    shown, said = capsys.readouterr()
    assert (shown, said.count("\n"), "\x1b" in said, "connector-mismatch" in said) == ("", 1, False, True)
