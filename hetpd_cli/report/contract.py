"""Contracts for people: the verdict, what has to be done, then the object with its differences on top of the eye."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.contracts import CLOSED, INVARIANTS, NO, PARTS, PAYMENTS, PORTABLE, UNDECIDED, UNKNOWN, YES
from hetpd_cli.report.style import Style, finish, inert, prose, solid, width, wrap
from hetpd_cli.report.words import path_text, place_text, plural, value_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hetpd_cli.contracts import Contract, ContractReport, Duty, Entry, Step
    from hetpd_cli.findings import FactView, InputReport
    from hetpd_cli.report import Options

_NAMES = 18
"""Columns of the names of entries and duties."""
_WIDEST_CELL = 48
_NARROWEST_CELL = 26
_PIPED = 120
"""Columns that cells are laid out for where the output is no terminal."""
_NEEDS = 8
_MARKS = {NO: "x", UNKNOWN: "?", YES: " "}
_ROLES = {NO: "error", UNKNOWN: "warning", YES: "faint"}
_SILENT = (
    (YES, "none", True),
    (YES, "agree, not stated", False),
    (UNKNOWN, "not known", False),
    (None, "not stated", False),
)
"""Entries without a row of their own: whether they agree, what is said of them, whether a value is known."""
_MADE_OF = {"attention TP": "TP"}
"""Entry that says nothing new where its values are those of another."""
_ALONE = {"starts_move": "starts the move", "cleans_up": "cleans up", "pins_source": "pins source"}
_SHORT = {"looked up": "table", "derived": "derived", "default": "default", "assumed": "assumed"}


class _Pen(NamedTuple):
    options: Options
    style: Style

    def flow(self, lead: str, text: str, hang: int, role: str = "strong") -> list[str]:
        """Return ``lead`` in ``role`` and then harmless ``text``, wrapped with a hanging indent on a terminal."""
        first, *rest = wrap(text, self.options.width, width(lead) + 1, hang)
        return [f"{self.style(role, lead)} {first}".rstrip(), *rest]


def render(report: ContractReport, options: Options) -> str:
    """Return every contract, then inputs without one, then a summary."""
    pen = _Pen(options, Style(options.colour))
    blocks = [
        _contract(contract, _alike(contract, report.contracts[:number]), pen)
        for number, contract in enumerate(report.contracts)
    ]
    blocks += [[row for item in report.inputs if item.detail or not item.boundaries for row in _input(item, pen)]]
    blocks += [_summary(report, pen)]
    lines: list[str] = []
    for block in filter(None, blocks):
        lines += ["", *block] if lines else block
    return finish(lines)


def _input(item: InputReport, pen: _Pen) -> list[str]:
    role = {"unreadable": "error", "unresolved": "warning", "checked": "warning"}.get(item.status, "faint")
    said = ": ".join(filter(None, [solid(inert(path_text(item.path, pen.options))), prose(item.detail)]))
    return pen.flow(f"{inert(item.status)}:", said, 4, role)


def _summary(report: ContractReport, pen: _Pen) -> list[str]:
    words = [contract.verdict.word for contract in report.contracts]
    counted = [f"{words.count(word)} {word}" for word in (*PORTABLE, *CLOSED, UNDECIDED) if word in words]
    count = len(words)
    said = f"{count} {'boundary' if count == 1 else 'boundaries'}: {', '.join(counted)}" if words else "no boundary"
    missing = sum(step.missing for contract in report.contracts for step in contract.steps)
    said += f"; {plural(missing, 'missing step')}" if missing else ""
    broken = any(contract.broken for contract in report.contracts)
    role = "error" if broken else "warning" if UNDECIDED in words or not words else "good"
    return [pen.style(role, line) for line in wrap(said, pen.options.width, 0, 2)]


# One contract


def _alike(contract: Contract, before: Sequence[Contract]) -> Contract | None:
    """Return the first contract of the same file in which the same owners have the same duties."""
    alike = (other for other in before if (other.path, other.duties) == (contract.path, contract.duties))
    return next(alike, None)


def _contract(contract: Contract, alike: Contract | None, pen: _Pen) -> list[str]:
    where = f"{inert(path_text(contract.path, pen.options))}"
    title = f"{inert(contract.prefill)} -> {inert(contract.decode)}"
    rows = pen.flow(title, f"({solid(where)})", 4)
    rows += _verdict(contract, pen)
    for step in contract.steps:
        rows += _step(step, pen)
    for part in PARTS:
        rows += _part(part, contract, pen)
    if alike is None or pen.options.verbose:
        return [*rows, *_duties(contract.duties, pen)]
    return [*rows, *pen.flow("    owners", f"as for {inert(alike.prefill)} -> {inert(alike.decode)}", 4, "plain")]


def _verdict(contract: Contract, pen: _Pen) -> Iterator[str]:
    verdict = contract.verdict
    role = "error" if verdict.word in CLOSED else "warning" if verdict.word == UNDECIDED else "good"
    said = [verdict.word]
    if verdict.targets:
        said.append(f"to {', '.join(map(inert, verdict.targets))}")
    if verdict.concerns:
        said.append(f"for {prose(verdict.concerns)}; the others: {verdict.others}")
    if verdict.word == UNDECIDED:
        agreed = len([one for one in contract.invariants if one.agree == YES])
        said.append(f"({agreed} of {len(INVARIANTS)} invariants agree; then {' or '.join(verdict.portable)})")
    yield from pen.flow("  verdict:", " ".join(said), 4, role)
    for reason in verdict.reasons:
        yield from pen.flow("  because:", prose(reason), 4)
    if verdict.needs:
        yield from pen.flow("  settled by:", _needs([need.fact for need in verdict.needs], pen), 4)


def _needs(facts: list[str], pen: _Pen) -> str:
    """Return the facts asked for; one that is asked for on both sides is named once."""
    both = dict.fromkeys(fact.partition(".")[2] for fact in facts if fact.startswith(("prefill.", "decode.")))
    names = [f"{path} (both)" for path in both if {f"prefill.{path}", f"decode.{path}"} <= set(facts)]
    paired = {f"{side}.{name.removesuffix(' (both)')}" for name in names for side in ("prefill", "decode")}
    names = [inert(name) for name in (*names, *(fact for fact in facts if fact not in paired))]
    if pen.options.verbose or len(names) <= _NEEDS:
        return ", ".join(map(solid, names))
    return ", ".join([*map(solid, names[:_NEEDS]), f"and {len(names) - _NEEDS} more (--verbose)"])


def _step(step: Step, pen: _Pen) -> Iterator[str]:
    """Yield what has to be changed, whether something does it, and who pays for it."""
    role = {NO: "error", UNKNOWN: "warning"}.get(step.exists, "good")
    state = {NO: "MISSING", UNKNOWN: "unknown"}.get(step.exists, "there")
    verb = "convert" if step.of == "dtype" else "redistribute"
    said = f"{state}: {prose(step.change)}; {prose(step.reason)}"
    if step.by:
        said += f", by {prose(step.by)}"
    if step.exists == YES:
        said += f"; {_payment(step)}"
    first, *rest = pen.flow(f"  {verb}:", said, 4)
    yield first.replace(f" {state}:", f" {pen.style(role, state)}:", 1)
    yield from rest


def _payment(step: Step) -> str:
    if step.where not in PAYMENTS:
        return "where it runs is not known, so neither is who pays"
    gain, cost = PAYMENTS[step.where]
    return f"runs at {inert(step.where)}: {gain}, but {cost}"


# The object


def _part(part: str, contract: Contract, pen: _Pen) -> list[str]:
    entries = contract.parts[part]
    if not pen.options.verbose:
        entries = tuple(entry for entry in entries if not _repeats(entry, entries))
    rows = [row for entry in entries if _told(entry, pen) for row in _entry(entry, contract, pen)]
    silent = [entry for entry in entries if not _told(entry, pen)]
    for agree, said, known in _SILENT:
        names = [inert(entry.name) for entry in silent if (entry.agree, _known(entry)) == (agree, known)]
        if names:
            mark = "?" if agree == UNKNOWN else " "
            rows += pen.flow(f"  {mark} {said}:", ", ".join(map(solid, names)), 6, _ROLES.get(agree or "", "faint"))
    columns = "" if part != "identity" else _columns(contract, pen)
    return [pen.style("frame", f"  {part}") + columns, *rows]


def _columns(contract: Contract, pen: _Pen) -> str:
    cell = _cell_width(pen)
    blank = " " * (_NAMES + 5 - len("  identity"))
    names = [_cut(inert(name), cell - 1) for name in (contract.prefill, contract.decode)]
    return blank + pen.style("strong", _padded(names[0], cell)) + pen.style("strong", names[1])


def _known(entry: Entry) -> bool:
    return any(value.origin != UNKNOWN for value in entry.values)


def _told(entry: Entry, pen: _Pen) -> bool:
    """Tell whether an entry has a row of its own: a value is known, and it is more than that there is none."""
    nothing = entry.agree == YES and all(one.value is None and one.place is None for one in entry.values)
    return pen.options.verbose or entry.agree == NO or (_known(entry) and not nothing)


def _repeats(entry: Entry, entries: Sequence[Entry]) -> bool:
    other = next((one for one in entries if one.name == _MADE_OF.get(entry.name)), None)
    values = [value.value for value in entry.values]
    return other is not None and entry.agree == other.agree and values == [value.value for value in other.values]


def _cell_width(pen: _Pen) -> int:
    columns = pen.options.width or _PIPED
    return max(_NARROWEST_CELL, min(_WIDEST_CELL, (columns - _NAMES - 5) // 2))


def _entry(entry: Entry, contract: Contract, pen: _Pen) -> list[str]:
    cell = _cell_width(pen)
    mark = _MARKS.get(entry.agree or YES, " ")
    role = _ROLES.get(entry.agree or YES, "faint")
    name = _padded(_cut(inert(entry.name), _NAMES - 1), _NAMES)
    lead = f"  {pen.style(role, mark)} {pen.style('strong', name) if entry.agree == NO else name} "
    cells = [_cell(value, contract, pen) for value in entry.values]
    if len(cells) == 1:
        return [lead + cells[0]]
    if cells[0] == cells[1] and entry.agree == YES and not pen.options.verbose:
        cells[1] = "same"
    if width(cells[0]) >= cell or (pen.options.width is not None and width(cells[1]) > cell):
        below = " " * (_NAMES + 5)
        return [lead + cells[0], below + " " * cell * (width(cells[1]) <= cell) + cells[1]]
    second = cells[1] if entry.agree != NO else pen.style("error", cells[1])
    first = _padded(cells[0], cell)
    return [f"{lead}{first if entry.agree != NO else pen.style('error', first)}{second}".rstrip()]


def _cell(value: FactView, contract: Contract, pen: _Pen) -> str:
    """Return a value and where it comes from: line and column in the file of the deployment, else its origin."""
    if value.origin == UNKNOWN:
        return "unknown" if value.place is None else f"unknown {_where(value, contract, pen)}"
    text = value_text(value.value, value.unit)
    return f"{text} {_where(value, contract, pen)}".rstrip()


def _where(value: FactView, contract: Contract, pen: _Pen) -> str:
    if value.place is None:
        return f"({_SHORT.get(value.origin, inert(value.origin))})"
    if value.place.path == contract.path:
        return f"@{value.place.line}:{value.place.column}"
    return f"@{place_text(value.place, pen.options)}"


def _padded(text: str, columns: int) -> str:
    return text + " " * max(0, columns - width(text))


def _cut(text: str, columns: int) -> str:
    while width(text) > columns:
        text = text[:-2].rstrip("~") + "~"
    return text


def _duties(duties: tuple[Duty, ...], pen: _Pen) -> Iterable[str]:
    """Yield who is responsible when; what is not known for one and the same reason is said once."""
    unknown: dict[str, list[str]] = {}
    for duty in duties:
        name = _ALONE.get(duty.moment, duty.moment.replace("_", " ").replace("destination", "dest."))
        if duty.who is None:
            unknown.setdefault(duty.what, []).append(name)
        else:
            yield from pen.flow(f"    {_padded(name, _NAMES)}", f"{duty.who}: {prose(duty.what)}", _NAMES + 5, "plain")
    for reason, names in unknown.items():
        yield from pen.flow("  ? not known:", f"who {', '.join(names)} ({prose(reason)})", 6, "warning")
