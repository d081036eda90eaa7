"""Findings of one cause are one finding; different causes stay apart; fingerprints."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetpd_cli.engine.check import judge_deployment
from hetpd_cli.engine.findings import finding, merge
from tests.engine.rules import rule
from tests.support import check_text, deployment_of

HEAD = "hetpd: 1\nmodel: Qwen/Qwen3-32B\ndefaults: {connector: nixl}\npools:\n"
DTYPES = ("bf16", "fp16", "fp8", "int8")


def deployment(prefill: Any, decode: Any, head: str = HEAD, order: Any = None) -> str:
    lines = [f"  - {{name: p{index}, role: prefill, kv: {{dtype: {dtype}}}}}\n" for index, dtype in enumerate(prefill)]
    lines += [f"  - {{name: d{index}, role: decode, kv: {{dtype: {dtype}}}}}\n" for index, dtype in enumerate(decode)]
    return head + "".join(order(lines) if order else lines)


def found(text: str, code: str = "HPD201") -> list[Any]:
    return [entry for entry in check_text(text).findings if entry.code == code]


def causes(prefill: Any, decode: Any) -> set[frozenset[str]]:
    """Return the boundaries of each cause by brute force: equal values, linked through a pool."""
    group = {(one, other): (one, other) for one in range(len(prefill)) for other in range(len(decode))}
    for _ in group:
        for (one, other), (first, second) in product(group, repeat=2):
            same = (prefill[one], decode[other]) == (prefill[first], decode[second])
            if same and (one == first or other == second):
                group[one, other] = group[first, second] = min(group[one, other], group[first, second])
    return {
        frozenset(f"p{one} -> d{other}" for (one, other), root in group.items() if root == wanted)
        for (one, other), wanted in group.items()
        if prefill[one] != decode[other]
    }


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(DTYPES[:3]), min_size=1, max_size=3),
    st.lists(st.sampled_from(DTYPES[:3]), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
def test_findings_are_causes_in_whatever_order_pools_are_written(prefill, decode, random) -> None:
    def shuffled(lines: list[str]) -> list[str]:
        random.shuffle(lines)
        return lines

    straight, mixed = found(deployment(prefill, decode)), found(deployment(prefill, decode, order=shuffled))
    for findings in (straight, mixed):
        assert {frozenset(entry.boundaries) for entry in findings} == causes(prefill, decode)
        for entry in findings:
            places = [spot.place for spot in entry.places]
            assert len(set(places)) == len(places)
            assert sum(spot.primary for spot in entry.places) == 1
            assert len(set(entry.boundaries)) == len(entry.boundaries)
        assert len({entry.fingerprint for entry in findings}) == len(findings)
    assert {entry.fingerprint for entry in straight} == {entry.fingerprint for entry in mixed}


@pytest.mark.parametrize(
    ("prefill", "decode", "boundaries"),
    [
        (("bf16", "bf16"), ("fp16", "fp16"), [4]),
        (("fp16", "bf16"), ("bf16", "bf16"), [2]),
        (("fp16", "fp8"), ("bf16", "bf16"), [2, 2]),
        (("bf16", "fp16"), ("bf16", "fp16"), [1, 1]),
        (("bf16", "bf16"), ("bf16", "bf16"), []),
    ],
)
def test_two_by_two(prefill, decode, boundaries) -> None:
    findings = found(deployment(prefill, decode))
    assert [len(entry.boundaries) for entry in findings] == boundaries
    for entry in findings:
        assert len(entry.places) == len({name for pair in entry.boundaries for name in pair.split(" -> ")})


def test_one_line_for_all_sides_is_one_place() -> None:
    text = (
        "hetpd: 1\nmodel: Qwen/Qwen3-32B\ndefaults: {connector: nixl, kv: {dtype: bf16}}\npools:\n"
        "  - {name: p0, role: prefill}\n  - {name: p1, role: prefill}\n"
        "  - {name: d0, role: decode, kv: {dtype: fp16}}\n  - {name: d1, role: decode, kv: {dtype: fp16}}\n"
    )
    (entry,) = found(text)
    assert len(entry.boundaries) == 4
    assert [spot.place.line for spot in entry.places] == [3, 7, 8]


def test_rules_are_never_joined() -> None:
    one, other = rule("prefill.kv.dtype == decode.kv.dtype"), rule("prefill.kv.dtype == decode.kv.dtype")
    judged = judge_deployment(deployment_of(deployment(("bf16",), ("fp16",))), [one, other])
    assert [len(group) for group in merge(judged.violations)] == [1, 1]


def test_the_order_of_violations_does_not_matter() -> None:
    """Two groups that a later violation links are joined."""
    asked = rule("prefill.kv.dtype == decode.kv.dtype")
    violations = judge_deployment(deployment_of(deployment(("bf16", "bf16"), ("fp16", "fp16"))), [asked]).violations
    assert len(violations) == 4
    for order in permutations(violations):
        (group,) = merge(order)
        assert len(group) == 4
        assert len(finding(group).boundaries) == 4


def test_a_pair_of_pools_lists_the_boundaries_of_both() -> None:
    asked = rule("first.kv.dtype == second.kv.dtype", over="pair")
    text = deployment(("bf16", "bf16"), ("fp16",))
    judged = judge_deployment(deployment_of(text), [asked])
    assert [group[0].scope.label for group in merge(judged.violations)] == ["p0, d0"]
    assert set(finding(merge(judged.violations)[0]).boundaries) == {"p0 -> d0", "p1 -> d0"}


def test_a_rule_over_the_deployment_lists_all_boundaries() -> None:
    asked = rule("unique(pools.kv.dtype)", over="deployment")
    judged = judge_deployment(deployment_of(deployment(("bf16",), ("bf16", "fp16"))), [asked])
    (violation,) = judged.violations
    assert {leaf.name for leaf in violation.leaves} == {"pools[p0].kv.dtype", "pools[d0].kv.dtype"}
    assert finding([violation]).boundaries == ("p0 -> d0", "p0 -> d1")


def test_a_rule_over_a_pool_speaks_of_each_pool() -> None:
    asked = rule("pool.kv.dtype == 'bf16'", over="pool")
    judged = judge_deployment(deployment_of(deployment(("fp16", "fp16", "bf16"), ("bf16",))), [asked])
    assert [finding(group).boundaries for group in merge(judged.violations)] == [("p0 -> d0",), ("p1 -> d0",)]


def prints(text: str) -> set[str]:
    return {entry.fingerprint for entry in check_text(text).findings}


BASE = deployment(("bf16", "int8"), ("fp16",))


def test_a_fingerprint_survives_what_does_not_matter() -> None:
    assert len(prints(BASE)) == 2
    for text in (
        "# moved\n\n" + BASE,
        BASE.replace("{dtype: bf16}", "{dtype: bfloat16}"),
        BASE.replace("kv: {dtype: fp16}", "kv: {dtype: fp16, quality_probe: passed}"),
        BASE.replace("pools:", "workload: {rate_per_s: 3}\npools:"),
        BASE.replace("connector: nixl", "connector: NixlConnector"),
        BASE.replace(", kv: {dtype: fp16}", "").replace("connector: nixl}", "connector: nixl, kv: {dtype: fp16}}"),
    ):
        assert text != BASE
        assert prints(text) == prints(BASE)


def test_a_fingerprint_changes_with_a_deciding_value() -> None:
    other = BASE.replace("bf16", "nvfp4")
    assert len(prints(BASE) & prints(other)) == 1
    assert len(prints(other)) == 2


def test_a_pool_that_takes_no_part_can_be_renamed() -> None:
    assert prints(BASE) & prints(BASE.replace("name: p1", "name: q"))
    assert len(prints(BASE) - prints(BASE.replace("name: p1", "name: q"))) == 1


SPREAD = """\
hetpd: 1
model: {id: a/b}
defaults: {engine: {name: vllm, version: 0.24.0}, parallelism: {dp: 1}}
pools:
  - {name: p, role: prefill, model: {adapters: [a, b]}, connector: {name: nixl, engine_id: x}}
  - {name: d, role: decode, model: {adapters: [a]}, connector: {name: nixl, engine_id: x}}
  - {name: e, role: decode, model: {adapters: [a]}, connector: {name: nixl, engine_id: x}}
"""


@pytest.mark.parametrize("code", ["HPD210", "HPD512"])
def test_pools_that_have_one_fault_in_common_make_one_finding(code) -> None:
    (found,) = [finding for finding in check_text(SPREAD).findings if finding.code == code]
    assert found.boundaries == ("p -> d", "p -> e")
    assert [spot.place.line for spot in found.places] == [5, 6, 7]
