"""Commands to settings: which program, which arguments, which facts, at which places."""

from __future__ import annotations

import pytest

from hetpd_cli.deployment import CLOSED, OPEN
from hetpd_cli.facts.values import DEFAULT, LOOKED_UP, NONE, Unknown
from hetpd_cli.sources.commands import read_launch, read_router
from hetpd_cli.sources.text import Limits
from tests.sources.commands.support import faults, launch, read, stated, token

NIXL = """--kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_producer"}'"""


# -- programs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "engine", "program"),
    [
        ("vllm serve m", "vllm", "vllm"),
        ("exec env A=1 numactl -m 0 vllm serve m", "vllm", "vllm"),
        ("/opt/venv/bin/vllm serve m", "vllm", "vllm"),
        ("/opt/venv/lib/vllm/vllm-rs serve m --grpc-port 1", "vllm", "vllm"),
        ("exec $VLLM_RS serve m", "vllm", "vllm"),
        ("$SERVER serve m --kv-transfer-config {}", "vllm", "vllm"),
        ("python3 -u -m vllm.entrypoints.openai.api_server --model m", "vllm", "vllm"),
        ("python -m vllm.entrypoints.cli.main serve m", "vllm", "vllm"),
        ("nsys profile -o x python3 -m sglang.launch_server --model-path m", "sglang", "sglang"),
        ("sglang serve --model-path m", "sglang", "sglang"),
        ("mpirun -n 8 trtllm-llmapi-launch trtllm-serve serve m", "tensorrt-llm", "trtllm"),
        ("trtllm-serve m", "tensorrt-llm", "trtllm"),
        ("python3 -m dynamo.vllm --model m", "vllm", "dynamo.vllm"),
        ("python3 -m dynamo.sglang --model-path m", "sglang", "dynamo.sglang"),
        ("python3 components/src/dynamo/trtllm/main.py --model-path m", "tensorrt-llm", "dynamo.trtllm"),
    ],
)
def test_an_engine_is_seen_through_what_stands_before_it(line, engine, program) -> None:
    found = read(line)
    assert (found.engine, found.program) == (engine, program)
    assert found.wrapper == ("dynamo" if program.startswith("dynamo") else None)
    assert stated(found, "engine.name", "model.id") == {"engine.name": engine, "model.id": "m"}


@pytest.mark.parametrize(
    "line",
    [
        "echo vllm serve m",
        "pkill -f sglang.launch_server",
        "pip install vllm",
        "vllm bench serve --model m",
        "$SERVER serve m",
        "vllm-router serve m",
        "trtllm-serve disaggregated -c x.yaml",
        "python3 -m dynamo.frontend",
        "sleep infinity",
        "[2026-01-01 INFO] Starting: vllm serve m",
        "INFO Starting server with command: vllm serve m",
    ],
)
def test_other_commands_launch_no_engine(line) -> None:
    assert read_launch(launch(line), {}, Limits()) is None


def test_an_image_that_serves_by_itself_takes_the_arguments() -> None:
    found = read("--model m -tp 2", image="docker.io/vllm/vllm-openai:v0.24.0")
    assert stated(found, "engine.name", "model.id", "parallelism.tp") == {
        "engine.name": "vllm",
        "model.id": "m",
        "parallelism.tp": 2,
    }
    assert read_launch(launch("--model m"), {}, Limits(), image="busybox:1") is None


@pytest.mark.parametrize(
    ("line", "image", "env"),
    [
        ("""vllm serve m --kv-transfer-config '{"kv_connector":"MooncakeConnectorV1","kv_role":"kv_both"}'""", "", {}),
        ("vllm serve m", "quay.io/ascend/vllm-ascend:v0.13.0", {}),
        ("vllm serve m", "", {"ASCEND_RT_VISIBLE_DEVICES": "0,1"}),
    ],
)
def test_vllm_on_ascend_is_an_engine_of_its_own(line, image, env) -> None:
    assert read(line, image=image, **env).engine == "vllm-ascend"


