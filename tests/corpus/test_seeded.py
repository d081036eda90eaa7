"""One fault put into one side of a real file is found, at the token that was changed."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.sources.assembly import assemble
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.corpus.seeding import VARIANTS, seeded
from tests.corpus.support import CORPUS, NEEDS_CORPUS, readings, rows

if TYPE_CHECKING:
    from hetpd_cli.findings import Finding, Report
    from hetpd_cli.sources.reader import Reading
    from tests.corpus.seeding import Seeded

pytestmark = NEEDS_CORPUS

SHARE_FOUND = 0.95


def _told(report: Report) -> set[tuple[str, str]]:
    return {(finding.code, finding.message) for finding in report.findings}


def _with_fault(reading: Reading, fault: Seeded) -> Report:
    """Return the report on a reading, and on those joined with it, of which one text has the fault."""
    together = [reading, *(readings()[os.path.relpath(path, CORPUS)] for path in reading.joined)]
    again = []
    for one in together:
        text = next(text for text in one.texts if text.path == one.path)
        again.append(read_text(text if text.path != fault.path else SourceText(text.path, fault.text), Limits()))
    return check(assemble(again, Limits()), catalogue())


def _points_at(finding: Finding, fault: Seeded) -> bool:
    return any(
        spot.place.path == fault.path and spot.place.start < fault.end and fault.start < spot.place.end
        for spot in finding.places
    )


def test_nineteen_of_twenty_faults_are_found_at_the_changed_token() -> None:
    found: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    missed = []
    for file in sorted({row.file for row in rows()}):
        reading = readings()[file]
        before = _told(check([reading], catalogue()))
        for deployment in reading.deployments:
            for fault in seeded(reading, deployment) if deployment.handoffs else ():
                new = [
                    finding
                    for finding in _with_fault(reading, fault).findings
                    if finding.severity != "info" and (finding.code, finding.message) not in before
                ]
                tried[fault.variant] += 1
                hit = any(_points_at(finding, fault) for finding in new)
                found[fault.variant] += hit
                if not hit:
                    missed.append((fault.variant, fault.side, file, fault.text[fault.start : fault.end]))
    assert set(tried) == set(VARIANTS)
    assert min(tried.values()) > 100
    assert sum(found.values()) >= SHARE_FOUND * sum(tried.values()), missed
    assert min(found[variant] / tried[variant] for variant in VARIANTS) >= 0.9, missed
