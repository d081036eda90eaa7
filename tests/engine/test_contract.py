"""The contract of a boundary: every cell of figure 5, every invariant, what is unknown, who owns what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetpd_cli.contracts import CLOSED, INVARIANTS, MOMENTS, PARTS, PORTABLE, TRUTHS, WORDS, Contract
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.engine.contract import contracts, report_on
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.support import deployment_of, examples

LEAVES: dict[str, Any] = {
    "model.id": "Qwen/Qwen3-32B",
    "model.revision": "r1",
    "model.adapters": "[]",
    "model.position.rope_scaling": "none",
    "model.position.rope_theta": "10000",
    "model.position.tokenizer": "t1",
    "model.position.chat_template": "c1",
    "model.attention.kind": "gqa",
    "model.attention.heads": "64",
    "model.attention.kv_heads": "8",
    "model.hybrid": "false",
    "engine.name": "vllm",
    "engine.version": "0.24.0",
    "engine.max_context_tokens": "32768",
    "connector.name": "nixl",
    "connector.mode": "pull",
    "connector.buffer_device": "device",
    "kv.dtype": "bf16",
    "kv.layout": "HND",
    "kv.block_size": "16",
    "parallelism.tp": "4",
    "parallelism.pp": "1",
    "parallelism.dp": "1",
    "parallelism.cp": "1",
    "parallelism.dcp": "1",
    "parallelism.dp_attention": "false",
}
Leaves = dict[str, Any]


def flow(leaves: Leaves) -> str:
    """Return leaves as a YAML flow mapping."""
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        *above, last = path.split(".")
        part = tree
        for key in above:
            part = part.setdefault(key, {})
        part[last] = value

    def text(node: Any) -> str:
        if isinstance(node, dict):
            return "{" + ", ".join(f"{key}: {text(value)}" for key, value in node.items()) + "}"
        return str(node)

    return text(tree)[1:-1]


def pool(name: str, role: str, changed: Leaves) -> str:
    leaves = {path: value for path, value in {**LEAVES, **changed}.items() if value is not None}
    return f"  - {{name: {name}, role: {role}, {flow(leaves)}}}\n"


def text_of(prefill: Leaves | None = None, *decodes: Leaves, handoff: str = "") -> str:
    pools = [pool("p", "prefill", prefill or {})]
    pools += [pool(f"d{number}", "decode", decode) for number, decode in enumerate(decodes or ({},))]
    joins = [f"  - {{from: p, to: d{number}{handoff}}}\n" for number in range(len(decodes) or 1)]
    return "hetpd: 1\npools:\n" + "".join(pools) + "handoffs:\n" + "".join(joins)


def all_of(prefill: Leaves | None = None, *decodes: Leaves, handoff: str = "") -> tuple[Contract, ...]:
    return contracts(deployment_of(text_of(prefill, *decodes, handoff=handoff)))


def one(prefill: Leaves | None = None, decode: Leaves | None = None, handoff: str = "") -> Contract:
    (found,) = all_of(prefill, decode or {}, handoff=handoff)
    return found


def agreement(contract: Contract) -> dict[str, str]:
    return {invariant.name: invariant.agree for invariant in contract.invariants}


def needs(contract: Contract) -> set[str]:
    return {need.fact for need in contract.verdict.needs}


# -- figure 5 --------------------------------------------------------------------------------------------------

BRIDGE = ", wire: {form: same}, conversion: {of: [dtype, layout, block_size, partition], where: transport, by: bridge}"


@pytest.mark.parametrize(
    ("decode", "word", "steps"),
    [
        ({}, "consume", []),
        ({"kv.layout": "NHD"}, "redistribute", ["layout"]),
        ({"kv.block_size": "32"}, "redistribute", ["block_size"]),
        ({"parallelism.tp": "8"}, "redistribute", ["partition"]),
        ({"parallelism.pp": "2"}, "redistribute", ["partition"]),
        ({"parallelism.cp": "2"}, "redistribute", ["partition"]),
        ({"parallelism.dcp": "2"}, "redistribute", ["partition"]),
        ({"kv.dtype": "fp16"}, "convert", ["dtype"]),
        ({"kv.dtype": "fp8_e4m3"}, "convert", ["dtype"]),
        ({"kv.dtype": "fp16", "kv.layout": "NHD"}, "redistribute+convert", ["dtype", "layout"]),
        (
            {"kv.dtype": "fp16", "kv.block_size": "32", "parallelism.tp": "8"},
            "redistribute+convert",
            ["dtype", "block_size", "partition"],
        ),
    ],
)
def test_every_cell_where_all_invariants_agree(decode, word, steps) -> None:
    found = one(decode=decode, handoff=BRIDGE)
    assert set(agreement(found).values()) == {"yes"}
    assert found.verdict.word == word
    assert found.verdict.portable == (word,)
    assert [(step.of, step.exists, step.where, step.by) for step in found.steps] == [
        (of, "yes", "transport", "bridge") for of in steps
    ]
    assert not found.broken


QUANTISED = {"kv.dtype": "fp8_e4m3", "kv.scales": "static", "kv.scale_group": "head", "kv.rotation": "none"}
FULL = {**QUANTISED, "kv.residual_tokens": "0"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kv.scales", "dynamic"),
        ("kv.scale_group", "token"),
        ("kv.rotation", "hadamard"),
        ("kv.residual_tokens", "64"),
    ],
)
def test_quantised_kv_differs_by_its_scales_too(path, value) -> None:
    assert one(FULL, FULL).verdict.word == "consume"
    assert one(FULL, {**FULL, path: value}).verdict.word == "convert"
    missing = one(FULL, {**FULL, path: None})
    assert missing.verdict.word == "undecided"
    assert missing.verdict.portable == ("consume", "convert")
    assert needs(missing) == {f"decode.{path}"}


def test_plain_kv_has_no_scales_to_compare() -> None:
    entries = {entry.name: entry for entry in one().parts["representation"]}
    for name in ("scales", "scale group", "rotation", "residual tokens"):
        assert entries[name].agree == "yes"
        assert [(value.value, value.origin) for value in entries[name].values] == [(None, "derived")] * 2


def test_an_mla_latent_has_no_heads_to_order_or_split() -> None:
    latent = {"model.attention.kind": "mla"}
    found = one(latent, {**latent, "kv.layout": "NHD", "parallelism.tp": "8"})
    assert found.verdict.word == "consume"
    assert one({}, {"kv.layout": "NHD", "parallelism.tp": "8"}).verdict.word == "redistribute"
    uneven = one(latent, {**latent, "parallelism.tp": "6"})
    assert (uneven.verdict.word, [step.exists for step in uneven.steps]) == ("redistribute", ["no"])


@pytest.mark.parametrize("wire", ["{form: converted}", "{dtype: fp8}", "{codec: cachegen}"])
def test_a_wire_form_of_its_own_is_a_conversion(wire) -> None:
    found = one(handoff=f", wire: {wire}, conversion: {{of: [dtype], where: prefill}}")
    assert found.verdict.word == "convert"
    assert [(step.of, step.exists, step.where) for step in found.steps] == [("dtype", "yes", "prefill")]
    assert one(handoff=", wire: {form: same, dtype: bf16}").verdict.word == "consume"


# -- what makes the change -------------------------------------------------------------------------------------

SGLANG = {"engine.name": "sglang", "engine.version": "0.5.14", "connector.mode": None}
UNREAD = {"engine.version": "0.99.0"}


@pytest.mark.parametrize(
    ("prefill", "decode", "handoff", "exists", "where"),
    [
        ({}, {"kv.dtype": "fp16"}, "", "no", None),
        ({}, {"kv.dtype": "fp16"}, ", conversion: none", "no", None),
        ({}, {"kv.dtype": "fp16"}, ", conversion: {of: [layout]}", "no", None),
        ({}, {"kv.dtype": "fp16"}, ", conversion: {of: [dtype]}", "yes", None),
        ({}, {"kv.dtype": "fp16"}, ", conversion: {of: [dtype], where: decode}", "yes", "decode"),
        ({}, {"kv.layout": "NHD"}, "", "no", None),
        ({}, {"kv.layout": "NHD", "connector.permute_local_kv": "true"}, "", "yes", "decode"),
        ({}, {"kv.block_size": "32"}, "", "yes", "decode"),
        ({}, {"kv.block_size": "24"}, "", "no", None),
        ({"connector.mode": "push"}, {"connector.mode": "push", "kv.block_size": "32"}, "", "no", None),
        (SGLANG, {**SGLANG, "kv.block_size": "32"}, "", "no", None),
        ({}, {"parallelism.tp": "8"}, "", "yes", "decode"),
        ({}, {"parallelism.tp": "6"}, "", "no", None),
        ({}, {"parallelism.tp": "8", "kv.layout": "HND"}, ", conversion: none", "yes", "decode"),
        (SGLANG, {**SGLANG, "parallelism.tp": "8"}, "", "yes", "prefill"),
        ({}, {"parallelism.pp": "2"}, "", "unknown", None),
        ({}, {"parallelism.pp": "2"}, ", conversion: {of: [partition], where: transport}", "yes", "transport"),
        (UNREAD, {**UNREAD, "parallelism.tp": "8"}, "", "unknown", None),
        (UNREAD, {**UNREAD, "kv.layout": "NHD"}, "", "unknown", None),
    ],
)
def test_whether_a_needed_change_is_made_and_where(prefill, decode, handoff, exists, where) -> None:
    found = one(prefill, decode, handoff)
    assert [(step.exists, step.where) for step in found.steps] == [(exists, where)]
    assert found.broken is (exists == "no")


@pytest.mark.parametrize("kind", ["bad", "good", "near-miss"])
def test_a_step_is_missing_where_the_rule_on_it_is_violated(kind) -> None:
    guards = {"HPD201": "dtype", "HPD202": "block_size", "HPD203": "layout", "HPD204": "partition"}
    seen = 0
    for code, example in examples(kind):
        if code not in guards:
            continue
        reading = read_text(SourceText("a.yaml", example["deployment"]), Limits())
        violated = {found.code for found in check([reading], catalogue()).findings}
        missing = {step.of for contract in report_on([reading]).contracts for step in contract.steps if step.missing}
        if guards[code] != "layout" or kind == "bad":
            assert (guards[code] in missing) is (code in violated), example["title"]
        seen += 1
    assert seen


# -- the gate --------------------------------------------------------------------------------------------------

POSITIONS = ("rope_scaling", "rope_theta", "tokenizer", "chat_template")


@pytest.mark.parametrize(
    ("prefill", "decode", "invariant", "word"),
    [
        ({}, {"model.id": "m/two"}, "model", "reject"),
        ({}, {"model.revision": "r2"}, "model", "reject"),
        ({"model.adapters": "[a]"}, {}, "adapters", "reject"),
        ({"model.adapters": "[a]"}, {"model.adapters": "[b]"}, "adapters", "reject"),
        ({}, {"engine.max_context_tokens": "16384"}, "token range", "reject"),
        *(({}, {f"model.position.{name}": "7"}, "position state", "recompute") for name in POSITIONS),
        ({}, SGLANG, "runtime schema", "reject"),
        ({}, {"engine.version": "0.25.0"}, "runtime schema", "recompute"),
        ({}, {"connector.name": "mooncake", "connector.mode": None}, "runtime schema", "recompute"),
        ({"connector.name": "none"}, {"connector.name": "none"}, "runtime schema", "recompute"),
        ({**SGLANG, "model.position.tokenizer": "t2"}, SGLANG, "position state", "reject"),
    ],
)
def test_an_invariant_that_differs_closes_the_gate(prefill, decode, invariant, word) -> None:
    found = one(prefill, decode, handoff=BRIDGE)
    assert [name for name, agree in agreement(found).items() if agree == "no"] == [invariant]
    assert found.verdict.word == word
    assert found.broken
    assert found.verdict.reasons[0].startswith(invariant)


@pytest.mark.parametrize(
    ("prefill", "decode"),
    [
        ({}, {"model.adapters": "[a]"}),
        ({"model.adapters": "[a]"}, {"model.adapters": "[b, a]"}),
        ({}, {"engine.max_context_tokens": "65536"}),
        ({"engine.version": "0.24"}, {}),
        ({"connector.version": "0.7.1"}, {}),
    ],
)
def test_what_decode_takes_is_no_difference(prefill, decode) -> None:
    assert one(prefill, decode).verdict.word == "consume"


def test_a_pool_of_the_same_invariants_is_where_to_reroute() -> None:
    bad, good, other = all_of({}, {"engine.version": "0.25.0"}, {}, {"kv.block_size": "32"})
    assert (bad.verdict.word, bad.verdict.targets) == ("reroute", ("d1", "d2"))
    assert (good.verdict.word, other.verdict.word) == ("consume", "redistribute")
    assert [found.verdict.word for found in all_of({}, {"engine.version": "0.25.0"}, {"model.revision": None})] == [
        "recompute",
        "undecided",
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"kv.dtype": "fp8_e4m3"},  # a step is missing
        {"parallelism.pp": "2"},  # whether a step is made is not known
        {"kv.block_size": None},  # whether a step is needed is not known
    ],
)
def test_no_reroute_to_a_pool_where_not_every_step_is_known_to_be_made(other) -> None:
    bad, _ = all_of({}, {"engine.version": "0.25.0"}, other)
    assert (bad.verdict.word, bad.verdict.targets) == ("recompute", ())
    assert "d1" in bad.verdict.reasons[1]
    bad, _, _ = all_of({}, {"engine.version": "0.25.0"}, other, {})
    assert (bad.verdict.word, bad.verdict.targets) == ("reroute", ("d2",))
    assert [reason.rpartition(": ")[2] for reason in bad.verdict.reasons[1:]] == ["d2", "d1"]


SHORT = {"engine.max_context_tokens": "16384"}


def with_workload(*decodes: Leaves, tokens: str) -> tuple[Contract, ...]:
    return contracts(deployment_of(text_of({}, *decodes) + f"workload: {{{tokens}}}\n"))


def test_a_shorter_context_concerns_longer_states_only() -> None:
    alone = one({}, SHORT)
    assert (alone.verdict.word, alone.verdict.others, alone.broken) == ("reject", "consume", True)
    assert "16384" in str(alone.verdict.concerns)
    short, _ = all_of({}, SHORT, {})
    assert (short.verdict.word, short.verdict.targets, short.broken) == ("reroute", ("d1",), False)
    assert one({"model.revision": None}, SHORT).verdict.others == "undecided"
    whole = one({"engine.version": "0.25.0"}, SHORT)
    assert (whole.verdict.concerns, whole.verdict.others) == (None, None)


@pytest.mark.parametrize(
    ("tokens", "word"),
    [
        ("input_tokens: 16000, output_tokens: 384", "consume"),
        ("input_tokens: 16000, output_tokens: 385", "reject"),
        ("input_tokens: 16000", "reject"),
    ],
)
def test_a_context_that_holds_a_request_of_the_workload_is_long_enough(tokens, word) -> None:
    (found,) = with_workload(SHORT, tokens=tokens)
    assert found.verdict.word == word


def test_adapters_may_be_spread_over_decode_pools() -> None:
    both = {"model.adapters": "[a, b]"}
    only = [{"model.adapters": f"[{name}]"} for name in "abc"]
    first, second = all_of(both, *only[:2])
    assert [(found.verdict.word, found.verdict.targets, found.verdict.others, found.broken) for found in (first, second)] == [
        ("reroute", ("d1",), "consume", False),
        ("reroute", ("d0",), "consume", False),
    ]  # fmt: skip
    assert "b" in str(first.verdict.concerns)
    lost, _ = all_of(both, only[0], only[2])
    assert (lost.verdict.word, lost.broken) == ("reject", True)
    three, _, _ = all_of({"model.adapters": "[a, b, c]"}, only[0], only[1], {"model.adapters": "[b]"})
    assert (three.verdict.word, three.verdict.targets) == ("reject", ())


def test_one_commit_in_two_lengths_is_one_revision() -> None:
    sides = [{"model.revision": commit} for commit in ("9216db5781bf", "9216db5781bf21249d130ec9da846c4624c16137")]
    assert one(*sides).verdict.word == "consume"


VENDORS = ({"accelerator": "h100"}, {"accelerator": "mi300x"})


def test_two_vendors_are_the_reason_and_no_fact_is_said_to_settle_them() -> None:
    found = one(*VENDORS)
    assert found.verdict.word == "undecided"
    assert "vendors" in found.verdict.reasons[0]
    assert found.verdict.needs == ()
    open_space = one(VENDORS[0], {**VENDORS[1], "parallelism.dcp": None})
    assert open_space.verdict.needs == ()
    assert needs(one(VENDORS[0], {**VENDORS[1], "model.revision": None})) == {"decode.model.revision"}


def test_the_version_of_a_connector_settles_nothing_where_the_connector_is_open() -> None:
    multi = {"connector.name": "multi"}
    found = one(multi, multi)
    assert found.verdict.word == "undecided"
    assert found.verdict.needs == ()


def test_tp_agrees_where_attention_tp_does() -> None:
    plain = {**SGLANG, "parallelism.tp": "8"}
    found = one(plain, {**plain, "parallelism.tp": "16", "parallelism.dp": "2", "parallelism.dp_attention": "true"})
    agree = {entry.name: entry.agree for entry in found.parts["representation"]}
    assert [agree[name] for name in ("TP", "DP attention", "attention TP")] == ["yes"] * 3
    wide = one(plain, {**plain, "parallelism.tp": "16"})
    assert [entry.agree for entry in wide.parts["representation"] if entry.name in {"TP", "attention TP"}] == ["no"] * 2


@pytest.mark.parametrize(
    ("gone", "invariant", "needed"),
    [
        ("model.id", "model", "model.id"),
        ("model.revision", "model", "model.revision"),
        ("engine.max_context_tokens", "token range", "engine.max_context_tokens"),
        *((f"model.position.{name}", "position state", f"model.position.{name}") for name in POSITIONS),
        ("connector.name", "runtime schema", "connector.name"),
        ("engine.version", "runtime schema", "engine.version"),
    ],
)
@pytest.mark.parametrize("side", ["prefill", "decode", "both"])
def test_an_unknown_invariant_decides_nothing(gone, invariant, needed, side) -> None:
    silent = {gone: None}
    found = one(silent if side != "decode" else {}, silent if side != "prefill" else {})
    assert agreement(found)[invariant] == "unknown"
    assert found.verdict.word == "undecided"
    assert not found.broken
    sides = ("prefill", "decode") if side == "both" else (side,)
    assert {f"{one}.{needed}" for one in sides} <= needs(found)


def test_unknown_adapters_are_no_agreement_unless_prefill_serves_none() -> None:
    assert one({}, {"model.adapters": None}).verdict.word == "consume"
    assert one({"model.adapters": None}, {}).verdict.word == "undecided"
    assert one({"model.adapters": "[a]"}, {"model.adapters": None}).verdict.word == "undecided"


def test_two_releases_that_nobody_compares_are_not_one_schema() -> None:
    mooncake = {"connector.name": "mooncake", "connector.mode": None}
    found = one({**mooncake, "engine.version": "0.25.0"}, mooncake)
    assert agreement(found)["runtime schema"] == "unknown"
    assert found.verdict.word == "undecided"
    assert "0.25.0 against 0.24.0" in found.verdict.reasons[0]


def test_a_difference_is_named_though_the_gate_is_undecided() -> None:
    found = one({"model.revision": None}, {"kv.dtype": "fp16"})
    assert found.verdict.word == "undecided"
    assert found.verdict.portable == ("convert",)
    assert [step.exists for step in found.steps] == ["no"]
    assert found.broken


@pytest.mark.parametrize("path", ["kv.dtype", "kv.layout", "kv.block_size", "parallelism.pp", "parallelism.cp"])
def test_an_unknown_representation_decides_nothing(path) -> None:
    found = one({}, {path: None})
    assert found.verdict.word == "undecided"
    assert len(found.verdict.portable) == 2
    assert f"decode.{path}" in needs(found)
    assert found.steps == ()


# -- the object ------------------------------------------------------------------------------------------------


def test_entries_have_both_values_with_origin_and_place() -> None:
    text = text_of({"kv.block_size": None}, {"kv.dtype": "fp16"}, handoff=", path: {link: roce-400g, staging: host}")
    (found,) = contracts(deployment_of(text))
    entries = {entry.name: entry for part in PARTS for entry in found.parts[part]}
    prefill, decode = entries["element type"].values
    assert (prefill.value, decode.value, entries["element type"].agree) == ("bf16", "fp16", "no")
    assert [text[value.place.start : value.place.end] for value in (prefill, decode) if value.place] == ["bf16", "fp16"]
    assert [value.of for value in (prefill, decode)] == ["p", "d0"]
    assert [value.origin for value in entries["block size"].values] == ["unknown", "stated"]
    assert entries["block size"].agree == "unknown"
    assert [(value.value, value.origin) for value in entries["lease"].values] == [(None, "unknown")] * 2
    (link,) = entries["link"].values
    assert (link.value, entries["link"].agree) == ("roce-400g", None)
    assert [value.value for value in entries["staging"].values] == ["host"]


def test_pools_that_share_the_model_share_what_nobody_says_of_it() -> None:
    text = "hetpd: 1\nmodel: m/one\npools: [{name: p, role: prefill}, {name: d, role: decode}]\n"
    (found,) = contracts(deployment_of(text))
    assert agreement(found) == {
        "model": "yes",
        "adapters": "yes",
        "token range": "unknown",
        "position state": "yes",
        "runtime schema": "unknown",
    }


# -- owners ----------------------------------------------------------------------------------------------------

PULL = ("decode", "prefill", "decode", "decode", "prefill", "prefill")
PUSH = ("prefill", "prefill", "decode", "prefill", "prefill", "both")
NOBODY = (None,) * len(MOMENTS)


@pytest.mark.parametrize(
    ("prefill", "decode", "owners", "bounds"),
    [
        ({}, {}, PULL, ["lease"]),
        ({"connector.mode": "push"}, {"connector.mode": "push"}, PUSH, ["lease", "push registration timeout"]),
        (SGLANG, SGLANG, PUSH, ["bootstrap timeout", "waiting timeout"]),
        *(
            ({**SGLANG, "connector.name": name}, {**SGLANG, "connector.name": name}, owners, bounds)
            for name, owners, bounds in (
                ("mooncake", PUSH, ["bootstrap timeout", "waiting timeout"]),
                ("ascend", NOBODY, []),
            )
        ),
        ({"connector.mode": "push"}, {}, NOBODY, ["lease", "push registration timeout"]),
        ({"connector.mode": None}, {"connector.mode": None}, NOBODY, []),
        ({"engine.version": None}, {}, NOBODY, ["lease"]),
        (UNREAD, UNREAD, NOBODY, []),
        ({"connector.name": "lmcache"}, {"connector.name": "lmcache"}, NOBODY, []),
    ],
)
def test_owners_are_those_of_the_paper_or_not_known(prefill, decode, owners, bounds) -> None:
    found = one(prefill, decode)
    assert tuple(duty.moment for duty in found.duties) == MOMENTS
    assert tuple(duty.who for duty in found.duties) == owners
    assert sorted(entry.name for entry in found.parts["lifecycle"]) == sorted(["mode", *bounds])
    for duty in found.duties:
        assert bool(duty.source) is (duty.who is not None)
        assert duty.what


# -- stating more ----------------------------------------------------------------------------------------------

CHOICES = {
    "model.revision": ("r1", "r2"),
    "model.adapters": ("[]", "[a]"),
    "engine.max_context_tokens": ("32768", "16384"),
    "model.position.tokenizer": ("t1", "t2"),
    "engine.name": ("vllm", "sglang"),
    "engine.version": ("0.24.0", "0.25.0"),
    "connector.name": ("nixl", "mooncake"),
    "connector.version": ("1.0", "1.1"),
    "kv.dtype": ("bf16", "fp8_e4m3"),
    "kv.scales": ("static", "dynamic"),
    "kv.layout": ("HND", "NHD"),
    "kv.block_size": ("16", "32"),
    "parallelism.tp": ("4", "8"),
    "parallelism.dcp": ("1", "2"),
}
SIDES = st.fixed_dictionaries({path: st.sampled_from((None, *values)) for path, values in CHOICES.items()})


@settings(max_examples=150, deadline=None)
@given(SIDES, SIDES, st.sampled_from(["prefill", "decode"]), st.sampled_from(sorted(CHOICES)), st.integers(0, 1))
def test_stating_more_never_turns_a_verdict(prefill, decode, side, path, index) -> None:
    before = one(prefill, decode)
    more = {"prefill": dict(prefill), "decode": dict(decode)}
    if more[side][path] is None:
        more[side][path] = CHOICES[path][index]
    after = one(**more)
    assert before.verdict.word in WORDS
    if before.verdict.word in CLOSED:
        assert after.verdict.word in CLOSED
    if before.verdict.word in PORTABLE:
        assert after.verdict.word == before.verdict.word
    assert set(after.verdict.portable) <= set(before.verdict.portable)
    for old, new in zip(before.invariants, after.invariants, strict=True):
        assert old.name in INVARIANTS
        assert old.agree in TRUTHS
        assert old.agree in {"unknown", new.agree}
