"""Findings counted by rule, worst first: what there is to do, for many inputs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hetpd_cli.findings import rank
from hetpd_cli.report.columns import aligned
from hetpd_cli.report.notes import settles_most, undecided
from hetpd_cli.report.style import Style, finish, inert, width, wrap
from hetpd_cli.report.words import plural, summary, summary_role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hetpd_cli.findings import Finding, Report
    from hetpd_cli.report import Options

_ROLES = ("strong", "strong", "severity", "plain", "faint", "plain")


class _BySeverity(Style):
    """Colours a severity in its own colour, and everything else by role."""

    def __call__(self, role: str, text: str) -> str:
        return super().__call__(text if role == "severity" else role, text)


def render(report: Report, options: Options) -> str:
    """Return a line for each rule that is violated and, unless quiet, counts of all, what is undecided and the summary.

    A line has the number of findings, code, severity, impact, number of files, and name. A finding counts for the file
    of its first place. Suppressed findings are not among these; if verbose, they have a line of their own.
    """
    style = _BySeverity(options.colour)
    active = [finding for finding in report.findings if finding.suppressed is None]
    lines = aligned(_rows(active), _ROLES, options, style)
    if options.quiet:
        return finish(lines)
    more = [row for lead, text in _counts(report, active, options) for row in _flow(lead, text, options, style)]
    if not options.below_summary:
        more += [style(summary_role(report), line) for line in wrap(summary(report), options.width, 0, 2)]
    return finish([*lines, "", *more] if lines and more else lines + more)


def _rows(findings: Sequence[Finding]) -> list[list[str]]:
    by_rule: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault((finding.severity, finding.code), []).append(finding)
    ordered = sorted(by_rule.values(), key=lambda some: (rank(some[0].severity), -len(some), some[0].code))
    files = [len({finding.primary.path for finding in some}) for some in ordered]
    digits, of_files = (max((len(str(count)) for count in counts), default=0) for counts in (map(len, ordered), files))
    return [
        [
            str(len(some)).rjust(digits),
            inert(some[0].code),
            inert(some[0].severity),
            inert(some[0].impact or ""),
            f"{' ' * (of_files - len(str(count)))}{plural(count, 'file')}",
            inert(some[0].name),
        ]
        for some, count in zip(ordered, files, strict=True)
    ]


def _counts(report: Report, active: Sequence[Finding], options: Options) -> Iterator[tuple[str, str]]:
    """Yield what is said of all findings and of what is undecided, as (lead, text)."""
    yield "impact:", _counted(finding.impact for finding in active)
    yield "decision:", _counted(finding.decision for finding in active)
    if options.verbose:
        yield "suppressed:", _counted(finding.code for finding in report.findings if finding.suppressed is not None)
    yield "undecided:", undecided(report)
    yield "settles most:", settles_most(report)


def _counted(words: Iterable[str | None]) -> str:
    """Return ``12 silent, 3 hang``, the most frequent first."""
    counts = Counter(word for word in words if word)
    return ", ".join(
        f"{count} {inert(word)}" for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def _flow(lead: str, text: str, options: Options, style: Style) -> list[str]:
    if not text:
        return []
    first, *rest = wrap(text, options.width, width(lead) + 1, 4)
    return [f"{style('strong', lead)} {first}", *rest]
