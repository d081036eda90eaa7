"""What a finding is known by from run to run, where a consumer compares the reports of two revisions."""

from __future__ import annotations

import posixpath
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

from hetpd_cli.report.repository import is_file, repository_path
from hetpd_cli.report.words import ordered, path_text

if TYPE_CHECKING:
    from hetpd_cli.findings import Finding, Report
    from hetpd_cli.report import Options

_DIGITS = 32


def tracked(report: Report, options: Options) -> list[tuple[Finding, str]]:
    """Return the findings to show, in order, each with its name: 32 hexadecimal digits, no two of a run alike.

    The name is a digest of the path from the top of the repository, of the finding's fingerprint and of the number of
    findings before it that are equal in both, so that it stays when lines move. Suppressed findings are counted
    whether they are shown or not: showing or suppressing one does not rename another.
    """
    seen: Counter[tuple[str, str]] = Counter()
    names: list[tuple[Finding, str]] = []
    for finding in ordered(report):
        key = shown_path(finding.primary.path, options), finding.fingerprint
        text = "\0".join((*key, str(seen[key])))
        seen[key] += 1
        if options.verbose or finding.suppressed is None:
            names.append((finding, sha256(as_bytes(text)).hexdigest()[:_DIGITS]))
    return names


def shown_path(path: str, options: Options) -> str:
    """Return ``path`` from the top of the repository, without ``./``; where none is known, as other formats show it."""
    repository = options.repository
    shown = path_text(path, options) if repository is None else repository_path(path, repository)
    return posixpath.normpath(shown) if is_file(shown) and shown else shown


def quoted(path: str) -> str:
    """Return ``path`` as the path of a URI: whatever is no plain letter, digit or ``/``, byte by byte as ``%XX``."""
    return quote(as_bytes(path))


def as_bytes(text: str) -> bytes:
    """Return a text that may hold a file name: its bytes that are no UTF-8 as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