# -- arguments ---------------------------------------------------------------------------------------------------


def test_spellings_and_places() -> None:
    line = "vllm serve Q/m -tp=4 --data_parallel_size 2 --kv-cache-dtype=fp8 --max-model-len 32K --no-enable-prefix-caching"
    found = read(line)
    assert stated(found) == {
        "model.id": "Q/m",
        "parallelism.tp": 4,
        "parallelism.dp": 2,
        "kv.dtype": "fp8_e4m3",
        "engine.max_context_tokens": 32768,
        "engine.prefix_caching": False,
    }
    tokens = {path: token(line, one.place) for path, one in found.settings.stated.items()}
    assert tokens == {
        "model.id": "Q/m",
        "parallelism.tp": "4",
        "parallelism.dp": "2",
        "kv.dtype": "fp8",
        "engine.max_context_tokens": "32K",
        "engine.prefix_caching": "--no-enable-prefix-caching",
        "engine.name": "vllm",
    }
    assert found.settings.stated["kv.dtype"].written == "fp8"
    assert found.settings.scope == CLOSED
    assert found.problems == ()


def test_the_last_of_two_is_in_force() -> None:
    line = "vllm serve m --block-size 16 --block-size 64"
    found = read(line)
    assert stated(found, "kv.block_size") == {"kv.block_size": 64}
    assert faults(found, line) == [("duplicate-argument", "64")]
    assert faults(read("vllm serve m --block-size 16 --block-size 16"), line) == []


def test_what_is_not_resolved_is_unknown_and_the_rest_stays_closed() -> None:
    found = read("vllm serve $MODEL --tensor-parallel-size $TP --block-size <N>")
    assert found.settings.scope == CLOSED
    assert all(isinstance(value, Unknown) for value in stated(found).values())
    assert set(stated(found)) == {"model.id", "parallelism.tp", "kv.block_size"}
    assert found.problems == ()


@pytest.mark.parametrize("line", ["vllm serve m --enforce-eager $EXTRA", "vllm serve m $EXTRA"])
def test_a_word_that_may_be_arguments_opens_the_section(line) -> None:
    found = read(line)
    assert found.settings.scope == OPEN
    assert found.incomplete == "$EXTRA is not set"


def test_an_incomplete_launch_opens_the_section() -> None:
    found = read_launch(launch("vllm serve m", incomplete="$ARGS is not set"), {}, Limits())
    assert found is not None
    assert found.settings.scope == OPEN


@pytest.mark.parametrize(
    ("argument", "path"),
    [("--max-model-len -1", "engine.max_context_tokens"), ("--kv-cache-dtype auto", "kv.dtype")],
)
def test_what_is_left_to_the_engine_is_unknown(argument, path) -> None:
    found = read(f"vllm serve m {argument}")
    assert isinstance(found.settings.value(path), Unknown)
    assert found.problems == ()


def test_a_value_that_does_not_decode_is_a_problem_at_its_token() -> None:
    line = "vllm serve m --tensor-parallel-size four"
    assert faults(read(line), line) == [("wrong-type", "four")]


def test_a_word_that_no_field_knows_is_unknown() -> None:
    found = read("vllm serve m --kv-cache-dtype turboquant")
    assert isinstance(found.settings.value("kv.dtype"), Unknown)
    assert found.problems == ()


@pytest.mark.parametrize(
    ("arguments", "dp"),
    [
        ("--data-parallel-size 16", 16),
        ("--data-parallel-size 16 --data-parallel-size-local 8", 8),
        ("--data-parallel-size 16 --data-parallel-rank 3", 1),
        ("--data-parallel-size 16 --nnodes 2", 8),
        ("--data-parallel-size 1 --nnodes 2", 1),
    ],
)
def test_data_parallel_ranks_of_one_worker(arguments, dp) -> None:
    found = read(f"vllm serve m {arguments}")
    assert found.settings.value("parallelism.dp") == dp
    assert found.ranks is not None
    assert found.ranks.value == (1 if "size 1 " in arguments else 16)


