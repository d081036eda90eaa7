"""Faults of arguments: each is right, and each near-miss stays quiet."""

from __future__ import annotations

import pytest

from hetpd_cli.facts.values import Unknown
from hetpd_cli.sources.commands.faults import distance, misspelt
from hetpd_cli.tables.arguments import argument_set
from tests.sources.commands.support import faults, read, token

VERSION = "0.24.0"
START = "vllm serve m "


@pytest.mark.parametrize(
    ("arguments", "version", "found"),
    [
        ("--tensor-paralel-size 2", VERSION, [("unknown-argument", "--tensor-paralel-size")]),
        ("--tensor-paralel-size 2", None, [("misspelt-argument", "--tensor-paralel-size")]),
        ("--our-own-thing 2", VERSION, [("unknown-argument", "--our-own-thing")]),
        ("--our-own-thing 2", None, []),
        ("--tensor-paralel-size 2", "99.0.0", [("misspelt-argument", "--tensor-paralel-size")]),
        ("--our-own-thing 2", "99.0.0", []),
        ("--swap-space 16", VERSION, [("removed-argument", "--swap-space")]),
        ("--swap-space 16", None, []),
        ("--dtype float65", VERSION, [("invalid-argument-value", "float65")]),
        ("--dtype float65", None, []),
        ("--block-size --enforce-eager", VERSION, [("invalid-argument-value", "--block-size")]),
        ("--block-size --enforce-eager", None, []),
        ("--block-size --block-size 64", None, [("invalid-argument-value", "--block-size")]),
        ("--block-size 32 --block-size 64", None, [("duplicate-argument", "64")]),
        ("-O3 -O.cudagraph_mode=FULL", "0.11.0", []),
        ("-O3 --compilation-config {}", VERSION, []),
        ("--max_model_len 8192 --enforce-eager", VERSION, []),
        ("--tensor-parallel-siz 2", VERSION, []),
    ],
)
def test_arguments_by_release(arguments, version, found) -> None:
    assert argument_set("vllm", VERSION) is not None
    line = START + arguments
    assert faults(read(line, version=version), line) == found


def test_a_plugin_may_bring_arguments() -> None:
    line = START + "--our-own-thing 2"
    assert faults(read(line, version=VERSION, ASCEND_RT_VISIBLE_DEVICES="0"), line) == []
    omni = START + "--omni --our-own-thing 2"
    assert faults(read(omni, version=VERSION), omni) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"kv_connector":"NixlConnector","kv_role":"kv_both"}', []),
        ('{"kv_connector":"NixlConnector" "kv_role":"kv_both"}', [("broken-json", '"')]),
        ("{kv_connector:NixlConnector}", [("broken-json", "k")]),
        ('{"kv_connector":"Nixl\n  Connector"}', [("broken-json", "l")]),
        ('{"kv_connector":$NAME}', []),
        ('{"kv_conector":"NixlConnector","kv_role":"kv_both"}', [("unknown-transfer-key", '"kv_conector"')]),
        (
            '{"kv_connector":"NixlConnector","kv_role":"kv_both","kv_lease_duration":9}',
            [("unknown-transfer-key", '"kv_lease_duration"')],
        ),
        ('{"kv_connector":"NixlConnector","kv_role":"kv_both","new_key":9}', []),
        (
            '{"kv_connector":"NixlConnector","kv_role":"kv_both","kv_connector_extra_config":{"kv_lease_duraton":9}}',
            [("ignored-transfer-key", '"kv_lease_duraton"')],
        ),
        (
            '{"kv_connector":"NixlConnector","kv_role":"kv_both","kv_connector_extra_config":{"our_key":9}}',
            [],
        ),
        (
            '{"kv_connector":"OurConnector","kv_role":"kv_both","kv_connector_extra_config":{"kv_lease_duraton":9}}',
            [],
        ),
    ],
)
def test_transfer_configurations(text, found) -> None:
    line = f"{START}--kv-transfer-config '{text}'"
    assert faults(read(line), line) == found


@pytest.mark.parametrize(
    ("inner", "version", "found"),
    [
        ('"new_key":9', VERSION, [("unknown-transfer-key", '"new_key"')]),
        ('"new_key":9', None, []),
        ('"new_key":9', "0.14.0", []),
        ('"kv_load_failure_policy":"fail"', "0.12.0", [("ignored-transfer-key", '"kv_load_failure_policy"')]),
        ('"kv_load_failure_policy":"fail"', "0.13.0", []),
        ('"kv_buffer_size":9', "0.31.0", []),
        ('"kv_buffer_size":9', None, []),
        ('"kv_buffer_size":9', "0.33.0", [("unknown-transfer-key", '"kv_buffer_size"')]),
        ('"kv_port":9', "0.33.0", []),
    ],
)
def test_keys_of_an_exactly_known_release(inner, version, found) -> None:
    line = f"""{START}--kv-transfer-config '{{"kv_connector":"NixlConnector","kv_role":"kv_both",{inner}}}'"""
    assert faults(read(line, version=version), line) == found


