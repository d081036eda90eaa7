"""What a finding is known by from run to run, where a consumer compares the reports of two revisions."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

from hetpd_cli.report.repository import as_bytes
from hetpd_cli.report.words import ordered

if TYPE_CHECKING:
    from hetpd_cli.findings import Finding, Report
    from hetpd_cli.report import Options

_DIGITS = 32


def tracked(report: Report, options: Options) -> list[tuple[Finding, str]]:
    """Return the findings to show, in order, each with its name: 32 hexadecimal digits, no two of a run alike.

    The name is a digest of the path (from the top of the checkout, so that it is the same everywhere), of the finding's
    fingerprint and of the number of findings before it that are equal in both, so that it stays when lines move.
    Suppressed findings are counted whether they are shown or not: showing or suppressing one does not rename another.
    """
    seen: Counter[tuple[str, str]] = Counter()
    names: list[tuple[Finding, str]] = []
    for finding in ordered(report):
        key = finding.primary.path, finding.fingerprint
        text = "\0".join((*key, str(seen[key])))
        seen[key] += 1
        if options.verbose or finding.suppressed is None:
            names.append((finding, sha256(as_bytes(text)).hexdigest()[:_DIGITS]))
    return names
