"""hetpd says of every case what vLLM's own functions say of it."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from hetpd_cli.engine.catalogue import Rule, catalogue
from tests.conformance.compare import AGREES, Comparison, compare, report
from tests.conformance.judge import LAUNCH, Judge, Noting, deployment_text, of_text, selected
from tests.conformance.tables import ACCEPT, REJECT, STOPS, VERDICTS, Row, Table, committed, load

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = committed()
SAMPLED = 25
"""Cases of a table that are checked completely, from their text."""


@cache
def compared(family: str, version: str) -> Comparison:
    return compare(load(family, version))


@pytest.mark.parametrize(("family", "version"), TABLES)
def test_every_case_agrees(family: str, version: str) -> None:
    comparison = compared(family, version)
    assert not comparison.differences, report(comparison)


@pytest.mark.parametrize(("family", "version"), [entry for entry in TABLES if entry[0] != "config"])
def test_what_is_remembered_is_what_a_complete_check_says(family: str, version: str) -> None:
    table = load(family, version)
    dice = random.Random(f"{family} {version}")
    judge = Judge(table)
    # The sample comes last, so that its facts and outcomes are remembered ones.
    rows = dice.sample(table.rows, 20 * SAMPLED)
    for row in rows:
        judge.say(row)
    for row in rows[-SAMPLED:]:
        assert judge.say(row) == of_text(deployment_text(family, table.case(row), version))


def _slice(family: str, version: str, count: int) -> Table:
    table = load(family, version)
    return table._replace(rows=table.rows[:count])


def test_a_wrong_entry_of_a_table_is_found() -> None:
    table = _slice("moriio", "0.33.0", 200)
    before = compare(table)
    agreed = next(row for row in table.rows if row not in [one.row for one in before.differences])
    wrong = agreed._replace(verdict=REJECT if agreed.verdict == ACCEPT else ACCEPT)
    rows = tuple(wrong if row is agreed else row for row in table.rows)
    after = compare(table._replace(rows=rows))
    assert {one.row for one in after.differences} == {one.row for one in before.differences} | {wrong}


def test_a_wrong_rule_is_found() -> None:
    table = _slice("handshake", "0.33.0", 300)
    rules = [rule for rule in catalogue() if rule.code != "HPD204"]
    (rule,) = (rule for rule in catalogue() if rule.code == "HPD204")
    always = Rule({**rule.data, "when": ["value", True], "require": ["value", False], "reads": [], "requires": []})
    differing = {one.row.key for one in compare(table, [*rules, always]).differences}
    assert {row.key for row in table.rows if row.verdict == ACCEPT} <= differing


def test_a_missing_rule_is_found() -> None:
    table = _slice("handshake", "0.33.0", 600)
    refused = {row.key for row in table.rows if row.verdict == REJECT}
    assert refused <= {one.row.key for one in compare(table, []).differences}


def test_every_verdict_has_something_that_agrees_with_it() -> None:
    assert AGREES.keys() == set(VERDICTS.values())
    assert AGREES[ACCEPT] == {ACCEPT}
    assert ACCEPT not in AGREES[STOPS]


def test_no_verdict_agrees_with_undecided() -> None:
    assert all("undecided" not in said for said in AGREES.values())


def test_report_prints_kinds_and_the_nearest_cases() -> None:
    table = _slice("placement", "0.33.0", 50)
    said = report(compare(table, []), shown=1)
    refused = sum(row.verdict != ACCEPT for row in table.rows)
    assert f"{refused} of 50 cases differ" in said
    assert said.count("hetpd: 1") == 1


def test_selected_rules_are_those_that_speak_of_pairs() -> None:
    codes = {rule.code for rule in selected(catalogue())}
    assert {"HPD201", "HPD202", "HPD204", "HPD215", "HPD229", "HPD502", "HPD503"} <= codes
    assert not {code for code in codes - LAUNCH if code.startswith(("HPD3", "HPD4", "HPD9"))}


@pytest.mark.parametrize(
    "look",
    [
        lambda stated: stated.get("a"),
        lambda stated: stated["a"],
        lambda stated: "a" in stated,
        list,
        lambda stated: {**stated},
        dict,
        lambda stated: {"c": 1} | stated,
        lambda stated: stated | {"c": 1},
        lambda stated: stated.keys() & {"a"},
        lambda stated: list(stated.values()),
        lambda stated: sorted(stated.items()),
        lambda stated: stated.copy(),
        bool,
        len,
        lambda stated: stated == {},
    ],
)
def test_a_field_that_is_looked_at_is_noted(look: Callable[[Any], Any]) -> None:
    noted: list[str] = []
    plain: Any = {"a": 1, "b": 2}
    assert look(Noting(plain, noted.append, ("a", "b", "d"))) == look(plain)
    assert "a" in noted


def test_a_field_that_is_not_stated_is_noted() -> None:
    noted: list[str] = []
    Noting({}, noted.append, ("a",)).get("b")
    assert noted == ["b"]


def test_a_single_case_can_be_asked() -> None:
    table = load("handshake", "0.33.0")
    usual: Row = table.rows[0]
    assert usual.verdict == ACCEPT
    assert Judge(table._replace(rows=(usual,))).say(usual).violated == ()
