"""What a report says of each input: the shape of pools, and the origins of the facts that rules read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.engine.overview import fields_read
from hetpd_cli.fields import field
from hetpd_cli.findings import FactCounts
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.reader import Reading
from hetpd_cli.sources.text import Limits, SourceText
from tests.engine.rules import rule
from tests.support import check_text

if TYPE_CHECKING:
    from hetpd_cli.engine.catalogue import Rule
    from hetpd_cli.findings import InputReport

PAIR = """\
hetpd: 1
model: Qwen/Qwen3-32B
pools:
  - {name: p, role: prefill, workers: 4, parallelism: {tp: 1}, kv: {dtype: bf16}, connector: nixl}
  - {name: d, role: decode, accelerator: h200, devices_per_worker: 8, parallelism: {tp: 4, dp: 2}, connector: nixl,
     engine: {name: vllm, version: 0.24.0}, unstated: default}
"""


def counted(*rules: Rule, text: str = PAIR) -> FactCounts:
    return check([read_text(SourceText("a.yaml", text), Limits())], rules).inputs[0].counts


def item(reading: Reading) -> InputReport:
    return check([reading], catalogue()).inputs[0]


def test_shape_of_the_pools() -> None:
    prefill, decode = check_text(PAIR).inputs[0].pools
    assert (prefill.name, prefill.role, prefill.workers, prefill.accelerator) == ("p", "prefill", 4, None)
    assert (prefill.model, prefill.engine, prefill.connector) == ("Qwen/Qwen3-32B", None, "nixl")
    assert (decode.devices_per_worker, decode.accelerator, decode.version) == (8, "h200", "0.24.0")
    assert [decode.parallelism[name] for name in ("tp", "pp", "dp")] == [4, 1, 2]
    assert PAIR[decode.place.start : decode.place.end] == "d"


def test_each_side_counts_what_rules_read_of_its_role() -> None:
    one_sided = rule("prefill.kv.dtype == 'bf16'")
    assert counted(one_sided) == FactCounts(stated=1)
    assert counted(rule("prefill.kv.dtype == decode.kv.dtype")) == FactCounts(stated=1, default=1)
    assert counted(rule("pool.kv.dtype == 'bf16'", over="pool")) == FactCounts(stated=1, default=1)
    assert counted(rule("prefill.accelerator == decode.accelerator")) == FactCounts(stated=1, unknown=1)
    assert counted(rule("all_of(decode_pools.accelerator == 'h200')", over="deployment")) == FactCounts(stated=1)


def test_a_fact_that_several_rules_read_counts_once() -> None:
    assert counted(*[rule("prefill.kv.dtype == 'bf16'")] * 3) == FactCounts(stated=1)


def test_a_derived_fact_counts_the_fields_behind_it() -> None:
    assert counted(rule("handoff.one_connector")) == FactCounts(stated=2)


def test_a_field_from_a_table_is_derived_and_an_engines_own_is_a_default() -> None:
    assert counted(rule("decode.model.layers == 64")) == FactCounts(derived=1)
    assert counted(rule("decode.connector.enforce_handshake_compat")) == FactCounts(default=1)


def test_only_fields_are_counted() -> None:
    for owner, paths in fields_read(catalogue()).items():
        assert paths
        assert all(field("handoff" if owner == "handoff" else "pool", path) for path in paths)


def test_an_input_without_pools_counts_nothing() -> None:
    assert item(Reading("b.yaml", None, "not-pd", "no roles")).counts == FactCounts()


def test_a_half_that_was_joined_is_not_without_a_boundary() -> None:
    half = item(Reading("b.yaml", "kubernetes", "checked", joined=("a.yaml",)))
    assert (half.status, half.detail, half.joined) == ("checked", "", ("a.yaml",))
    alone = item(Reading("b.yaml", "kubernetes", "checked"))
    assert alone.detail
