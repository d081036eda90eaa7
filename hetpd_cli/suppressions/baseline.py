"""The findings that were there when a team began: known by rule, facts and values, never by line.

Each entry holds for as many findings of one file as it counts. What no longer occurs leaves the baseline by itself;
nothing ever enters it but by ``--write-baseline``.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hetpd_cli.findings import Finding

SCHEMA = 1
MAX_BYTES = 16 * 2**20


class BaselineError(ValueError):
    """A baseline that cannot be used."""


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
        """Return the key of ``finding``."""
        return Key(relative(finding.primary.path, self.path), finding.code, finding.identity)


def relative(path: str, baseline: str) -> str:
    """Return ``path`` from the folder of the baseline, with slashes."""
    folder = os.path.dirname(baseline) or "."  # noqa: PTH120 (paths stay text)
    return os.path.relpath(path, folder).replace(os.sep, "/")


def load(path: str) -> Baseline:
    """Read the baseline ``path``. Raises BaselineError where it is missing or is none."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            data = json.loads(file.read(MAX_BYTES))
        counts: Counter[Key] = Counter()
        for entry in data["findings"]:
            key = Key(str(entry["path"]), str(entry["code"]), tuple(map(str, entry["facts"])))
            counts[key] += max(int(entry["count"]), 0)
        known = data["schema"] == SCHEMA
    except OSError as error:
        raise BaselineError(f"cannot read the baseline {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BaselineError(f"{path} is no baseline of hetpd: write one with --write-baseline") from None
    if not known:
        raise BaselineError(f"{path} is a baseline of another version of hetpd: write it anew with --write-baseline")
    return Baseline(path, counts)


def of_findings(path: str, findings: Iterable[Finding]) -> Baseline:
    """Return a baseline that accepts exactly ``findings``."""
    baseline = Baseline(path, Counter())
    baseline.counts.update(map(baseline.key, findings))
    return baseline


def shrunk(baseline: Baseline, used: Counter[Key], checked: set[str], codes: set[str]) -> Baseline:
    """Return ``baseline`` without what no longer occurs in the inputs ``checked`` by the rules ``codes``."""
    looked_at = {relative(path, baseline.path) for path in checked}
    counts = {
        key: used[key] if key.path in looked_at and key.code in codes else count
        for key, count in baseline.counts.items()
    }
    return Baseline(baseline.path, Counter({key: count for key, count in counts.items() if count}))


def dump(baseline: Baseline) -> str:
    """Return the text of a baseline: sorted, a line a fact, so that a change reads well in a review."""
    entries: list[dict[str, Any]] = [
        {"path": key.path, "code": key.code, "count": count, "facts": list(key.identity)}
        for key, count in sorted(baseline.counts.items())
    ]
    return json.dumps({"schema": SCHEMA, "findings": entries}, indent=1, ensure_ascii=True) + "\n"
