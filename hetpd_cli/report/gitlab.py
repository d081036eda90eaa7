"""GitLab's code quality report: a list of issues in the form of Code Climate.

GitLab takes the line from ``location.lines.begin``, else from ``location.positions.begin.line``, keeps one issue of
each fingerprint, and stops at the first entry that lacks a description, a fingerprint, a severity or a location. It
shows the description and not ``other_locations``, so the other places stand in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli.report.checkout import from_top
from hetpd_cli.report.json_report import dump
from hetpd_cli.report.markdown_text import plain
from hetpd_cli.report.style import guard, inert, prose
from hetpd_cli.report.tracking import tracked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.findings import Finding, LabelledPlace, Report
    from hetpd_cli.places import Place
    from hetpd_cli.report import Options

_SEVERITIES = {
    ("error", True): "critical",
    ("error", False): "major",
    ("warning", True): "major",
    ("warning", False): "minor",
    ("info", True): "info",
    ("info", False): "info",
}
"""By severity, and whether the finding is more than a guess: what fails no run is not critical. Nothing is a blocker:
hetpd's severities have no step above error, and impact is not severity."""

_CATEGORIES = {
    "refused": "Compatibility",
    "slow": "Performance",
    "cost": "Performance",
    "leak": "Performance",
    "exposed": "Security",
}
_ELSE = "Bug Risk"


def render(report: Report, options: Options) -> str:
    """Return ``report`` as a list of issues; no findings give an empty one."""
    report, options = from_top(report, options)
    return dump([_issue(finding, name) for finding, name in tracked(report, options)])


def _issue(finding: Finding, name: str) -> dict[str, Any]:
    primary, *others = sorted(finding.places, key=lambda spot: not spot.primary)
    return {
        "type": "issue",
        "engine_name": "hetpd",
        "check_name": f"{finding.code} {finding.name}",
        "description": _description(finding, primary, others),
        "content": {"body": _body(finding, others)},
        "categories": [_CATEGORIES.get(finding.impact or "", _ELSE)],
        "severity": _severity(finding),
        "fingerprint": name,
        "location": _location(primary.place),
        "other_locations": [_location(spot.place) for spot in others],
    }


def _severity(finding: Finding) -> str:
    # GitLab knows of no suppression.
    return "info" if finding.suppressed is not None else _SEVERITIES[finding.severity, finding.confidence != "guess"]


def _description(finding: Finding, primary: LabelledPlace, others: list[LabelledPlace]) -> str:
    """Return the message with every other place in words, as one line of plain text."""
    text = guard(prose(finding.message))
    if primary.label:
        text += f" ({prose(primary.label)})"
    text = "; ".join([text, *(_in_words(spot) for spot in others)])
    return text if finding.suppressed is None else f"suppressed ({prose(finding.suppressed)}): {text}"


def _in_words(spot: LabelledPlace) -> str:
    path = inert(spot.place.path)
    return f"{path}:{spot.place.line}:{spot.place.column} {prose(spot.label)}".rstrip()


def _location(place: Place) -> dict[str, Any]:
    """Return a span; lines and columns count from 1, and the end is that of :class:`Place`: Code Climate names none."""
    return {
        "path": place.path,
        "positions": {
            "begin": {"line": place.line, "column": place.column},
            "end": {"line": place.end_line, "column": place.end_column},
        },
    }


# -- Markdown --------------------------------------------------------------------------------------------------


def _body(finding: Finding, others: list[LabelledPlace]) -> str:
    return "\n\n".join(_paragraphs(finding, others)) + "\n"


def _paragraphs(finding: Finding, others: list[LabelledPlace]) -> Iterator[str]:
    yield plain(finding.message)
    if others:
        yield "\n".join(f"- {plain(_in_words(spot))}" for spot in others)
    if finding.why:
        yield f"**Why:** {plain(finding.why)}"
    if finding.fix:
        yield f"**Fix:** {plain(finding.fix)}"
