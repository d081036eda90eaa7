"""Each derived fact with its edge cases, on subjects whose leaves are all stated."""

from __future__ import annotations

import pytest

from hetpd_cli.deployment import CLOSED
from hetpd_cli.facts.values import DERIVED, LOOKED_UP, NONE, UNKNOWN, Unknown
from tests.facts.building import VLLM, Leaves, boundary, value

U = "unknown"
ANY = Unknown("?")


def of_pool(leaves: Leaves, path: str) -> object:
    return value(boundary(leaves), f"prefill.{path}")


def sides(prefill: Leaves, decode: Leaves, path: str, handoff: Leaves | None = None) -> object:
    return value(boundary(prefill, decode, handoff), f"handoff.{path}")


# -- placement -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "activations", "executable"),
    [
        ("h100", "bf16", True),
        ("H100-SXM", "fp8_e4m3fnuz", True),  # the family counts: engines map to the member that the device has
        ("h100", "nvfp4", False),
        ("a100", "fp8_e4m3", False),
        ("our-own", "bf16", U),
        ("our-own", "fp32", True),
        ("metax-c600", "bf16", True),
        (ANY, "bf16", U),
        ("h100", ANY, U),
        ("h100", Unknown("?", ("bf16", "fp16")), True),
        ("h100", Unknown("?", ("bf16", "nvfp4")), U),
    ],
)
def test_precision_executable(device, activations, executable) -> None:
    leaves = {"accelerator": device, "precision.activations": activations}
    assert of_pool(leaves, "precision.executable") == executable


def test_two_possible_results_are_candidates() -> None:
    scope = boundary({"accelerator": "h100", "precision.activations": Unknown("?", ("bf16", "nvfp4"))})
    fact = scope.fact("prefill.precision.executable")
    assert set(fact.value.candidates) == {True, False}
    assert fact.origin == UNKNOWN


SIZES = {"parallelism.tp": 8, "parallelism.pp": 2, "parallelism.dp": 4, "parallelism.cp": 2}


@pytest.mark.parametrize(
    ("engine", "changed", "ranks", "attention_tp"),
    [
        ("vllm", {}, 128, 8),
        ("vllm-ascend", {}, 128, 8),
        ("vllm", {"parallelism.dcp": 8}, 128, 8),
        ("vllm", {"parallelism.cp": ANY}, U, 8),
        ("sglang", {"parallelism.dp_attention": True}, 16, 1),
        ("sglang", {"parallelism.dp_attention": True, "parallelism.cp": 1}, 16, 2),
        ("sglang", {"parallelism.dp_attention": False}, 64, 4),
        ("sglang", {}, U, U),
        ("sglang", {"parallelism.dp": 1}, 16, 4),
        ("sglang", {"parallelism.dp": ANY, "parallelism.dp_attention": False}, U, 4),
        ("sglang", {"parallelism.dp": ANY, "parallelism.dp_attention": True}, 16, U),
        ("tensorrt-llm", {}, 32, 8),
        ("tensorrt-llm", {"parallelism.ep": 8, "parallelism.dp_attention": True, "parallelism.cp": 1}, 16, 8),
        ("other", {}, U, 8),
        (ANY, {}, U, U),
    ],
)
def test_ranks(engine, changed, ranks, attention_tp) -> None:
    leaves = {"engine.name": engine, **SIZES, **changed}
    assert of_pool(leaves, "parallelism.ranks") == ranks
    assert of_pool(leaves, "parallelism.attention_tp") == attention_tp


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("vllm/vllm-openai:v0.24.0", "0.24.0"),
        ("vllm/vllm-openai:0.24", "0.24"),
        ("vllm/vllm-openai:v0.24.0rc1-cu128", "0.24.0rc1"),
        ("lmsysorg/sglang:v0.5.14.post1-cu126", "0.5.14.post1"),
        ("vllm/vllm-openai-rocm:v0.24.0-x86_64", "0.24.0"),
        ("vllm/vllm-openai:latest", U),
        ("vllm/vllm-openai:nightly-0.24.0", U),
        ("vllm/vllm-openai", U),
        ("vllm/vllm-openai@sha256:0.24.0", U),
        ("vllm/vllm-openai-fork:v0.24.0", U),
        ("registry.example:5000/vllm/vllm-openai:v0.24.0", "0.24.0"),
        ("registry.example/openai:v0.24.0", U),
        ("vllm/vllm-openai:v0.20.0-ubuntu2404", "0.20.0"),
        ("vllm/vllm-openai:v0.20.0-dev.3", U),
        ("lmsysorg/sglang:v0.5.12-rocm700-mi35x", "0.5.12"),
        ("quay.io/ascend/vllm-ascend:v0.11.0rc1-a3", "0.11.0rc1"),
        ("nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc18", "1.3.0rc18"),
        ("nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0", "0.14.1"),
        ("nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.3.0-efa", "0.23.0"),
        ("nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.1.1", "0.5.10.post1"),
        ("nvcr.io/nvidia/ai-dynamo/tensorrtllm-runtime:1.3.0", "1.3.0rc19"),
        ("nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.2.0-deepseek-v4-cuda13-dev.3", U),
        ("nvcr.io/nvidia/ai-dynamo/vllm-runtime:9.0.0", U),
        ("my-registry/vllm-runtime:1.3.0", U),
        ("ghcr.io/llm-d/llm-d-cuda:v0.9.0", "0.26.0"),
        ("ghcr.io/llm-d/llm-d-rocm:v0.9.0", U),
        ("ghcr.io/llm-d/llm-d-cuda:latest", U),
    ],
)
def test_version_of_an_image(image, version) -> None:
    assert of_pool({"engine.image": image}, "engine.version") == version


