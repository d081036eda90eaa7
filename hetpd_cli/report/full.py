"""Annotated source for people: both ends of a mismatch, why it matters, what to type."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.findings import CELLS, FOREIGN, STATUSES
from hetpd_cli.report.frames import Frames, Sources
from hetpd_cli.report.headers import header
from hetpd_cli.report.notes import notes_of, settles_most, undecided, waits_for
from hetpd_cli.report.style import Style, finish, inert, prose, solid, width, wrap
from hetpd_cli.report.words import path_text, plural, summary, summary_role, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hetpd_cli.findings import (
        Finding,
        InputReport,
        LabelledPlace,
        Report,
        Undecided,
    )
    from hetpd_cli.report import Options

CELL_NAMES = {
    "T1": "stage placement",
    "T2": "precision path",
    "T3": "role precision",
    "T4": "KV wire format",
    "T5": "online KV path",
    "T6": "handoff ownership",
    "O1": "cross-accelerator KV movement",
    "O2": "stage-interconnect co-design",
    "A1-A5": "accelerator and residency",
    "A2-A5": "precision and residency",
}
"""Short names of the cells of the coupling matrix."""

_FINDINGS_PER_CODE_AND_FILE = 20
_PLACES_PER_FINDING = 8
_INPUTS_PER_STATUS = 10
_HEADERS = 10
_MATRIX_IN_TWO_COLUMNS = 96
_VERDICT_ROLES = {"violated": "error", "undecided": "warning", "holds": "good", "open": "info"}


class _Pen(NamedTuple):
    """What every part of the report needs to be written."""

    options: Options
    style: Style
    sources: Sources

    def flow(self, lead: str, text: str, hang: int, role: str = "strong") -> list[str]:
        """Return ``lead`` in ``role`` and then ``text``, wrapped with a hanging indent on a terminal."""
        first, *rest = wrap(text, self.options.width, width(lead) + 1, hang)
        return [f"{self.style(role, lead)} {first}".rstrip(), *rest]


def render(report: Report, options: Options) -> str:
    """Return findings with code frames and, unless quiet, what inputs are, undecided verdicts, matrix and summary."""
    pen = _Pen(options, Style(options.colour), Sources(report.texts))
    blocks = [] if options.quiet else [_headers(report, pen)]
    blocks += _findings(report, pen)
    if not options.quiet:
        blocks += [_inputs(report, pen), _undecided(report, pen), _matrix(report, pen)]
        if not options.below_summary:
            blocks.append([pen.style(summary_role(report), line) for line in _summary(report, options)])
    lines: list[str] = []
    for block in filter(None, blocks):
        lines += ["", *block] if lines else block
    return finish(lines)


def _summary(report: Report, options: Options) -> list[str]:
    return wrap(summary(report), options.width, 0, 2)


# What was checked


def _headers(report: Report, pen: _Pen) -> list[str]:
    """Return two lines for each input that was checked."""
    items = [item for item in report.inputs if item.status == "checked" and (item.pools or item.joined)]
    shown = items if pen.options.verbose else items[:_HEADERS]
    rows: list[str] = []
    for item in shown:
        lead, first, second = header(item, pen.options)
        if pen.options.width is not None and width(f"{lead} {first.partition(' ')[0]}") > pen.options.width:
            # A long path: what follows it stands on lines of its own.
            rows += [pen.style("strong", lead), *_indented(first, pen)]
        else:
            rows += pen.flow(lead, first, 4)
        rows += [pen.style("faint", row) for row in _indented(second, pen)]
    return [*rows, f"and {len(items) - len(shown)} more checked"] if len(items) > len(shown) else rows


def _indented(text: str, pen: _Pen) -> list[str]:
    return [f"    {row.lstrip()}" for row in wrap(text, pen.options.width, 4, 4) if row]


# Findings


def _findings(report: Report, pen: _Pen) -> Iterator[list[str]]:
    seen: dict[tuple[str, str], int] = {}
    for finding in visible(report, pen.options):
        key = finding.code, finding.primary.path
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= _FINDINGS_PER_CODE_AND_FILE or pen.options.verbose:
            yield _finding(finding, pen)
    if not pen.options.verbose:
        yield [_more(*key, count, pen) for key, count in seen.items() if count > _FINDINGS_PER_CODE_AND_FILE]


def _more(code: str, path: str, count: int, pen: _Pen) -> str:
    where = inert(path_text(path, pen.options))
    return f"and {count - _FINDINGS_PER_CODE_AND_FILE} more of {inert(code)} in {where} (--verbose shows them)"


def _finding(finding: Finding, pen: _Pen) -> list[str]:
    spots, left_out = _spots(finding, pen)
    frames = Frames(spots, pen.sources, pen.options, pen.style)
    lead = f"{inert(finding.severity)}[{inert(finding.code)}]"
    name = inert(finding.name)
    # The name is one word, so its colour cannot be torn by a line break.
    head = pen.flow(lead, f"{name}: {inert(finding.message)}", 4, finding.severity)
    head[0] = head[0].replace(f" {name}:", f" {pen.style('strong', f'{name}:')}", 1)
    rows = head + frames.draw(finding.severity)
    if left_out:
        rows.append(frames.bar(f"and {plural(left_out, 'more place')}"))
    notes = [row for key, text in notes_of(finding, pen.options) for row in _note(key, text, frames.gutter, pen)]
    return [*rows, frames.bar(), *notes] if notes else rows


def _spots(finding: Finding, pen: _Pen) -> tuple[Sequence[LabelledPlace], int]:
    """Return the places to draw, the primary one among them, and how many are left out."""
    if pen.options.verbose or len(finding.places) <= _PLACES_PER_FINDING:
        return finding.places, 0
    first = sorted(finding.places, key=lambda spot: not spot.primary)
    return first[:_PLACES_PER_FINDING], len(first) - _PLACES_PER_FINDING


def _note(key: str, text: str, gutter: int, pen: _Pen) -> list[str]:
    pad = " " * (gutter + 1)
    lead = f"{pad}= {key}:"
    return pen.flow(lead, text, width(lead) + 1, "good" if key == "fix" else "strong")


# What the run as a whole has to say


def _inputs(report: Report, pen: _Pen) -> list[str]:
    """Return a line for every input that was not checked and has no finding to say so; for every input when verbose.

    What is none of our business has one only where there is nothing else.
    """
    rows: list[str] = []
    others = any(item.status != "not-pd" for item in report.inputs)
    for status in STATUSES:
        items = [item for item in report.inputs if item.status == status]
        if status == "unreadable" and not pen.options.verbose:
            told = {finding.primary.path for finding in report.findings}
            items = [item for item in items if item.path not in told]
        if status == "not-pd" and others and not pen.options.verbose:
            items = [item for item in items if item.detail not in FOREIGN]
        if status == "checked" and not pen.options.verbose:
            items = [item for item in items if item.detail]
        most = len(items) if pen.options.verbose else _INPUTS_PER_STATUS
        for item in items[:most]:
            rows += _input(item, pen)
        if len(items) > most:
            rows.append(f"and {len(items) - most} more {status}")
    return rows


def _input(item: InputReport, pen: _Pen) -> list[str]:
    role = {"unreadable": "error", "unresolved": "warning", "checked": "good"}.get(item.status, "faint")
    parts = [solid(inert(path_text(item.path, pen.options)))]
    if item.format:
        parts[0] += f" ({inert(item.format)})"
    if item.detail:
        parts.append(prose(item.detail))
    if item.boundaries and pen.options.verbose:
        parts.append(inert(", ".join(item.boundaries)))
    return pen.flow(f"{inert(item.status)}:", ": ".join(parts), 4, role)


def _undecided(report: Report, pen: _Pen) -> list[str]:
    text = undecided(report)
    if not text:
        return []
    hint = "" if pen.options.verbose or not report.undecided else " (--verbose lists them)"
    rows = pen.flow("undecided:", f"{text}{hint}", 4, "warning")
    if report.settling:
        rows += pen.flow("settles most:", settles_most(report), 4)
    if pen.options.verbose:
        for item in report.undecided:
            rows += _undecided_rule(item, pen)
    return rows


def _undecided_rule(item: Undecided, pen: _Pen) -> list[str]:
    return pen.flow(f"  {inert(item.code)}", f"{inert(item.name)}: {waits_for(item, pen.options)}", 4)


def _matrix(report: Report, pen: _Pen) -> list[str]:
    """Return a row for each cell, or two columns of them where the terminal is wide enough."""
    if not sum(report.tally):
        return []
    half = len(CELLS) // 2
    if (pen.options.width or 0) < _MATRIX_IN_TWO_COLUMNS:
        rows = _cells(CELLS, report, pen)
    else:
        halves = _cells(CELLS[:half], report, pen), _cells(CELLS[half:], report, pen)
        rows = [f"{left}   {right}" for left, right in zip(*halves, strict=True)]
    return [pen.style("strong", "coupling matrix:"), *(f"  {row.rstrip()}" for row in rows)]


def _cells(cells: Sequence[str], report: Report, pen: _Pen) -> list[str]:
    """Return the rows of one column: cell, short name and verdict, all padded."""
    names = max(len(CELL_NAMES[cell]) for cell in cells)
    rows = []
    for cell in cells:
        verdict = inert(report.matrix.get(cell, "not analysed"))
        shown = pen.style(_VERDICT_ROLES.get(verdict, "faint"), verdict)
        rows.append(f"{cell:<5}  {CELL_NAMES[cell]:<{names}}  {shown}{' ' * (14 - width(verdict))}")
    return rows
