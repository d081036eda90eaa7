"""What facts and rules ask of the tables is there, and a look-up finds the right row."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from hetpd_cli import tables
from hetpd_cli.facts import placement, representation
from hetpd_cli.facts.registry import derivations
from hetpd_cli.fields import choices, field, fields, resolve
from hetpd_cli.tables import Cell, capability, cell, engine_default, names, row, table
from hetpd_cli.versions import version_in
from tests.tables.test_tables import RAW

ENGINES = field("pool", "engine.name")
CONNECTORS = field("pool", "connector.name")
VERSIONS = [f"0.{minor}.{patch}" for minor in (5, *range(8, 40)) for patch in (*range(25), 99)]
RANGED = [(name, key, ranges) for name in ("capabilities", "engines") for key, ranges in table(name)["ranges"].items()]


# -- names -----------------------------------------------------------------------------------------------------


def test_engines_and_connectors_are_choices_of_the_deployment_file() -> None:
    assert ENGINES is not None
    assert CONNECTORS is not None
    for _, key, _ in RANGED:
        engine, connector, _ = key.split("/")
        assert engine in {"*", *(ENGINES.choices or ())}, key
        assert connector in {"None", *(CONNECTORS.choices or ())}, key


def test_facts_ask_for_capabilities_that_are_described_and_for_all_of_them(monkeypatch) -> None:
    asked = set()

    def record(_engine: Any, _connector: str, _version: Any, name: str) -> Cell:
        asked.add(name)
        return Cell(True, ("X",), "seen")

    monkeypatch.setattr(representation, "capability", record)
    for derivation in derivations("handoff").values():
        if set(representation.SIDES) <= set(derivation.inputs):
            values = ["x"] * len(derivation.inputs)
            if len(values) > len(representation.SIDES):
                values[0] = representation.Unknown("nothing is declared")  # type: ignore[call-overload]
            derivation.function(*values)
    assert asked == set(RAW["capabilities"]["capabilities"])


def test_facts_ask_for_columns_that_are_there(monkeypatch) -> None:
    asked = set()

    def record(name: str, _key: str, column: str) -> None:
        asked.add((name, column))

    for module in (placement, representation):
        monkeypatch.setattr(module, "cell", record)
    for derivation in derivations("pool").values():
        if derivation.inputs[:1] in {("accelerator",), ("model.base",)}:
            derivation.function(*["x"] * len(derivation.inputs))
    assert len(asked) > 10
    for name, column in asked:
        assert column in RAW[name]["columns"], (name, column)


@pytest.mark.parametrize("name", ["accelerators", "links", "models"])
def test_columns_are_described_and_used(name) -> None:
    used = {column for entry in RAW[name]["rows"] for column, raw in entry.items() if isinstance(raw, dict)}
    assert used == set(RAW[name]["columns"])


KINDS = {"boolean": bool, "integer": int, "number": (int, float), "text": str, "list": list}


def test_cells_hold_the_kind_of_value_that_facts_say() -> None:
    for path, (column, result) in representation._MODEL_COLUMNS.items():
        known = field("pool", f"model.{path}")
        assert known is not None
        for entry in RAW["models"]["rows"]:
            if column in entry:
                value = entry[column]["value"]
                assert isinstance(value, KINDS[result]), (entry["id"], column)
                assert known.choices is None or value in known.choices, (entry["id"], column)
    for entry in RAW["accelerators"]["rows"]:
        for column, raw in entry.items():
            if isinstance(raw, dict):
                wanted = {"vendor": str, "formats": list}.get(column, (int, float))
                assert isinstance(raw["value"], wanted), (entry["id"], column)


def test_numbers_of_the_tables_are_positive() -> None:
    for name in ("accelerators", "links", "models"):
        for entry in RAW[name]["rows"]:
            for column, raw in entry.items():
                if isinstance(raw, dict) and isinstance(raw["value"], int | float):
                    assert raw["value"] >= (0 if isinstance(raw["value"], bool) else 1e-9), (entry["id"], column)


def test_engine_defaults_have_the_kind_of_their_field() -> None:
    for key, ranges in table("engines")["ranges"].items():
        known = fields("pool")[key.split("/")[2]]
        for _, raw in ranges:
            assert isinstance(raw["value"], KINDS[known.kind]), key
            assert known.kind == "boolean" or not isinstance(raw["value"], bool), key


def test_formats_are_canonical() -> None:
    known = choices(resolve({"$ref": "#/$defs/element_type"}))
    assert known is not None
    for entry in RAW["accelerators"]["rows"]:
        if "formats" in entry:
            formats = entry["formats"]["value"]
            assert set(formats) <= set(known), entry["id"]
            assert len(set(formats)) == len(formats), entry["id"]


def test_vendors_are_spelt_in_one_way() -> None:
    vendors = {entry["vendor"]["value"] for entry in RAW["accelerators"]["rows"]}
    assert len({vendor.lower() for vendor in vendors}) == len(vendors)


def test_every_source_is_cited_and_has_a_locator() -> None:
    cited = {
        one
        for name in ("accelerators", "links", "models", "capabilities", "engines", "lifecycles")
        for entry in RAW[name]["rows"]
        for raw in entry.values()
        if isinstance(raw, dict)
        for one in raw["source"]
    }
    assert cited <= {entry["id"] for entry in RAW["sources"]["rows"]}
    for entry in RAW["sources"]["rows"]:
        assert entry["locator"].strip()
        assert entry["title"].strip()


# -- look-ups --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["accelerators", "links", "models"])
def test_every_name_in_any_case_finds_its_row(name) -> None:
    for entry in RAW[name]["rows"]:
        for word in (entry["id"], *entry.get("aliases", ())):
            for spelling in (str(word), str(word).lower(), str(word).upper()):
                found = row(name, spelling)
                assert found is not None
                assert found["id"] == entry["id"]
    assert set(names(name)) == {str(w) for e in RAW[name]["rows"] for w in (e["id"], *e.get("aliases", ()))}
    assert row(name, "our-own") is row(name, "") is None


def test_two_rows_of_one_name_are_refused() -> None:
    rows = [{"id": "a", "aliases": ["A", "x"]}, {"id": "b", "aliases": ["X"]}]
    assert tables._index(rows[:1]) == {"a": 0, "x": 0}
    with pytest.raises(ValueError, match="X names two rows"):
        tables._index(rows)


def test_a_missing_cell_is_unknown_and_a_note_is_no_cell() -> None:
    assert cell("links", "nvlink-4", "leaves_host") is None
    assert cell("links", "nvlink-3", "note") is None
    assert cell("links", "nvlink-3", "id") is None
    found = cell("accelerators", "H100", "formats")
    assert found is not None
    assert isinstance(found.value, tuple)
    assert isinstance(found.source, tuple)


@pytest.mark.parametrize(("name", "key", "ranges"), RANGED, ids=[key for _, key, _ in RANGED])
def test_rows_of_one_cell_contradict_each_other_only_where_a_newer_release_overrides(name, key, ranges) -> None:
    assert contradictions(ranges) == []


def contradictions(ranges: list[list[Any]]) -> list[tuple[str, str]]:
    """Return pairs of ranges that say two things of one release, in whose order nobody can see which one is meant.

    The earlier row is meant where it begins later: what is new in a release overrides what has held for long.
    """
    found = []
    for index, (spec, raw) in enumerate(ranges):
        for other, another in ranges[:index]:
            both = [one for one in VERSIONS if version_in(one, spec) and version_in(one, other)]
            if both and raw["value"] != another["value"] and first(other) <= first(spec):
                found.append((other, spec))
    return found


def first(spec: str) -> int:
    """Return the number of the first version that is in a range."""
    return next(index for index, version in enumerate(VERSIONS) if version_in(version, spec))


@pytest.mark.parametrize(
    ("specs", "allowed"),
    [
        ([(">=0.34,<0.35", 2), (">=0.24,<0.35", 1)], True),
        ([(">=0.24,<0.35", 1), (">=0.34,<0.35", 2)], False),
        ([(">=0.24,<0.35", 1), (">=0.34,<0.35", 1)], True),
        ([(">=0.24,<0.34", 1), (">=0.34,<0.35", 2)], True),
        ([(">=0.24,<0.34", 1), (">=0.24,<0.30", 2)], False),
    ],
)
def test_a_newer_row_overrides_from_above(specs, allowed) -> None:
    assert (contradictions([[spec, says(value)] for spec, value in specs]) == []) is allowed


@pytest.mark.parametrize(("name", "key", "ranges"), RANGED, ids=[key for _, key, _ in RANGED])
def test_a_look_up_finds_what_the_row_says(name, key, ranges) -> None:
    engine, connector, column = key.split("/")
    for spec, raw in ranges:
        version = next(one for one in VERSIONS if version_in(one, spec))
        if name == "capabilities":
            found = capability(None if engine == "*" else engine, connector, version, column)
            assert found is not None
            assert found.value == raw["value"]
        else:
            default = engine_default(engine, version, None if connector == "None" else connector, column)
            assert default is not None
            assert default.value == raw["value"]


def lookup(rows: list[dict[str, Any]], monkeypatch: Any) -> None:
    built = {"rows": rows, "index": {}, "ranges": tables._ranges(rows)}
    monkeypatch.setattr(tables, "table", lambda _: built)


def says(value: Any) -> dict[str, Any]:
    return {"value": value, "source": ["X"], "confidence": "seen"}


def test_the_engines_own_row_comes_before_that_of_every_engine(monkeypatch) -> None:
    rows = [
        {"engine": "*", "connector": ["nixl", "mooncake"], "versions": "*", "a": says(1)},
        {"engine": "vllm", "connector": "nixl", "versions": ">=0.24", "a": says(2)},
    ]
    lookup(rows, monkeypatch)
    asked = product(["vllm", "sglang", None], ["nixl", "mooncake", "ascend"], ["0.24", "0.23", None])
    for engine, connector, version in asked:
        found = capability(engine, connector, version, "a")
        expected = (
            None if connector == "ascend" else 2 if (engine, connector, version) == ("vllm", "nixl", "0.24") else 1
        )
        assert (found.value if found else None) == expected


def test_the_connectors_own_default_comes_before_that_of_the_engine(monkeypatch) -> None:
    rows = [
        {"engine": "vllm", "versions": ">=0.24", "a": says(1), "b": says(1)},
        {"engine": "vllm", "connector": "nixl", "versions": ">=0.30", "a": says(2)},
    ]
    lookup(rows, monkeypatch)
    for version, connector, path, expected in (
        ("0.30", "nixl", "a", 2),
        ("0.24", "nixl", "a", 1),
        ("0.30", "mooncake", "a", 1),
        ("0.30", None, "a", 1),
        ("0.30", "nixl", "b", 1),
        ("0.23", "nixl", "a", None),
        ("0.30", "nixl", "c", None),
    ):
        found = engine_default("vllm", version, connector, path)
        assert (found.value if found else None) == expected
    assert engine_default("sglang", "0.30", "nixl", "a") is None


# -- lifecycles ------------------------------------------------------------------------------------------------

ACTORS = {"prefill", "decode", "both"}
MOMENTS = ("starts_move", "pins_source", "reserves_destination", "commits", "releases", "cleans_up")


def test_lifecycles_name_actors_fields_and_modes_of_the_deployment_file() -> None:
    modes = field("pool", "connector.mode")
    assert modes is not None
    for entry in RAW["lifecycles"]["rows"]:
        assert entry.get("mode") in {None, *(modes.choices or ())}
        for moment in MOMENTS:
            if moment in entry:
                actor, _ = entry[moment]["value"]
                assert actor in ACTORS
        for path in entry.get("bounded_by", {"value": []})["value"]:
            assert field("pool", path) is not None
        assert entry.get("redistributes", {"value": "decode"})["value"] in ACTORS


@pytest.mark.parametrize(
    ("engine", "connector", "mode", "version", "actors"),
    [
        ("vllm", "nixl", "pull", "0.24.0", ["decode", "prefill", "decode", "decode", "prefill", "prefill"]),
        ("vllm", "nixl", "push", "0.24.0", ["prefill", "prefill", "decode", "prefill", "prefill", "both"]),
        ("sglang", "mooncake", None, "0.5.14", ["prefill", "prefill", "decode", "prefill", "prefill", "both"]),
        ("sglang", "nixl", "pull", "0.5.14", ["prefill", "prefill", "decode", "prefill", "prefill", "both"]),
        ("vllm", "nixl", None, "0.24.0", None),
        ("vllm", "nixl", "pull", "9.9.0", None),
        ("vllm", "nixl", "pull", None, None),
        ("vllm", "mooncake", "push", "0.24.0", None),
        ("sglang", "ascend", None, "0.5.14", None),
    ],
)
def test_the_lifecycles_of_the_paper_and_no_others(engine, connector, mode, version, actors) -> None:
    found = [tables.lifecycle(engine, connector, mode, version, moment) for moment in MOMENTS]
    if actors is None:
        assert found == [None] * len(MOMENTS)
    else:
        assert [entry.value[0] for entry in found] == actors