@pytest.mark.parametrize(
    ("arguments", "ep"),
    [("-tp 2 -dp 4", 8), ("-tp 2", 2), ("-tp $TP", None), ("-tp 2 $MORE", None)],
)
def test_expert_parallel_size_of_vllm(arguments, ep) -> None:
    assert read(f"vllm serve m --enable-expert-parallel {arguments}").settings.value("parallelism.ep") == ep


def test_speculative_rope_and_adapters() -> None:
    line = (
        """vllm serve m --speculative-config '{"method":"eagle3","model":"d","num_speculative_tokens":3}' """
        """--hf-overrides '{"rope_scaling":{"rope_type":"yarn","factor":4}}' --lora-modules a=x b=y"""
    )
    found = read(line)
    assert stated(found) == {
        "speculative.method": "eagle3",
        "speculative.draft_model": "d",
        "speculative.tokens": 3,
        "model.position.rope_scaling": "yarn:4.0",
        "model.adapters": ("a", "b"),
        "model.id": "m",
    }
    assert token(line, found.settings.stated["speculative.tokens"].place) == "3"


def test_a_file_of_arguments_gives_way_to_the_command() -> None:
    files = [("/cfg/a.yaml", "model: f\ntensor-parallel-size: 8\nblock_size: 64\nenable-prefix-caching: true\n")]
    found = read("vllm serve m --config /cfg/a.yaml -tp 2", files=files)
    assert stated(found) == {
        "model.id": "m",
        "parallelism.tp": 2,
        "kv.block_size": 64,
        "engine.prefix_caching": True,
    }
    place = found.settings.stated["kv.block_size"].place
    assert place is not None
    assert files[0][1][place.start : place.end] == "64"
    assert found.settings.scope == CLOSED
    assert read("vllm serve m --config /cfg/b.yaml", files=files).settings.scope == OPEN


# -- the connector -----------------------------------------------------------------------------------------------


def test_transfer_config() -> None:
    line = (
        """vllm serve m --kv-transfer-config '{"kv_connector":"NixlPushConnector","kv_role":"kv_consumer","""
        """"kv_buffer_device":"cpu","kv_load_failure_policy":"recompute","engine_id":"$ID","kv_port":"20001","""
        """"kv_connector_extra_config":{"backends":["UCX","GDS"],"kv_lease_duration":60}}'"""
    )
    found = read(line)
    values = stated(found)
    assert isinstance(values.pop("connector.engine_id"), Unknown)
    assert values == {
        "connector.name": "nixl",
        "connector.class_name": "NixlPushConnector",
        "connector.mode": "push",
        "connector.role": "consumer",
        "connector.buffer_device": "host",
        "connector.failure_policy": "recompute",
        "connector.kv_port": 20001,
        "connector.backends": ("UCX", "GDS"),
        "connector.lease_s": 60,
        "model.id": "m",
    }
    assert found.role is not None
    assert found.role.value == "decode"
    assert token(line, found.role.place) == '"kv_consumer"'
    assert token(line, found.settings.stated["connector.name"].place) == '"NixlPushConnector"'


def test_what_no_other_field_has_of_the_extra_configuration() -> None:
    line = (
        """vllm serve m --kv-transfer-config '{"kv_connector":"MooncakeConnector","kv_role":"kv_both","""
        """"kv_connector_extra_config":{"mooncake_protocol":"tcp","num_workers":4,"lmcache.mp.host":"here","""
        """"prefill_tp_sizes":[4,8],"prefill":{"tp_size":8,"dp_size":2},"key":"$SECRET"}}'"""
    )
    values = stated(read(line))
    assert isinstance(values.pop("connector.extra.key"), Unknown)
    assert {
        path: value for path, value in values.items() if path.startswith(("connector.extra", "connector.prot"))
    } == {
        "connector.protocol": "tcp",
        "connector.extra.num_workers": "4",
        "connector.extra.lmcache_mp_host": "here",
        "connector.extra.prefill_tp_sizes": "4,8",
        "connector.extra.prefill_tp_size": "8",
        "connector.extra.prefill_dp_size": "2",
    }


