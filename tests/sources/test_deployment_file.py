"""From documents to deployments: several in a file, anchors, defaults, models, handoffs, hosts, references."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hetpd_cli.deployment import CLOSED, OPEN, Stated
from hetpd_cli.facts.values import DEFAULT, NONE, STATED
from hetpd_cli.rule_examples import spots
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.support import check_text, codes, deployment_of

if TYPE_CHECKING:
    from hetpd_cli.deployment import Deployment
    from hetpd_cli.sources.reader import Reading

PAIR = """\
hetpd: 1
pools:
  - {name: p, role: prefill}
  - {name: d, role: decode}
"""


def reading(text: str, path: str = "deploy.yaml", limits: Limits = Limits()) -> Reading:
    return read_text(SourceText(path, text), limits)


def faults(text: str) -> list[tuple[str, str]]:
    """Return rule and primary token of each problem."""
    found = []
    for problem in reading(text).problems:
        place = next(spot.place for spot in problem.places if spot.primary)
        found.append((problem.rule, text[place.start : place.end]))
    return found


def pairs(deployment: Deployment) -> list[str]:
    return [f"{handoff.prefill}>{handoff.decode}" for handoff in deployment.handoffs]


def stated(text: str, pool: str, path: str) -> Stated:
    found = deployment_of(text).pool(pool)
    assert found is not None
    return found.settings.stated[path]


# -- documents -------------------------------------------------------------------------------------------------


def test_each_stamped_document_is_a_deployment() -> None:
    text = PAIR.replace("p,", "p1,") + "---\nkind: Service\nspec: {}\n---\n" + PAIR
    found = reading(text)
    assert (found.format, found.status) == ("hetpd", "checked")
    assert [pairs(deployment) for deployment in found.deployments] == [["p1>d"], ["p>d"]]
    assert found.deployments[1].pools[0].place.line == 11
    assert not found.problems


def test_json_is_read_and_has_no_ambiguous_scalars() -> None:
    text = '{"hetpd": 1, "pools": [{"name": "p", "role": "prefill", "kv": {"block_size": 1e1}}]}'
    assert not reading(text, "deploy.json").problems
    assert [problem.rule for problem in reading(text, "deploy.yaml").problems] == ["ambiguous-scalar"]


@pytest.mark.parametrize("stamp", ["hetpd: 1", '"hetpd": 1', "'hetpd' : 1", "# c\nhetpd:   1", "---\nhetpd: 1"])
def test_stamps(stamp: str) -> None:
    assert reading(PAIR.replace("hetpd: 1", stamp)).format == "hetpd"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# hetpd\n",
        "kind: Pod\n",
        "- hetpd: 1\n",
        "jobs:\n  hetpd: {runs-on: x}\n",
        "a: {hetpd: 1}\n",
        "hetpd\n",
        "note: 'hetpd: 1'\n",
    ],
)
def test_what_is_not_ours_is_not_pd_and_has_no_problem(text: str) -> None:
    found = reading(text)
    assert (found.status, found.problems, found.deployments) == ("not-pd", (), ())


def test_a_broken_document_is_unreadable_and_those_before_it_are_checked() -> None:
    assert reading("hetpd: 1\npools: [\n").status == "unreadable"
    found = reading(PAIR + "---\nhetpd: [\n")
    assert (found.status, [problem.rule for problem in found.problems]) == ("checked", ["yaml-syntax"])
    assert pairs(found.deployments[0]) == ["p>d"]


# -- anchors, merge keys, defaults -----------------------------------------------------------------------------


def test_anchors_and_merge_keys() -> None:
    text = """\
hetpd: 1
pools:
  - &base {name: p, role: prefill, kv: &kv {dtype: bf16, block_size: 16}, workers: 2}
  - {<<: *base, name: d, role: decode, kv: {<<: *kv, block_size: 32}}
  - {<<: [{workers: 3}, *base], name: d2, role: decode}