def test_a_stated_version_wins_over_the_image_and_a_fork_without_digest_is_no_identity() -> None:
    leaves = {"engine.image": "vllm/vllm-openai:v0.24.0"}
    assert of_pool({**leaves, "engine.version": "0.25.0"}, "engine.version") == "0.25.0"
    assert of_pool({**leaves, "engine.version": ANY}, "engine.version") == U
    pinned, loose = (
        boundary({"engine.image": image}).fact("prefill.engine.version").value for image in ("x@sha256:1", "x:latest")
    )
    assert (pinned.identity, loose.identity) == ("x@sha256:1", None)
    tagged = boundary({"engine.image": "my/vllm-runtime:my-tag"}).fact("prefill.engine.version").value
    assert tagged.identity == "my/vllm-runtime:my-tag"


@pytest.mark.parametrize(
    ("image", "platform"),
    [
        ("vllm/vllm-openai:nightly", "cuda"),
        ("vllm/vllm-openai-rocm:nightly", "rocm"),
        ("lmsysorg/sglang:v0.5.12-rocm700-mi35x", "rocm"),
        ("quay.io/ascend/vllm-ascend:main", "npu"),
        ("nvcr.io/nvidia/ai-dynamo/vllm-runtime:my-tag", "cuda"),
        ("my-registry/vllm-runtime:my-tag", U),
    ],
)
def test_platform_of_an_image(image, platform) -> None:
    assert of_pool({"engine.image": image}, "engine.built_for") == platform


def test_look_ups_say_where_the_value_stands() -> None:
    fact = boundary({"accelerator": "h100"}).fact("prefill.accelerator.vendor")
    assert (fact.value, fact.origin) == ("NVIDIA", LOOKED_UP)
    assert [leaf.path for leaf in fact.leaves()] == ["accelerator"]
    assert "h100" in fact.note


# -- path ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "kind", "crosses"),
    [
        ("nvlink-3", "scale-up", False),
        ("nvlink-4", "scale-up", U),
        ("roce-400g", "rdma", True),
        ("carrier-pigeon", U, U),
        (ANY, U, U),
    ],
)
def test_links(link, kind, crosses) -> None:
    assert sides({}, {}, "link.kind", {"path.link": link}) == kind
    assert sides({}, {}, "crosses_hosts", {"path.link": link}) == crosses


@pytest.mark.parametrize(("link", "crosses"), [("nvlink-3", True), ("roce-400g", True)])
def test_hosts_say_more_than_the_link(link, crosses) -> None:
    assert sides({"hosts": ("a",)}, {"hosts": ("b",)}, "crosses_hosts", {"path.link": link}) is crosses
    assert sides({"hosts": ("a",)}, {"hosts": ("a",)}, "crosses_hosts", {"path.link": link}) is False


