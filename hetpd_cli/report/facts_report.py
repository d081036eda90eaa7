"""The facts of a deployment, by subject: as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli import __version__
from hetpd_cli.report.columns import aligned
from hetpd_cli.report.json_report import as_fact, dump
from hetpd_cli.report.style import Style, finish, inert, prose, width, wrap
from hetpd_cli.report.words import place_text, plural, value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.findings import FactGroup, FactRow, FactView
    from hetpd_cli.report import Options

SCHEMA = 1
"""Version of the output: goes up when a field changes its meaning or goes away."""

UNKNOWN = "unknown"
_LONGEST_VALUE = 40
_LONGEST_VALUE_IF_NARROW = 18
_NARROW = 110
"""Columns below which values are shortened to less; a whole one then stands at the end of its row."""

_INDENT = 2
_NOTE_SAYS_ALL = ("looked up", "assumed")
"""Origins whose note names the row or the line that a value comes from: no need to name the facts behind it as well."""

_UNKNOWN_NAMES = 8
"""Unknown facts that are named where they are not shown in full."""


def text(deployments: Sequence[tuple[str, Sequence[FactGroup]]], options: Options, *, unknown: bool) -> str:
    """Return the facts of each deployment, given with its name; unknown ones in full if ``unknown``, else by name."""
    style = Style(options.colour)
    blocks: list[list[str]] = []
    for name, groups in deployments:
        if name and len(deployments) > 1:
            blocks.append([style("strong", f"deployment {inert(name)}")])
        blocks += [_group(group, options, style, unknown=unknown) for group in groups]
    lines: list[str] = []
    for block in blocks:
        lines += ["", *block] if lines else block
    return finish(lines)


def _group(group: FactGroup, options: Options, style: Style, *, unknown: bool) -> list[str]:
    title = group.kind if group.kind == group.name else f"{group.kind} {inert(group.name)}"
    if group.prefix not in {group.kind, group.name}:
        title = f"{title}, {group.prefix}"
    where = f"  {place_text(group.place, options)}" if group.place is not None else ""
    lines = [style("strong", title) + style("faint", where)]
    shown = [row for row in group.rows if unknown or row.view.origin != UNKNOWN]
    roles = ("plain", "strong", "faint", "plain")
    lines += aligned([_cells(row, options) for row in shown], roles, options, style, indent=_INDENT)
    hidden = [row.view.name for row in group.rows if row.view.origin == UNKNOWN]
    if hidden and not unknown:
        lead = " " * _INDENT + f"{plural(len(hidden), 'fact')} unknown:"
        more = (
            f" and {len(hidden) - _UNKNOWN_NAMES} more (--all)" if len(hidden) > _UNKNOWN_NAMES else " (--all says why)"
        )
        names = ", ".join(map(inert, hidden[:_UNKNOWN_NAMES])) + more
        first, *others = wrap(names, options.width, width(lead) + 1, 2 * _INDENT)
        lines += [style("faint", line) for line in (f"{lead} {first}", *others)]
    return lines


def _cells(row: FactRow, options: Options) -> list[str]:
    fact = row.view
    value = UNKNOWN if fact.origin == UNKNOWN else value_text(fact.value, fact.unit)
    longest = _LONGEST_VALUE_IF_NARROW if options.width is not None and options.width < _NARROW else _LONGEST_VALUE
    value, whole = (value, "") if width(value) <= longest else (f"{value[: longest - 3]}...", value)
    parts = [place_text(fact.place, options)] if fact.place is not None else []
    if fact.written is not None:
        parts.append(f"written {inert(fact.written)}")
    if row.inputs and fact.origin != UNKNOWN and (not fact.note or fact.origin not in _NOTE_SAYS_ALL):
        parts.append(f"from {', '.join(row.inputs)}")
    parts += [prose(part) for part in (fact.note, row.reason) if part]
    if row.candidates:
        parts.append(f"one of {', '.join(value_text(one, fact.unit) for one in row.candidates)}")
    if whole:
        parts.append(whole)
    origin = "" if fact.origin == UNKNOWN else fact.origin
    return [inert(fact.name), value, origin, "; ".join(parts)]


def as_json(path: str, deployments: Sequence[tuple[str, Sequence[FactGroup]]], options: Options) -> str:
    """Return the facts as the object that ``schemas/facts-output.schema.json`` describes."""
    content = {
        "schema": SCHEMA,
        "hetpd": __version__,
        "path": path,
        "deployments": [
            {"name": name or None, "subjects": [_subject(group, options) for group in groups]}
            for name, groups in deployments
        ],
    }
    return dump(content)


def _subject(group: FactGroup, options: Options) -> dict[str, Any]:
    return {
        "kind": group.kind,
        "name": group.name,
        "prefix": group.prefix,
        "facts": [_fact(row.view, row, options) for row in group.rows],
    }


def _fact(fact: FactView, row: FactRow, options: Options) -> dict[str, Any]:
    found = as_fact(fact, options)
    del found["of"]
    return found | {"inputs": list(row.inputs), "reason": row.reason or None, "candidates": list(row.candidates)}
