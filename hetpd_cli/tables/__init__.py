"""Tables of devices, links, models, engines and connectors: data with a source and a confidence per cell.

A missing cell or row is unknown, never no.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.facts.registry import Default
from hetpd_cli.facts.values import Known
from hetpd_cli.resources import compiled, table_path
from hetpd_cli.versions import is_version, version_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hetpd_cli.tables.own import Sheet

TABLES = ("accelerators", "links", "models", "capabilities", "engines", "lifecycles", "images", "sources")


class Cell(NamedTuple):
    """A value of a table with where it comes from. ``confidence`` is ``seen``, ``derived`` or ``unverified``."""

    value: Known
    source: tuple[str, ...]
    confidence: str


def _build(name: str) -> dict[str, Any]:
    """Return the table called ``name`` from its YAML, with an index of ids and aliases."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with table_path(name).open("rb") as file:
        table: dict[str, Any] = yaml.load(file, Loader=loader)  # noqa: S506
    rows = table["rows"]
    return {"rows": rows, "index": _index(rows), "ranges": _ranges(rows)}


def _index(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Return the number of the row of each id and alias, in lower case."""
    index: dict[str, int] = {}
    for number, row in enumerate(rows):
        for alias in (row["id"], *row.get("aliases", ())) if "id" in row else ():
            if index.setdefault(str(alias).lower(), number) != number:
                raise ValueError(f"{alias} names two rows")
    return index


def _ranges(rows: list[dict[str, Any]]) -> dict[str, list[list[Any]]]:
    """Return version range and cell of each column of the rows that hold for an engine and a connector.

    A row that holds for one mode of its connector is found under both, as in ``nixl pull``.
    """
    ranges: dict[str, list[list[Any]]] = {}
    for row in rows:
        connectors = row.get("connector")
        for connector in connectors if isinstance(connectors, list) else [connectors]:
            owner = f"{connector} {row['mode']}" if "mode" in row else connector
            for column in row:
                if column not in {"id", "engine", "connector", "mode", "versions"} and "engine" in row:
                    key = f"{row['engine']}/{owner}/{column}"
                    ranges.setdefault(key, []).append([row["versions"], row[column]])
    return ranges


def built_in(name: str) -> dict[str, Any]:
    """Return the compiled table called ``name`` (one of :data:`TABLES`) without the user's own rows."""
    content: dict[str, Any] = compiled(name, lambda: [table_path(name)], lambda: _build(name))
    return content


@cache
def table(name: str) -> dict[str, Any]:
    """Return the compiled table called ``name`` (one of :data:`TABLES`)."""
    content = built_in(name)
    if name not in _OWN:
        return content
    from hetpd_cli.tables.own import laid_over

    rows = content["rows"]
    for sheet in _OWN[name]:
        rows = laid_over(rows, sheet.rows)
    return {"rows": rows, "index": _index(rows), "ranges": _ranges(rows)}


_OWN: dict[str, list[Sheet]] = {}


def use_own(folders: Sequence[str]) -> None:
    """Lay the tables of ``folders`` over the built-in ones for the rest of the process, later ones over earlier ones.

    Raises TableError with every fault; then nothing is changed. No folders restore the built-in tables.
    """
    from hetpd_cli.tables.own import ambiguous, laid_over, raise_all, read_folder

    sheets: dict[str, list[Sheet]] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    faults: list[str] = []
    for folder in folders:
        for sheet in read_folder(folder):
            before = rows.get(sheet.table) or built_in(sheet.table)["rows"]
            faults += ambiguous(before, sheet)
            rows[sheet.table] = laid_over(before, sheet.rows)
            sheets.setdefault(sheet.table, []).append(sheet)
    raise_all(faults)
    _OWN.clear()
    _OWN.update(sheets)
    table.cache_clear()


def row(name: str, key: str) -> dict[str, Any] | None:
    """Return the row of a table with the id or alias ``key``, whatever its case."""
    found = table(name)
    number = found["index"].get(key.lower())
    return None if number is None else found["rows"][number]


def names(name: str) -> list[str]:
    """Return the ids and aliases of a table."""
    return [alias for entry in table(name)["rows"] for alias in (entry["id"], *entry.get("aliases", ()))]


def cell(name: str, key: str, column: str) -> Cell | None:
    """Return a cell of the row ``key``, or None where row or cell is missing."""
    found = row(name, key)
    raw = found.get(column) if found else None
    if not isinstance(raw, dict):
        return None
    return _cell(raw)


def _cell(raw: dict[str, Any]) -> Cell:
    value = raw["value"]
    return Cell(tuple(value) if isinstance(value, list) else value, tuple(raw["source"]), raw["confidence"])


def capability(engine: str | None, connector: str, version: str | None, name: str) -> Cell | None:
    """Return what a connector of an engine can do at ``version``; None where no row covers it.

    Rows of the engine ``*`` hold whatever engine uses the connector. An unknown version is covered only by rows
    that hold for every version there is (:func:`covers`).
    """
    ranges = table("capabilities")["ranges"]
    for owner in (engine, "*"):
        for spec, raw in ranges.get(f"{owner}/{connector}/{name}", ()):
            if covers(spec, version):
                return _cell(raw)
    return None


def engine_default(engine: str, version: str | None, connector: str | None, path: str) -> Default | None:
    """Return the documented default of a pool's field for an engine and its connector at ``version``.

    Where the version is not known, that is a default which every release has had.
    """
    ranges = table("engines")["ranges"]
    for owner in (connector, None):
        for spec, raw in ranges.get(f"{engine}/{owner}/{path}", ()):
            if covers(spec, version):
                found = _cell(raw)
                release = version or "of any release so far"
                return Default(found.value, f"default of {engine} {release} ({', '.join(found.source)})")
    return None


def lifecycle(engine: str, connector: str | None, mode: str | None, version: str | None, name: str) -> Cell | None:
    """Return what happens at a moment of the lifecycle of an engine's connector in ``mode``; None where not covered."""
    ranges = table("lifecycles")["ranges"]
    for owner in (f"{connector} {mode}", connector, None):
        for spec, raw in ranges.get(f"{engine}/{owner}/{name}", ()):
            if covers(spec, version):
                return _cell(raw)
    return None


@lru_cache(maxsize=4096)
def covers(spec: str, version: str | None) -> bool:
    """Tell whether the releases ``spec`` take in ``version``.

    A version that is not known, or no PEP 440 version, is taken in by ``*`` and by a range without a lower bound
    (``<0.34``): that is every release there is, up to the newest one that somebody has read.
    """
    if spec == "*":
        return True
    if version is None or not is_version(version):
        return spec.startswith("<")
    return version_in(version, spec)


def known_releases(engine: str, connector: str, name: str) -> list[str]:
    """Return the ranges of releases for which the capability ``name`` of an engine's connector is known."""
    return [spec for spec, _ in table("capabilities")["ranges"].get(f"{engine}/{connector}/{name}", ())]
