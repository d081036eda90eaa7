"""The findings that were there when a team began: known by rule, facts and values, never by line.

Each entry holds for as many findings of one file as it counts. What no longer occurs leaves the baseline by itself;
nothing ever enters it but by ``--write-baseline``.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.text import STDIN_SHOWN, Limits, read_source
from hetpd_cli.suppressions import BaselineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hetpd_cli.findings import Finding

SCHEMA = 1
MAX_BYTES = 16 * 2**20
MOST = 2**31
"""Largest count that an entry has."""


class Key(NamedTuple):
    """What a finding is known by: its file, relative to the baseline's folder, its rule, its facts and values."""

    path: str
    code: str
    identity: tuple[str, ...]


class Baseline(NamedTuple):
    """How many findings of each key are accepted."""

    path: str
    counts: Counter[Key]

    def key(self, finding: Finding) -> Key:
        """Return the key of a finding of a single violation."""
        return Key(relative(finding.primary.path, self.path), finding.code, finding.identity)

    def keys(self, finding: Finding) -> list[Key]:
        """Return the key of each violation behind ``finding``."""
        path = relative(finding.primary.path, self.path)
        return [Key(path, finding.code, identity) for identity in finding.parts or (finding.identity,)]


class Looked(NamedTuple):
    """What a run can say of the entries of a baseline.

    ``decided`` holds the inputs that were read without a fault, ``undecided`` what was left open of them (input and
    code), ``codes`` the rules that were asked, ``directories`` those that were looked through.
    """

    decided: frozenset[str]
    undecided: frozenset[tuple[str, str]]
    codes: frozenset[str]
    directories: tuple[str, ...]

    def is_gone(self, key: Key, baseline: str) -> bool:
        """Tell whether a finding of ``key`` would have been found if it were still there."""
        if key.code not in self.codes:
            return False
        decided = {relative(path, baseline): path for path in self.decided}
        if key.path in decided:
            return (decided[key.path], key.code) not in self.undecided
        path = os.path.abspath(os.path.join(os.path.dirname(baseline), key.path))  # noqa: PTH100, PTH118, PTH120
        within = any(path.startswith(os.path.join(os.path.abspath(one), "")) for one in self.directories)  # noqa: PTH100, PTH118
        return within and not os.path.lexists(path)


def relative(path: str, baseline: str) -> str:
    """Return ``path`` from the folder of the baseline, with slashes; standard input is nowhere."""
    if path == STDIN_SHOWN:
        return path
    folder = os.path.dirname(baseline) or "."  # noqa: PTH120 (paths stay text)
    return os.path.relpath(path, folder).replace(os.sep, "/")


def load(path: str) -> Baseline:
    """Read the baseline ``path``. Raises BaselineError where it is missing or is none."""
    source = read_source(path, Limits(max_bytes=MAX_BYTES))
    if isinstance(source, Problem):
        raise BaselineError(f"no baseline: {source.message}; --write-baseline makes one")
    try:
        data = json.loads(source.text)
        counts: Counter[Key] = Counter()
        for entry in data["findings"]:
            key = Key(str(entry["path"]), str(entry["code"]), tuple(map(str, entry["facts"])))
            counts[key] += min(max(int(entry["count"]), 0), MOST)
        known = data["schema"] == SCHEMA
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise BaselineError(f"{path} is no baseline of hetpd: write one with --write-baseline") from None
    if not known:
        raise BaselineError(f"{path} is a baseline of another version of hetpd: write it anew with --write-baseline")
    return Baseline(path, counts)


def of_findings(path: str, findings: Iterable[Finding]) -> Baseline:
    """Return a baseline that accepts exactly ``findings``."""
    baseline = Baseline(path, Counter())
    for finding in findings:
        baseline.counts.update(baseline.keys(finding))
    return baseline


def shrunk(baseline: Baseline, used: Counter[Key], looked: Looked) -> Baseline:
    """Return ``baseline`` without what no longer occurs, as far as the run can tell."""
    counts = {key: used[key] if looked.is_gone(key, baseline.path) else count for key, count in baseline.counts.items()}
    return Baseline(baseline.path, Counter({key: count for key, count in counts.items() if count}))


def renewed(baseline: Baseline, old: Baseline, looked: Looked) -> Baseline:
    """Return ``baseline``, made of today's findings, with those of ``old`` that the run did not look at."""
    kept = {key: count for key, count in old.counts.items() if key not in baseline.counts}
    counts = {key: count for key, count in kept.items() if not looked.is_gone(key, old.path)}
    return Baseline(baseline.path, baseline.counts + Counter(counts))


def dump(baseline: Baseline) -> str:
    """Return the text of a baseline: sorted, a line a fact, so that a change reads well in a review."""
    entries: list[dict[str, Any]] = [
        {"path": key.path, "code": key.code, "count": count, "facts": list(key.identity)}
        for key, count in sorted(baseline.counts.items())
    ]
    return json.dumps({"schema": SCHEMA, "findings": entries}, indent=1, ensure_ascii=True) + "\n"


def store(baseline: Baseline) -> None:
    """Write ``baseline`` in one step. Raises OSError where that cannot be."""
    folder = os.path.dirname(baseline.path) or "."  # noqa: PTH120 (paths stay text)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".hetpd-baseline-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(dump(baseline))
        os.chmod(temporary, 0o644)  # noqa: PTH101
        os.replace(temporary, baseline.path)  # noqa: PTH105
    except OSError:
        os.unlink(temporary)  # noqa: PTH108
        raise