"""
    deployment = deployment_of(text)
    assert pairs(deployment) == ["p>d", "p>d2"]
    values = [
        [pool.settings.value(path) for path in ("workers", "kv.dtype", "kv.block_size")] for pool in deployment.pools
    ]
    assert values == [[2, "bf16", 16], [2, "bf16", 32], [3, "bf16", 16]]
    assert (
        deployment.pools[1].settings.stated["kv.dtype"].place == deployment.pools[0].settings.stated["kv.dtype"].place
    )


DEFAULTS = """\
hetpd: 1
defaults:
  workers: 2
  kv: {dtype: fp16, block_size: 16}
  connector: {name: nixl, env: {A: x, B: x}}
  env: {A: x}
pools:
  - {name: p, role: prefill, kv: {dtype: bf16}, connector: {env: {B: y}}}
  - {name: d, role: decode, workers: 3, connector: none}
"""


@pytest.mark.parametrize(
    ("pool", "path", "value", "line"),
    [
        ("p", "workers", 2, 3),
        ("p", "kv.dtype", "bf16", 8),
        ("p", "kv.block_size", 16, 4),
        ("p", "connector.name", "nixl", 5),
        ("p", "connector.env.A", "x", 5),
        ("p", "connector.env.B", "y", 8),
        ("p", "env.A", "x", 6),
        ("d", "workers", 3, 9),
        ("d", "connector.name", NONE, 9),
    ],
)
def test_defaults_fill_leaf_by_leaf(pool: str, path: str, value: object, line: int) -> None:
    found = stated(DEFAULTS, pool, path)
    assert found.place is not None
    assert (found.value, found.place.line, found.origin) == (value, line, STATED)


def test_defaults_take_no_name_and_no_role() -> None:
    assert faults(
        "hetpd: 1\ndefaults: {name: x, role: prefill, measured: {}}\npools: [{name: p, role: prefill}]\n"
    ) == [
        ("unknown-key", "name"),
        ("unknown-key", "role"),
        ("unknown-key", "measured"),
    ]


@pytest.mark.parametrize(
    ("own", "defaults", "scopes"),
    [
        ("", "{}", [OPEN, OPEN]),
        ("unstated: default, ", "{}", [CLOSED, OPEN]),
        ("", "{unstated: default}", [CLOSED, CLOSED]),
        ("unstated: unknown, ", "{unstated: default}", [OPEN, CLOSED]),
    ],
)
def test_unstated_closes_the_scope(own: str, defaults: str, scopes: list[str]) -> None:
    text = f"hetpd: 1\ndefaults: {defaults}\npools: [{{{own}name: p, role: prefill}}, {{name: d, role: decode}}]\n"
    assert [pool.settings.scope for pool in deployment_of(text).pools] == scopes
    assert all("unstated" not in pool.settings.stated for pool in deployment_of(text).pools)


def test_the_file_s_own_defaults_hold_where_the_mapping_is_written() -> None:
    text = PAIR.replace("prefill}", "prefill, connector: {name: nixl}}")
    found = stated(text, "p", "connector.buffer_device")
    assert (found.value, found.origin, found.place) == ("device", DEFAULT, None)
    decode = deployment_of(text).pool("d")
    assert decode is not None
    assert "connector.buffer_device" not in decode.settings.stated
    closed = deployment_of(text.replace("prefill,", "prefill, unstated: default,")).pools[0].settings
    assert "connector.buffer_device" not in closed.stated


# -- models ----------------------------------------------------------------------------------------------------


def test_a_pool_serves_the_deployment_s_model_unless_it_names_another() -> None:
    text = """\
hetpd: 1
model: {id: a, layers: 4, attention: {kv_heads: 8}}
pools:
  - {name: p, role: prefill}
  - {name: q, role: prefill, model: b}
  - {name: r, role: prefill, model: {id: a, layers: 5}}
  - {name: d, role: decode, model: {layers: 6}}
