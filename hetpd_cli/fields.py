"""The fields of a deployment, read from its JSON Schema: the one list of what can be stated.

A field is a leaf of the schema, named by its dotted path within its section (``kv.block_size`` of a pool).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.resources import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTIONS = {
    "pool": "pool",
    "handoff": "handoff",
    "host": "host",
    "router": "router",
    "store": "store",
    "workload": "workload_object",
}
"""Kind of section to the name of its definition in the schema."""


class Field(NamedTuple):
    """A leaf of the schema.

    ``kind`` is ``text``, ``number``, ``integer``, ``boolean`` or ``list``. ``choices`` are the canonical values of
    an enumeration. ``change`` says how a repair may change it. ``open_map`` marks the pattern of a mapping with
    free keys (``env.*``); ``may_be_none`` a field that has a word for having none.
    ``default`` is what a deployment file means that does not state the field.
    """

    path: str
    kind: str
    unit: str | None
    choices: tuple[str, ...] | None
    change: str
    description: str
    open_map: bool = False
    may_be_none: bool = False
    default: str | bool | int | None = None


@cache
def schema() -> dict[str, Any]:
    """Return the schema of the deployment file."""
    return load_schema("deployment")


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    """Return ``part`` with its ``$ref`` followed; keywords beside the reference win."""
    while "$ref" in part:
        target: Any = schema()
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = {**target, **{key: value for key, value in part.items() if key != "$ref"}}
    return part


def canonical(part: dict[str, Any], choice: str) -> str:
    """Return the canonical spelling of ``choice``."""
    spelling: str = part.get("x-aliases", {}).get(choice, choice)
    return spelling


def choices(part: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the canonical values of an enumeration, without the words for `auto` and `none`."""
    if "enum" not in part:
        return None
    special = {part.get("x-none"), "auto" if part.get("x-auto") else None}
    names = [canonical(part, choice) for choice in part["enum"] if choice not in special]
    return tuple(dict.fromkeys(names))


def kind_of(part: dict[str, Any]) -> str:
    """Return the kind of value that a leaf holds."""
    if part.get("x-list"):
        return "list"
    if "x-unit" in part and "anyOf" in part:
        return "number"
    types = part.get("type")
    if part.get("x-text") or types == "string" or "anyOf" in part:
        return "text"
    return {"integer": "integer", "number": "number", "boolean": "boolean"}[str(types)]


def object_of(part: dict[str, Any]) -> dict[str, Any] | None:
    """Return the object alternative of ``part``, or None if it is a leaf."""
    if part.get("type") == "object":
        return part
    for alternative in part.get("anyOf", ()):
        found = resolve(alternative)
        if found.get("type") == "object":
            return found
    return None


def _leaves(part: dict[str, Any], prefix: str) -> Iterator[Field]:
    for key, raw in part.get("properties", {}).items():
        child = resolve(raw)
        if child.get("x-fact") is False or child.get("type") == "array":
            continue
        inner = object_of(child)
        if inner is not None:
            yield from _leaves(inner, f"{prefix}{key}.")
            continue
        yield _field(child, prefix + key)
    extra = part.get("additionalProperties")
    if isinstance(extra, dict):
        yield _field(resolve(extra), prefix + "*", open_map=True)


def _field(part: dict[str, Any], path: str, *, open_map: bool = False) -> Field:
    return Field(
        path=path,
        kind=kind_of(part),
        unit=part.get("x-unit"),
        choices=choices(part),
        change=part.get("x-change", "given"),
        description=part.get("description", ""),
        open_map=open_map,
        may_be_none=part.get("x-none") is not None,
        default=part.get("default"),
    )


@cache
def fields(section: str) -> dict[str, Field]:
    """Return the fields of a kind of section (a key of :data:`SECTIONS`), by path."""
    part = resolve({"$ref": f"#/$defs/{SECTIONS[section]}"})
    return {field.path: field for field in _leaves(part, "")}


def field(section: str, path: str) -> Field | None:
    """Return the field ``path`` of a kind of section; keys of a free mapping (``env.X``) count."""
    known = fields(section)
    if path in known:
        return known[path]
    head, _, _ = path.rpartition(".")
    pattern = known.get(f"{head}.*")
    return pattern._replace(path=path) if pattern else None


@cache
def file_defaults(section: str) -> dict[str, str | bool | int]:
    """Return the fields of a kind of section that a deployment file need not state, with what it then means."""
    return {path: known.default for path, known in fields(section).items() if known.default is not None}


@cache
def object_paths(section: str) -> frozenset[str]:
    """Return the dotted path of every mapping that a kind of section may hold."""

    def walk(part: dict[str, Any], prefix: str) -> Iterator[str]:
        for key, raw in part.get("properties", {}).items():
            inner = object_of(resolve(raw))
            if inner is not None:
                yield prefix + key
                yield from walk(inner, f"{prefix}{key}.")

    return frozenset(walk(resolve({"$ref": f"#/$defs/{SECTIONS[section]}"}), ""))


def schema_part(section: str, path: str) -> dict[str, Any] | None:
    """Return what the schema says of ``path`` (a field or a mapping) of a kind of section; None if there is none."""
    part: dict[str, Any] = {"$ref": f"#/$defs/{SECTIONS[section]}"}
    for key in path.split("."):
        inner = object_of(resolve(part))
        if inner is None:
            return None
        extra = inner.get("additionalProperties")
        found = inner.get("properties", {}).get(key, extra if isinstance(extra, dict) else None)
        if found is None or resolve(found).get("x-fact") is False:
            return None
        part = resolve(found)
    return part
