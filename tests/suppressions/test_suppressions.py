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


def outcome(text: str, toml: str = "", *, select: str = "HPD", baseline=None, directories=(".",)) -> Outcome:
    configuration = parse(SourceText("hetpd.toml", toml))._replace(path="hetpd.toml")
    rules = configured(catalogue(), configuration)
    chosen = tuple(rule for rule in rules if rule.code.startswith(select) or rule.code > "HPD9")
    plan = Plan(rules, chosen, configuration, baseline, TODAY, directories)
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
        ("# hetpd ignore[HPD501] x", "HPD902"),
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
    assert found(PAIR, table(rule="HPD502"), directories=()) == BOTH
    assert found(PAIR, table(rule="HPD502", path="deploy/a.yaml"), directories=()) == [*BOTH, ("HPD901", None)]
    assert found(PAIR, table(rule="HPD502", path="deploy/b.yaml"), directories=()) == BOTH


@pytest.mark.parametrize(
    "keys",
    [
        {"handoff": "p->d"},
        {"handoff": "*->d"},
        {"path": "./deploy/a.yaml"},
        {"pool": "p", "fact": "prefill.kv.dtype"},
    ],
    ids=str,
)
def test_spellings_of_handoffs_and_paths(keys) -> None:
    assert found(PAIR, table(**keys)) == [("HPD201", "known"), ("HPD501", None)]


@pytest.mark.parametrize(
    "keys", [{"pool": "p", "fact": "decode.kv.dtype"}, {"pool": "p -> d"}, {"pool": "p -*"}], ids=str
)
def test_pool_and_fact_are_of_one_fact(keys) -> None:
    assert found(PAIR, table(**keys)) == [*BOTH, ("HPD901", None)]


def test_a_table_that_misses_what_is_there_says_so() -> None:
    report = outcome(PAIR, table(handoff="x -> d")).report
    (ours,) = [one for one in report.findings if one.code == "HPD901"]
    assert "found once" in ours.message
    (nothing,) = [one for one in outcome(PAIR, table(rule="HPD502")).report.findings if one.code == "HPD901"]
    assert "found once" not in nothing.message


def test_a_table_about_another_folder_is_not_unused() -> None:
    entry = table(rule="HPD502", path="lab/*")
    assert found(PAIR, entry, directories=("deploy",)) == BOTH
    assert found(PAIR, entry, directories=("lab",)) == [*BOTH, ("HPD901", None)]
    assert found(PAIR, entry, directories=(".",)) == [*BOTH, ("HPD901", None)]
    assert found(PAIR, table(rule="HPD502"), directories=("deploy",)) == BOTH


def test_what_is_open_or_unreadable_is_not_unused() -> None:
    unknown = commented(3, "# hetpd: ignore[HPD501] x").replace("connector: mooncake, ", "")
    assert [code for code, _ in found(unknown) if code.startswith("HPD9")] == []
    open_now = found(unknown.replace("  # hetpd: ignore[HPD501] x", ""), table(rule="HPD501"))
    assert [code for code, _ in open_now if code.startswith("HPD9")] == []
    broken = "hetpd: 1  # hetpd: ignore[HPD501] x\npools: [\n"
    assert {code for code, _ in found(broken)} == {"HPD004"}


def test_a_text_within_the_input_is_no_fault_and_a_script_may_suppress() -> None:
    text = PAIR.replace(
        "kv: {dtype: bf16}", 'kv: {dtype: bf16}, env: {A: "a # hetpd: ignore[foo] b # hetpd: ignore x"}'
    )
    assert found(text) == BOTH
    text = PAIR.replace("kv: {dtype: bf16}", 'kv: {dtype: bf16}, env: {A: "a # hetpd: ignore[HPD501] known"}')
    assert [code for code, reason in found(text) if reason] == ["HPD501"]


# -- several boundaries ----------------------------------------------------------------------------------------

THREE = """\
hetpd: 1
pools:
  - {name: p, role: prefill, connector: nixl}
  - {name: d1, role: decode, connector: mooncake}
  - {name: d2, role: decode, connector: mooncake}
"""


@pytest.mark.parametrize(
    ("text", "toml"),
    [
        (THREE.replace("mooncake}\n  - {name: d2", "mooncake}  # hetpd: ignore[HPD501] d1 moves\n  - {name: d2"), ""),
        (THREE, '[[suppress]]\nrule = "HPD501"\nhandoff = "p -> d1"\nreason = "d1 moves"\n'),
        (THREE, '[[suppress]]\nrule = "HPD501"\npool = "d1"\nreason = "d1 moves"\n'),
    ],
    ids=["comment", "handoff", "pool"],
)
def test_what_is_accepted_of_one_boundary_is_not_of_another(text, toml) -> None:
    report = outcome(text, toml).report
    assert sorted((one.boundaries, one.suppressed) for one in report.findings if one.suppressed) == [
        (("p -> d1",), "d1 moves")
    ]
    assert [one.boundaries for one in report.findings if one.suppressed is None] == [("p -> d2",)]


def test_a_comment_at_the_common_side_is_about_all() -> None:
    text = THREE.replace("connector: nixl}", "connector: nixl}  # hetpd: ignore[HPD501] known")
    (ours,) = outcome(text).report.findings
    assert (ours.boundaries, ours.suppressed) == (("p -> d1", "p -> d2"), "known")


def test_a_baseline_is_of_each_boundary() -> None:
    baseline = of_findings("b.json", outcome(THREE).report.findings)
    assert baseline.counts.total() == 2
    mended = THREE.replace("name: d1, role: decode, connector: mooncake", "name: d1, role: decode, connector: nixl")
    assert found(mended, baseline=baseline) == [("HPD501", "baseline b.json")]
    more = THREE + "  - {name: d3, role: decode, connector: mooncake}\n"
    assert {(one.boundaries, one.suppressed) for one in outcome(more, baseline=baseline).report.findings} == {
        (("p -> d1", "p -> d2"), "baseline b.json"),
        (("p -> d3",), None),
    }


def test_a_finding_says_what_suppresses_it() -> None:
    table = '[[suppress]]\nrule = "HPD201"\nreason = "in a table"\n'
    text = commented(3, "# hetpd: ignore[HPD501] in a comment")
    baseline = of_findings("b.json", outcome(PAIR).report.findings)

    def by(*given, **how) -> dict[str, str | None]:
        return {one.code: one.suppressed_by for one in outcome(*given, **how).report.findings}

    assert by(PAIR) == {"HPD201": None, "HPD501": None}
    assert by(text, table) == {"HPD201": "configuration", "HPD501": "comment"}
    assert by(text, baseline=baseline) == {"HPD201": "baseline", "HPD501": "comment"}


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
    """Count the violations behind findings: a finding is split where a part of it is accepted."""
    return Counter((one.code, part) for one in findings if one.code < "HPD9" for part in one.parts or (one.identity,))


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
    assert suppressed(after) == sum(one.suppressed is not None for one in after.findings)
    assert after.tally == plain.tally
    assert ("suppressed" in summary(after)) == bool(hidden)
