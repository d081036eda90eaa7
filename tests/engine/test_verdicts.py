"""Verdicts against brute force: outcomes over joint choices, deciding facts, coverage, and what is lacking."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetpd_cli.deployment import CLOSED, OPEN
from hetpd_cli.engine.catalogue import coverage
from hetpd_cli.engine.check import judge_deployment
from hetpd_cli.engine.parse import PREFIXES
from hetpd_cli.engine.verdicts import HOLDS, NOT_APPLICABLE, UNDECIDED, VIOLATED, deciding, judge, needs
from hetpd_cli.facts.values import NONE, Unknown
from hetpd_cli.fields import field
from tests.engine.rules import rule
from tests.facts.building import VLLM, Leaves, boundary
from tests.support import check_text, deployment_of, examples

ANY = Unknown("?")
BOTH = Unknown("?", (True, False))


def outcome(require: str, when: str, prefill: Leaves, decode: Leaves | None = None) -> str:
    return judge(rule(require, when), boundary(prefill, decode)).outcome


# -- outcomes --------------------------------------------------------------------------------------------------

TRUTHS = {True: {True}, False: {False}, ANY: {True, False}}


@pytest.mark.parametrize("when", TRUTHS)
@pytest.mark.parametrize("require", TRUTHS)
def test_the_table_of_verdicts(when, require) -> None:
    """False condition: not applicable. Unknown condition: holds where the requirement does, else undecided."""
    expected = {
        (False, True): NOT_APPLICABLE, (False, False): NOT_APPLICABLE, (False, ANY): NOT_APPLICABLE,
        (True, True): HOLDS, (True, False): VIOLATED, (True, ANY): UNDECIDED,
        (ANY, True): HOLDS, (ANY, False): UNDECIDED, (ANY, ANY): UNDECIDED,
    }[when, require]  # fmt: skip
    leaves = {"model.hybrid": when, "engine.prefix_caching": require}
    assert outcome("prefill.engine.prefix_caching", "prefill.model.hybrid", leaves) == expected


@pytest.mark.parametrize("word", ["'text'", "1", "none", "[1]"])
def test_what_is_no_truth_decides_nothing(word) -> None:
    assert outcome(word, "true", {}) == UNDECIDED
    assert outcome("false", word, {}) == UNDECIDED


@pytest.mark.parametrize(
    ("require", "leaves", "expected"),
    [
        ("prefill.kv.layout == 'HND' or prefill.kv.layout == 'NHD'", {"kv.layout": Unknown("?", ("HND", "NHD"))}, HOLDS),
        ("prefill.kv.layout == 'HND' and prefill.kv.layout == 'NHD'", {}, VIOLATED),
        ("prefill.kv.layout == 'HND' or prefill.kv.layout != 'HND'", {}, HOLDS),
        ("prefill.kv.layout != decode.kv.layout or prefill.kv.layout == decode.kv.layout", {}, HOLDS),
        ("prefill.kv.block_size == 1 or prefill.kv.block_size != 1", {}, UNDECIDED),
        ("prefill.engine.prefix_caching or not prefill.engine.prefix_caching", {}, HOLDS),
        ("absent(prefill.kv.rotation) or not absent(prefill.kv.rotation)", {"kv.rotation": Unknown("?", (NONE, "x"))}, HOLDS),
        ("divides(prefill.kv.block_size, 12)", {"kv.block_size": Unknown("?", (2, 3, 4))}, HOLDS),
        ("divides(prefill.kv.block_size, 12)", {"kv.block_size": Unknown("?", (2, 5))}, UNDECIDED),
        ("divides(prefill.kv.block_size, 12)", {"kv.block_size": Unknown("?", (2, 0))}, UNDECIDED),
        ("divides(prefill.kv.block_size, 12)", {"kv.block_size": Unknown("?", (5, 7))}, VIOLATED),
        ("prefill.kv.block_size < 99", {"kv.block_size": Unknown("?", tuple(range(1, 90)))}, HOLDS),
        ("divides(1, prefill.kv.block_size)", {"kv.block_size": Unknown("?", tuple(range(65)))}, UNDECIDED),
        ("divides(1, prefill.kv.block_size)", {"kv.block_size": Unknown("?", tuple(range(64)))}, HOLDS),
    ],
)  # fmt: skip
def test_joint_choices(require, leaves, expected) -> None:
    assert outcome(require, "true", leaves) == expected


def test_unknowns_of_one_identity_choose_alike_and_others_do_not() -> None:
    def differs(one: str | None, other: str | None) -> str:
        pair = [{"kv.layout": Unknown("?", ("HND", "NHD"), name)} for name in (one, other)]
        return outcome("(prefill.kv.layout == 'HND') == (decode.kv.layout == 'HND')", "true", *pair)

    assert differs("x", "x") == HOLDS
    assert differs("x", "y") == differs(None, None) == UNDECIDED


ATOMS = [
    "prefill.kv.layout == 'HND'", "prefill.kv.layout == decode.kv.layout", "decode.kv.layout in ('NHD', 'BLHNC')",
    "prefill.kv.block_size < decode.kv.block_size", "divides(prefill.kv.block_size, decode.kv.block_size)",
    "prefill.model.hybrid",
]  # fmt: skip
LEAVES = [
    ("kv.layout", ("HND", "NHD", "BLHNC", "LHBNC")), ("kv.block_size", (1, 2, 4)), ("model.hybrid", (True, False)),
]  # fmt: skip
SLOTS = [(side, path, values) for side in ("prefill", "decode") for path, values in LEAVES]

expressions = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(
            lambda parts: f"({parts[0]}){parts[1]}({parts[2]})"
        ),
    ),
    max_leaves=4,
)


def sides(choice: dict[tuple[str, str], Any]) -> Any:
    return boundary(*({path: choice[side, path] for path, _ in LEAVES} for side in ("prefill", "decode")))


@settings(max_examples=60, deadline=None)
@given(
    expressions,
    expressions,
    st.tuples(*[st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True) for *_, values in SLOTS]),
)
def test_the_verdict_is_what_all_joint_choices_agree_on(when, require, options) -> None:
    asked = rule(require, when)
    names = [(side, path) for side, path, _ in SLOTS]
    part = sides(
        {
            name: some[0] if len(some) == 1 else Unknown("?", tuple(some))
            for name, some in zip(names, options, strict=True)
        }
    )
    brute = {judge(asked, sides(dict(zip(names, choice, strict=True)))).outcome for choice in product(*options)}
    found = judge(asked, part).outcome
    if brute <= {HOLDS, NOT_APPLICABLE} and found == HOLDS:
        return  # a requirement that is met whatever the unknown condition says
    if len(brute) == 1:
        assert {found} == brute
    else:
        assert found == UNDECIDED


@settings(max_examples=60, deadline=None)
@given(
    expressions, expressions, st.tuples(*[st.sampled_from(values) for *_, values in SLOTS]), st.sets(st.integers(0, 5))
)
def test_knowing_less_never_turns_a_verdict(when, require, values, gone) -> None:
    asked, names = rule(require, when), [(side, path) for side, path, _ in SLOTS]
    whole = judge(asked, sides(dict(zip(names, values, strict=True)))).outcome
    part = [ANY if index in gone else value for index, value in enumerate(values)]
    left = judge(asked, sides(dict(zip(names, part, strict=True)))).outcome
    assert left in {whole, UNDECIDED} or (left, whole) == (HOLDS, NOT_APPLICABLE)


# -- deciding facts --------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(expressions, expressions, st.tuples(*[st.sampled_from(values) for *_, values in SLOTS]))
def test_no_smaller_set_of_facts_forces_the_verdict(when, require, values) -> None:
    scope = sides(dict(zip([(side, path) for side, path, _ in SLOTS], values, strict=True)))
    if judge(rule("false", when), scope).outcome == NOT_APPLICABLE:
        when = f"not ({when})"
    if judge(rule(require), scope).outcome == HOLDS:
        require = f"not ({require})"
    asked = rule(require, when)
    verdict = judge(asked, scope)
    assert verdict.outcome == VIOLATED
    leaves = [(scope.subjects[side], path) for side, path, _ in SLOTS]

    def forced(kept: set[Any]) -> bool:
        gone: dict[Any, frozenset[str]] = {}
        for owner, path in leaves:
            if (owner, path) not in kept:
                gone[owner] = gone.get(owner, frozenset()) | {path}
        return judge(asked, scope.without(gone)).outcome == VIOLATED

    found = {(leaf.fact.owner, leaf.fact.path) for leaf in deciding(asked, scope, verdict)}
    assert forced(found)
    assert not any(forced(set(fewer)) for size in range(len(found)) for fewer in combinations(leaves, size))


def names_of(found: list[Any]) -> set[str]:
    return {leaf.name for leaf in found}


def decided(require: str, prefill: Leaves, decode: Leaves, when: str = "true", **how: Any) -> set[str]:
    asked, scope = rule(require, when), boundary(prefill, decode, **how)
    return names_of(deciding(asked, scope, judge(asked, scope)))


def test_nothing_decides_what_no_fact_can_change() -> None:
    assert decided("false", {"workers": 1}, {}) == set()
    assert decided("prefill.workers == 1 and false", {"workers": 2}, {}) == set()


def test_one_false_part_is_enough() -> None:
    both = {"workers": 2, "kv.block_size": 16}
    assert len(decided("prefill.workers == 1 and prefill.kv.block_size == 8", both, {})) == 1
    assert decided("prefill.workers == 1 or prefill.kv.block_size == 8", both, {}) == {
        "prefill.workers",
        "prefill.kv.block_size",
    }


def test_a_derived_fact_is_decided_by_what_it_was_derived_from() -> None:
    sizes = {"engine.name": "vllm", "parallelism.tp": 8}
    assert decided("divisible(prefill.parallelism.attention_tp, decode.parallelism.attention_tp)", sizes, {**sizes, "parallelism.tp": 3}) == {
        "prefill.parallelism.tp", "decode.parallelism.tp", "prefill.engine.name", "decode.engine.name",
    }  # fmt: skip


def test_a_default_decides_with_what_it_rests_on() -> None:
    found = decided(
        "prefill.connector.lease_s == decode.connector.lease_s", VLLM, {**VLLM, "connector.lease_s": 60}, scope=CLOSED
    )
    assert found == {
        "prefill.connector.lease_s", "decode.connector.lease_s",
        "prefill.engine.name", "prefill.engine.version", "prefill.connector.name",
    }  # fmt: skip


def test_what_one_place_says_for_both_sides_is_one_choice() -> None:
    text = "hetpd: 1\ndefaults: {parallelism: {tp: 4}}\npools:\n  - {name: p, role: prefill}\n  - {name: d, role: decode}\n"
    asked = rule("prefill.parallelism.tp + decode.parallelism.tp == 7")
    (found,) = judge_deployment(deployment_of(text), [asked]).violations
    assert {leaf.name for leaf in found.leaves} == {"prefill.parallelism.tp", "decode.parallelism.tp"}
    assert len(found.places()) == 1


def test_many_facts_are_thinned() -> None:
    """Beyond the exact search: nothing can be left out of what remains."""
    paths = [f"env.V{index}" for index in range(14)]
    require = " or ".join(
        f"prefill.{one} == prefill.{other}" for one, other in zip(paths[::2], paths[1::2], strict=True)
    )
    leaves = {path: str(index) for index, path in enumerate(paths)}
    assert decided(require, leaves, {}) == {f"prefill.{path}" for path in paths}
    asked, scope = rule(f"({require}) and prefill.workers == 9"), boundary({**leaves, "workers": 1}, {})
    pool, found = scope.subjects["prefill"], names_of(deciding(asked, scope, judge(asked, scope)))
    for kept in (found, *(found - {name} for name in found)):
        gone = {path for path in (*leaves, "workers") if f"prefill.{path}" not in kept}
        assert (judge(asked, scope.without({pool: frozenset(gone)})).outcome == VIOLATED) is (kept == found)


# -- evidence --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "covers"),
    [
        ([], None),
        ([None, None], None),
        (["vllm >=0.24"], {"vllm": [">=0.24"]}),
        (["vllm *", None], {"vllm": ["*"]}),
        (["vllm >=0.24", "vllm <0.20", "vllm >=0.24", "sglang *"], {"vllm": [">=0.24", "<0.20"], "sglang": ["*"]}),
    ],
)
def test_coverage_of_evidence(of, covers) -> None:
    assert coverage([{"of": one} if one else {} for one in of]) == covers


def engine(name: Any, version: Any) -> Leaves:
    return {"engine.name": name, "engine.version": version}


RANGES = ("vllm >=0.24,<0.34", "vllm >=0.10,<0.12")


@pytest.mark.parametrize(
    ("prefill", "decode", "of", "lacking"),
    [
        (engine("vllm", "0.24.0"), engine("vllm", "0.33.9"), RANGES, None),
        (engine("vllm", "0.24.0"), engine("vllm", "0.11.1"), RANGES, None),
        (engine("vllm", "0.24.0"), engine("vllm", "0.34.0"), RANGES, "decode"),
        (engine("vllm", "0.23.9"), engine("vllm", "0.24.0"), RANGES, "prefill"),
        (engine("vllm", "0.34.0rc1"), engine("vllm", "0.24.0"), RANGES, "prefill"),
        (engine("vllm", ANY), engine("vllm", "0.24.0"), RANGES, "prefill"),
        (engine("vllm", "0.24.0"), engine("vllm", "main"), RANGES, "decode"),
        (engine("vllm", ANY), engine("vllm", ANY), ("vllm *",), None),
        (engine("vllm", ANY), engine("vllm", ANY), ("vllm >=0.24,<0.34", "vllm *"), None),
        (engine("vllm", ANY), engine("vllm", ANY), (None,), None),
    ],
)
@pytest.mark.parametrize("require", ["prefill.workers == decode.workers", "prefill.workers != decode.workers"])
def test_a_verdict_reaches_as_far_as_its_evidence(prefill, decode, of, lacking, require) -> None:
    asked, scope = rule(require, "true", *of), boundary({**prefill, "workers": 1}, {**decode, "workers": 2})
    verdict = judge(asked, scope)
    if lacking is None:
        assert verdict.outcome == (VIOLATED if "==" in require else HOLDS)
        assert verdict.lacking == ()
    else:
        assert verdict.outcome == UNDECIDED
        assert names_of(needs(verdict, scope)) == {f"{lacking}.engine.version"}
        assert verdict.reason


def test_evidence_gates_only_what_applies() -> None:
    scope = boundary(engine("vllm", "0.99"), engine("vllm", "0.99"))
    assert judge(rule("true", "false", *RANGES), scope).outcome == NOT_APPLICABLE
    undecided = judge(rule("prefill.workers == 1", "true", *RANGES), scope)
    assert (undecided.outcome, undecided.reason) == (UNDECIDED, "")
    assert names_of(needs(undecided, scope)) == {"prefill.workers"}


def test_the_version_of_the_evidence_is_among_what_decides() -> None:
    asked = rule("prefill.workers == decode.workers", "true", *RANGES)
    scope = boundary({**engine("vllm", "0.24.0"), "workers": 1}, {**engine("vllm", "0.25.0"), "workers": 2})
    found = names_of(deciding(asked, scope, judge(asked, scope)))
    assert found >= {"prefill.workers", "decode.workers", "prefill.engine.version", "decode.engine.version"}


# -- what is lacking -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("require", "prefill", "wanted"),
    [
        ("prefill.workers == 1", {}, {"prefill.workers"}),
        ("prefill.workers == 1 and prefill.kv.block_size == 1", {"workers": 1}, {"prefill.kv.block_size"}),
        ("prefill.parallelism.ranks == 1", {"engine.name": "vllm", "parallelism.tp": 1, "parallelism.pp": 1},
         {"prefill.parallelism.dp", "prefill.parallelism.cp", "prefill.parallelism.dp_attention"}),
        ("prefill.model.attention.kv_heads == 8", {}, {"prefill.model.attention.kv_heads"}),
        ("prefill.model.attention.kv_heads == 8", {"model.id": "in-house/thing"}, {"prefill.model.attention.kv_heads"}),
        ("prefill.engine.version == '0.1'", {"engine.image": "x:latest"}, {"prefill.engine.version"}),
        ("prefill.accelerator.vendor == 'x'", {"accelerator": ANY}, {"prefill.accelerator"}),
        ("prefill.accelerator.vendor == 'x'", {"accelerator": "our-own"}, set()),
        ("handoff.one_connector", {"connector.name": "nixl"}, {"decode.connector.name"}),
        ("handoff.link.kind == 'rdma'", {}, {"handoff.path.link"}),
        ("workload.rate_per_s / workload.rate_per_s == 1", {}, {"workload.rate_per_s"}),
    ],
)  # fmt: skip
def test_needs(require, prefill, wanted) -> None:
    asked, scope = rule(require), boundary(prefill, {})
    verdict = judge(asked, scope)
    assert verdict.outcome == UNDECIDED
    assert names_of(needs(verdict, scope)) == wanted


def test_whatever_is_lacking_in_an_example_can_be_stated() -> None:
    kinds = {prefix: kind for prefixes in PREFIXES.values() for prefix, kind in prefixes.items()}
    seen = 0
    for kind in ("bad", "good", "near-miss"):
        for _, example in examples(kind):
            for entry in check_text(example["deployment"]).undecided:
                assert len({(need.fact, need.of) for need in entry.needs}) == len(entry.needs)
                for need in entry.needs:
                    prefix, _, path = need.fact.partition(".")
                    assert field(kinds[prefix.partition("[")[0]], path) is not None, need.fact
                    assert need.reason
                    seen += 1
    assert seen > 100


def test_stating_what_is_lacking_settles_a_rule() -> None:
    """State what is asked for until nothing is undecided: it ends, and every step asks for something new."""
    values: dict[str, Any] = {
        "kv.block_size": 16, "engine.name": "vllm", "engine.version": "0.24.0", "connector.name": "nixl",
        "connector.mode": "pull", "parallelism.tp": 1, "model.attention.kind": "mla", "model.hybrid": False,
        "model.id": "Qwen/Qwen3-32B", "connector.buffer_device": "device", "model.attention.sliding_window": 1,
        "conversion.of": NONE, "connector.bidirectional": False, "parallelism.pp": 1, "engine.hybrid_kv_manager": True,
        "kv.kernel_block_size": 16, "engine.attention_backend": "FLASHMLA", "accelerator": "h100",
        "model.state_space": NONE,
    }  # fmt: skip
    asked = rule("prefill.kv.block_size == decode.kv.block_size or handoff.takes_blocks or handoff.converts_block_size")
    stated: dict[str, Leaves] = {"prefill": {}, "decode": {}, "handoff": {}}
    for _ in range(10):
        scope = boundary(stated["prefill"], stated["decode"], stated["handoff"], scope=OPEN)
        verdict = judge(asked, scope)
        if verdict.outcome != UNDECIDED:
            break
        wanted = needs(verdict, scope)
        assert wanted
        for leaf in wanted:
            prefix, _, path = leaf.name.partition(".")
            assert path not in stated[prefix]
            stated[prefix][path] = (
                values[path]
                if (prefix, path) not in {("decode", "kv.block_size"), ("decode", "kv.kernel_block_size")}
                else 40
            )
    assert verdict.outcome == VIOLATED
