"""Tables of the user's own, laid over the built-in ones.

A folder holds files named like the built-in tables (``accelerators.yaml``, ``models.yaml``, ...). A row whose id or
alias is built in adds to that row and overrides it cell by cell; any other row is new. Rows by version
(``capabilities.yaml``, ``engines.yaml``) come before the built-in ones: the first that matches wins. A cell may be a
plain value: its source is then the file. Values are judged as those of a deployment file are, in the same spellings.
"""

from __future__ import annotations

from functools import cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.deployment import Section
from hetpd_cli.facts.values import Unknown
from hetpd_cli.fields import canonical, choices, schema_part
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.places import Place
from hetpd_cli.sources.plain_yaml import PlainFile, PlainLimits, PlainYamlError, read_plain, short
from hetpd_cli.tables.columns import BY_ID, BY_VERSION, Column, columns
from hetpd_cli.versions import version_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIMITS = PlainLimits(max_bytes=2**20, max_nodes=100_000, max_depth=8)
"""Some 3,000 rows of ten cells."""

MOST_FAULTS = 50
"""Faults that are told of a folder."""

ROW_KEYS = ("id", "name", "aliases", "note")
VERSIONED_KEYS = ("engine", "connector", "versions", "note")
CELL_KEYS = ("value", "source", "confidence")
CONFIDENCES = ("seen", "derived", "unverified")
ANY_ENGINE = "*"

_WORDS = {"number": "a number", "integer": "a whole number", "boolean": "true or false", "list": "a list"}


class TableError(ValueError):
    """Tables that cannot be used; a line of text for each fault."""


class Sheet(NamedTuple):
    """The rows of one file, each with its line."""

    table: str
    path: str
    rows: list[dict[str, Any]]
    lines: list[int]


def read_folder(folder: str) -> list[Sheet]:
    """Return the tables in ``folder``, checked. Raises TableError with every fault."""
    try:
        files = sorted(path for path in Path(folder).iterdir() if path.suffix in {".yaml", ".yml"})
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TableError(f"cannot read the tables in {folder}: {reason}") from None
    faults = [
        f"{path} stands beside {path.stem}.yaml: one file a table"
        for path in files
        if path.suffix == ".yml" and path.with_suffix(".yaml") in files
    ]
    sheets = [_read_file(path, faults) for path in files]
    raise_all(faults)
    return sheets


def raise_all(faults: Sequence[str]) -> None:
    """Raise TableError where there are faults."""
    rest = len(faults) - MOST_FAULTS
    if faults:
        raise TableError("\n".join([*faults[:MOST_FAULTS], *([f"and {rest} more faults"] if rest > 0 else [])]))


# -- laying rows over rows -------------------------------------------------------------------------------------


