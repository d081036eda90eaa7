"""Markdown for a comment on a pull request: findings, worst first, with frames; what was checked, what is undecided.

The first line is a marker by which the comment of an earlier run is found again. The text keeps below GitHub's limit
for a comment: whole findings are left out, and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.findings import rank
from hetpd_cli.report.checkout import from_top, title
from hetpd_cli.report.frames import Frames, Sources
from hetpd_cli.report.headers import header
from hetpd_cli.report.markdown_text import code, fence, link, plain
from hetpd_cli.report.notes import notes_of, settles_most, undecided, waits_for
from hetpd_cli.report.repository import url_of
from hetpd_cli.report.style import Style, inert, wrap
from hetpd_cli.report.words import found, place_text, plural, summary, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hetpd_cli.findings import Finding, InputReport, LabelledPlace, Report
    from hetpd_cli.report import Options

MARKER = "<!-- hetpd -->"
LIMIT_BYTES = 60_000
"""GitHub takes 65,536 characters."""

_CHECKED_BYTES = 12_000
"""Most that may go to what was checked while there are details of findings to show."""
_NOTICE_BYTES = 400
_PLACES_PER_FINDING = 8
_UNDECIDED = 20
_FRAME_COLUMNS = 100


class _Room:
    """The bytes that are left."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, text: str) -> bool:
        """Take the room for ``text`` and a line break; False, and nothing taken, where it does not fit."""
        wanted = _bytes(text) + 1
        if wanted > self.left:
            return False
        self.left -= wanted
        return True

    def fitting(self, texts: Iterable[str]) -> list[str]:
        """Take the room for each text that fits, and return these."""
        return [text for text in texts if self.take(text)]


def render(report: Report, options: Options) -> str:
    """Return marker, heading, a table of the findings, the details of each, what was checked, and the summary."""
    report, options = from_top(report, options)
    findings = sorted(visible(report, options), key=_rank)
    head = f"{MARKER}\n### hetpd: {plain(_verdict(report))}\n"
    end = "" if options.quiet else f"{plain(summary(report))}\n"
    room = _Room(LIMIT_BYTES - _bytes(head + end) - _NOTICE_BYTES)
    shown, table = _table(findings, options, room)
    checked = "" if options.quiet else _checked(report, options, room)
    sources = Sources(report.texts)
    details = room.fitting(_details(finding, sources, options) for finding in shown)
    notices = _notices(len(findings) - len(shown), len(shown) - len(details))
    return "\n".join(filter(None, [head, table, *details, notices, checked, end]))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8"))


def _rank(finding: Finding) -> tuple[bool, int]:
    return finding.suppressed is not None, rank(finding.severity)


def _verdict(report: Report) -> str:
    """Return what was found, or how little it means that nothing was."""
    if any(finding.suppressed is None for finding in report.findings):
        return found(report)
    if not sum(report.tally):
        return "nothing was checked"
    undecided = plural(report.tally.undecided, "verdict") if report.tally.undecided else ""
    if not report.tally.held and not report.tally.violated:
        return f"nothing was decided{undecided and f', {undecided} undecided'}"
    return f"{found(report)}{undecided and f', {undecided} undecided'}"


def _notices(findings: int, details: int) -> str:
    parts = [f"{plural(findings, 'finding')} left out"] if findings else []
    if details:
        parts.append(f"the details of {plural(details, 'more finding' if findings else 'finding')} left out")
    return f"*{', '.join(parts)}: a comment holds no more. `hetpd check --verbose` prints them all.*\n" if parts else ""


# Findings


