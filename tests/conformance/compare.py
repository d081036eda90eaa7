"""Compares hetpd's verdicts with those of a table, and says where they differ."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tests.conformance.judge import Judge, Said, deployment_text, of_script
from tests.conformance.tables import ACCEPT, REJECT, STOPS, WRONG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hetpd_cli.engine.catalogue import Rule
    from tests.conformance.tables import Row, Table

AGREES = {ACCEPT: {ACCEPT}, REJECT: {REJECT}, WRONG: {WRONG}, STOPS: {REJECT, WRONG}}
"""What hetpd may say of a case that vLLM's functions say this of. Where some prompts are misplaced and others stop the
step, both words are true."""

SHOWN = 3


class Difference(NamedTuple):
    """A case of which hetpd says otherwise."""

    row: Row
    said: Said


class Comparison(NamedTuple):
    """What came of a table."""

    table: Table
    differences: tuple[Difference, ...]
    judged: int

    @property
    def agreed(self) -> float:
        """Share of the cases that hetpd says the same of."""
        return 1 - len(self.differences) / len(self.table.rows)


def compare(table: Table, rules: Iterable[Rule] | None = None) -> Comparison:
    """Judge the cases of a table with the built-in rules, or with ``rules``, and collect the differences."""
    if table.family == "config":
        said = [(row, of_script(deployment_text("config", table.case(row), table.version))) for row in table.rows]
        judged = len(table.rows)
    else:
        judge = Judge(table, rules)
        said = [(row, judge.say(row)) for row in table.rows]
        judged = judge.judged
    differences = [Difference(row, one) for row, one in said if one.verdict not in AGREES[row.verdict]]
    return Comparison(table, tuple(differences), judged)


def report(comparison: Comparison, shown: int = SHOWN) -> str:
    """Return the differences in words: how many of which kind, then the first cases as deployment files."""
    table = comparison.table
    lines = [
        f"{table.family} {table.version}: {len(comparison.differences)} of {len(table.rows)} cases differ "
        f"({comparison.agreed:.2%} agree)"
    ]
    kinds: Counter[tuple[str, str, str, str]] = Counter()
    for row, said in comparison.differences:
        words = [*said.violated, *(f"{code}?" for code in said.undecided)]
        kinds[row.verdict, table.reason(row), said.verdict, " ".join(words) or "no rule"] += 1
    for (verdict, reason, said_verdict, words), count in kinds.most_common(25):
        lines.append(f"  {count:6} x vLLM: {verdict} ({reason}); hetpd: {said_verdict} ({words})")
    usual = {name: values[0] for name, values in table.dimensions.items()}
    nearest = sorted(comparison.differences, key=lambda entry: sum(mark != "0" for mark in entry.row.key))
    for row, said in nearest[:shown]:
        case = table.case(row)
        changes = {name: value for name, value in case.items() if value != usual[name]}
        lines += [
            "",
            f"# vLLM {table.version}: {row.verdict} ({table.reason(row)}); hetpd: {said.verdict}",
            f"# {changes}",
        ]
        lines.append(deployment_text(table.family, case, table.version))
    return "\n".join(lines)