def test_the_backend_of_moriio_is_its_protocol() -> None:
    line = (
        """vllm serve m --kv-transfer-config '{"kv_connector":"MoRIIOConnector","kv_role":"kv_producer","""
        """"kv_connector_extra_config":{"backend":"xgmi","read_mode":"true","http_port":8100}}'"""
    )
    assert stated(read(line), "connector.protocol", "connector.mode", "connector.extra.http_port") == {
        "connector.protocol": "xgmi",
        "connector.mode": "pull",
        "connector.extra.http_port": "8100",
    }


@pytest.mark.parametrize(("given", "expected"), [("", None), (',"engine_id":"a"', "a")])
def test_what_a_holder_holds(given: str, expected: str | None) -> None:
    line = (
        """vllm serve m --kv-transfer-config '{"kv_connector":"MultiConnector","kv_role":"kv_both","""
        """"kv_connector_extra_config":{"connectors":[{"kv_connector":"NixlConnector","kv_role":"kv_both"},"""
        f"""{{"kv_connector":"OffloadingConnector","kv_role":"kv_both"{given}}}]}}}}'"""
    )
    held = {"connector.held.classes": ("NixlConnector", "OffloadingConnector")}
    if expected is not None:
        held["connector.held.engine_id"] = expected
    assert {path: value for path, value in stated(read(line)).items() if path.startswith("connector.held")} == held


def test_dotted_keys_are_one_object() -> None:
    line = (
        "vllm serve m --kv-transfer-config.kv_connector NixlConnector --kv-transfer-config.kv_role=kv_producer "
        "--kv-transfer-config.kv_connector_extra_config.backends+ UCX,GDS"
    )
    found = read(line)
    assert stated(found, "connector.name", "connector.backends") == {
        "connector.name": "nixl",
        "connector.backends": ("UCX", "GDS"),
    }
    assert found.role is not None
    assert (found.role.value, token(line, found.role.place)) == ("prefill", "kv_producer")
    assert found.problems == ()


def test_the_transfer_connector_is_found_inside_others() -> None:
    line = (
        """vllm serve m --kv-transfer-config '{"kv_connector":"MultiConnector","kv_role":"kv_producer","""
        """"kv_load_failure_policy":"fail","kv_connector_extra_config":{"connectors":["""
        """{"kv_connector":"OffloadingConnector","kv_role":"kv_both"},"""
        """{"kv_connector":"NixlConnector","kv_role":"kv_both","kv_load_failure_policy":"recompute","""
        """"kv_connector_extra_config":{"kv_lease_duration":90}}]}}'"""
    )
    found = read(line)
    assert stated(found, "connector.name", "connector.lease_s", "connector.failure_policy", "connector.role") == {
        "connector.name": "nixl",
        "connector.lease_s": 90,
        "connector.failure_policy": "fail",
        "connector.role": "producer",
    }
    assert found.role is not None
    assert found.role.value == "prefill"


def test_kv_both_says_nothing_of_the_role() -> None:
    line = """vllm serve m --kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'"""
    assert read(line).role is None


def test_variables_of_the_connector_in_use() -> None:
    found = read(
        f"vllm serve m {NIXL}",
        VLLM_NIXL_SIDE_CHANNEL_PORT="5601",
        VLLM_NIXL_SIDE_CHANNEL_HOST="$POD_IP",
        VLLM_MOONCAKE_BOOTSTRAP_PORT="9000",
        UCX_TLS="rc,cuda_copy",
        PYTHONHASHSEED="0",
        HF_TOKEN="x",
        VLLM_API_KEY="x",
        PATH="/bin",
    )
    section = found.settings
    assert section.value("connector.side_channel.port") == 5601
    assert isinstance(section.value("connector.side_channel.host"), Unknown)
    assert section.value("engine.hash_seed") == "0"
    assert section.value("env.UCX_TLS") == "rc,cuda_copy"
    assert "connector.bootstrap.port" not in section.stated
    assert not {path for path in section.stated if path.endswith(("TOKEN", "API_KEY", "PATH"))}


