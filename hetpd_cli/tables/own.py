"""Tables of the user's own, laid over the built-in ones.

A folder holds files named like the built-in tables (``accelerators.yaml``, ``models.yaml``, ...). A row whose id or
alias is built in adds to that row and overrides it cell by cell; any other row is new. Rows by version
(``capabilities.yaml``, ``engines.yaml``) come before the built-in ones: the first that matches wins. A cell may be a
plain value: its source is then the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.resources import table_path
from hetpd_cli.versions import version_in

MAX_BYTES = 4 * 2**20
"""Size of the largest table that is read."""

BY_ID = ("accelerators", "links", "models")
BY_VERSION = ("capabilities", "engines")
ROW_KEYS = ("id", "name", "aliases", "note")
VERSIONED_KEYS = ("engine", "connector", "versions", "note")
CELL_KEYS = ("value", "source", "confidence")
CONFIDENCES = ("seen", "derived", "unverified")

_WORDS: dict[type, str] = {float: "a number", bool: "true or false", list: "a list", str: "text"}


class TableError(ValueError):
    """Tables that cannot be used; a line of text for each fault."""


def read_folder(folder: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table in ``folder``, checked. Raises TableError with every fault."""
    try:
        files = sorted(path for path in Path(folder).iterdir() if path.suffix in {".yaml", ".yml"})
    except OSError as error:
        raise TableError(f"cannot read the tables in {folder}: {error.strerror}") from None
    faults: list[str] = []
    tables = {path.stem: _read_file(path, faults) for path in files}
    if faults:
        raise TableError("\n".join(faults))
    return tables


def laid_over(rows: list[dict[str, Any]], own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return ``rows`` with the user's ``own`` rows: first where rows go by version, else merged by id and alias."""
    if any("versions" in row for row in own):
        return [*own, *rows]
    merged = list(rows)
    numbers = {name: number for number, row in enumerate(rows) for name in _names(row)}
    for row in own:
        number = next((numbers[name] for name in _names(row) if name in numbers), None)
        if number is None:
            number = len(merged)
            merged.append(row)
        else:
            base = merged[number]
            extra = [name for name in _names(row) if name not in _names(base)]
            merged[number] = {**base, **row, "id": base["id"], "aliases": [*base.get("aliases", ()), *extra]}
        numbers.update(dict.fromkeys(_names(row), number))
    return merged


def _names(row: dict[str, Any]) -> list[str]:
    return [str(name).lower() for name in (row["id"], *row.get("aliases", ()))]


# -- checking --------------------------------------------------------------------------------------------------


def _read_file(path: Path, faults: list[str]) -> list[dict[str, Any]]:
    known = (*BY_ID, *BY_VERSION)
    if path.stem not in known:
        guess = did_you_mean(nearest(path.stem, known))
        faults.append(f"{path} is no table{guess}; tables: {', '.join(known)}")
        return []
    try:
        rows = _rows(path)
    except ValueError as error:
        faults.append(f"{path}: {' '.join(str(error).split())}")
        return []
    columns = _columns(path.stem)
    return [
        _Row(row, path, number, columns, faults).checked(versioned=path.stem in BY_VERSION)
        for number, row in enumerate(rows, start=1)
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    """Return the raw rows of a file. Raises ValueError where it has none or cannot be read."""
    import yaml

    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise ValueError("aliases are not taken in a table")
        data = yaml.safe_load(text)
    except OSError as error:
        raise ValueError(error.strerror or "cannot be read") from None
    except (RecursionError, yaml.YAMLError) as error:
        raise ValueError(str(error)) from None
    rows = data.get("rows") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no list of `rows`")
    return rows


def _columns(name: str) -> dict[str, type]:
    """Return the columns of a built-in table and the type of their values."""
    import yaml

    if name == "engines":
        from hetpd_cli.fields import fields

        types = {"number": float, "integer": float, "boolean": bool, "list": list}
        return {path: types.get(known.kind, str) for path, known in fields("pool").items()}
    with table_path(name).open("rb") as file:
        table = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    kinds: dict[str, type] = {}
    for row in table["rows"]:
        for column, raw in row.items():
            if isinstance(raw, dict):
                kinds.setdefault(column, float if _is_number(raw["value"]) else type(raw["value"]))
    return {column: kinds.get(column, float) for column in table.get("columns") or table["capabilities"]}


class _Row:
    """One row of a file while it is checked."""

    def __init__(
        self, raw: dict[str, Any], path: Path, number: int, columns: dict[str, type], faults: list[str]
    ) -> None:
        self.raw = raw
        self.path = path
        self.columns = columns
        self.faults = faults
        self.where = f"{path}: row {number}"

    def checked(self, *, versioned: bool) -> dict[str, Any]:
        """Return the row with every cell in full; what is wrong with it is added to the faults."""
        keys = VERSIONED_KEYS if versioned else ROW_KEYS
        for key in ("engine", "versions") if versioned else ("id",):
            if not isinstance(self.raw.get(key), str) or not self.raw[key]:
                self.fault(f"has no {key}")
        versions = self.raw.get("versions")
        if versioned and isinstance(versions, str) and not _is_range(versions):
            self.fault(f"has the versions {versions!r}, no range such as '>=0.24,<0.34' or '*'")
        row = {key: self.raw[key] for key in keys if key in self.raw}
        if not isinstance(row.get("aliases", []), list):
            self.fault("has aliases that are no list")
            del row["aliases"]
        for column in self.raw.keys() - set(keys):
            if column in self.columns:
                row[column] = self.cell(column)
            else:
                guess = did_you_mean(nearest(str(column), [*self.columns, *keys]))
                self.fault(f"has {column}, which is no column{guess}")
        return row

    def cell(self, column: str) -> dict[str, Any]:
        raw, kind = self.raw[column], self.columns[column]
        cell = raw if isinstance(raw, dict) else {"value": raw}
        source = cell.get("source", str(self.path))
        cell = {"confidence": "seen", **cell, "source": source if isinstance(source, list) else [str(source)]}
        unknown = [str(key) for key in cell if key not in CELL_KEYS]
        if unknown or "value" not in cell:
            self.fault(f"has in {column} {', '.join(unknown) or 'no value'}; a cell has {', '.join(CELL_KEYS)}")
        elif cell["confidence"] not in CONFIDENCES:
            self.fault(f"has in {column} the confidence {cell['confidence']}, not {', '.join(CONFIDENCES)}")
        elif not (_is_number(cell["value"]) if kind is float else isinstance(cell["value"], kind)):
            self.fault(f"has in {column} {cell['value']!r} where {_WORDS.get(kind, kind.__name__)} is expected")
        return cell

    def fault(self, message: str) -> None:
        self.faults.append(f"{self.where} {message}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_range(text: str) -> bool:
    try:
        version_in("1.0", text)
    except ValueError:
        return False
    return True