@pytest.mark.parametrize(
    ("port", "dp", "hosts", "last"),
    [
        (5600, 1, ANY, 5600),
        (5600, 4, ("a",), 5603),
        (5600, 4, ANY, 5603),
        (5600, 1, ("a", "b"), U),
        (5600, ANY, ("a",), U),
        (ANY, 1, ("a",), U),
    ],
)
def test_last_port_of_a_side_channel(port, dp, hosts, last) -> None:
    leaves = {"connector.side_channel.port": port, "parallelism.dp": dp, "hosts": hosts}
    assert of_pool(leaves, "connector.side_channel.last_port") == last


@pytest.mark.parametrize(
    ("of_connector", "of_pool_env", "backends", "rdma"),
    [
        (ANY, ANY, ANY, U),
        (NONE, NONE, ANY, True),
        (NONE, ANY, ANY, U),
        (NONE, "tcp", ANY, False),
        ("rc", "tcp", ANY, True),
        ("tcp", "rc", ANY, False),
        ("tcp", ANY, ("GDS", "Mooncake"), True),
        ("tcp", ANY, ("UCX",), False),
        (" all ", ANY, ANY, True),
        ("^", ANY, ANY, True),
    ],
)
def test_ucx_tls_of_connector_and_pool(of_connector, of_pool_env, backends, rdma) -> None:
    leaves = {"connector.env.UCX_TLS": of_connector, "env.UCX_TLS": of_pool_env, "connector.backends": backends}
    assert of_pool(leaves, "connector.ucx_rdma") == rdma


# -- ownership -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lease", "beat", "extension"), [(30, 5, 20), (5, 0, 3), (29.9, 4, 19), (ANY, U, U)])
def test_leases(lease, beat, extension) -> None:
    leaves = {"connector.lease_s": lease}
    assert of_pool(leaves, "connector.heartbeat_period_s") == beat
    assert of_pool(leaves, "connector.lease_extension_s") == extension
    assert boundary(leaves).fact("prefill.connector.lease_extension_s").unit == "s"


# -- representation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leaves", "grouped"),
    [
        ({"model.hybrid": True}, True),
        ({"model.hybrid": False}, U),
        ({"model.attention.sliding_window": 4096, "model.hybrid": False}, True),
        ({"model.attention.sliding_window": NONE, "model.hybrid": False}, False),
        ({"model.attention.sliding_window": NONE, "model.hybrid": True}, True),
        ({"model.id": "Qwen/Qwen3-32B"}, False),
        ({"model.id": "Qwen/Qwen3-32B", "model.hybrid": True}, True),
        ({"model.id": "in-house/thing", "model.hybrid": False}, U),
        ({}, U),
    ],
)
def test_grouped_kv(leaves, grouped) -> None:
    assert of_pool(leaves, "model.grouped_kv") == grouped


@pytest.mark.parametrize(
    ("kind", "latent"),
    [("mla", True), ("dsa", True), ("gqa", False), (ANY, U), (Unknown("?", ("mla", "dsa")), True)],
)
def test_latent_kv(kind, latent) -> None:
    assert sides({"model.attention.kind": kind}, {}, "latent_kv") == latent


def test_what_the_file_says_of_the_model_wins_over_the_table() -> None:
    scope = boundary({"model.id": "Qwen/Qwen3-32B", "model.attention.kv_heads": 4})
    assert value(scope, "prefill.model.attention.kv_heads") == 4
    assert value(scope, "prefill.model.layers") == 64


def side(engine: object, connector: object, version: object) -> Leaves:
    return {"engine.name": engine, "connector.name": connector, "engine.version": version}


NIXL, MOONCAKE = side("vllm", "nixl", "0.24.0"), side("vllm", "mooncake", "0.24.0")
OLD, NEW = side("vllm", "nixl", "0.1.0"), side("vllm", "nixl", "0.99.0")


