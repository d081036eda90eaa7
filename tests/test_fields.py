"""The fields are the leaves of the schema, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hetpd_cli.fields import (
    SECTIONS,
    canonical,
    choices,
    field,
    fields,
    file_defaults,
    kind_of,
    object_of,
    object_paths,
    resolve,
    schema,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = [(section, one) for section in SECTIONS for one in fields(section).values()]
IDS = [f"{section}.{one.path}" for section, one in ALL]
UNITS = {
    "s", "GiB", "GB/s", "Gbit/s", "token", "1", "port", "layer", "head", "worker", "device", "rank", "block", "sequence",
    "request", "request/s", "token/s", "NIC", "point",
}  # fmt: skip


@pytest.mark.parametrize(("section", "one"), ALL, ids=IDS)
class TestField:
    def test_it_has_a_kind_a_unit_of_the_list_a_description_and_a_way_to_change(self, section, one) -> None:
        assert one.kind in {"text", "number", "integer", "boolean", "list"}
        assert one.unit is None or (one.unit in UNITS and one.kind in {"number", "integer"})
        assert one.change in {"free", "costly", "given", "assertion"}
        assert one.description.endswith((".", ")")) or one.open_map
        assert field(section, one.path) == one

    def test_its_choices_are_canonical_and_without_the_words_for_auto_and_none(self, section, one) -> None:
        if one.choices is None:
            return
        assert len(set(one.choices)) == len(one.choices) > 1
        assert "auto" not in one.choices
        assert not (one.may_be_none and "none" in one.choices)
        assert one.kind == "text"

    def test_its_default_is_one_of_its_values(self, section, one) -> None:
        assert one.default is None or one.default in (one.choices or (True, False))

    def test_its_path_is_below_a_mapping(self, section, one) -> None:
        head = one.path.rpartition(".")[0]
        assert not head or head in object_paths(section)
        assert one.path not in object_paths(section)


def leaves(part: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the path of every leaf by a walk of its own over the raw schema."""
    for key, raw in part.get("properties", {}).items():
        child = resolve(raw)
        inner = [one for one in map(resolve, [child, *child.get("anyOf", ())]) if one.get("type") == "object"]
        if inner:
            yield from leaves(inner[0], f"{prefix}{key}.")
        elif child.get("x-fact") is not False and child.get("type") != "array":
            yield prefix + key
    if isinstance(part.get("additionalProperties"), dict):
        yield f"{prefix}*"


@pytest.mark.parametrize("section", SECTIONS)
def test_the_fields_of_a_section_are_all_its_leaves(section) -> None:
    assert list(fields(section)) == list(leaves(schema()["$defs"][SECTIONS[section]]))


def test_pool_defaults_are_settings_of_a_pool() -> None:
    ours, theirs = schema()["$defs"]["pool"]["properties"], schema()["$defs"]["pool_defaults"]["properties"]
    assert set(theirs) == set(ours) - {"name", "role", "measured"}


def test_keys_of_a_free_mapping_are_fields() -> None:
    found = field("pool", "env.UCX_TLS")
    assert found is not None
    assert (found.path, found.kind, found.change) == ("env.UCX_TLS", "text", "free")
    port = field("pool", "ports.api")
    assert port is not None
    assert (port.kind, port.unit) == ("integer", "port")
    assert field("pool", "connector.env.X") is not None


@pytest.mark.parametrize(
    ("section", "path"),
    [("pool", "kv"), ("pool", "kv.nothing"), ("pool", "name"), ("pool", "env"), ("pool", ""), ("handoff", "from"),
     ("handoff", "kv.dtype"), ("pool", "kv.dtype.x"), ("pool", "unstated")],
)  # fmt: skip
def test_what_is_no_field(section, path) -> None:
    assert field(section, path) is None


@pytest.mark.parametrize(
    ("section", "path", "kind", "unit", "change", "none"),
    [
        ("pool", "kv.block_size", "integer", "token", "free", False),
        ("pool", "kv.scales", "text", None, "costly", True),
        ("pool", "hosts", "list", None, "costly", False),
        ("pool", "connector.lease_s", "number", "s", "free", False),
        ("pool", "memory.kv_capacity_gib", "number", "GiB", "costly", False),
        ("pool", "connector.name", "text", None, "costly", True),
        ("pool", "model.hybrid", "boolean", None, "given", False),
        ("pool", "measured.step_s", "number", "s", "assertion", False),
        ("pool", "engine.version", "text", None, "given", False),
        ("handoff", "conversion.of", "list", None, "assertion", True),
        ("handoff", "path.link", "text", None, "given", False),
        ("workload", "rate_per_s", "number", "request/s", "given", False),
    ],
)
def test_fields(section, path, kind, unit, change, none) -> None:
    one = field(section, path)
    assert one is not None
    assert (one.kind, one.unit, one.change, one.may_be_none) == (kind, unit, change, none)


def test_spellings_are_normalised() -> None:
    dtype = resolve({"$ref": "#/$defs/element_type"})
    assert canonical(dtype, "bfloat16") == "bf16"
    assert canonical(dtype, "bf16") == "bf16"
    found = choices(dtype)
    assert found is not None
    assert {"bf16", "fp8_e4m3"} <= set(found)
    assert not {"bfloat16", "half", "auto", "fp8"} & set(found)
    assert choices({"type": "string"}) is None
    layout = field("pool", "kv.layout")
    assert layout is not None
    assert layout.choices == ("HND", "NHD", "BLHNC", "LHBNC")


def test_every_alias_points_at_a_word_of_the_enumeration() -> None:
    def parts(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            yield node
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from parts(child)

    aliased = [part for part in parts(schema()) if "x-aliases" in part]
    assert len(aliased) > 4
    for part in aliased:
        assert set(part["x-aliases"]) <= set(part["enum"])
        assert not set(part["x-aliases"].values()) & set(part["x-aliases"])
        assert set(part["x-aliases"].values()) <= set(part["enum"])


def test_references_are_followed_and_the_nearer_word_wins() -> None:
    found = resolve({"$ref": "#/$defs/count", "x-unit": "rank"})
    assert (found["type"], found["x-unit"]) == ("integer", "rank")
    assert "$ref" not in resolve({"$ref": "#/$defs/pool/properties/kv"})


def test_kinds() -> None:
    assert kind_of({"type": "integer"}) == "integer"
    assert kind_of({"type": ["string", "number"], "x-text": True}) == "text"
    assert kind_of({"x-unit": "s", "anyOf": []}) == "number"
    assert kind_of({"x-list": True, "type": "string"}) == "list"
    assert object_of({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/path_object"}]}) is not None
    assert object_of({"type": "string"}) is None


def test_what_the_file_means_by_silence() -> None:
    assert file_defaults("pool") == {
        path: one.default for path, one in fields("pool").items() if one.default is not None
    }
    assert file_defaults("pool")["connector.permute_local_kv"] is False
    assert file_defaults("handoff") == {}
