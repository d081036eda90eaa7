"""What suppressions do to findings, and what is found wrong with them."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetpd_cli.checking import Outcome, Plan, run
from hetpd_cli.configuration.read import parse
from hetpd_cli.configuration.rules import configured
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.report.words import summary, suppressed
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from hetpd_cli.suppressions.baseline import of_findings
from tests.support import examples

PAIR = """\
hetpd: 1
pools:
  - {name: p, role: prefill, connector: nixl, kv: {dtype: bf16}}
  - {name: d, role: decode, connector: mooncake, kv: {dtype: fp16}}
"""
TODAY = date(2026, 6, 1)


def outcome(text: str, toml: str = "", *, select: str = "HPD", baseline=None, whole: bool = True) -> Outcome:
    configuration = parse(SourceText("hetpd.toml", toml))._replace(path="hetpd.toml")
    rules = configured(catalogue(), configuration)
    chosen = tuple(rule for rule in rules if rule.code.startswith(select) or rule.code > "HPD9")
    plan = Plan(rules, chosen, configuration, baseline, TODAY, whole)
    return run([read_text(SourceText("deploy/a.yaml", text), Limits())], plan)


def found(text: str, toml: str = "", **how) -> list[tuple[str, str | None]]:
    pairs = [(one.code, one.suppressed) for one in outcome(text, toml, **how).report.findings]
    return sorted(pairs, key=lambda pair: (pair[0], pair[1] or ""))


def commented(line: int, comment: str) -> str:
    lines = PAIR.splitlines()
    return "\n".join([*lines[: line - 1], f"{lines[line - 1]}  {comment}", *lines[line:]])


BOTH = [("HPD201", None), ("HPD501", None)]


def test_nothing_is_suppressed_by_itself() -> None:
    assert found(PAIR) == BOTH


@pytest.mark.parametrize("line", [3, 4])
def test_a_comment_at_either_side_suppresses_the_finding(line) -> None:
    text = commented(line, "# hetpd: ignore[connector-mismatch] until March")
    assert found(text) == [("HPD201", None), ("HPD501", "until March")]


def test_one_comment_may_name_several_rules() -> None:
    text = commented(3, "# hetpd: ignore[HPD501, kv-dtype-mismatch] both known")
    assert found(text) == [("HPD201", "both known"), ("HPD501", "both known")]


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        ("# hetpd: ignore[connector-mismtch] x", "HPD902"),
        ("# hetpd: ignore[HPD5] x", "HPD902"),
        ("# hetpd: ignore[unused-suppression] x", "HPD902"),
        ("# hetpd: ignored[HPD501] x", "HPD902"),
        ("# hetpd: ignore x", "HPD902"),
        ("# hetpd: ignore[] x", "HPD902"),
        ("# hetpd: ignore[HPD501]", "HPD903"),
        ("# hetpd: ignore[HPD501]  ", "HPD903"),
        ("# hetpd: ignore[HPD502] x", "HPD901"),
    ],
)
def test_a_comment_that_suppresses_nothing_is_a_finding_and_hides_none(comment, code) -> None:
    assert found(commented(3, comment)) == [*BOTH, (code, None)]


def test_a_comment_at_a_line_without_the_finding_is_unused() -> None:
    assert found(commented(1, "# hetpd: ignore[HPD501] x")) == [*BOTH, ("HPD901", None)]


def test_a_rule_that_is_not_asked_leaves_its_suppressions_alone() -> None:
    text = commented(3, "# hetpd: ignore[HPD501] x")
    assert found(text, select="HPD2") == [("HPD201", None)]


# -- tables ----------------------------------------------------------------------------------------------------


def table(**keys: object) -> str:
    keys = {"rule": "HPD201", "reason": "known"} | keys
    values = {key: value.isoformat() if isinstance(value, date) else f'"{value}"' for key, value in keys.items()}
    return "[[suppress]]\n" + "\n".join(f"{key} = {value}" for key, value in values.items())


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"rule": "kv-dtype-mismatch"},
        {"path": "deploy/*"},
        {"path": "deploy"},
        {"path": "*.yaml"},
        {"fact": "prefill.kv.dtype"},
        {"fact": "kv.dtype"},
        {"fact": "*.kv.*"},
        {"pool": "p"},
        {"handoff": "p -> *"},
        {"until": date(2026, 6, 1)},
        {"until": date(2030, 1, 1)},
    ],
    ids=str,
)
def test_a_table_suppresses_what_it_describes(keys) -> None:
    assert found(PAIR, table(**keys)) == [("HPD201", "known"), ("HPD501", None)]


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"path": "other/*"}, "HPD901"),
        ({"fact": "kv.layout"}, "HPD901"),
        ({"pool": "x"}, "HPD901"),
        ({"handoff": "d -> p"}, "HPD901"),
        ({"rule": "HPD502"}, "HPD901"),
        ({"rule": "HPD999"}, "HPD902"),
        ({"until": date(2026, 5, 31)}, "HPD904"),
    ],
    ids=str,
)
def test_a_table_that_suppresses_nothing_is_a_finding_at_its_place(keys, code) -> None:
    report = outcome(PAIR, "\n" + table(**keys)).report
    assert sorted(one.code for one in report.findings) == ["HPD201", "HPD501", code]
    (ours,) = [one for one in report.findings if one.code == code]
    assert (ours.primary.path, ours.primary.line) == ("hetpd.toml", 2)
    assert report.texts["hetpd.toml"]


def test_a_run_over_some_files_does_not_show_that_a_table_is_unused() -> None:
    assert found(PAIR, table(rule="HPD502"), whole=False) == BOTH
    assert found(PAIR, table(rule="HPD502", path="deploy/a.yaml"), whole=False) == [*BOTH, ("HPD901", None)]
    assert found(PAIR, table(rule="HPD502", path="deploy/b.yaml"), whole=False) == BOTH


# -- baseline --------------------------------------------------------------------------------------------------


def test_a_baseline_accepts_what_was_there_and_nothing_else() -> None:
    baseline = of_findings("baseline.json", outcome(PAIR).report.findings)
    assert found(PAIR, baseline=baseline) == [
        ("HPD201", "baseline baseline.json"),
        ("HPD501", "baseline baseline.json"),
    ]
    moved = PAIR.replace("pools:", "# one line more\npools:").replace("kv: {dtype: bf16}", "kv:   {dtype:   bf16}")
    assert [reason for _, reason in found(moved, baseline=baseline)] == ["baseline baseline.json"] * 2
    other = PAIR.replace("fp16", "fp8_e4m3")
    assert found(other, baseline=baseline) == [("HPD201", None), ("HPD501", "baseline baseline.json")]


def test_a_baseline_is_of_one_file() -> None:
    baseline = of_findings("elsewhere/baseline.json", outcome(PAIR).report.findings)
    assert {key.path for key in baseline.counts} == {"../deploy/a.yaml"}
    assert found(PAIR, baseline=baseline._replace(path="baseline.json")) == BOTH


def test_each_entry_counts_once() -> None:
    twice = PAIR + "---\n" + PAIR
    baseline = of_findings("b.json", outcome(PAIR).report.findings)
    assert Counter(found(twice, baseline=baseline)) == {
        ("HPD201", None): 1,
        ("HPD501", None): 1,
        ("HPD201", "baseline b.json"): 1,
        ("HPD501", "baseline b.json"): 1,
    }


# -- nothing disappears ----------------------------------------------------------------------------------------

TEXTS = sorted(
    {
        example["deployment"]
        for code, example in examples("bad")
        if code < "HPD9" and not re.search(r"[|>][-+]?\s*$", example["deployment"], re.M)
    }
)
WORDS = [word for rule in catalogue() for word in (rule.code, rule.name)] + ["nonsense", "HPD2", ""]
TABLES = st.fixed_dictionaries(
    {"rule": st.sampled_from([word for word in WORDS if word]), "reason": st.just("r")},
    optional={
        "path": st.sampled_from(["*", "deploy/*", "other"]),
        "fact": st.sampled_from(["*", "*.kv.*", "prefill.*", "x"]),
        "pool": st.sampled_from(["p", "d*", "*"]),
        "until": st.sampled_from([date(2020, 1, 1), TODAY, date(2030, 1, 1)]),
    },
)
COMMENTS = st.builds(
    "  # hetpd: {}[{}] {}".format,
    st.sampled_from(["ignore", "ignor", "off"]),
    st.sampled_from(WORDS),
    st.sampled_from(["", "r"]),
)


def known(findings) -> Counter[tuple[str, tuple[str, ...]]]:
    return Counter((one.code, one.identity) for one in findings if one.code < "HPD9")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), text=st.sampled_from(TEXTS), tables=st.lists(TABLES, max_size=3))
def test_no_finding_disappears_without_being_counted_as_suppressed(data, text, tables) -> None:
    lines = text.splitlines()
    for index in data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=4)):
        lines[index] += data.draw(COMMENTS)
    plain = outcome(text).report
    part = data.draw(st.lists(st.sampled_from(plain.findings), max_size=3)) if plain.findings else []
    baseline = of_findings("baseline.json", part)
    toml = "\n".join(table(**entry) for entry in tables)
    after = outcome("\n".join(lines), toml, baseline=baseline).report
    assert known(after.findings) == known(plain.findings)
    active = known(one for one in after.findings if one.suppressed is None)
    hidden = known(one for one in after.findings if one.suppressed is not None)
    assert active + hidden == known(plain.findings)
    assert suppressed(after) == hidden.total()
    assert after.tally == plain.tally
    assert ("suppressed" in summary(after)) == bool(hidden)