def laid_over(rows: list[dict[str, Any]], own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return ``rows`` with the user's ``own`` rows: first where rows go by version, else merged by id and alias."""
    if any("versions" in row for row in own):
        return [*own, *rows]
    merged = list(rows)
    numbers = _numbers(rows)
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


def ambiguous(rows: list[dict[str, Any]], sheet: Sheet) -> Iterator[str]:
    """Yield what is wrong with the names of a file's rows: they name two of ``rows``, or one that another row names."""
    if sheet.table not in BY_ID:
        return
    ids = {name: str(row["id"]) for row in rows for name in _names(row)}
    taken: dict[str, int] = {}
    for number, (row, line) in enumerate(zip(sheet.rows, sheet.lines, strict=True), start=1):
        named = {ids[name]: name for name in _names(row) if name in ids}
        if len(named) > 1:
            (one, other), (word, another) = list(named)[:2], list(named.values())[:2]
            yield (
                f"{sheet.path}:{line}: row {number} names two rows: {word} is a name of {one}, {another} one of {other}"
            )
        words = {*_names(row), *(word.lower() for word in named)}
        before = next((taken[word] for word in sorted(words) if word in taken), None)
        if before is not None:
            yield f"{sheet.path}:{line}: row {number} is about what row {before} is about: one row a {row['id']}"
        taken.update(dict.fromkeys(words, number))


def _numbers(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {name: number for number, row in enumerate(rows) for name in _names(row)}


def _names(row: dict[str, Any]) -> list[str]:
    return [str(name).lower() for name in (row["id"], *row.get("aliases", ()))]


# -- checking --------------------------------------------------------------------------------------------------


class _FaultError(ValueError):
    """What is wrong with one cell or key."""


def _read_file(path: Path, faults: list[str]) -> Sheet:
    """Return the rows of a file; what is wrong with it is added to ``faults``, in the order of the file."""
    empty = Sheet(path.stem, str(path), [], [])
    known = (*BY_ID, *BY_VERSION)
    if path.stem not in known:
        guess = did_you_mean(nearest(path.stem, known))
        faults.append(f"{path} is no table{guess}; tables: {', '.join(known)}")
        return empty
    try:
        file = read_plain(str(path), LIMITS, "a table")
    except PlainYamlError as error:
        where = str(path) if error.line is None else f"{path}:{error.line}"
        faults.append(f"{where}: {error.key} {error.what}" if error.key else f"{where}: {error.what}")
        return empty
    rows = file.raw.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        faults.append(f"{path}: no list of `rows`")
        return empty
    checked = [_Row(file, path.stem, number, faults).checked() for number in range(len(rows))]
    return Sheet(path.stem, str(path), checked, [file.lines[f"rows.{number}"] for number in range(len(rows))])


class _Row:
    """One row of a file while it is checked."""

    def __init__(self, file: PlainFile, table: str, number: int, faults: list[str]) -> None:
        self.file = file
        self.table = table
        self.number = number
        self.raw: dict[Any, Any] = file.raw["rows"][number]
        self.columns = columns(table)
        self.faults = faults

    def checked(self) -> dict[str, Any]:
        """Return the row with every cell in full; what is wrong with it is added to the faults."""
        versioned = self.table in BY_VERSION
        keys = VERSIONED_KEYS if versioned else ROW_KEYS
        needed = ("engine", "versions") if self.table == "engines" else VERSIONED_KEYS[:3] if versioned else ("id",)
        for key in needed:
            if key not in self.raw:
                self.fault("", f"has no {key}")
        row: dict[str, Any] = {}
        for key, value in self.raw.items():
            try:
                if key in keys:
                    row[key] = self.described(key, value)
                elif key in self.columns:
                    row[key] = self.cell(self.columns[key], value)
                else:
                    raise _FaultError(f"has {key}, which is no column{self.guess(str(key), keys)}")
            except _FaultError as fault:
                self.fault(str(key), str(fault))
        return {"id": "", **row} if "id" in keys else {"engine": "", "versions": "*", **row}

    def fault(self, key: str, message: str) -> None:
        line = self.file.line(f"rows.{self.number}.{key}" if key else f"rows.{self.number}")
        self.faults.append(f"{self.file.path}:{line}: row {self.number + 1} {message}")

    def guess(self, key: str, keys: Sequence[str]) -> str:
        """Return the end of a sentence that names the column that was probably meant, by its last component too."""
        last = {name.rpartition(".")[2]: name for name in reversed(self.columns)}
        found = last.get(key) or nearest(key, [*self.columns, *keys]) or last.get(nearest(key, last) or "")
        return did_you_mean(found)

    def described(self, key: str, value: Any) -> Any:
        """Return the value of a key that says what the row is about."""
        if key == "aliases":
            if not isinstance(value, list) or not all(_is_word(name) for name in value):
                raise _FaultError("has aliases that are no list of names")
            return [str(name) for name in value]
        if key == "connector":
            names = value if isinstance(value, list) and value else [value]
            found = [_choice("connector.name", name, "connector") for name in names]
            return found if isinstance(value, list) else found[0]
        if not isinstance(value, str) or not value.strip():
            raise _FaultError(f"has the {key} {short(repr(value))}, which is no text")
        if key == "engine" and (value != ANY_ENGINE or self.table == "engines"):
            return _choice("engine.name", value, "engine")
        if key == "versions" and not _is_range(value):
            raise _FaultError(f"has the versions {short(repr(value))}, no range such as '>=0.24,<0.34' or '*'")
        return value

    def cell(self, column: Column, raw: Any) -> dict[str, Any]:
        """Return a cell in full."""
        cell = raw if isinstance(raw, dict) else {"value": raw}
        unknown = [str(key) for key in cell if key not in CELL_KEYS]
        if unknown or "value" not in cell:
            raise _FaultError(
                f"has in {column.name} {', '.join(unknown) or 'no value'}; a cell has {', '.join(CELL_KEYS)}"
            )
        confidence = cell.get("confidence", CONFIDENCES[0])
        if confidence not in CONFIDENCES:
            raise _FaultError(f"has in {column.name} the confidence {confidence}, not {', '.join(CONFIDENCES)}")
        source = cell.get("source", self.file.path)
        sources = source if isinstance(source, list) else [source]
        if not sources or not all(_is_word(one) for one in sources):
            raise _FaultError(f"has in {column.name} a source that is no text")
        decode = _decoded if column.part is None else _as_in_a_deployment
        value = decode(column, cell["value"])
        return {"value": value, "source": [str(one) for one in sources], "confidence": confidence}


# -- values ----------------------------------------------------------------------------------------------------


def _decoded(column: Column, value: Any) -> Any:
    """Return the value of a cell in its canonical spelling. Raises _FaultError where it is none of the column's."""
    if column.kind in {"number", "integer"}:
        return _number(column, value)
    if column.kind == "list":
        if not isinstance(value, list):
            raise _wrong(column, value)
        return list(dict.fromkeys(_word(column, item) for item in value))
    if column.kind == "boolean":
        if not isinstance(value, bool):
            raise _wrong(column, value)
        return value
    return _word(column, value)


def _wrong(column: Column, value: Any) -> _FaultError:
    return _FaultError(f"has in {column.name} {short(repr(value))} where {_WORDS.get(column.kind, 'text')} is expected")


def _number(column: Column, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(column, value)
    try:
        sound = isfinite(value) and value >= 0
    except OverflowError:
        sound = False
    if not sound:
        raise _FaultError(f"has in {column.name} {short(repr(value))}, which is no quantity: finite, and not below 0")
    if column.kind == "integer":
        if value != int(value):
            raise _wrong(column, value)
        return int(value)
    return value


def _word(column: Column, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _FaultError(f"has in {column.name} {short(repr(value))} where text is expected")
    if column.values is None:
        return _as_spelt(column, value)
    known = column.spellings or dict.fromkeys(column.values)
    if value not in known:
        guess = did_you_mean(nearest(value, known)) or f"; known: {', '.join(column.values)}"
        raise _FaultError(f"has in {column.name} {short(repr(value))}, which is not known there{guess}")
    return known[value] or value


def _as_spelt(column: Column, value: str) -> str:
    """Return a vendor as the built-in accelerators spell it, whatever its case: vendors are compared."""
    return _vendors().get(value.lower(), value) if column.name == "vendor" else value


@cache
def _vendors() -> dict[str, str]:
    from hetpd_cli.tables import built_in

    vendors = [row["vendor"]["value"] for row in built_in("accelerators")["rows"] if "vendor" in row]
    return {vendor.lower(): vendor for vendor in vendors}


def _as_in_a_deployment(column: Column, value: Any) -> Any:
    """Return a default of an engine, decoded as the deployment file's field is."""
    from hetpd_cli.sources.shape import Decoder
    from hetpd_cli.sources.tree import Node

    place = Place("", 1, 1, 1, 1, 0, 0)

    def node(item: Any) -> Node:
        if isinstance(item, list):
            return Node("sequence", place, items=[node(one) for one in item])
        if isinstance(item, dict):
            return Node("mapping", place)
        source = str(item).lower() if isinstance(item, bool) else str(item)
        return Node("scalar", place, item if isinstance(item, bool | int | float | None) else source, source)

    decoder, section = Decoder(), Section("pool", place)
    if value is None:
        raise _wrong(column, value)
    decoder.value(node(value), column.part or {}, column.name, section, column.name)
    found = section.stated.get(column.name)
    if decoder.problems or found is None:
        said = decoder.problems[0].message if decoder.problems else f"{column.name} is a mapping"
        raise _FaultError(f"says that {said}")
    if isinstance(found.value, Unknown):
        raise _FaultError(
            f"has in {column.name} {short(repr(value))}, which is no value that an engine could default to"
        )
    return list(found.value) if isinstance(found.value, tuple) else found.value


def _choice(path: str, word: Any, noun: str) -> str:
    """Return a word of the deployment file's field ``path`` in its canonical spelling."""
    part = schema_part("pool", path) or {}
    known = choices(part) or ()
    spelt = canonical(part, word) if isinstance(word, str) else ""
    if spelt not in known:
        guess = nearest(str(word), part["enum"]) if isinstance(word, str) else None
        raise _FaultError(f"has the {noun} {short(repr(word))}{did_you_mean(guess) or '; known: ' + ', '.join(known)}")
    return spelt


def _is_word(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and bool(str(value).strip())


def _is_range(text: str) -> bool:
    try:
        version_in("1.0", text)
    except ValueError:
        return False
    return True
