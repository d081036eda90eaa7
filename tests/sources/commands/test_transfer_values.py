"""Which --kv-transfer-config vLLM takes, as its own class says.

The lists below are what ``KVTransferConfig`` of vLLM 0.11.2, 0.12, 0.13, 0.14, 0.14.1, 0.16, 0.17, 0.18, 0.24 and 0.30
to 0.33 took of :data:`VALUES`, built from keywords and from JSON alike: all of them took the same.
"""

from __future__ import annotations

import json

import pytest

from tests.sources.commands.support import read

WHOLE = 10**30
VALUES = (
    None, True, False, 0, 1, 2, -1, 12, 1.0, 0.0, 12.5, 1e30, WHOLE, "", "0", "1", "12", " 12 ", "+12", "-12", "1_000",
    "12.0", "12.5", "1e3", "0x10", "inf", "nan", "True", "TRUE", "False", "no", "On", "y", "t", "off", "2", "maybe",
    "kv_producer", "kv_both", "KV_BOTH", "fail", "recompute", "FAIL", [], [1], {}, {"a": 1}, "0012", "__1", "1__0",
    "\N{VULGAR FRACTION ONE HALF}", "\N{ARABIC-INDIC DIGIT ONE}", " true", "1.", "1.000", ".0", "1_0.0", "-0", "+ 1",
    "0b1", "1e0", "--1", "tRuE",
)  # fmt: skip

TEXT = [value for value in VALUES if isinstance(value, str)]
WHOLE_NUMBERS = [
    True, False, 0, 1, 2, -1, 12, 1.0, 0.0, WHOLE, "0", "1", "12", " 12 ", "+12", "-12", "1_000", "12.0", "2", "0012",
    "1.000", "1_0.0", "-0",
]  # fmt: skip
NUMBERS = [*WHOLE_NUMBERS, 12.5, 1e30, "12.5", "1e3", "inf", "nan", "1.", ".0", "1e0"]
SWITCHES = [True, False, 0, 1, 1.0, 0.0, "0", "1", "True", "TRUE", "False", "no", "On", "y", "t", "off", "tRuE"]

TAKES = {
    "kv_connector": [None, *TEXT],
    "engine_id": [None, *TEXT],
    "kv_buffer_device": TEXT,
    "kv_buffer_size": NUMBERS,
    "kv_role": ["kv_producer", "kv_both"],
    "kv_rank": [None, *WHOLE_NUMBERS],
    "kv_parallel_size": WHOLE_NUMBERS,
    "kv_ip": TEXT,
    "kv_port": WHOLE_NUMBERS,
    "kv_connector_extra_config": [{}, {"a": 1}],
    "kv_connector_module_path": [None, *TEXT],
    "enable_permute_local_kv": SWITCHES,
    "kv_load_failure_policy": ["fail", "recompute"],
}
GONE_IN_0_32 = ("kv_rank", "kv_parallel_size", "kv_buffer_size", "kv_ip")
LATER_FAULTS = {"ignored-transfer-key", "role-without-connector", "unregistered-connector"}
"""Faults of a configuration that the class takes."""


def refused(configuration, version) -> bool:
    text = json.dumps(configuration, ensure_ascii=False)
    found = read(f"vllm serve m --kv-transfer-config '{text}'", version=version)
    return bool({one.rule for one in found.problems} - LATER_FAULTS)


def in_words(value) -> str:
    """Return a value by its kind too: 1, 1.0 and true are three values."""
    return f"{type(value).__name__} {value!r}"


@pytest.mark.parametrize("version", ["0.13.0", "0.24.0", "0.33.0"])
@pytest.mark.parametrize("key", TAKES)
def test_values_of_each_key(key, version) -> None:
    takes = {in_words(value) for value in TAKES[key]} if version != "0.33.0" or key not in GONE_IN_0_32 else set()
    usual = {"kv_connector": "NixlConnector", "kv_role": "kv_producer"}
    found = {in_words(value) for value in VALUES if not refused({**usual, key: value}, version)}
    assert found == takes


@pytest.mark.parametrize(
    ("configuration", "taken"),
    [
        ({}, True),
        ({"kv_role": "kv_producer"}, True),
        ({"kv_connector": None}, True),
        ({"kv_connector": "", "kv_role": "kv_both"}, True),
        ({"kv_connector": "NixlConnector"}, False),
        ({"kv_connector": ""}, False),
        ({"kv_connector": "NixlConnector", "kv_role": None}, False),
        ({"kv_connector": None, "kv_role": "kv_prefill"}, False),
    ],
)
@pytest.mark.parametrize("version", [None, "0.12.0", "0.33.0"])
def test_connector_and_role(configuration, taken, version) -> None:
    assert refused(configuration, version) is not taken