@pytest.mark.parametrize(
    ("prefill", "decode", "demand"),
    [
        (NIXL, NIXL, True),
        (NIXL, MOONCAKE, True),
        (MOONCAKE, MOONCAKE, False),
        (MOONCAKE, OLD, U),
        (NIXL, NEW, True),
        (OLD, NEW, U),
        (side(ANY, "nixl", "0.24.0"), NIXL, True),
        (side("vllm", ANY, "0.24.0"), MOONCAKE, U),
        (side("vllm", "nixl", ANY), NIXL, True),
        (side("vllm", NONE, "0.24.0"), NIXL, True),
    ],
)
def test_a_demand_takes_one_side(prefill, decode, demand) -> None:
    for one, other in ((prefill, decode), (decode, prefill)):
        assert sides(one, other, "needs_equal_engine_version") == demand


def test_an_unknown_version_is_covered_only_by_what_holds_for_all() -> None:
    scope = boundary(side("vllm", "nixl", ANY), side("vllm", "nixl", ANY))
    assert value(scope, "handoff.carries") == "bytes"
    assert value(scope, "handoff.needs_divisible_tp") is True
    assert value(scope, "handoff.needs_equal_speculation") == U
    assert "version" in scope.fact("handoff.needs_equal_speculation").value.reason
    newer = boundary(side("vllm", "nixl", "9.9.0"), side("vllm", "nixl", "9.9.0")).fact("handoff.needs_divisible_tp")
    assert newer.unknown
    assert "<0.34" in newer.value.reason


@pytest.mark.parametrize(
    ("prefill", "decode", "carries"),
    [
        (NIXL, MOONCAKE, "bytes"),
        (side(ANY, "nixl", ANY), side("other", "nixl", ANY), "bytes"),
        (NIXL, side("vllm", NONE, "0.24.0"), NONE),
        (side("vllm", ANY, "0.24.0"), side("vllm", NONE, "0.24.0"), NONE),
        (NIXL, side("vllm", "other", "0.24.0"), U),
        (NIXL, side("vllm", ANY, "0.24.0"), U),
    ],
)
def test_what_crosses(prefill, decode, carries) -> None:
    assert sides(prefill, decode, "carries") == carries
    assert sides(decode, prefill, "carries") == carries


@pytest.mark.parametrize(
    ("declared", "dtype", "layout", "block_size"),
    [
        (NONE, False, False, False),
        (("dtype",), True, False, False),
        (("layout", "block_size"), False, True, True),
        (ANY, False, False, False),
    ],
)
def test_conversions_are_declared_or_those_of_the_connectors(declared, dtype, layout, block_size) -> None:
    scope = boundary(NIXL, NIXL, {"conversion.of": declared})
    assert [value(scope, f"handoff.converts_{aspect}") for aspect in ("dtype", "layout", "block_size")] == [
        dtype,
        layout,
        block_size,
    ]
    assert sides(NIXL, NEW, "converts_layout", {"conversion.of": ANY}) is False
    assert sides(NEW, NEW, "converts_layout", {"conversion.of": ANY}) == U


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("nixl", "nixl", True),
        ("nixl", "mooncake", False),
        ("multi", "nixl", U),
        ("other", "other", U),
        (ANY, ANY, U),
        (ANY, "multi", U),
        (NONE, NONE, True),
        (NONE, "nixl", False),
        (Unknown("?", ("nixl", "mooncake")), "lmcache", False),
    ],
)
def test_one_connector(one, other, same) -> None:
    assert sides({"connector.name": one}, {"connector.name": other}, "one_connector") == same


@pytest.mark.parametrize(
    ("one", "other", "connector", "same"),
    [
        ("vllm", "vllm", ANY, True),
        ("vllm", "sglang", "nixl", False),
        ("vllm", "vllm-ascend", "nixl", U),
        ("vllm-ascend", "vllm", "mooncake", False),
        ("other", "other", "nixl", U),
        ("other", "vllm", "mooncake", U),
        (ANY, "vllm", "nixl", U),
    ],
)
def test_one_engine(one, other, connector, same) -> None:
    prefill = {"engine.name": one, "connector.name": connector}
    assert sides(prefill, {"engine.name": other}, "one_engine") == same