# -- SGLang, TensorRT-LLM, Dynamo --------------------------------------------------------------------------------


def test_sglang() -> None:
    line = (
        "python3 -m sglang.launch_server --model-path m --tp 8 --dp-size 8 --enable-dp-attention --page-size 64 "
        "--disaggregation-mode prefill --disaggregation-transfer-backend mooncake --disaggregation-bootstrap-port 8999 "
        "--disaggregation-decode-allocation-policy prefill_complete --disable-radix-cache --chunked-prefill-size -1"
    )
    found = read(line, SGLANG_DISAGGREGATION_WAITING_TIMEOUT="600")
    values = stated(found)
    assert isinstance(values.pop("engine.max_batched_tokens"), Unknown)
    assert values == {
        "model.id": "m",
        "parallelism.tp": 8,
        "parallelism.dp": 8,
        "parallelism.dp_attention": True,
        "kv.block_size": 64,
        "connector.name": "mooncake",
        "connector.bootstrap.port": 8999,
        "connector.reservation.when": "late",
        "connector.waiting_timeout_s": 600,
        "engine.prefix_caching": False,
        "env.SGLANG_DISAGGREGATION_WAITING_TIMEOUT": "600",
    }
    assert found.role is not None
    assert (found.role.value, token(line, found.role.place)) == ("prefill", "prefill")


ENGINE_FILE = """\
tensor_parallel_size: 8
enable_attention_dp: true
kv_cache_config: {dtype: fp8, tokens_per_block: 64, enable_block_reuse: false}
cache_transceiver_config: {backend: UCX}
speculative_config: {decoding_type: MTP, num_nextn_predict_layers: 3}
"""


def test_the_engine_file_of_tensorrt_llm() -> None:
    line = "python3 -m dynamo.trtllm --model-path m --extra-engine-args x.yaml --disaggregation-mode decode"
    found = read(line + " --tensor-parallel-size 4", files=[("/mnt/x.yaml", ENGINE_FILE)])
    assert stated(found) == {
        "model.id": "m",
        "parallelism.tp": 8,
        "parallelism.dp_attention": True,
        "kv.dtype": "fp8_e4m3",
        "kv.block_size": 64,
        "engine.prefix_caching": False,
        "connector.name": "trtllm-transceiver",
        "connector.backends": ("UCX",),
        "speculative.method": "MTP",
        "speculative.tokens": 3,
    }
    assert found.role is not None
    assert found.role.value == "decode"
    place = found.settings.stated["connector.backends"].place
    assert place is not None
    assert ENGINE_FILE[place.start : place.end] == "UCX"


def test_the_backend_by_default_is_a_word_of_its_own() -> None:
    line = "trtllm-serve m --extra_llm_api_options x.yaml"
    found = read(line, files=[("/mnt/x.yaml", "cache_transceiver_config: {backend: default}")])
    assert found.settings.value("connector.backends") == ("DEFAULT",)


def test_where_trtllm_serve_and_its_file_differ_nobody_knows() -> None:
    line = "trtllm-serve m --tp_size 4 --server_role GENERATION --extra_llm_api_options x.yaml"
    found = read(line, files=[("x.yaml", ENGINE_FILE)])
    assert isinstance(found.settings.value("parallelism.tp"), Unknown)
    assert found.settings.value("kv.block_size") == 64
    assert found.role is not None
    assert found.role.value == "decode"


