"""The tables of arguments: well-formed, right at releases that were looked at by hand, and what real files need."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from hetpd_cli.tables.arguments import (
    FOLDER,
    PROGRAMS,
    argument_set,
    connector_classes,
    ever,
    extra_config_keys,
    releases,
    releases_of,
    transfer_config_keys,
    version_key,
)
from tests.support import ROOT

TABLES = {name: json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")) for name in PROGRAMS}
CORPUS = Path(os.environ.get("HETPD_CORPUS", ROOT.parent / "shared" / "corpus"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_row_is_well_formed(program) -> None:
    table = TABLES[program]
    keys = {"name", "spellings", "kind", "takes", "choices", "default", "computed", "negations", "deprecated", "in"}
    keys |= {"suffixes", "repeats", "frontend"}
    assert [version_key(one) for one in table["releases"]] == sorted(version_key(one) for one in table["releases"])
    assert table["releases"][0] in table["parsers"]
    assert set(table["parsers"]) <= set(table["releases"])
    for row in table["arguments"]:
        assert set(row) <= keys, row
        assert row.get("kind", "text") in {"switch", "text", "integer", "number", "json"}, row
        assert re.fullmatch(r"[01?*+]|\d", row.get("takes", "1")), row
        assert (row.get("kind") == "switch") == (row.get("takes") == "0"), row
        assert all(re.fullmatch(r"--?[A-Za-z0-9][\w.-]*", one) for one in row.get("spellings", ["--a"])), row
        assert not row.get("negations") or row["kind"] == "switch", row
        assert row.get("choices") != [], row


@pytest.mark.parametrize("program", PROGRAMS)
def test_ranges_are_in_order_and_apart(program) -> None:
    order = {release: index for index, release in enumerate(TABLES[program]["releases"])}
    held = defaultdict(set)
    for row in TABLES[program]["arguments"]:
        assert row["in"] or program == "trtllm", row
        for first, last in row["in"]:
            assert order[first] <= order[last], row
            span = set(range(order[first], order[last] + 1))
            assert not span & held[row["name"]], row
            held[row["name"]] |= span


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_spelling_of_a_release_names_two_arguments(program) -> None:
    for release in releases(program):
        found = argument_set(program, release)
        spellings = [one for row in found.arguments.values() for one in (*row.spellings, *row.negations)]
        twice = {one for one in spellings if spellings.count(one) > 1}
        assert not twice, release


@pytest.mark.parametrize(
    ("program", "spelling", "first", "last"),
    [
        ("vllm", "--kv-transfer-config", "0.8.5", None),
        ("vllm", "--kv-cache-memory-bytes", "0.10.2", None),
        ("vllm", "--swap-space", None, "0.17.1"),
        ("sglang", "--disaggregation-mode", "0.4.9", None),
        ("sglang", "--attn-dp-size", "0.5.22", None),
        ("dynamo.vllm", "--is-prefill-worker", None, "1.3.1"),
        ("dynamo.vllm", "--disaggregation-mode", "1.0.0", None),
    ],
)
def test_arguments_come_and_go_at_their_releases(program, spelling, first, last) -> None:
    found = releases_of(program, spelling)
    assert found[0] == (first or releases(program)[0])
    assert found[-1] == (last or releases(program)[-1])


@pytest.mark.parametrize(
    ("program", "version", "word", "name", "kind", "takes", "default"),
    [
        ("vllm", "0.24.0", "--tensor-parallel-size", "tensor-parallel-size", "integer", "1", 1),
        ("vllm", "0.24.0", "--served-model-name", "served-model-name", "text", "+", None),
        ("vllm", "0.24.0", "--gpu-memory-utilization", "gpu-memory-utilization", "number", "1", 0.92),
        ("vllm", "0.11.0", "--gpu-memory-utilization", "gpu-memory-utilization", "number", "1", 0.9),
        ("vllm", "0.33.0", "--kv-transfer-config", "kv-transfer-config", "json", "1", None),
        ("vllm", "0.33.0", "--port", "port", "integer", "1", 8000),
        ("sglang", "0.5.9", "--tp", "tensor-parallel-size", "integer", "1", 1),
        ("sglang", "0.5.23", "--tensor-parallel-size", "tensor-parallel-size", "integer", "1", 1),
        ("sglang", "0.5.23", "--disaggregation-bootstrap-port", "disaggregation-bootstrap-port", "integer", "1", 8998),
        ("trtllm", "1.3.0rc3", "--tp_size", "tensor-parallel-size", "integer", "1", 1),
        ("sglang_router", "0.3.2", "--pd-disaggregation", "pd-disaggregation", "switch", "0", False),
        ("dynamo.vllm", "1.2.1", "-tp", "tensor-parallel-size", "integer", "1", 1),
    ],
)
def test_what_an_argument_is(program, version, word, name, kind, takes, default) -> None:
    found = argument_set(program, version).find(word)
    assert (found.name, found.kind, found.takes, found.default) == (name, kind, takes, default)


def test_choices_are_those_of_the_release() -> None:
    assert argument_set("sglang", "0.5.9").find("--disaggregation-mode").choices == ("decode", "null", "prefill")
    assert "pull" not in argument_set("vllm", "0.24.0").find("--runner").choices
    assert "pooling" in argument_set("vllm", "0.24.0").find("--runner").choices
    assert "trt" in argument_set("trtllm", "1.3.0rc3").find("--backend").choices


def test_integers_with_suffixes_are_told() -> None:
    assert argument_set("vllm", "0.24.0").find("--max-model-len").suffixes
    assert not argument_set("vllm", "0.24.0").find("--port").suffixes


@pytest.mark.parametrize(
    ("word", "spelling", "end", "value_start", "keys", "off"),
    [
        ("--tensor_parallel_size", "--tensor-parallel-size", 22, None, (), False),
        ("--tensor-parallel-size=8", "--tensor-parallel-size", 22, 23, (), False),
        ("-tp=2", "-tp", 3, 4, (), False),
        ("-O3", "--optimization-level", 2, 2, (), False),
        ("-O=3", "--optimization-level", 2, 3, (), False),
        ("-O", "--optimization-level", 2, None, (), False),
        ("--kv-transfer-config.kv_role", "--kv-transfer-config", 20, None, ("kv_role",), False),
        (
            "--kv_transfer_config.kv_connector_extra_config.backends=x",
            "--kv-transfer-config",
            20,
            56,
            ("kv_connector_extra_config", "backends"),
            False,
        ),
        ("--no-enable-prefix-caching", "--no-enable-prefix-caching", 26, None, (), True),
        ("--no_enable_prefix_caching", "--no-enable-prefix-caching", 26, None, (), True),
    ],
)
def test_words_are_taken_apart_as_vllm_does(word, spelling, end, value_start, keys, off) -> None:
    found = argument_set("vllm", "0.24.0").match(word)
    assert (found.spelling, found.end, found.value_start, found.keys, found.off) == (
        spelling,
        end,
        value_start,
        keys,
        off,
    )


def test_a_list_may_be_added_to_key_by_key() -> None:
    found = argument_set("vllm", "0.24.0").match("--kv-transfer-config.kv_connector_extra_config.backends+")
    assert (found.keys, found.appends) == (("kv_connector_extra_config", "backends"), True)


@pytest.mark.parametrize(
    "word", ["serve", "-", "--", "-1", "-0.5", "--no-such-argument", "--tensor", "--tensor_parallel_size_"]
)
def test_other_words_name_no_argument(word) -> None:
    found = argument_set("vllm", "0.24.0")
    if word == "--tensor":
        assert found.match(word).abbreviated
        assert found.match("--m") is None
    else:
        assert found.match(word) is None


def test_only_programs_that_abbreviate_take_prefixes() -> None:
    assert argument_set("sglang", "0.5.9").match("--disaggregation-m").abbreviated
    assert argument_set("trtllm", "1.3.0rc3").match("--tensor_parallel") is None
    assert argument_set("trtllm", "1.3.0rc3").match("--tensor-parallel-size") is None


def test_underscores_are_dashes_for_vllm_only() -> None:
    assert argument_set("sglang", "0.5.9").match("--tp_size") is None


def test_an_unknown_release_is_not_exact_and_names_the_nearest() -> None:
    assert argument_set("vllm", "0.24.0").exact
    assert argument_set("vllm", "v0.24.0+cu129").exact
    between = argument_set("vllm", "0.24.7")
    assert (between.exact, between.nearest) == (False, "0.24.0")
    assert argument_set("vllm", "0.1.0").nearest == releases("vllm")[0]
    assert argument_set("vllm", "9.0").nearest == releases("vllm")[-1]
    for nothing in (None, "latest", "nightly"):
        union = argument_set("vllm", nothing)
        assert (union.exact, union.nearest) == (False, None)
        assert union.find("--swap-space")
        assert union.find("--kv-cache-memory-bytes")


def test_candidates_and_post_releases_are_ordered() -> None:
    order = ["0.5.0rc0", "0.5.0rc2", "0.5.0", "0.5.0.post1", "0.5.0.post2", "0.5.1", "0.5.10"]
    assert sorted(order, key=version_key) == order
    assert version_key("0.5") == version_key("0.5.0")
    assert version_key("latest") is None


def test_programs_without_a_table() -> None:
    assert argument_set("tgi", "1.0") is None
    assert argument_set("vllm-ascend", "0.24.0").program == "vllm"


def test_dynamo_takes_the_arguments_of_the_engine_that_it_pins() -> None:
    found = argument_set("dynamo.vllm", "1.2.1")
    assert (found.engine.version, found.engine.exact) == ("0.20.1", True)
    assert found.find("--kv-transfer-config")
    assert found.find("--endpoint")
    assert found.find("--ssl-keyfile") is None
    assert {"--endpoint", "--max-model-len"} <= set(found.names())
    assert argument_set("dynamo.sglang", "1.2.1").engine.version == "0.5.11"
    assert argument_set("dynamo.trtllm", "1.2.1").engine is None


def test_dynamo_takes_engine_options_of_tensorrt_llm_key_by_key() -> None:
    found = argument_set("dynamo.trtllm", "1.6.1").match("--trtllm.kv_cache_config.free_gpu_memory_fraction")
    assert found.keys == ("kv_cache_config", "free_gpu_memory_fraction")


def test_whether_any_release_takes_a_spelling() -> None:
    assert ever("vllm", "--swap-space")
    assert ever("dynamo.vllm", "--max-model-len")
    assert ever("trtllm", "--served_model_name")
    assert not releases_of("trtllm", "--served_model_name")
    assert not ever("vllm", "--tensor-paralel-size")


def test_keys_of_transfer_configurations() -> None:
    old, new = transfer_config_keys("0.24.0"), transfer_config_keys("0.33.0")
    assert set(old) - set(new) == {"kv_buffer_size", "kv_rank", "kv_parallel_size", "kv_ip"}
    assert new["kv_port"] == "integer"
    assert new["kv_connector_extra_config"] == "json"
    assert "enable_permute_local_kv" not in transfer_config_keys("0.11.0")
    assert set(transfer_config_keys(None)) >= set(old) | set(new)


def test_connectors_by_release() -> None:
    assert "NixlPushConnector" not in connector_classes("0.20.0")
    assert {"NixlPushConnector", "NixlConnector"} <= connector_classes("0.24.0")
    assert "P2pNcclConnector" in connector_classes("0.20.0")
    assert "P2pNcclConnector" not in connector_classes("0.24.0")
    assert "MooncakeConnectorV1" in connector_classes("0.13.0", "vllm-ascend")
    assert "MooncakeConnectorV1" not in connector_classes("0.13.0")
    assert "P2pNcclConnector" in connector_classes(None)


def test_keys_of_extra_configurations() -> None:
    assert {"kv_lease_duration", "backends", "enforce_handshake_compat"} <= extra_config_keys("NixlConnector")
    assert {"mooncake_protocol", "num_workers"} <= extra_config_keys("MooncakeConnector")
    assert extra_config_keys("LMCacheConnectorV1") is None
    assert extra_config_keys("OfSomebodyElse") is None


def test_the_tables_stay_small_and_load_fast() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json")) < 400_000
    code = "import time; from hetpd_cli.tables import arguments as a; s = time.perf_counter(); a.argument_set('sglang', '0.5.9'); print(time.perf_counter() - s)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(times) < 0.1


LAUNCH = re.compile(
    r"(?P<vllm>vllm\s+serve|vllm\.entrypoints\.openai\.api_server)|(?P<sglang>sglang\.launch_server|sglang\s+serve)"
    r"|(?P<trtllm>trtllm-serve)|(?P<dynamo>dynamo\.(?:vllm|sglang|trtllm|frontend))"
    r"|(?P<sglang_router>sglang_router\.launch_router)"
)
END = re.compile(
    r"\n---|```|&\s*\n|\n\s*(?:resources|env|envs|ports|volumeMounts|name|image|kind|workingDir|extraPodSpec"
    r"|securityContext|livenessProbe|readinessProbe|readiness_probe|startupProbe)\s*:"
    r"|\n\s*(?:python3?|kubectl|curl|docker|helm|wait|done|echo|mpirun|ray|while|until|nohup|if|fi|export|aiperf)\b"
)
NO_ARGUMENTS = {"configs/amd-master.yaml"}
"""Files of the corpus whose comments speak of arguments behind the name of a program that does not take them."""


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
def test_arguments_of_real_files_are_known() -> None:
    unknown = set()
    seen = 0
    for path in sorted(one for one in CORPUS.rglob("*") if one.is_file()):
        text = path.read_text(encoding="utf-8", errors="replace")
        launches = list(LAUNCH.finditer(text))
        for launch, following in zip(launches, [*launches[1:], None][: len(launches)], strict=True):
            part = END.split(text[launch.end() : following.start() if following else launch.end() + 4000])[0]
            found = argument_set(launch[0] if launch["dynamo"] else launch.lastgroup, None)
            words = set(re.findall(r"(?<![\w-])--[A-Za-z][\w.-]*", part))
            seen += len(words)
            if not found.passes_on and not str(path).endswith(tuple(NO_ARGUMENTS)):
                unknown |= {(path.name, found.program, word) for word in words if not found.match(word)}
    assert not unknown
    assert seen > 500