@pytest.mark.parametrize(
    ("one", "other", "kind", "same"),
    [
        ("bf16", "bf16", ANY, True),
        ("bf16", "fp16", "mla", False),
        ("fp8_e4m3", "fp8_ds_mla", "dsa", U),
        ("fp8_ds_mla", "fp8_e4m3", ANY, U),
        ("fp8_e4m3", "fp8_ds_mla", "gqa", False),
        ("fp8_e5m2", "fp8_ds_mla", "dsa", False),
        (ANY, "bf16", "gqa", U),
    ],
)
def test_one_kv_dtype(one, other, kind, same) -> None:
    prefill = {"kv.dtype": one, "model.attention.kind": kind}
    assert sides(prefill, {"kv.dtype": other}, "one_kv_dtype") == same


@pytest.mark.parametrize(
    ("one", "other", "vendors", "same"),
    [
        ("0.24.0", "0.24", ("NVIDIA", "NVIDIA"), True),
        ("0.24.0", "0.24", (ANY, "AMD"), True),
        ("0.24.0", "0.24", ("NVIDIA", "AMD"), U),
        ("0.24.0+cu126", "0.24.0+cu126", ("NVIDIA", "AMD"), True),
        ("0.24.0+cu126", "0.24.0+rocm", ("NVIDIA", "AMD"), False),
        ("0.24.0", "0.25.0", ("NVIDIA", "AMD"), False),
        ("0.20", "0.2", ("NVIDIA", "NVIDIA"), False),
        (Unknown("?", None, "x@sha256:1"), Unknown("?", None, "x@sha256:1"), ("NVIDIA", "NVIDIA"), True),
        (Unknown("?", None, "x@sha256:1"), Unknown("?", None, "x@sha256:2"), ("NVIDIA", "NVIDIA"), U),
    ],
)
def test_one_release(one, other, vendors, same) -> None:
    prefill = {"engine.version": one, "accelerator.vendor": vendors[0]}
    decode = {"engine.version": other, "accelerator.vendor": vendors[1]}
    assert sides(prefill, decode, "one_release") == same


@pytest.mark.parametrize(
    ("one", "other", "enforced", "tolerates"),
    [
        ("0.24.0", "0.25.0", True, False),
        ("0.24.0", "0.25.0", False, True),
        ("0.24.0", "0.24.0+cu126", False, True),
        ("0.24.0", "0.33.0", False, False),
        ("0.28.0", "0.33.0", False, U),
        ("0.24.0", ANY, False, U),
        ("0.24.0", "0.25.0", ANY, U),
    ],
)
def test_release_skew(one, other, enforced, tolerates) -> None:
    leaves = {"nixl": True, "hash_enforced": enforced}
    pools = ({"engine.version": one}, {"engine.version": other})
    assert sides(*pools, "tolerates_release_skew", leaves) == tolerates
    assert sides(*pools[::-1], "tolerates_release_skew", leaves) == tolerates


def test_a_derived_fact_rests_on_defaults_too() -> None:
    fact = boundary(VLLM, VLLM, scope=CLOSED).fact("prefill.connector.lease_extension_s")
    assert (fact.value, fact.origin) == (20, DERIVED)
    assert {leaf.path for leaf in fact.leaves()} == {
        "connector.lease_s",
        "engine.name",
        "engine.version",
        "connector.name",
    }


# -- sizes, rates and times ------------------------------------------------------------------------------------

QWEN: Leaves = {"model.id": "Qwen/Qwen3-32B", "kv.dtype": "bf16"}
DEEPSEEK: Leaves = {"model.id": "deepseek-ai/DeepSeek-V3", "kv.dtype": "bf16"}