@pytest.mark.parametrize(
    ("name", "version", "found"),
    [
        ("P2pNcclConnector", "0.33.0", [("unregistered-connector", '"P2pNcclConnector"')]),
        ("P2pNcclConnector", None, []),
        ("OurConnector", "0.33.0", []),
        ("NixlConnector", "0.33.0", []),
    ],
)
def test_connectors_of_an_exactly_known_release(name, version, found) -> None:
    line = f"""{START}--kv-transfer-config '{{"kv_connector":"{name}","kv_role":"kv_both"}}'"""
    assert faults(read(line, version=version), line) == found


def test_quotes_within_quotes_are_no_json() -> None:
    line = START + "--kv-transfer-config \"'{}'\""
    assert [rule for rule, _ in faults(read(line), line)] == ["broken-json"]


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ('{"kv_connector":"NixlConnector" "kv_role":"kv_producer"}', "prefill"),
        ("{kv_connector:NixlConnector,kv_role:kv_consumer}", "decode"),
        ("{kv_connector:NixlConnector}", None),
    ],
)
def test_a_broken_transfer_configuration_names_no_connector_but_its_role(text, role) -> None:
    line = f"vllm serve m --kv-transfer-config '{text}'"
    found = read(line)
    assert [rule for rule, _ in faults(found, line)] == ["broken-json"]
    assert isinstance(found.settings.value("connector.name"), Unknown)
    assert (found.role.value if found.role else None) == role
    if found.role:
        assert token(line, found.role.place) in {"kv_producer", "kv_consumer"}


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("--max-modl-len", "--max-model-len", True),
        ("--maxmodel-len", "--max-model-len", True),
        ("--gpu-memory-utilisation", "--gpu-memory-utilization", True),
        ("--tp-size", "--pp-size", False),
        ("--prefill-size", "--decode-size", False),
        ("--enable-metrics", "--enable-mfu-metrics", False),
        ("--layer-3", "--layer-4", False),
        ("--node-rank", "--nope-rank", True),
        ("--mode", "--model", False),
        ("--maxModelLen", "--max-model-len", True),
        ("--node-rank", "--nope-rang", False),
    ],
)
def test_misspelt_names(word, known, meant) -> None:
    assert misspelt(word, [known]) == (known if meant else None)


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("abc", "abc", 0), ("abc", "acb", 1), ("abc", "abd", 1), ("abc", "ab", 1), ("a", "abcd", 3)],
)
def test_distance(one, other, edits) -> None:
    assert distance(one, other) == edits
    assert distance(other, one) == edits


@pytest.mark.parametrize(
    "line",
    [
        "vllm serve m --tensor-parallel-size " + "9" * 5000,
        "vllm serve m --tensor-parallel-size \u00b2 --data-parallel-size \u00b2 --enable-expert-parallel",
        "vllm serve m --kv-transfer-config " + "[" * 5000,
        'vllm serve m --speculative-config \'{"num_speculative_tokens": ' + "9" * 5000 + "}'",
        "vllm serve m --kv-transfer-config. x --a.b",
        "vllm serve --",
        "vllm serve m --model= --block-size=",
        "vllm serve m --kv-transfer-config '[]' --hf-overrides 3 --lora-modules {} --attention-config 1",
        "trtllm-serve m --trtllm.a.b 3 --override-engine-args []",
        "python3 -m dynamo.vllm --connector",
    ],
)
def test_odd_commands_are_read(line) -> None:
    assert read(line, version=VERSION).program


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("vllm/vllm-openai:v0.24.0", ["unknown-argument"]),
        ("registry.example/mirror/vllm/vllm-openai:v0.24.0-x86_64", ["unknown-argument"]),
        ("vllm/vllm-openai:latest", []),
        ("vllm/vllm-openai:v99.0.0", []),
        ("vllm/vllm-openai:v0.24.0-dev", []),
        ("ours/vllm-openai:v0.24.0", []),
        ("lmsysorg/sglang:v0.5.15", []),
        ("ascend/vllm-ascend:v0.18.0", []),
    ],
)
def test_the_image_of_an_engine_tells_its_release(image, found) -> None:
    line = START + "--our-own-thing 2"
    assert [rule for rule, _ in faults(read(line, image=image), line)] == found


def test_an_image_says_nothing_of_a_release_that_is_known() -> None:
    line = START + "--swap-space 16"
    assert faults(read(line, version="0.17.1", image="vllm/vllm-openai:v0.24.0"), line) == []


def test_a_front_end_may_take_arguments_that_no_table_has() -> None:
    line = "vllm-rs serve m --our-own-thing 2"
    assert faults(read(line, version=VERSION), line) == []
