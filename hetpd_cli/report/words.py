"""Values, counts and summaries in words, and the order of findings: what the text formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.findings import SEVERITIES, STATUSES
from hetpd_cli.report.style import inert
from hetpd_cli.wording import isfinite_number, number_text, unit_text

if TYPE_CHECKING:
    from hetpd_cli.findings import FactView, Finding, InputReport, Report, Scalar
    from hetpd_cli.places import Place
    from hetpd_cli.report import Options

_BYTES = {"B", "byte", "bytes"}


def plural(count: int, noun: str) -> str:
    """Return ``1 error``, ``2 errors``; ``info`` has no plural."""
    return f"{count} {noun}" if count == 1 or noun == "info" else f"{count} {noun}s"


def path_text(path: str, options: Options) -> str:
    """Return a path as shown: relative to ``options.show_paths_from`` if it lies below, else as it is."""
    base = options.show_paths_from
    if not base:
        return path
    base = base.rstrip("/\\")
    below = path.startswith(base) and path[len(base) : len(base) + 1] in {"/", "\\"}
    return path[len(base) + 1 :] or path if below else path


def place_text(place: Place, options: Options) -> str:
    """Return ``path:line:column``, harmless on a terminal."""
    return f"{inert(path_text(place.path, options))}:{place.line}:{place.column}"


def ordered(report: Report) -> list[Finding]:
    """Return the findings by file, line, column and code."""

    def key(finding: Finding) -> tuple[str, int, int, str, str]:
        place = finding.primary
        return place.path, place.line, place.column, finding.code, finding.message

    return sorted(report.findings, key=key)


def visible(report: Report, options: Options) -> list[Finding]:
    """Return the findings to print, in order: suppressed ones only when verbose."""
    return [finding for finding in ordered(report) if options.verbose or finding.suppressed is None]


def listed(finding: Finding) -> list[Place]:
    """Return the distinct places of a finding, the primary one first."""
    return list(dict.fromkeys([finding.primary, *(spot.place for spot in finding.places)]))


# Values


def value_text(value: Scalar | list[Scalar], unit: str | None = None) -> str:
    """Return a value with its unit as people write it: ``30 s``, ``16 tokens``, ``32 GiB``, ``none``."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(value_text(item) for item in value)}]" + inert(unit_text(0, unit))
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return inert(value) + inert(unit_text(0, unit)) if value else '""'
    if unit in _BYTES and isfinite_number(value) and abs(value) >= 1024:
        return _bytes_text(value)
    return number_text(value) + inert(unit_text(value, unit))


def _bytes_text(value: float) -> str:
    size, names = value / 1024, iter(("KiB", "MiB", "GiB", "TiB", "PiB"))
    name = next(names)
    while abs(size) >= 1024 and name != "PiB":
        size, name = size / 1024, next(names)
    return f"{size:.4g} {name}"


def fact_text(fact: FactView) -> str:
    """Return ``decode.connector.lease_s is 30 s (default of vllm 0.24.0)``."""
    if fact.origin == "unknown":
        return f"{inert(fact.name)} is not known"
    text = f"{inert(fact.name)} is {value_text(fact.value, fact.unit)}"
    remarks = _origin_text(fact)
    if fact.written is not None:
        remarks.append(f"written {inert(fact.written)}")
    return f"{text} ({', '.join(remarks)})" if remarks else text


def _origin_text(fact: FactView) -> list[str]:
    note = inert(fact.note or "")
    if not note:
        return [] if fact.origin == "stated" else [fact.origin]
    if note.startswith(fact.origin):
        return [note]
    if note.startswith(("of ", "from ", "by ", "in ", "for ")):
        return [f"{fact.origin} {note}"]
    return [note] if fact.origin == "stated" else [f"{fact.origin}: {note}"]


# Counts


def severities(findings: list[Finding]) -> dict[str, int]:
    """Count unsuppressed findings by severity, worst first; severities without findings are 0."""
    counts = dict.fromkeys(SEVERITIES, 0)
    for finding in findings:
        if finding.suppressed is None:
            counts[finding.severity] = counts.get(finding.severity, 0) + 1
    return counts


def statuses(inputs: tuple[InputReport, ...]) -> dict[str, int]:
    """Count inputs by status; statuses without inputs are 0."""
    counts = dict.fromkeys(STATUSES, 0)
    for item in inputs:
        counts[item.status] = counts.get(item.status, 0) + 1
    return counts


def suppressed(report: Report) -> int:
    """Count the suppressed findings."""
    return sum(finding.suppressed is not None for finding in report.findings)


def summary(report: Report) -> str:
    """Say in one line what was found, in how many files, and what was decided."""
    return "; ".join(filter(None, [found(report), _decided(report), _not_checked(report)]))


def summary_role(report: Report) -> str:
    """Return the colour of the summary: the worst finding's; green only where all was read and decided."""
    if report.unchanged and not report.inputs:
        return "strong"
    counts = severities(list(report.findings))
    worst = next((severity for severity, count in counts.items() if count), None)
    if worst is not None:
        return worst
    states = statuses(report.inputs)
    doubtful = report.tally.undecided or not report.tally.held or states["unreadable"] or states["unresolved"]
    return "warning" if doubtful else "good"


def found(report: Report) -> str:
    """Return ``2 errors, 1 warning in 1 of 3 files (1 suppressed)``."""
    active = [finding for finding in report.findings if finding.suppressed is None]
    hidden = suppressed(report)
    tail = f" ({hidden} suppressed)" if hidden else ""
    if not active and not report.inputs and report.unchanged:
        return f"nothing changed: {plural(report.unchanged, 'file')} left out"
    if not active:
        return f"no findings in {plural(len(report.inputs), 'file')}{tail}"
    counts = severities(active)
    parts = [plural(count, inert(name)) for name, count in counts.items() if count]
    return f"{', '.join(parts)} in {_files(active, report)}{tail}"


def _files(active: list[Finding], report: Report) -> str:
    files, inputs = len({finding.primary.path for finding in active}), len(report.inputs)
    return plural(files, "file") if files >= inputs else f"{files} of {plural(inputs, 'file')}"


def _decided(report: Report) -> str:
    tally = report.tally
    if not sum(tally):
        return "nothing was checked" if report.inputs else ""
    parts = [f"{tally.held} held", f"{tally.violated} violated", f"{tally.undecided} undecided"]
    if tally.not_applicable:
        parts.append(f"{tally.not_applicable} not applicable")
    rules = plural(report.rules, "rule")
    if sum(tally) != report.rules:
        rules = f"{rules}, {plural(sum(tally), 'verdict')}"
    nothing = "" if tally.held or tally.violated else "nothing was decided: "
    return f"{nothing}{rules}: {', '.join(parts)}"


def _not_checked(report: Report) -> str:
    counts = {name: count for name, count in statuses(report.inputs).items() if count and name != "checked"}
    parts = [f"{plural(count, 'file')} {inert(name)}" for name, count in counts.items()]
    left_out = f"{plural(report.unchanged, 'file')} unchanged" if report.unchanged and report.inputs else ""
    alone = sum(item.status == "checked" and bool(item.detail) and not item.joined for item in report.inputs)
    boundless = f"{plural(alone, 'file')} without a boundary" if alone else ""
    return ", ".join(filter(None, [*parts, boundless, left_out]))
