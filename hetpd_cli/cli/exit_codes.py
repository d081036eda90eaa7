"""The exit code of a check: what CI acts on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.findings import fails

if TYPE_CHECKING:
    from hetpd_cli.findings import Report, Undecided

OK = 0
FINDINGS = 1
USAGE = 2
UNREADABLE = 3

DEFAULT_LEVEL = "error"
ANY_CELL = "any"


class Gate(NamedTuple):
    """What makes a run fail.

    ``fail_on`` is the mildest severity that does, or ``never``; None is that of the configuration. ``undecided``
    holds the cells whose undecided verdicts do, or :data:`ANY_CELL`.
    """

    fail_on: str | None = None
    undecided: tuple[str, ...] = ()
    unresolved: bool = False
    allow_empty: bool = False


def undecided_failures(report: Report, gate: Gate) -> list[Undecided]:
    """Return the undecided rules that make the run fail."""
    return [entry for entry in report.undecided if ANY_CELL in gate.undecided or entry.cell in gate.undecided]


def exit_code(report: Report, empty: tuple[str, ...], gate: Gate) -> int:
    """Return 3 for an unreadable input or an empty directory, else 1 for what the gate refuses, else 0."""
    if any(entry.status == "unreadable" for entry in report.inputs) or (empty and not gate.allow_empty):
        return UNREADABLE
    if any(fails(found, gate.fail_on or DEFAULT_LEVEL) for found in report.findings) or undecided_failures(
        report, gate
    ):
        return FINDINGS
    if gate.unresolved and any(entry.status == "unresolved" for entry in report.inputs):
        return FINDINGS
    return OK