@pytest.mark.parametrize(
    ("arguments", "role"),
    [
        ("--disaggregation-mode prefill", "prefill"),
        ("--disaggregation-mode=decode", "decode"),
        ("--is-prefill-worker", "prefill"),
        ("--is-decode-worker", "decode"),
        ("--disaggregation-mode agg", "aggregated"),
        ("--disaggregation-mode encode", "encode"),
        ("", None),
    ],
)
def test_roles_of_dynamo(arguments, role) -> None:
    found = read(f"python3 -m dynamo.vllm --model m {NIXL.replace('producer', 'both')} {arguments}")
    assert (None if found.role is None else found.role.value) == role


@pytest.mark.parametrize(
    ("arguments", "image", "name"),
    [
        ("--is-decode-worker", "ai-dynamo/vllm-runtime:0.9.0", "nixl"),
        ("--is-decode-worker --connector none", "ai-dynamo/vllm-runtime:0.9.0", NONE),
        ("--is-decode-worker", "ai-dynamo/vllm-runtime:1.1.0", NONE),
        ("--disaggregation-mode decode", "ai-dynamo/vllm-runtime:my-tag", NONE),
    ],
)
def test_the_connector_that_dynamo_chooses(arguments, image, name) -> None:
    found = read(f"python3 -m dynamo.vllm --model m {arguments}", image=image)
    assert found.settings.value("connector.name") == name
    assert found.problems == ()
    if "--connector" not in arguments:
        assert found.settings.stated["connector.name"].origin == DEFAULT


def test_the_connector_of_an_unknown_release_of_dynamo_is_unknown() -> None:
    found = read("python3 -m dynamo.vllm --model m --is-decode-worker", image="ai-dynamo/vllm-runtime:my-tag")
    assert isinstance(found.settings.value("connector.name"), Unknown)


def test_a_prefill_worker_of_dynamo_without_a_connector_is_refused() -> None:
    line = "python3 -m dynamo.vllm --model m --disaggregation-mode prefill"
    assert faults(read(line), line) == [("missing-transfer-config", "prefill")]
    assert isinstance(read(line).settings.value("connector.name"), Unknown)
    assert read(f"{line} $MORE").problems == ()
    assert read(f"{line} {NIXL}").problems == ()
    old = "python3 -m dynamo.vllm --model m --is-prefill-worker"
    assert read(old, image="ai-dynamo/vllm-runtime:0.9.0").problems == ()


def test_the_release_that_dynamo_brings() -> None:
    line = f"python3 -m dynamo.vllm --model m {NIXL}"
    stated_version = read(line, image="nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.1.1").settings.stated["engine.version"]
    assert (stated_version.value, stated_version.origin) == ("0.19.0", LOOKED_UP)
    for tag in ("my-tag", "latest", "1.1.1-dev.3", "9.9.9"):
        found = read(line, image=f"nvcr.io/nvidia/ai-dynamo/vllm-runtime:{tag}")
        assert "engine.version" not in found.settings.stated


# -- routers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        (
            "python3 -m dynamo.frontend --router-mode kv --kv-cache-block-size 64",
            {"name": "dynamo", "block_size": 64, "prefix_index": "events"},
        ),
        ("python3 -m dynamo.frontend --router-mode kv --no-kv-events", {"name": "dynamo", "prefix_index": "own"}),
        ("python3 -m dynamo.frontend --router-mode round-robin", {"name": "dynamo", "prefix_index": "none"}),
        (
            "python3 -m sglang_router.launch_router --pd-disaggregation --prefill http://a:1 8999 --decode http://b:1 "
            "--policy cache_aware",
            {"name": "sglang-router", "prefix_index": "own", "bootstrap_port": 8999},
        ),
        ("/app/pd-sidecar --port=8000 --kv-connector=nixlv2", {"name": "llm-d", "speaks": ("nixl",)}),
    ],
)
def test_routers(line, facts) -> None:
    section = read_router(launch(line))
    assert section is not None
    assert {path: one.value for path, one in section.stated.items()} == facts
    assert all(token(line, one.place) in line for one in section.stated.values())


def test_an_engine_is_no_router() -> None:
    assert read_router(launch("vllm serve m")) is None


