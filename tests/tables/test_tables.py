"""Every cell of every table says where it comes from and how sure it is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import yaml

from hetpd_cli.fields import field, resolve
from hetpd_cli.resources import table_path
from hetpd_cli.tables import TABLES, capability, cell, engine_default, table
from hetpd_cli.versions import version_in

PLAIN = {"id", "name", "aliases", "note", "engine", "connector", "mode", "versions", "kind", "title", "locator"}
RAW = {name: yaml.safe_load(table_path(name).read_text(encoding="utf-8")) for name in TABLES}
SOURCES = {row["id"] for row in RAW["sources"]["rows"]}


def cells(name: str) -> list[tuple[str, str, Any]]:
    return [
        (str(row.get("id") or row.get("engine")), column, raw)
        for row in RAW[name]["rows"]
        for column, raw in row.items()
        if column not in PLAIN or isinstance(raw, dict)
    ]


@pytest.mark.parametrize("name", [name for name in TABLES if name != "sources"])
def test_every_cell_has_value_source_and_confidence(name) -> None:
    for row, column, raw in cells(name):
        assert set(raw) == {"value", "source", "confidence"}, (row, column)
        assert raw["confidence"] in {"seen", "derived", "unverified"}, (row, column)
        assert raw["source"], (row, column)
        assert set(raw["source"]) <= SOURCES, (row, column)


@pytest.mark.parametrize("name", ["accelerators", "links", "models", "sources"])
def test_a_name_means_one_row(name) -> None:
    names = Counter(
        word
        for row in RAW[name]["rows"]
        for word in {str(word).lower() for word in (row["id"], *row.get("aliases", ()))}
    )
    assert [word for word, count in names.items() if count > 1] == []


def test_formats_are_element_types_of_the_deployment_file() -> None:
    known = set(resolve({"$ref": "#/$defs/element_type"})["enum"])
    for row, column, raw in cells("accelerators"):
        if column == "formats":
            assert set(raw["value"]) <= known, row


def test_engine_defaults_are_fields_of_a_pool() -> None:
    for row in RAW["engines"]["rows"]:
        for column, raw in row.items():
            if column not in PLAIN:
                known = field("pool", column)
                assert known is not None, column
                assert known.choices is None or raw["value"] in known.choices, column


def test_capabilities_are_described() -> None:
    described = set(RAW["capabilities"]["capabilities"])
    assert {column for _, column, _ in cells("capabilities")} == described


def test_columns_of_lifecycles_are_described() -> None:
    assert {column for _, column, _ in cells("lifecycles")} == set(RAW["lifecycles"]["columns"])


def test_version_ranges_can_be_asked() -> None:
    for name in ("capabilities", "engines", "lifecycles"):
        for row in RAW[name]["rows"]:
            assert version_in("0.24.0", row["versions"]) in {True, False}


def test_look_ups() -> None:
    found = cell("accelerators", "NVIDIA-H200", "vendor")
    assert found is not None
    assert found.value == "NVIDIA"
    assert cell("accelerators", "our-own", "vendor") is None
    assert cell("accelerators", "h200", "no-such-column") is None
    assert capability("vllm", "nixl", "0.24.0", "needs_divisible_tp") is not None
    assert capability("vllm", "nixl", None, "needs_divisible_tp") is not None
    assert capability("vllm", "nixl", "9.9.0", "needs_divisible_tp") is None
    assert capability("vllm", "nixl", None, "needs_equal_speculation") is None
    assert capability(None, "nixl", None, "carries") is not None
    default = engine_default("vllm", "0.33.0", "nixl", "connector.lease_s")
    assert default is not None
    assert default.value == 30
    assert engine_default("vllm", "9.9.0", "nixl", "connector.lease_s") is None
    assert table("models")["index"]["zai-org/glm-5.1"] >= 0