@pytest.mark.parametrize(("version", "taken"), [("0.12.0", True), ("0.14.1", True), ("0.16.0", False)])
def test_keys_that_the_class_does_not_have(version, taken) -> None:
    assert refused({"kv_connector": "NixlConnector", "kv_role": "kv_both", "new_key": 1}, version) is not taken
    bad_policy = {"kv_connector": "NixlConnector", "kv_role": "kv_both", "kv_load_failure_policy": "retry"}
    assert refused(bad_policy, version) is (version != "0.12.0")


@pytest.mark.parametrize("text", ["NixlConnector", "null", "[]", '"NixlConnector"'])
def test_what_is_no_object(text) -> None:
    found = read(f"vllm serve m --kv-transfer-config '{text}'")
    expected = [] if text.startswith('"') else ["broken-json"]
    assert [one.rule for one in found.problems] == expected


@pytest.mark.parametrize(("version", "rules"), [("0.19.0", ["broken-json"]), ("0.20.0", []), (None, [])])
def test_numbers_with_a_suffix(version, rules) -> None:
    text = (
        '{"kv_connector":"OffloadingConnector","kv_role":"kv_both","kv_connector_extra_config":{"cpu_bytes_to_use":8G}}'
    )
    found = read(f"vllm serve m --kv-transfer-config '{text}'", version=version)
    assert [one.rule for one in found.problems] == rules


@pytest.mark.parametrize(
    ("arguments", "rules"),
    [
        ("--kv-transfer-config.kv_connector=NixlConnector --kv-transfer-config.kv_role=kv_producer", []),
        ("--kv-transfer-config.kv_connector NixlConnector --kv-transfer-config.kv_role kv_prefill", ["refused-transfer-value"]),
        ("--kv-transfer-config.kv_connector NixlConnector", ["refused-transfer-value"]),
        ("--kv-transfer-config.kv_connector NixlConnector --kv-transfer-config.kv_role kv_both "
         "--kv-transfer-config.engine_id 7", ["refused-transfer-value"]),
        ("--kv-transfer-config.kv_connector NixlConnector --kv-transfer-config.kv_role kv_both "
         "--kv-transfer-config.kv_connector_extra_config.bidirectional_kv_xfer=False", ["text-as-switch"]),
        ("--kv-transfer-config.kv_connector NixlConnector --kv-transfer-config.kv_role kv_both "
         "--kv-transfer-config.kv_connector_extra_config.bidirectional_kv_xfer=false", []),
    ],
)  # fmt: skip
def test_dotted_arguments(arguments, rules) -> None:
    assert [one.rule for one in read(f"vllm serve m {arguments}", version="0.33.0").problems] == rules


@pytest.mark.parametrize(
    ("connector", "extra", "rules"),
    [
        ("NixlConnector", {"enforce_handshake_compat": "false"}, ["text-as-switch"]),
        ("NixlConnector", {"enforce_handshake_compat": "true"}, []),
        ("NixlConnector", {"enforce_handshake_compat": ""}, []),
        ("NixlConnector", {"enforce_handshake_compat": 0}, []),
        ("NixlConnector", {"kv_lease_duration": "30"}, ["refused-extra-value"]),
        ("NixlConnector", {"kv_lease_duration": None}, ["refused-extra-value"]),
        ("NixlConnector", {"kv_lease_duration": 30.5}, []),
        ("NixlConnector", {"kv_recompute_threshold": "64"}, []),
        ("NixlConnector", {"kv_recompute_threshold": "64.0"}, ["refused-extra-value"]),
        ("NixlConnector", {"kv_recompute_threshold": None}, ["refused-extra-value"]),
        ("NixlConnector", {"engine_ttl": "60"}, ["refused-extra-value"]),
        ("NixlConnector", {"backends": "UCX"}, ["refused-extra-value"]),
        ("NixlConnector", {"backends": ["UCX", "GDS"], "num_threads": 4}, ["ignored-transfer-key"]),
        ("NixlConnector", {"backends": ["UCX"], "num_threads": 4}, []),
        ("NixlConnector", {"decoder_kv_blocks_ttl": 60}, ["ignored-transfer-key"]),
        ("NixlConnector", {"decoder_kv_blocks_ttl": 60, "bidirectional_kv_xfer": True}, []),
        ("NixlConnector", {"decoder_kv_blocks_ttl": "60", "bidirectional_kv_xfer": True}, ["refused-extra-value"]),
        ("NixlPushConnector", {"decoder_kv_blocks_ttl": 60}, []),
        ("NixlPushConnector", {"push_registration_timeout": "60"}, []),
        ("NixlPushConnector", {"push_registration_timeout": "1 min"}, ["refused-extra-value"]),
        ("MooncakeConnector", {"num_workers": "10"}, ["refused-extra-value"]),
        ("MoRIIOConnector", {"read_mode": "True"}, []),
        ("MoRIIOConnector", {"read_mode": "yes"}, ["text-as-switch"]),
        ("MooncakeStoreConnector", {"load_async": "0"}, ["text-as-switch"]),
        ("MooncakeStoreConnector", {"enable_store_tp_lcm": "true"}, ["text-as-switch"]),
        ("OurConnector", {"enforce_handshake_compat": "false"}, []),
    ],
)  # fmt: skip
def test_values_of_the_extra_configuration(connector, extra, rules) -> None:
    text = json.dumps({"kv_connector": connector, "kv_role": "kv_both", "kv_connector_extra_config": extra})
    found = read(f"vllm serve m --kv-transfer-config '{text}'", version="0.28.0")
    assert [one.rule for one in found.problems] == rules