@pytest.mark.parametrize(
    ("leaves", "expected"),
    [
        (QWEN, 262_144),
        (QWEN | {"kv.dtype": "fp8_e4m3"}, 131_072),
        (QWEN | {"kv.dtype": "int4", "kv.scales": "static"}, 65_536),
        (QWEN | {"kv.dtype": "int4"}, U),  # the scales of a 4-bit KV take room, where they are is not said
        (QWEN | {"kv.scales": "inline"}, U),
        (QWEN | {"kv.dtype": "fp8_ds_mla"}, U),
        (QWEN | {"kv.dtype": "nvfp4"}, U),
        (QWEN | {"kv.dtype": ANY}, U),
        ({"model.id": "Qwen/Qwen3-235B-A22B", "kv.dtype": "bf16"}, 192_512),
        (DEEPSEEK, 70_272),
        ({"model.id": "deepseek-ai/DeepSeek-V3.2", "kv.dtype": "bf16"}, U),  # index keys of sparse attention
        ({"model.id": "openai/gpt-oss-120b", "kv.dtype": "bf16"}, U),  # windows
        ({"model.id": "Qwen/Qwen3.5-27B", "kv.dtype": "bf16"}, U),  # recurrent layers
        ({"model.id": "nvidia/Llama-3_3-Nemotron-Super-49B-v1", "kv.dtype": "bf16"}, U),  # layers without attention
        ({"model.id": "in-house/thing", "kv.dtype": "bf16"}, U),
        (QWEN | {"model.layers": 10**400}, U),
    ],
)
def test_kv_bytes_per_token(leaves, expected) -> None:
    assert of_pool(leaves, "kv.bytes_per_token") == expected


def test_room_and_output_of_a_pool() -> None:
    room = {"memory.kv_capacity_gib": 40, "devices_per_worker": 2}
    assert of_pool(QWEN | room, "memory.kv_worker_tokens") == 2 * 163_840
    assert (
        of_pool(QWEN | room | {"memory.kv_capacity_gib": 1e308, "devices_per_worker": 10}, "memory.kv_worker_tokens")
        == U
    )
    assert of_pool(QWEN | {"memory.kv_capacity_gib": 40}, "memory.kv_worker_tokens") == U
    assert of_pool(QWEN | {"measured.prefill_uncached_tokens_per_s": 10_000}, "kv.output_gb_per_s") == 2.62144


OLD: Leaves = {"engine.name": "vllm", "engine.version": "0.20.0", "connector.name": "nixl"}
ABORT = "VLLM_NIXL_ABORT_REQUEST_TIMEOUT"
UNSET: Leaves = {f"env.{ABORT}": NONE, f"connector.env.{ABORT}": NONE}


@pytest.mark.parametrize(
    ("leaves", "expected"),
    [
        (VLLM | {"connector.lease_s": 20}, 20),
        (VLLM | {"connector.lease_s": 20, "connector.abort_timeout_s": 480, f"env.{ABORT}": "480"}, 20),
        (VLLM, U),
        (OLD, U),
        (OLD | UNSET, 480),
        (OLD | {"connector.abort_timeout_s": 60}, 60),
        (OLD | {"connector.lease_s": 20}, U),
        (OLD | UNSET | {f"env.{ABORT}": "90"}, 90),
        (OLD | UNSET | {f"env.{ABORT}": "soon"}, U),
        (OLD | UNSET | {f"env.{ABORT}": "9" * 400}, U),
        (OLD | UNSET | {"engine.name": "sglang"}, U),
        (OLD | UNSET | {"engine.version": "main"}, U),
    ],
)
def test_how_long_a_source_is_kept(leaves, expected) -> None:
    assert of_pool(leaves, "connector.hold_s") == expected


def path(handoff: Leaves, name: str, workload: Leaves | None = None, prefill: Leaves = QWEN, tp: int = 8) -> object:
    sides = {**VLLM, **prefill, "parallelism.tp": tp, "workers": 2}
    return value(boundary(sides, sides, handoff, workload=workload), f"handoff.{name}")


SHAPE: Leaves = {"input_tokens": 8192, "prefix_hit_rate": 0.5}


@pytest.mark.parametrize(
    ("handoff", "prefill", "tp", "expected"),
    [
        ({}, QWEN, 8, 4096 * 262_144),
        ({}, QWEN, 16, 2 * 4096 * 262_144),
        ({}, DEEPSEEK, 16, 4096 * 70_272),
        ({"wire.codec": "zstd"}, QWEN, 8, U),
        ({"wire.dtype": "fp8_e4m3"}, QWEN, 8, U),
        ({"conversion.of": ("dtype",)}, QWEN, 8, U),
        ({"carries": "objects"}, QWEN, 8, U),
    ],
)
def test_kv_of_a_request_on_the_wire(handoff, prefill, tp, expected) -> None:
    assert path(handoff, "kv_bytes_per_request", SHAPE, prefill, tp) == expected
    assert path(handoff, "kv_bytes_per_request", {"input_tokens": 8192}, prefill, tp) == U


