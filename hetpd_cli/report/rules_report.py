"""The list of rules, and what became of their examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetpd_cli import __version__
from hetpd_cli.families import family_of
from hetpd_cli.report.columns import aligned
from hetpd_cli.report.json_report import dump
from hetpd_cli.report.style import Style, finish, inert, prose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.report import Options

SCHEMA = 1
"""Version of the output: goes up when a field changes its meaning or goes away."""

_FIELDS = ("code", "name", "title", "severity", "impact", "confidence", "over", "cell", "decision", "practice", "since")


def text(rules: Sequence[dict[str, Any]], options: Options) -> str:
    """Return a line for each compiled rule: code, name, severity, cell, title."""
    style = Style(options.colour)
    rows = [
        [inert(rule["code"]), inert(rule["name"]), rule["severity"], rule.get("cell", ""), prose(rule["title"])]
        for rule in rules
    ]
    lines = aligned(rows, ("strong", "plain", "plain", "faint", "plain"), options, style)
    return finish(lines)


def as_json(rules: Sequence[dict[str, Any]]) -> str:
    """Return the rules as the object that ``schemas/rules-output.schema.json`` describes."""
    entries = [
        {
            **{key: rule.get(key) for key in _FIELDS},
            "practice": rule.get("practice", []),
            "family": family_of(rule["code"]),
            "covers": rule.get("covers") or {},
            "reads": rule.get("reads", []),
        }
        for rule in rules
    ]
    return dump({"schema": SCHEMA, "hetpd": __version__, "rules": entries})
