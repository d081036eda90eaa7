"""Annotations of GitHub Actions: one workflow command a finding.

The runner's ``ActionCommand.TryParseV2`` reads them: properties are split at commas, then at their first equals sign,
and unescaped; what follows the second ``::`` is the message. There is no escape for an equals sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.report.checkout import from_top, in_checkout, in_lines, title
from hetpd_cli.report.style import finish, guard, inert, prose
from hetpd_cli.report.words import summary, visible

if TYPE_CHECKING:
    from hetpd_cli.findings import Finding, Report
    from hetpd_cli.places import Place
    from hetpd_cli.report import Options

_COMMANDS = {"error": "error", "warning": "warning"}


def render(report: Report, options: Options) -> str:
    """Return a command a finding and, unless quiet or below it, the summary as a plain line."""
    report, options = from_top(report, options)
    commands = "".join(f"{_command(finding, options)}\n" for finding in visible(report, options))
    return commands if options.quiet or options.below_summary else commands + finish([summary(report)])


def _command(finding: Finding, options: Options) -> str:
    suppressed = finding.suppressed is not None
    command = "notice" if suppressed else _COMMANDS.get(finding.severity, "notice")
    lines = [prose(finding.message) or title(finding), *in_lines(finding, options)]
    if suppressed:
        lines.append(f"suppressed: {prose(finding.suppressed or '')}")
    properties = {**_place(finding.primary), "title": title(finding)}
    written = ",".join(f"{name}={_escape_property(value)}" for name, value in properties.items())
    message = _escape("\n".join(map(guard, lines)))
    return f"::{command} {written}::{message}"


def _place(place: Place) -> dict[str, str]:
    """Return the properties for a place; none outside the checkout and for a path that they cannot hold.

    The runner drops columns where a place has several lines.
    """
    if not in_checkout(place.path) or inert(place.path) != place.path or place.path.startswith("="):
        return {}
    lines = {"file": place.path, "line": str(place.line), "endLine": str(place.end_line)}
    if place.end_line != place.line:
        return lines
    return {**lines, "col": str(place.column), "endColumn": str(place.end_column)}


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