def _table(findings: Sequence[Finding], options: Options, room: _Room) -> tuple[list[Finding], str]:
    """Return the findings of which there is a row, and the table; it leaves a third of the room to details."""
    if not findings:
        return [], ""
    head = "| Rule | Finding |\n| --- | --- |"
    within = _Room(room.left * 2 // 3 - _bytes(head) - 1)
    rows = [(finding, _row(finding, options)) for finding in findings]
    kept = [(finding, row) for finding, row in rows if within.take(row)]
    table = "\n".join([head, *(row for _, row in kept), ""])
    room.take(table)
    return [finding for finding, _ in kept], table


def _row(finding: Finding, options: Options) -> str:
    lines = [plain(finding.message), *_where(finding, options)]
    return f"| {_severity(finding)}<br>{code(title(finding))} | {'<br>'.join(lines)} |"


def _severity(finding: Finding) -> str:
    suppressed = "suppressed " if finding.suppressed is not None else ""
    return f"**{suppressed}{plain(finding.severity)}**"


def _where(finding: Finding, options: Options) -> Iterator[str]:
    """Yield a line for each place, the primary one first: a link where the file can be looked at."""
    spots, left_out = _spots(finding, options)
    for spot in spots:
        place = link(code(place_text(spot.place, options)), url_of(spot.place, options))
        yield f"{place} {plain(spot.label)}".rstrip()
    if left_out:
        yield f"and {plural(left_out, 'more place')}"


def _spots(finding: Finding, options: Options) -> tuple[list[LabelledPlace], int]:
    spots = sorted(finding.places, key=lambda spot: not spot.primary)
    most = len(spots) if options.verbose else _PLACES_PER_FINDING
    return spots[:most], len(spots[most:])


def _details(finding: Finding, sources: Sources, options: Options) -> str:
    """Return the frames and notes of a finding behind a line that opens them."""
    spots, _ = _spots(finding, options)
    frames = Frames(spots, sources, options._replace(width=_FRAME_COLUMNS), Style(on=False))
    place = place_text(finding.primary, options)
    notes = [f"- **{key}**: {plain(text)}" for key, text in notes_of(finding, options)]
    parts = [fence(frames.draw(finding.severity)), *(["\n".join(notes)] if notes else [])]
    return _folded(f"<b>{plain(title(finding))}</b> at <code>{plain(place)}</code>", parts)


def _folded(head: str, parts: Sequence[str]) -> str:
    return "\n\n".join([f"<details>\n<summary>{head}</summary>", *parts, "</details>"]) + "\n"


# What was checked


def _checked(report: Report, options: Options, room: _Room) -> str:
    """Return what became of the inputs, and the undecided verdicts with what would settle most of them."""
    rows = [*(_input(item, options) for item in report.inputs if item.status != "not-pd" or options.verbose)]
    left_open = _undecided(report, options)
    if not rows and not left_open:
        return ""
    label = "What was checked, and what is undecided" if left_open else "What was checked"
    within = _Room(min(room.left, _CHECKED_BYTES) - _NOTICE_BYTES)
    settling = within.fitting(left_open[:1])
    kept = within.fitting(rows)
    waiting = within.fitting(left_open[1:])
    left_out = len(rows) - len(kept)
    if left_out:
        kept.append(f"- and {plural(left_out, 'more input')}")
    hidden = len(report.undecided) - len(waiting)
    if hidden > 0:
        waiting.append(f"- and {plural(hidden, 'more rule')}")
    parts = ["\n".join(kept), *settling, "\n".join(waiting)]
    block = _folded(label, [part for part in parts if part])
    return block if room.take(block) else ""


def _input(item: InputReport, options: Options) -> str:
    """Return what a checked input is, or why another one was not checked."""
    if item.status == "checked" and (item.pools or item.joined):
        _, first, second = header(item, options)
        lines = [plain(" ".join(wrap(line, None, 0, 0))) for line in (first, second) if line]
        said = "<br>".join(lines)
    else:
        said = ": ".join(filter(None, [plain(item.status), plain(item.detail)]))
    return f"- {code(item.path)}{f' ({plain(item.format)})' if item.format else ''}: {said}"


def _undecided(report: Report, options: Options) -> list[str]:
    """Return how much is undecided and what would settle most of it, then a row for each rule."""
    text = undecided(report)
    if not text:
        return []
    settling = f". Settles most: {plain(settles_most(report))}" if report.settling else ""
    most = len(report.undecided) if options.verbose else _UNDECIDED
    rows = [
        f"- {code(f'{inert(item.code)} {inert(item.name)}')}: {plain(waits_for(item, options))}"
        for item in report.undecided[:most]
    ]
    return [f"**Undecided**: {text}{settling}", *rows]
