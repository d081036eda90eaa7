"""The columns of the tables that users may add rows to: what a cell of each may hold."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from hetpd_cli.fields import canonical, choices, fields, resolve, schema_part
from hetpd_cli.places import Place
from hetpd_cli.resources import table_path

BY_ID = ("accelerators", "links", "models")
BY_VERSION = ("capabilities", "engines")
ELEMENT_TYPE = "element_type"
"""Stands in a column's `values` for the element types of the deployment file."""


class Column(NamedTuple):
    """A column of a table.

    ``kind`` is ``text``, ``number``, ``integer``, ``boolean`` or ``list``. ``values`` are the words that it knows, if
    it does not take any text, ``spellings`` other ways to write them. ``part`` is what the schema says of the field of
    a pool that the column is about.
    """

    name: str
    kind: str
    unit: str | None
    description: str
    values: tuple[str, ...] | None = None
    spellings: dict[str, str] | None = None
    part: dict[str, Any] | None = None


@cache
def columns(table: str) -> dict[str, Column]:
    """Return the columns of a table by name, in its order: those of ``engines`` are what engines have defaults for."""
    if table == "engines":
        from hetpd_cli.deployment import Section
        from hetpd_cli.facts.registry import left_to_engine
        from hetpd_cli.facts.space import Subject

        silent = Subject("pool", "", Section("pool", Place("", 1, 1, 1, 1, 0, 0)), None)
        known = {path: one for path, one in fields("pool").items() if left_to_engine(silent, path)}
        return {
            path: Column(path, one.kind, one.unit, one.description, one.choices, part=schema_part("pool", path))
            for path, one in known.items()
        }
    import yaml

    with table_path(table).open("rb") as file:
        content = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    described = content.get("columns") or content["capabilities"]
    return {name: _column(name, said) for name, said in described.items()}


def _column(name: str, said: dict[str, Any] | str) -> Column:
    if isinstance(said, str):
        return Column(name, "boolean", None, said)
    values, spellings = said.get("values"), None
    if values == ELEMENT_TYPE:
        part = resolve({"$ref": f"#/$defs/{ELEMENT_TYPE}"})
        values = choices(part) or ()
        spellings = {word: canonical(part, word) for word in part["enum"] if canonical(part, word) in values}
    return Column(
        name, said["kind"], said.get("unit"), said["description"], None if values is None else tuple(values), spellings
    )
