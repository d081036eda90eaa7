"""Every fact of every subject stands in the list, once, with its origin."""

from __future__ import annotations

import pytest

from hetpd_cli.engine.fact_list import chosen, fact_groups, fact_names
from hetpd_cli.facts.registry import derivations
from hetpd_cli.fields import fields
from tests.support import ROOT, deployment_of

TEXT = """\
hetpd: 1
model: zai-org/GLM-5.1
defaults: {engine: {name: vllm, version: 0.24.0}}
workload: {rate_per_s: 2}
pools:
  - {name: p, role: prefill, unstated: default, kv: {dtype: bfloat16}, connector: {name: nixl, env: {UCX_TLS: rc}}}
  - {name: d, role: decode, parallelism: {tp: 2, pp: 1}, kv: {scales: none}}
"""
GROUPS = fact_groups(deployment_of(TEXT))


def row(group: str, path: str):
    (found,) = [row for one in GROUPS if one.name == group for row in one.rows if row.view.name == path]
    return found


def test_subjects_come_in_order_and_only_if_declared() -> None:
    assert [(group.kind, group.name, group.prefix) for group in GROUPS] == [
        ("pool", "p", "prefill"), ("pool", "d", "decode"), ("handoff", "p -> d", "handoff"),
        ("workload", "workload", "workload"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["pool", "handoff", "workload"])
def test_every_field_and_every_derived_fact_is_there_once(kind) -> None:
    wanted = {path for path, field in fields(kind).items() if not field.open_map} | set(derivations(kind))
    for group in GROUPS:
        if group.kind == kind:
            names = [row.view.name for row in group.rows]
            assert len(names) == len(set(names))
            assert wanted <= set(names)


def test_each_origin() -> None:
    stated = row("p", "kv.dtype")
    assert (stated.view.value, stated.view.origin, stated.view.written) == ("bf16", "stated", "bfloat16")
    assert stated.view.place.line == 6
    assert row("p", "connector.env.UCX_TLS").view.value == "rc"
    assert row("p", "connector.lease_s").view.origin == "default"
    assert "vllm 0.24.0" in row("p", "connector.lease_s").view.note
    assert row("d", "model.layers").view.origin == "looked up"
    ranks = row("d", "parallelism.ranks")
    assert (ranks.view.origin, ranks.inputs) == ("unknown", derivations("pool")["parallelism.ranks"].inputs)
    assert ranks.reason
    assert row("d", "kv.scales").view.origin == "stated"
    assert row("d", "kv.scales").view.value is None
    unknown = row("d", "kv.layout")
    assert (unknown.view.origin, unknown.view.value) == ("unknown", None)
    assert set(unknown.candidates) == set(fields("pool")["kv.layout"].choices)


@pytest.mark.parametrize(
    ("globs", "names"),
    [
        (("kv.dtype",), ["p kv.dtype", "d kv.dtype"]),
        (("prefill.kv.dtype",), ["p kv.dtype"]),
        (("d.kv.dtype",), ["d kv.dtype"]),
        (
            ("decode.kv.dt*", "workload.rate*"),
            ["d kv.dtype", "d kv.dtype_word", "d kv.dtype_left_to_engine", "workload rate_per_s"],
        ),
        (("handoff.one_rel*",), ["p -> d one_release"]),
        (("KV.dtype",), []),
        (("nothing.*",), []),
    ],
)
def test_globs(globs, names) -> None:
    assert [f"{group.name} {row.view.name}" for group in chosen(GROUPS, globs) for row in group.rows] == names


def test_no_glob_chooses_all() -> None:
    assert chosen(GROUPS, ()) == GROUPS
    assert "kv.dtype" in fact_names(GROUPS)


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: path.stem)
def test_the_facts_of_every_example(path) -> None:
    from hetpd_cli.sources.inputs import read
    from hetpd_cli.sources.text import Limits

    for deployment in read(str(path), Limits()).deployments:
        groups = fact_groups(deployment)
        assert len(groups) >= len(deployment.pools) + len(deployment.handoffs)
        assert all((row.view.origin == "unknown") is bool(row.reason) for group in groups for row in group.rows)