"""
    deployment = deployment_of(text)
    rows = [
        [pool.settings.value(f"model.{path}") for path in ("id", "layers", "attention.kv_heads")]
        for pool in deployment.pools
    ]
    assert rows == [["a", 4, 8], ["b", None, None], ["a", 5, 8], ["a", 6, 8]]
    assert [pool.shares_model for pool in deployment.pools] == [True, False, False, False]
    assert pairs(deployment) == ["p>d", "r>d"]


# -- handoffs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ("p prefill, q prefill, d decode, e decode", ["p>d", "p>e", "q>d", "q>e"]),
        ("d decode, p prefill", ["p>d"]),
        ("p prefill, q prefill", []),
        ("p prefill, d decode, a aggregated", ["p>d"]),
        ("p kv_producer, d kv_consumer, b kv_both", ["p>d"]),
        ("p prefill m, q prefill n, d decode m, e decode n, f decode", ["p>d", "p>f", "q>e", "q>f"]),
    ],
)
def test_default_handoffs_are_the_pairs_of_one_model(pools: str, expected: list[str]) -> None:
    rows = [([*words, ""])[:3] for words in (row.split() for row in pools.split(", "))]
    text = "hetpd: 1\npools:\n" + "".join(
        f"  - {{name: {name}, role: {role}{f', model: {model}' if model else ''}}}\n" for name, role, model in rows
    )
    deployment = deployment_of(text)
    assert pairs(deployment) == expected
    assert not any(handoff.explicit for handoff in deployment.handoffs)


def test_explicit_handoffs_replace_the_default_ones() -> None:
    text = PAIR + "  - {name: e, role: decode}\nhandoffs: [{from: p, to: e, path: roce-400g}]\n"
    deployment = deployment_of(text)
    assert pairs(deployment) == ["p>e"]
    assert deployment.handoffs[0].explicit
    assert deployment.handoffs[0].settings.value("path.link") == "roce-400g"
    assert pairs(deployment_of(PAIR + "handoffs: []\n")) == []


def test_limits_on_pools_and_boundaries_are_findings() -> None:
    pools = "hetpd: 1\npools:\n" + "".join(
        f"  - {{name: {role[0]}{index}, role: {role}}}\n" for role in ("prefill", "decode") for index in range(3)
    )
    few = reading(pools, limits=Limits(max_pools=5))
    assert [problem.rule for problem in few.problems] == ["too-many-pools"]
    assert few.problems[0].places[0].place.line == 8
    assert len(few.deployments[0].pools) == 5
    capped = reading(pools, limits=Limits(max_boundaries=8))
    assert [problem.rule for problem in capped.problems] == ["too-many-pools"]
    assert len(capped.deployments[0].handoffs) == 8
    listed = reading(pools + "handoffs: [{from: p0, to: d0}, {from: p1, to: d1}]\n", limits=Limits(max_boundaries=1))
    assert pairs(listed.deployments[0]) == ["p0>d0"]


# -- references and twins --------------------------------------------------------------------------------------


def test_unknown_references_name_the_nearest() -> None:
    text = (
        PAIR.replace("name: p,", "name: prefill-a,")
        + "handoffs: [{from: prefil-a, to: d}, {from: prefill-a, to: zzz}]\n"
    )
    assert faults(text) == [("unknown-reference", "prefil-a"), ("unknown-reference", "zzz")]
    assert [problem.fix for problem in reading(text).problems] == ["write `prefill-a`", "declared: prefill-a, d"]
    assert pairs(deployment_of(text)) == []


def test_a_handoff_goes_from_prefill_to_decode() -> None:
    text = PAIR + "handoffs: [{from: d, to: p}]\n"
    assert faults(text) == [("unknown-reference", "d"), ("unknown-reference", "p")]
    report = check_text(text)
    assert spots(report.findings[0], report.texts) == ["5:d", "4:d"]
    assert pairs(deployment_of(PAIR + "  - {name: a, role: aggregated}\nhandoffs: [{from: a, to: d}]\n")) == ["a>d"]


def test_hosts() -> None:
    text = (
        PAIR.replace("prefill}", "prefill, hosts: [node-1, 2]}")
        + "hosts:\n  - {name: node-1, address: 10.0.0.1}\n  - {name: 2}\n"
    )
    deployment = deployment_of(text)
    assert [host.name for host in deployment.hosts] == ["node-1", "2"]
    assert deployment.hosts[0].settings.value("address") == "10.0.0.1"
    assert not reading(text).problems
    (problem,) = reading(text.replace("[node-1, 2]", "node-l")).problems
    assert (problem.rule, problem.fix) == ("unknown-reference", "write `node-1`")
    assert not reading(PAIR.replace("prefill}", "prefill, hosts: node-9}")).problems


def test_twins_of_pools() -> None:
    text = PAIR + "  - {name: p, role: prefill}\n"
    report = check_text(text)
    assert codes(report) == ["HPD012"]
    assert spots(report.findings[0], report.texts) == ["5:p", "3:p"]
    assert pairs(deployment_of(text)) == ["p>d"]


def test_names_are_text() -> None:
    text = "hetpd: 1\nname: 0.10\npools: [{name: 0.20, role: prefill}, {name: 1, role: decode}]\nhandoffs: [{from: 0.20, to: 1}]\n"
    deployment = deployment_of(text)
    assert (deployment.name, pairs(deployment)) == ("0.10", ["0.20>1"])


# -- what decodes despite faults is still checked --------------------------------------------------------------


def test_the_rest_of_a_faulty_file_is_still_checked() -> None:
    text = """\