@pytest.mark.parametrize(
    ("key", "value", "path", "fact"),
    [
        ("enforce_handshake_compat", "false", "connector.enforce_handshake_compat", True),
        ("enforce_handshake_compat", False, "connector.enforce_handshake_compat", False),
        ("bidirectional_kv_xfer", 1, "connector.bidirectional", True),
        ("enable_cross_layers_blocks", 1, "connector.cross_layer_blocks", False),
        ("enable_cross_layers_blocks", "TRUE", "connector.cross_layer_blocks", True),
    ],
)
def test_facts_are_what_the_connector_makes_of_a_switch(key, value, path, fact) -> None:
    extra = {"kv_connector": "NixlConnector", "kv_role": "kv_both", "kv_connector_extra_config": {key: value}}
    found = read(f"vllm serve m --kv-transfer-config '{json.dumps(extra)}'")
    assert found.settings.value(path) is fact


@pytest.mark.parametrize(
    ("name", "path", "version", "rules"),
    [
        ("NixlConector", None, None, ["unregistered-connector"]),
        ("nixlconnector", None, None, ["unregistered-connector"]),
        ("nixl", None, None, ["unregistered-connector"]),
        ("NixlPushConnector", None, "0.23.0", ["unregistered-connector"]),
        ("NixlPushConnector", None, "0.24.0", []),
        ("P2pNcclConnector", None, "0.23.0", []),
        ("P2pNcclConnector", None, "0.24.0", ["unregistered-connector"]),
        ("MooncakeConnectorV1", None, None, []),
        ("OurConnector", None, "0.33.0", []),
        ("NixlConector", "ours.nixl", None, []),
        ("NixlConnector", "", "0.19.0", []),
        ("NixlConnector", "", "0.20.0", ["unregistered-connector"]),
    ],
)
def test_names_of_connectors(name, path, version, rules) -> None:
    text = {"kv_connector": name, "kv_role": "kv_both"} | ({} if path is None else {"kv_connector_module_path": path})
    found = read(f"vllm serve m --kv-transfer-config '{json.dumps(text)}'", version=version)
    assert [one.rule for one in found.problems] == rules


@pytest.mark.parametrize(
    ("name", "value", "version", "rules"),
    [
        ("VLLM_NIXL_ABORT_REQUEST_TIMEOUT", "60", "0.21.0", []),
        ("VLLM_NIXL_ABORT_REQUEST_TIMEOUT", "60", "0.22.0", ["idle-variable"]),
        ("VLLM_NIXL_ABORT_REQUEST_TIMEOUT", "60", None, []),
        ("VLLM_ATTENTION_BACKEND", "FLASHINFER", "0.14.0", []),
        ("VLLM_ATTENTION_BACKEND", "FLASHINFER", "0.16.0", ["idle-variable"]),
        ("VLLM_KV_CACHE_LAYOUT", "LBHNC", "0.28.0", ["refused-variable-value"]),
        ("VLLM_KV_CACHE_LAYOUT", "LBHNC", "0.29.0", []),
        ("VLLM_KV_CACHE_LAYOUT", "BHNC", None, ["refused-variable-value"]),
        ("VLLM_SSM_CONV_STATE_LAYOUT", "ds", "0.20.0", ["refused-variable-value"]),
        ("VLLM_SSM_CONV_STATE_LAYOUT", "DS", "0.20.0", []),
    ],
)
def test_variables_by_release(name, value, version, rules) -> None:
    line = """vllm serve m --kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'"""
    assert [one.rule for one in read(line, version=version, **{name: value}).problems] == rules
