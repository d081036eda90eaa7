"""What silence means: open and closed scopes, `auto`, engine defaults, and when two silences are one value."""

from __future__ import annotations

from typing import Any

import pytest

from hetpd_cli.deployment import CLOSED, OPEN, Section, Stated
from hetpd_cli.facts import registry
from hetpd_cli.facts.space import Fact, Subject
from hetpd_cli.facts.truth import equal
from hetpd_cli.facts.values import ASSUMED, DEFAULT, NONE, ORIGINS, STATED, UNKNOWN, Unknown
from hetpd_cli.fields import fields
from hetpd_cli.tables import table
from tests.facts.building import AUTO, VLLM, Leaves, boundary, place, value

U = "unknown"
SILENT: Leaves = {**VLLM, "accelerator": "h200", "model.id": "in-house/thing"}


def fact(leaves: Leaves, path: str, scope: str = OPEN) -> Fact:
    return boundary(leaves, scope=scope).fact(f"prefill.{path}")


# -- one value -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [STATED, ASSUMED, DEFAULT])
def test_a_stated_leaf_keeps_what_the_reader_says_of_it(origin) -> None:
    section = Section("pool", place(1))
    section.stated["kv.block_size"] = Stated(16, place(2), "16 tokens", origin, "a note")
    found = Subject("pool", "p", section, place(1)).fact("kv.block_size")
    assert (found.value, found.origin, found.place, found.written, found.note, found.unit) == (
        16,
        origin,
        place(2),
        "16 tokens",
        "a note",
        "token",
    )


def test_what_is_written_but_not_decodable_is_unknown_at_its_place_whatever_the_scope() -> None:
    for scope in (OPEN, CLOSED):
        found = fact({**VLLM, "connector.lease_s": Unknown("nonsense")}, "connector.lease_s", scope)
        assert (found.origin, found.value.reason) == (UNKNOWN, "nonsense")
        assert found.place is not None


@pytest.mark.parametrize(
    ("path", "candidates"),
    [
        ("kv.layout", {"HND", "NHD", "BLHNC", "LHBNC"}),
        ("kv.scales", {"static", "dynamic", "inline", NONE}),
        ("connector.permute_local_kv", {True, False}),
        ("kv.block_size", None),
        ("no.such.field", None),
    ],
)
def test_an_unknown_knows_its_possible_values(path, candidates) -> None:
    found = fact({}, path).value.candidates
    assert (None if found is None else set(found)) == candidates


@pytest.mark.parametrize(
    ("leaves", "path", "in_open", "in_closed"),
    [
        (VLLM, "connector.lease_s", U, 30),
        ({**VLLM, "connector.lease_s": AUTO}, "connector.lease_s", 30, 30),
        ({**VLLM, "engine.version": "0.21.0"}, "connector.lease_s", U, U),
        ({**VLLM, "engine.version": "9.9.0"}, "connector.lease_s", U, U),
        ({**VLLM, "engine.version": "v0.25.0rc1"}, "connector.engine_ttl_s", U, 3600),
        ({**VLLM, "engine.version": "v0.24.0rc1"}, "connector.engine_ttl_s", U, U),
        ({**VLLM, "engine.version": Unknown("?")}, "connector.lease_s", U, U),
        ({**VLLM, "connector.name": "mooncake"}, "connector.lease_s", U, U),
        ({**VLLM, "connector.name": "mooncake"}, "connector.abort_timeout_s", U, 480),
        ({**VLLM, "connector.name": NONE}, "parallelism.tp", U, 1),
        ({**VLLM, "connector.name": NONE}, "connector.lease_s", U, U),
        ({**VLLM, "engine.name": "sglang", "engine.version": "0.5.14"}, "parallelism.dp_attention", U, False),
        (VLLM, "env.UCX_TLS", U, NONE),
        (VLLM, "connector.env.UCX_TLS", U, NONE),
        (VLLM, "workers", U, U),
        (VLLM, "accelerator", U, U),
        (VLLM, "ports.api", U, U),
        (VLLM, "measured.step_s", U, U),
    ],
)
def test_scopes(leaves, path, in_open, in_closed) -> None:
    assert value(boundary(leaves), f"prefill.{path}") == in_open
    assert value(boundary(leaves, scope=CLOSED), f"prefill.{path}") == in_closed


def test_a_default_names_its_source_and_rests_on_what_it_was_looked_up_by() -> None:
    found = fact(VLLM, "connector.lease_s", CLOSED)
    assert found.origin == DEFAULT
    assert "vllm 0.24.0" in found.note
    assert [entry.path for entry in found.behind] == ["engine.name", "engine.version", "connector.name"]
    assert found.place is None


def test_every_default_of_the_table_is_given_where_nobody_sets_it() -> None:
    for key, ranges in table("engines")["ranges"].items():
        engine, connector, path = key.split("/")
        for spec, cell in ranges:
            version = spec.partition(",")[0].removeprefix(">=")
            leaves = {"engine.name": engine, "engine.version": version}
            if connector != "None":
                leaves["connector.name"] = connector
            assert value(boundary(leaves, scope=CLOSED), f"prefill.{path}") == cell["value"], key


def test_every_fact_of_an_empty_boundary_resolves_to_an_origin() -> None:
    for scope in (OPEN, CLOSED):
        found = boundary(SILENT, {}, scope=scope)
        for prefix, subject in found.subjects.items():
            for path in (*fields(subject.kind), *registry.derivations(subject.kind)):
                one = found.fact(f"{prefix}.{path}")
                assert one.origin in ORIGINS
                assert (one.origin == UNKNOWN) == one.unknown
                assert one is found.fact(f"{prefix}.{path}")