@pytest.mark.parametrize("image", ["ai-dynamo/vllm-runtime:1.1.0", "ai-dynamo/vllm-runtime:0.9.0"])
def test_a_worker_of_dynamo_may_be_given_a_connector_by_what_is_not_known(image) -> None:
    found = read("python3 -m dynamo.vllm --model m --is-prefill-worker $EXTRA_ARGS", image=image)
    assert isinstance(stated(found, "connector.name")["connector.name"], Unknown)
    assert found.problems == ()


def test_dynamo_sets_the_side_channel_where_nobody_does() -> None:
    line = "python3 -m dynamo.vllm --model m " + NIXL.replace("producer", "both")
    assert isinstance(read(line).settings.value("connector.side_channel.host"), Unknown)
    assert (
        read(line, VLLM_NIXL_SIDE_CHANNEL_HOST="10.0.0.1").settings.value("connector.side_channel.host") == "10.0.0.1"
    )
    assert read("vllm serve m").settings.value("connector.side_channel.host") is None


def test_switches_that_rules_about_the_start_read() -> None:
    line = (
        "vllm serve m -tp=2 --enable-sleep-mode --no-enable-cumem-allocator --kv-offloading-size 8.5 "
        '--enable-return-routed-experts --calculate-kv-scales -ac \'{"backend":"FLASHINFER"}\' '
        '-sc \'{"method":"eagle3","model":"e","revision":"r","parallel_drafting":true,"kv_cache_dtype":"fp8"}\''
    )
    assert stated(read(line)) == {
        "model.id": "m",
        "parallelism.tp": 2,
        "engine.sleep_mode": True,
        "engine.cumem_allocator": False,
        "engine.kv_offloading_gib": 8.5,
        "engine.routed_experts": True,
        "kv.scales": "dynamic",
        "engine.attention_backend": "FLASHINFER",
        "speculative.method": "eagle3",
        "speculative.draft_model": "e",
        "speculative.revision": "r",
        "speculative.parallel_drafting": True,
        "speculative.kv_dtype_word": "fp8",
    }


@pytest.mark.parametrize(
    ("name", "extra", "protocol"),
    [
        ("MooncakeConnector", '"mooncake_protocol":"tcp"', "tcp"),
        ("MoRIIOConnector", '"backend":"xgmi"', "xgmi"),
        ("NixlConnector", '"mooncake_protocol":"tcp"', None),
    ],
)
def test_the_protocol_of_a_connector(name, extra, protocol) -> None:
    text = f'{{"kv_connector":"{name}","kv_role":"kv_both","kv_connector_extra_config":{{{extra}}}}}'
    found = stated(read(f"vllm serve m --kv-transfer-config '{text}'"))
    assert found.get("connector.protocol") == protocol
    assert found["connector.class_name"] == name


@pytest.mark.parametrize(("version", "known"), [("0.21.0", True), ("0.22.0", False), (None, True)])
def test_a_variable_that_the_release_does_not_read_says_nothing(version, known) -> None:
    line = """vllm serve m --kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'"""
    found = stated(read(line, version=version, VLLM_NIXL_ABORT_REQUEST_TIMEOUT="60"))
    assert ("connector.abort_timeout_s" in found) is known


@pytest.mark.parametrize(("second", "unknown"), [("OffloadingConnector", False), ("LMCacheConnectorV1", True)])
def test_one_of_several_connectors_may_turn_the_hybrid_manager_off(second, unknown) -> None:
    one = '{{"kv_connector":"{}","kv_role":"kv_both"}}'
    text = (
        '{"kv_connector":"MultiConnector","kv_role":"kv_both","kv_connector_extra_config":{"connectors":['
        + one.format("NixlConnector") + "," + one.format(second) + "]}}"
    )  # fmt: skip
    value = read(f"vllm serve m --kv-transfer-config '{text}'").settings.value("engine.hybrid_kv_manager")
    assert isinstance(value, Unknown) is unknown
