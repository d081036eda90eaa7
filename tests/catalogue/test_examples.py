"""Every rule's own examples: bad ones fire at their places, good ones and near-misses don't."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from hetpd_cli.engine.catalogue import Rule, catalogue, compile_rule
from hetpd_cli.engine.check import judge_deployment
from hetpd_cli.engine.expressions import compile_tree
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.engine.verdicts import NOT_APPLICABLE, UNDECIDED, VIOLATED, Environment, Leaf, deciding, judge
from hetpd_cli.rule_examples import FILE, failures, first_lines, report_on, spots
from tests.support import deployment_of, examples, raw_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.findings import Report

BAD = examples("bad")


def checked(example: dict[str, Any]) -> Report:
    return report_on(example["deployment"], catalogue(), example.get("file", FILE), example.get("configuration", ""))


def _ids(cases: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [f"{code}: {example['title']}" for code, example in cases]


RULES = {rule.code: rule for rule in catalogue()}


@pytest.mark.parametrize("raw", raw_rules(), ids=[rule["name"] for rule in raw_rules()])
def test_every_example_does_what_it_is_there_for(raw) -> None:
    assert list(failures(RULES[raw["code"]], raw)) == []


@pytest.mark.parametrize(("code", "example"), BAD, ids=_ids(BAD))
def test_a_bad_example_fires_once_at_its_places(code, example) -> None:
    report = checked(example)
    found = [found for found in report.findings if found.code == code]
    assert len(found) == 1
    assert first_lines(spots(found[0], report.texts)) == first_lines(example["at"])
    assert sum(spot.primary for spot in found[0].places) == 1


# -- each way to violate a rule --------------------------------------------------------------------------------


def _ways(tree: list[Any], wanted: bool) -> Iterator[tuple[tuple[list[Any], bool], ...]]:
    """Yield each minimal set of comparisons, with their truths, that makes ``tree`` come out as ``wanted``."""
    kind = tree[0]
    if kind == "not":
        yield from _ways(tree[1], not wanted)
    elif kind in {"and", "or"}:
        parts = [list(_ways(part, wanted)) for part in tree[1:]]
        if (kind == "and") == wanted:
            for choice in product(*parts):
                yield tuple(item for way in choice for item in way)
        else:
            for ways in parts:
                yield from ways
    else:
        yield ((tree, wanted),)


BEYOND_TEXT = {"unreadable-file", "not-utf-8", "input-too-large", "too-many-nodes", "too-many-pools"}
"""Faults that no example can show: they are of bytes, of the file itself, or of its size."""


def test_every_rule_has_examples_of_what_it_finds_and_of_what_it_does_not() -> None:
    without = {rule["name"] for rule in raw_rules() if not {"bad", "good"} <= rule.get("examples", {}).keys()}
    assert without == BEYOND_TEXT


def _rules() -> list[dict[str, Any]]:
    return [rule for rule in raw_rules() if rule["over"] != "input"]


@pytest.mark.parametrize("raw", _rules(), ids=[rule["name"] for rule in _rules()])
def test_each_way_to_violate_a_rule_has_a_bad_example(raw) -> None:
    compiled = compile_rule(raw)
    scopes = [
        scope
        for example in raw["examples"]["bad"]
        for scope in Scopes(deployment_of(example["deployment"])).of(raw["over"])
        if judge(Rule(compiled), scope).outcome == VIOLATED
    ]
    for tree, wanted in ((compiled["when"], True), (compiled["require"], False)):
        for way in _ways(tree, wanted):
            assert any(
                all(compile_tree(part)(Environment(scope)) is truth for part, truth in way) for scope in scopes
            ), f"no bad example has {way}"


# -- what happens when a deciding fact goes -------------------------------------------------------------------

JUDGED = [case for case in BAD if "HPD1" < case[0] < "HPD9"]


@pytest.mark.parametrize(("code", "example"), JUDGED, ids=_ids(JUDGED))
def test_without_a_deciding_fact_a_finding_becomes_undecided(code, example) -> None:
    """Never silence: neither fine nor not applicable. What one place states for both sides is one choice.

    Where other facts force the verdict just as well, the finding stays.
    """
    rule = next(Rule(compile_rule(raw)) for raw in raw_rules() if raw["code"] == code)
    for scope in Scopes(deployment_of(example["deployment"])).of(rule.over):
        verdict = judge(rule, scope)
        if verdict.outcome != VIOLATED:
            continue
        choices: dict[object, list[Leaf]] = {}
        for leaf in deciding(rule, scope, verdict):
            choices.setdefault(leaf.fact.place or leaf, []).append(leaf)
        assert choices
        outcomes = []
        for leaves in choices.values():
            gone = {leaf.fact.owner: frozenset(one.fact.path for one in leaves) for leaf in leaves}
            left = judge(rule, scope.without(gone)).outcome
            assert left in {UNDECIDED, VIOLATED}, leaves[0].name
            outcomes.append(left)
        assert UNDECIDED in outcomes


@pytest.mark.parametrize(("code", "example"), JUDGED, ids=_ids(JUDGED))
def test_all_other_facts_are_not_needed(code, example) -> None:
    """The deciding facts force the verdict alone."""
    rule = next(Rule(compile_rule(raw)) for raw in raw_rules() if raw["code"] == code)
    for scope in Scopes(deployment_of(example["deployment"])).of(rule.over):
        verdict = judge(rule, scope)
        if verdict.outcome != VIOLATED:
            continue
        kept = {(leaf.fact.owner, leaf.fact.path) for leaf in deciding(rule, scope, verdict)}
        gone = {
            subject: frozenset(path for path in subject.section.stated if (subject, path) not in kept)
            for subject in scope.subjects.values()
        }
        assert judge(rule, scope.without(gone)).outcome == VIOLATED


BESIDE = {"HPD254": {"HPD214"}}
"""Rules that speak only where another one does: two backends pass the handshake only with the hash off."""


def test_some_bad_example_of_every_rule_breaks_no_other_rule() -> None:
    alone = {
        code
        for code, example in BAD
        if {found.code for found in checked(example).findings} == {code, *BESIDE.get(code, ())}
    }
    assert {rule["code"] for rule in raw_rules() if rule.get("examples", {}).get("bad")} - alone == set()


def test_a_rule_over_something_else_is_not_asked() -> None:
    deployment = deployment_of("hetpd: 1\npools:\n  - {name: p, role: prefill}\n")
    rule = next(Rule(compile_rule(raw)) for raw in raw_rules() if raw["over"] == "boundary")
    assert judge_deployment(deployment, [rule]).outcomes == {rule.code: {NOT_APPLICABLE}}