# -- two values ------------------------------------------------------------------------------------------------


def same(path: str, prefill: Leaves, decode: Leaves, base: Leaves = SILENT, **how: Any) -> bool | None:
    """Tell whether both sides' facts are equal; None if that isn't known."""
    scope = boundary({**base, **prefill}, {**base, **decode}, **{"scope": CLOSED, **how})
    truth = equal(scope.fact(f"prefill.{path}").value, scope.fact(f"decode.{path}").value)
    return truth if isinstance(truth, bool) else None


DIGEST = {"engine.version": Unknown("?", None, "x@sha256:1"), "engine.image": "x@sha256:1"}


@pytest.mark.parametrize(
    ("prefill", "decode", "equal_block_size"),
    [
        ({}, {}, True),
        (DIGEST, DIGEST, True),
        (DIGEST, {**DIGEST, "engine.image": "x@sha256:2"}, None),
        (DIGEST, {**DIGEST, "engine.version": Unknown("?", None, "x@sha256:2")}, None),
        ({"engine.image": "a:1"}, {"engine.image": "a:2"}, None),
        ({"engine.image": "a:1"}, {}, None),
        ({}, {"engine.version": "0.25.0"}, None),
        ({}, {"engine.name": "vllm-ascend"}, None),
        ({}, {"connector.name": "mooncake"}, None),
        ({}, {"accelerator": "b200"}, None),
        ({}, {"model.id": "Qwen/Qwen3-8B"}, None),
        ({}, {"kv.layout": "HND"}, None),
        ({"kv.layout": "HND"}, {"kv.layout": "HND"}, True),
        ({"kv.layout": "HND"}, {"kv.layout": "NHD"}, None),
        ({}, {"env.VLLM_X": "1"}, None),
        ({"kv.block_size": AUTO}, {}, True),
        ({"kv.block_size": AUTO}, {"kv.block_size": AUTO}, True),
        ({"kv.block_size": 16}, {}, None),
        ({"workers": 1}, {"workers": 4}, True),
        *[
            ({path: Unknown("?")}, {path: Unknown("?")}, None)
            for path in ("engine.version", "engine.name", "accelerator", "model.id", "connector.name")
        ],
    ],
)
def test_two_silences_are_one_value_only_if_all_behind_them_is(prefill, decode, equal_block_size) -> None:
    assert same("kv.block_size", prefill, decode) is equal_block_size
    assert same("kv.block_size", decode, prefill) is equal_block_size


def test_silence_in_an_open_scope_is_no_value() -> None:
    assert same("kv.block_size", {}, {}, scope=OPEN) is None
    assert same("kv.block_size", {"kv.block_size": AUTO}, {"kv.block_size": AUTO}, scope=OPEN) is True


def test_the_identity_of_one_field_is_not_that_of_another() -> None:
    found = boundary(SILENT, SILENT, scope=CLOSED)
    names = [found.fact(f"prefill.kv.{name}").value.identity for name in ("block_size", "dtype", "layout")]
    assert None not in names
    assert len(set(names)) == 3


def test_what_is_drawn_or_owned_is_never_equal_by_silence() -> None:
    for path in ("connector.engine_id", "hosts", "workers", "devices_per_worker", "accelerator", "measured.step_s"):
        base = {name: stated for name, stated in SILENT.items() if name != path}
        assert same(path, {}, {}, base) is None, path


@pytest.mark.parametrize("path", ["model.layers", "model.attention.kv_heads", "model.dtype", "model.id"])
def test_pools_of_one_model_share_what_nobody_says_of_it(path) -> None:
    for scope in (OPEN, CLOSED):
        assert same(path, {}, {}, {}, shares_model=True, scope=scope) is True
        assert same(path, {}, {}, {}, shares_model=False, scope=scope) is None


def test_settings_of_a_section_are_not_shared_with_the_model() -> None:
    assert same("kv.block_size", {}, {}, {}, shares_model=True, scope=OPEN) is None


# -- taken away ------------------------------------------------------------------------------------------------


def test_a_leaf_taken_away_is_unknown_in_every_scope_and_takes_along_what_rests_on_it() -> None:
    scope = boundary(VLLM, VLLM, scope=CLOSED)
    prefill = scope.subjects["prefill"]
    without = scope.without({prefill: frozenset({"engine.version"})})
    assert value(without, "prefill.engine.version") == U
    assert value(without, "prefill.connector.lease_extension_s") == U
    assert value(without, "decode.connector.lease_extension_s") == 20
    assert value(without, "prefill.engine.name") == "vllm"
    assert value(scope, "prefill.connector.lease_extension_s") == 20
    again = without.without({without.subjects["decode"]: frozenset({"connector.name"})})
    assert value(again, "prefill.engine.version") == U
    assert value(again, "handoff.carries") == U
    assert value(without, "handoff.carries") == "bytes"


def test_a_default_taken_away_does_not_come_back() -> None:
    scope = boundary(VLLM, VLLM, scope=CLOSED)
    without = scope.without({scope.subjects["prefill"]: frozenset({"connector.lease_s"})})
    assert value(without, "prefill.connector.lease_s") == U
    assert without.fact("prefill.connector.lease_s").value.identity is None


def test_what_nothing_taken_away_stands_behind_is_the_same_fact() -> None:
    scope = boundary(VLLM, VLLM)
    without = scope.without({scope.subjects["decode"]: frozenset({"engine.version"})})
    assert without.fact("prefill.engine.name") is scope.fact("prefill.engine.name")
    assert without.fact("handoff.carries") is not scope.fact("handoff.carries")
    assert without.declared("handoff.path") is scope.declared("handoff.path") is False