@pytest.mark.parametrize(
    ("handoff", "expected"),
    [
        ({"measured.rate_gb_per_s": 7, "path.link": "ib-ndr", "path.nics_per_worker": 8}, 7),
        ({"path.link": "ib-ndr", "path.nics_per_worker": 2}, 94.6),
        ({"path.link": "ib-xdr", "path.nics_per_worker": 2}, 200),  # no measured rate: the line's
        ({"path.link": "ib-ndr", "path.rate_gbit_per_s": 200, "path.nics_per_worker": 2}, 50),
        ({"path.link": "ib-ndr"}, U),
        ({"path.link": "rdma", "path.nics_per_worker": 2}, U),
        ({"path.link": "carrier-pigeon", "path.nics_per_worker": 2}, U),
    ],
)
def test_what_a_path_carries(handoff, expected) -> None:
    assert path(handoff, "usable_gb_per_s") == (expected if expected == U else pytest.approx(expected))
    assert path(handoff, "usable_pool_gb_per_s") == (expected if expected == U else pytest.approx(2 * expected))


def test_transfer_times() -> None:
    handoff = {"path.link": "ib-xdr", "path.nics_per_worker": 1}
    moved = 4096 * 262_144
    assert path(handoff, "transfer_s", SHAPE) == pytest.approx(0.0005 + moved / 100e9)
    assert path(handoff | {"path.base_latency_s": 0.002}, "transfer_s", SHAPE) == pytest.approx(0.002 + moved / 100e9)
    assert path(handoff | {"measured.transfer_s": 0.3}, "transfer_s", SHAPE) == 0.3
    assert path(handoff | {"measured.rate_gb_per_s": 0}, "transfer_s", SHAPE) == U
    assert path({}, "transfer_s", SHAPE) == U


@pytest.mark.parametrize(
    ("prefill", "decode", "expected"),
    [
        (("east",), ("west",), True),
        (("east",), ("east",), False),
        (("east", "west"), ("west",), U),
        (("east", "west"), ("east", "west"), U),
        (ANY, ("west",), U),
    ],
)
def test_sites(prefill, decode, expected) -> None:
    assert sides({"location.sites": prefill}, {"location.sites": decode}, "crosses_sites") == expected


@pytest.mark.parametrize(("threshold", "expected"), [(0, False), (4000, True), (ANY, U)])
def test_length_threshold(threshold, expected) -> None:
    assert sides({}, {}, "keeps_short_prompts", {"length_threshold_tokens": threshold}) == expected


@pytest.mark.parametrize(
    ("leaves", "path", "expected"),
    [
        ({"input_tokens": 100, "output_tokens": 20}, "request_tokens", 120),
        ({"input_tokens": 100}, "request_tokens", U),
        ({"input_tokens": 100, "prefix_hit_rate": 0.75, "rate_per_s": 4}, "uncached_tokens_per_s", 100),
        ({"slo.ttft_p90_s": 5, "slo.ttft_p99_s": 9}, "slo.ttft_typical_s", 5),
        ({}, "slo.ttft_typical_s", U),
        (
            {"measured.prompt_tokens_per_s": 50, "measured.requests_per_s": 1, "input_tokens": 100},
            "measured.prompt_disagreement",
            2,
        ),
        (
            {"measured.output_tokens_per_s": 300, "measured.requests_per_s": 1, "output_tokens": 100},
            "measured.output_disagreement",
            3,
        ),
        (
            {"measured.output_tokens_per_s": 0, "measured.requests_per_s": 1, "output_tokens": 100},
            "measured.output_disagreement",
            U,
        ),
    ],
)
def test_facts_of_the_workload(leaves, path, expected) -> None:
    assert value(boundary(workload=leaves), f"workload.{path}") == expected
