"""Verdicts, what decides them, and how findings are joined."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from hetpd_cli.engine.catalogue import Rule, compile_rule
from hetpd_cli.engine.scopes import Scopes
from hetpd_cli.engine.verdicts import HOLDS, NOT_APPLICABLE, UNDECIDED, VIOLATED, deciding, judge, needs
from hetpd_cli.rule_examples import report_on
from tests.support import check_text, codes, deployment_of

HEAD = {
    "code": "HPD299",
    "name": "a-rule",
    "title": "A rule",
    "severity": "error",
    "confidence": "certain",
    "over": "boundary",
    "message": "m",
    "why": "w.",
    "fix": "f",
    "since": "0.1.0",
}


def rule(require: str, when: str = "true", of: str | None = None) -> Rule:
    evidence = {"kind": "paper", "at": "x", "says": "y", **({"of": of} if of else {})}
    return Rule(compile_rule({**HEAD, "when": when, "require": require, "evidence": [evidence]}))


def scope_of(prefill: str, decode: str) -> Any:
    text = f"hetpd: 1\npools:\n  - {{name: p, role: prefill, {prefill}}}\n  - {{name: d, role: decode, {decode}}}\n"
    (scope,) = Scopes(deployment_of(text)).of("boundary")
    return scope


SAME = "prefill.kv.block_size == decode.kv.block_size"


@pytest.mark.parametrize(
    ("when", "prefill", "decode", "outcome"),
    [
        ("true", "kv: {block_size: 16}", "kv: {block_size: 16}", HOLDS),
        ("true", "kv: {block_size: 16}", "kv: {block_size: 32}", VIOLATED),
        ("true", "kv: {block_size: 16}", "workers: 1", UNDECIDED),
        ("false", "kv: {block_size: 16}", "kv: {block_size: 32}", NOT_APPLICABLE),
        ("prefill.kv.layout == 'HND'", "kv: {block_size: 16}", "kv: {block_size: 16}", HOLDS),
        ("prefill.kv.layout == 'HND'", "kv: {block_size: 16}", "kv: {block_size: 32}", UNDECIDED),
        (
            "prefill.kv.layout in ('HND', 'NHD', 'BLHNC', 'LHBNC')",
            "kv: {block_size: 16}",
            "kv: {block_size: 32}",
            VIOLATED,
        ),
    ],
)
def test_outcomes(when, prefill, decode, outcome) -> None:
    assert judge(rule(SAME, when), scope_of(prefill, decode)).outcome == outcome


@pytest.mark.parametrize(
    ("engine", "of", "outcome"),
    [
        ("{name: vllm, version: 0.24.0}", "vllm >=0.24,<0.34", VIOLATED),
        ("{name: vllm, version: 0.34.0}", "vllm >=0.24,<0.34", UNDECIDED),
        ("vllm", "vllm >=0.24,<0.34", UNDECIDED),
        ("vllm", "vllm *", VIOLATED),
        ("vllm", None, VIOLATED),
    ],
)
def test_a_verdict_reaches_as_far_as_its_evidence(engine, of, outcome) -> None:
    scope = scope_of(f"kv: {{block_size: 16}}, engine: {engine}", f"kv: {{block_size: 32}}, engine: {engine}")
    verdict = judge(rule(SAME, of=of), scope)
    assert verdict.outcome == outcome
    if outcome == UNDECIDED:
        assert [leaf.name for leaf in needs(verdict, scope)] == ["prefill.engine.version"]


@pytest.mark.parametrize(
    "require",
    [
        SAME,
        f"{SAME} or prefill.kv.layout == 'NHD' or decode.parallelism.tp > 8",
        "prefill.parallelism.tp == 1 and decode.parallelism.tp == 2",
        "prefill.parallelism.tp == 2 and decode.parallelism.tp == 2 and " + SAME,
        "divisible(prefill.parallelism.attention_tp, decode.parallelism.attention_tp)",
    ],
)
def test_deciding_facts_are_the_smallest_set_that_forces_the_verdict(require) -> None:
    side = "kv: {block_size: %d, layout: HND}, parallelism: {tp: %d}, engine: {name: vllm, version: 0.24.0}"
    scope = scope_of(side % (16, 4), side % (32, 6))
    subject = rule(require)
    verdict = judge(subject, scope)
    assert verdict.outcome == VIOLATED
    found = {(leaf.fact.owner, leaf.fact.path) for leaf in deciding(subject, scope, verdict)}
    stated = [(pool, path) for pool in scope.subjects.values() if pool.kind == "pool" for path in pool.section.stated]
    stated = [entry for entry in stated if entry[1] not in {"name", "role"}]

    def forced(kept: set[Any]) -> bool:
        gone: dict[Any, frozenset[str]] = {}
        for owner, path in stated:
            if (owner, path) not in kept:
                gone[owner] = gone.get(owner, frozenset()) | {path}
        return judge(subject, scope.without(gone)).outcome == VIOLATED

    assert forced(found)
    assert not any(forced(set(fewer)) for size in range(len(found)) for fewer in combinations(stated, size))


FOUR = """\
hetpd: 1
model: Qwen/Qwen3-32B
defaults: {connector: nixl}
pools:
  - {name: p1, role: prefill, kv: {dtype: %s}}
  - {name: p2, role: prefill, kv: {dtype: bf16}}
  - {name: d1, role: decode, kv: {dtype: bf16}}
  - {name: d2, role: decode, kv: {dtype: %s}}
