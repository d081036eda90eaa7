"""One line a finding, for grep, editors and logs: never wrapped, every place in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.report.style import Style, finish, inert
from hetpd_cli.report.words import listed, place_text, summary, summary_role, visible

if TYPE_CHECKING:
    from hetpd_cli.findings import Finding, Report
    from hetpd_cli.report import Options


def render(report: Report, options: Options) -> str:
    """Return ``path:line:col: error HPD201 kv-dtype-mismatch: message [also path:line:col, ...]`` lines."""
    style = Style(options.colour)
    lines = [_line(finding, options, style) for finding in visible(report, options)]
    if not options.quiet and not options.below_summary:
        lines.append(style(summary_role(report), summary(report)))
    return finish(lines)


def _line(finding: Finding, options: Options, style: Style) -> str:
    first, *others = (place_text(place, options) for place in listed(finding))
    head = style(finding.severity, f"{inert(finding.severity)} {inert(finding.code)}")
    line = f"{style('strong', first)}: {head} {inert(finding.name)}: {inert(finding.message)}"
    if others:
        line += f" [also {', '.join(others)}]"
    if finding.suppressed is not None:
        line += f" (suppressed: {inert(finding.suppressed)})"
    return line
