"""The baseline of a run: where it is, writing it, and letting it shrink."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

from hetpd_cli.report.style import inert
from hetpd_cli.report.words import plural
from hetpd_cli.suppressions import BaselineError
from hetpd_cli.suppressions.apply import SELF
from hetpd_cli.suppressions.baseline import Looked, load, of_findings, renewed, shrunk, store

if TYPE_CHECKING:
    from hetpd_cli.checking import Outcome, Plan
    from hetpd_cli.suppressions.baseline import Baseline


def looked(outcome: Outcome, plan: Plan) -> Looked:
    """Return what the run can say of the entries of a baseline."""
    report = outcome.report
    faulty = {found.primary.path for found in report.findings if found.code < "HPD1" and found.severity == "error"}
    decided = {entry.path for entry in report.inputs if entry.status == "checked"} - faulty
    codes = {rule.code for rule in plan.selected}
    return Looked(frozenset(decided), report.left_open, frozenset(codes), plan.directories)


def write_baseline(path: str | None, outcome: Outcome, plan: Plan) -> None:
    """Write today's findings to ``path``, beside those of an older baseline that the run did not look at.

    Findings of inputs that cannot be read are left out: nobody has looked at these. Raises BaselineError where it
    cannot be written, or where the file is no baseline.
    """
    if path is None:
        raise BaselineError("--write-baseline needs --baseline FILE, or `baseline` in the configuration")
    report = outcome.report
    unreadable = {entry.path for entry in report.inputs if entry.status == "unreadable"}
    found = [
        one
        for one in report.findings
        if one.suppressed is None and not one.code.startswith(SELF) and one.primary.path not in unreadable
    ]
    baseline = of_findings(path, found)
    if os.path.lexists(path):
        baseline = renewed(baseline, load(path), looked(outcome, plan))
    try:
        store(baseline)
    except OSError as error:
        raise BaselineError(f"cannot write the baseline {path}: {error.strerror}") from None
    sys.stderr.write(f"hetpd: {plural(baseline.counts.total(), 'finding')} in {inert(path)}\n")


def shrink(baseline: Baseline, outcome: Outcome, plan: Plan) -> None:
    """Take out of the baseline's file what no longer occurs, as far as the run can tell."""
    smaller = shrunk(baseline, outcome.used or Counter(), looked(outcome, plan))
    gone = baseline.counts.total() - smaller.counts.total()
    if not gone:
        return
    what = "1 finding is" if gone == 1 else f"{gone} findings are"
    try:
        store(smaller)
    except OSError:
        sys.stderr.write(f"hetpd: {inert(baseline.path)} cannot be written: {what} gone, and still listed there\n")
        return
    sys.stderr.write(f"hetpd: {what} gone and {'has' if gone == 1 else 'have'} left {inert(baseline.path)}\n")