"""


def dtype_findings(text: str) -> list[Any]:
    return [found for found in check_text(text).findings if found.code == "HPD201"]


def test_one_cause_is_one_finding_and_two_causes_are_two() -> None:
    (one,) = dtype_findings(FOUR % ("fp16", "bf16"))
    assert one.boundaries == ("p1 -> d1", "p1 -> d2")
    assert len({spot.place for spot in one.places}) == len(one.places) == 3
    two = dtype_findings(FOUR % ("fp16", "fp8"))
    assert [found.boundaries for found in two] == [("p1 -> d1",), ("p1 -> d2",), ("p2 -> d2",)]
    assert len({found.fingerprint for found in two}) == 3


def test_a_fingerprint_survives_moved_lines() -> None:
    (before,) = dtype_findings(FOUR % ("fp16", "bf16"))
    (after,) = dtype_findings("# a comment\n\n" + FOUR % ("fp16", "bf16"))
    assert before.primary != after.primary
    assert before.fingerprint == after.fingerprint


def test_equal_causes_in_two_places_have_fingerprints_of_their_own() -> None:
    text = FOUR % ("fp16", "bf16") + "handoffs: [{from: p1, to: d1}, {from: p2, to: d2}]\n"
    text = text.replace("{name: p2, role: prefill, kv: {dtype: bf16}}", "{name: p2, role: prefill, kv: {dtype: fp16}}")
    found = dtype_findings(text)
    assert len({entry.fingerprint for entry in found}) == len(found) == 2


def test_tallies_count_every_outcome_of_a_rule() -> None:
    report = check_text(
        FOUR.replace("kv: {dtype: bf16}}\n  - {name: d1", "workers: 1}\n  - {name: d1") % ("fp16", "bf16")
    )
    assert "HPD201" in codes(report)
    assert "HPD201" in {entry.code for entry in report.undecided}
    assert report.tally.undecided == len(report.undecided)
    assert report.matrix["T4"] == "violated"


def test_an_aggregated_deployment_is_not_ours() -> None:
    (entry,) = check_text("hetpd: 1\npools: [{name: a, role: aggregated}]\n").inputs
    assert entry.status == "not-pd"


def test_pools_of_two_models_make_no_boundary_and_it_is_said() -> None:
    text = "hetpd: 1\npools: [{name: p, role: prefill, model: a/b}, {name: d, role: decode, model: a/c}]\n"
    (entry,) = check_text(text).inputs
    assert (entry.status, entry.boundaries) == ("checked", ())
    assert "no boundary" in entry.detail


VENDORS = """\
hetpd: 1
defaults: {engine: {name: vllm, version: 0.24.0}, connector: nixl, unstated: default}
pools:
  - {name: p, role: prefill, accelerator: mi300x}
  - {name: d, role: decode, accelerator: h200}
"""


def test_what_nothing_could_settle_has_a_reason() -> None:
    (entry,) = [one for one in check_text(VENDORS).undecided if one.code == "HPD503"]
    assert entry.needs == ()
    assert "vendors" in entry.reason


def test_a_derived_fact_names_the_side_that_it_lacks() -> None:
    text = VENDORS.replace("accelerator: h200", "accelerator: h200, location: {sites: [east]}")
    reason = Scopes(deployment_of(text)).boundaries[0].fact("handoff.crosses_sites").value.reason
    assert "prefill.location.sites" in reason
    assert "decode.location.sites" not in reason


@pytest.mark.parametrize(("unit", "said"), [("s", "60 s"), ("token", "60 tokens"), ("1", "60")])
def test_a_parameter_is_said_with_its_unit(unit, said) -> None:
    asked = {
        **HEAD,
        "require": "prefill.workers > 1",
        "message": "{param.longest}!",
        "parameters": {"longest": {"value": 60, "unit": unit, "source": "x"}},
        "evidence": [{"kind": "paper", "at": "x", "says": "y"}],
    }
    text = "hetpd: 1\nmodel: a/b\npools: [{name: p, role: prefill, workers: 1}, {name: d, role: decode}]\n"
    (found,) = report_on(text, [Rule(compile_rule(asked))]).findings
    assert found.message == f"{said}!"