hetpd: 1
pools:
  - {name: p, role: prefill, wokers: 2, kv: {dtype: fp16}, connector: nixl}
  - {name: d, role: decode, kv: {dtype: bf16}, connector: mooncake}
"""
    assert codes(check_text(text)) == ["HPD013", "HPD201", "HPD501"]


def test_sections_of_the_deployment_know_whether_they_are_written() -> None:
    deployment = deployment_of(PAIR + "router: {name: llm-d, speaks: nixl}\nworkload: govreport\nstore: {}\n")
    assert deployment.router.value("speaks") == ("nixl",)
    assert deployment.workload.value("preset") == "govreport"
    assert [part.place is not None for part in (deployment.router, deployment.store)] == [True, True]
    bare = deployment_of(PAIR)
    assert [part.place for part in (bare.router, bare.store, bare.workload)] == [None, None, None]


# -- sites -----------------------------------------------------------------------------------------------------

SITED = """\
hetpd: 1
hosts: [{name: a, site: east}, {name: b, site: east}, {name: c, site: 7}, {name: d}]
pools:
  - {name: p, role: prefill, hosts: %s}
"""


@pytest.mark.parametrize(
    ("hosts", "sites"),
    [("a", ("east",)), ("[a, b]", ("east",)), ("[c, a]", ("7", "east")), ("[a, d]", None), ("d", None), ("[]", None)],
)
def test_a_pool_stands_where_its_hosts_do(hosts, sites) -> None:
    (pool,) = deployment_of(SITED % hosts).pools
    found = pool.settings.stated.get("location.sites")
    assert (found and found.value) == sites
    assert ("location" in pool.settings.declared) == (sites is not None)


def test_what_a_pool_says_of_its_sites_stays() -> None:
    (pool,) = deployment_of(SITED % "a, location: {sites: west}").pools
    assert pool.settings.value("location.sites") == ("west",)


def test_the_site_of_a_pool_is_pointed_at_where_the_host_says_it() -> None:
    text = SITED % "[c, a]"
    place = stated(text, "p", "location.sites").place
    assert place is not None
    assert text[place.start : place.end] == "7"


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("hosts: [{name: a}, {name: a}]", "two hosts are called a"),
        ("handoffs: [{from: p, to: d}, {from: p, to: d}]", "two handoffs join p and d"),
    ],
)
def test_what_stands_twice_counts_once(part, message) -> None:
    text = f"hetpd: 1\npools:\n  - {{name: p, role: prefill}}\n  - {{name: d, role: decode}}\n{part}\n"
    report = check_text(text)
    assert [(found.code, found.message) for found in report.findings] == [("HPD012", message)]
    assert len(report.findings[0].places) == 2
    assert report.inputs[0].boundaries == ("p -> d",)


def test_a_number_with_a_word_for_none() -> None:
    text = "hetpd: 1\npools: [{name: p, role: prefill, model: {attention: {sliding_window: none}}}]\n"
    assert stated(text, "p", "model.attention.sliding_window").value is NONE
    assert faults(text) == []
    other = "hetpd: 1\npools: [{name: p, role: prefill, model: {attention: {kv_heads: none}}}]\n"
    assert [rule for rule, _ in faults(other)] == ["wrong-type"]
