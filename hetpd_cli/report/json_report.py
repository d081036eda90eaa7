"""One JSON object for programs: the contract of ``schemas/check-output.schema.json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hetpd_cli import __version__
from hetpd_cli.findings import CELLS, DEGREES
from hetpd_cli.report.words import (
    ordered,
    path_text,
    severities,
    statuses,
    suppressed,
)
from hetpd_cli.wording import isfinite_number, number_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.findings import (
        FactView,
        Finding,
        InputReport,
        LabelledPlace,
        PoolReport,
        Report,
        Scalar,
        Undecided,
    )
    from hetpd_cli.places import Place
    from hetpd_cli.report import Options

SCHEMA = 1
"""Version of the output: goes up when a field changes its meaning or goes away."""


def render(report: Report, options: Options) -> str:
    """Return ``report`` as one indented ASCII object; only ``show_paths_from`` of ``options`` matters."""
    content = {
        **about_run(),
        "inputs": [as_input(item, options) for item in report.inputs],
        "findings": [as_finding(finding, options) for finding in ordered(report)],
        "undecided": [as_undecided(item, options) for item in report.undecided],
        "matrix": as_matrix(report),
        "summary": as_summary(report),
    }
    return dump(content)


def dump(content: Any, indent: int | None = 2) -> str:
    """Return ``content`` as ASCII that any reader of JSON, or of a log, takes without harm.

    It ends in a newline, and has no other one where ``indent`` is None.
    """
    text = json.dumps(_plain(content), indent=indent, ensure_ascii=True, allow_nan=False)
    # Log readers obey `##[command]` anywhere in a line. A `#` stands in strings only: it may be escaped.
    return text.replace("##", "#\\u0023") + "\n"


def about_run() -> dict[str, Any]:
    """Return the versions of the output and of what wrote it."""
    return {"schema": SCHEMA, "hetpd": __version__}


def as_input(item: InputReport, options: Options) -> dict[str, Any]:
    """Return what became of an input."""
    return item._asdict() | {
        "path": path_text(item.path, options),
        "pools": [_pool(pool, options) for pool in item.pools],
        "counts": item.counts._asdict(),
        "joined": [path_text(path, options) for path in item.joined],
    }


def _pool(pool: PoolReport, options: Options) -> dict[str, Any]:
    return pool._asdict() | {
        "parallelism": {name: pool.parallelism.get(name) for name in DEGREES},
        "place": _span(pool.place, options),
    }


def as_finding(finding: Finding, options: Options) -> dict[str, Any]:
    """Return a finding with all its places."""
    fields = finding._asdict()
    del fields["identity"], fields["parts"]
    return fields | {
        "fingerprint": finding.fingerprint,
        "places": [_labelled(spot, options) for spot in finding.places],
        "facts": [as_fact(fact, options) for fact in finding.facts],
        "evidence": [item._asdict() for item in finding.evidence],
    }


def _labelled(spot: LabelledPlace, options: Options) -> dict[str, Any]:
    return _span(spot.place, options) | {"label": spot.label, "primary": spot.primary}


def _span(place: Place, options: Options) -> dict[str, Any]:
    return {
        "path": path_text(place.path, options),
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
    }


def as_place(place: Place | None, options: Options) -> dict[str, Any] | None:
    """Return a place, or null where there is none."""
    return None if place is None else _span(place, options)


def as_fact(fact: FactView, options: Options) -> dict[str, Any]:
    """Return a fact with its place."""
    return fact._asdict() | {"place": as_place(fact.place, options)}


def as_undecided(item: Undecided, options: Options) -> dict[str, Any]:
    """Return an undecided rule with what would help to decide it."""
    needs = [need._asdict() | {"place": as_place(need.place, options)} for need in item.needs]
    return item._asdict() | {"path": path_text(item.path, options), "needs": needs}


def as_matrix(report: Report) -> dict[str, str]:
    """Return the verdict of each cell of the coupling matrix."""
    return {cell: report.matrix.get(cell, "not analysed") for cell in CELLS}


def as_summary(report: Report) -> dict[str, Any]:
    """Return the counts."""
    return {
        "findings": severities(list(report.findings)),
        "suppressed": suppressed(report),
        "rules": report.rules,
        **report.tally._asdict(),
        "inputs": statuses(report.inputs),
        "unchanged": report.unchanged,
        "settling": [{"fact": fact, "verdicts": count} for fact, count in report.settling],
    }


def _plain(value: Any) -> Any:
    """Return ``value`` with whatever JSON, or a strict reader of it, could not take made into text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return _plain_list(value)
    return _plain_scalar(value)


def _plain_list(values: Sequence[Any]) -> list[Any]:
    return [_plain(item) for item in values]


def _plain_scalar(value: Scalar) -> Scalar:
    """Spell lone surrogates (file names not in UTF-8) as escapes; nan, inf and absurd integers as text."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if value is None or isinstance(value, bool) or isfinite_number(value):
        return value
    return number_text(value)
