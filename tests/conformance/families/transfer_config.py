"""Cases about the text of `--kv-transfer-config`: hetpd reads them as a command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.conformance.families.base import Family

if TYPE_CHECKING:
    from tests.conformance.families.base import Fields
    from tests.conformance.tables import Case

ABSENT = "(absent)"

_KEYS: dict[str, list[Any]] = {
    "kv_connector": ["NixlConnector", ABSENT, "MooncakeConnector", "NixlPushConnector", "P2pNcclConnector", "Nixl"],
    "kv_role": ["kv_producer", ABSENT, "kv_consumer", "kv_both", "producer", None, 1],
    "engine_id": [ABSENT, "p0", 7, None],
    "kv_buffer_device": [ABSENT, "cuda", "cpu", 5, None],
    "kv_port": [ABSENT, 14579, "14579", "x", 1.5, 2.0],
    "kv_connector_extra_config": [ABSENT, {}, {"kv_lease_duration": 30}, [], "x", None],
    "kv_connector_module_path": [ABSENT, None, 3],
    "enable_permute_local_kv": [ABSENT, True, False, "True", "no", "maybe", 1, 2],
    "kv_load_failure_policy": [ABSENT, "fail", "recompute", "retry", None],
    "kv_rank": [ABSENT, 0, "0"],
    "kv_parallel_size": [ABSENT, 2],
    "kv_buffer_size": [ABSENT, 1e9, "big"],
    "kv_ip": [ABSENT, "127.0.0.1"],
    "unknown": [ABSENT, "kv_conector", "kv_lease_duration", "engine-id", "kvRole"],
}


def object_of(case: Case) -> dict[str, Any]:
    """Return the JSON object of a case."""
    found = {key: value for key, value in case.items() if value != ABSENT and key != "unknown"}
    if case["unknown"] != ABSENT:
        found[case["unknown"]] = 1
    return found


def script(case: Case, version: str) -> str:
    """Return the start of an engine with the configuration of ``case``, and of a decode engine that is right.

    A script in which no two engines hand KV over is nothing that is read further.
    """
    start = f"docker run --gpus all --network host vllm/vllm-openai:v{version} --model Qwen/Qwen3-32B"
    decode = {"kv_connector": "NixlConnector", "kv_role": "kv_consumer"}
    lines = [f"{start} --kv-transfer-config '{json.dumps(one)}' &" for one in (object_of(case), decode)]
    return "\n".join(lines) + "\n"


def _no_fields(_case: Case, _version: str) -> tuple[Fields, Fields]:
    raise NotImplementedError("a case of this family is a command line")


CONFIG = Family(
    name="config",
    about="TypeAdapter(KVTransferConfig).validate_json, as the command line's parser calls it, then "
    "KVConnectorFactory for the connector's name",
    sizes={"0.24.0": 3000, "0.33.0": 3000},
    dimensions=lambda version: dict(_KEYS),
    likely=dict.fromkeys(_KEYS, 0.9) | {"kv_connector": 0.7, "kv_role": 0.6},
    alike={},
    fields=_no_fields,
    labels={},
    others={
        "kv_connector": ["MooncakeConnector", ABSENT, None, "LMCacheConnectorV1", "nixlconnector", "", 3],
        "kv_role": ["kv_consumer", ABSENT, "kv_both", "KV_PRODUCER", "kv_consumer ", "", True],
        "engine_id": [ABSENT, "", "decode-1", True, 1.5, []],
        "kv_buffer_device": [ABSENT, "xpu", "CUDA", "", True],
        "kv_port": [ABSENT, 0, -1, 70000, "1e3", " 80 ", "0x10", True, "80.0", 1e3, None, [1]],
        "kv_connector_extra_config": [ABSENT, {"backends": ["UCX"], "nested": {"a": None}}, "{}", 1, True],
        "kv_connector_module_path": [ABSENT, "", 1.5],
        "enable_permute_local_kv": [ABSENT, "on", "OFF", "0", "t", "y", "TRUE", "", 0, 1.0, 0.5, None, []],
        "kv_load_failure_policy": [ABSENT, "FAIL", "recompute ", True, 1],
        "kv_rank": [ABSENT, None, -1, "x", 1.0, 1.5, True],
        "kv_parallel_size": [ABSENT, 0, "2", None, 2.5],
        "kv_buffer_size": [ABSENT, "1e9", True, -1, None, 5],
        "kv_ip": [ABSENT, "", 5, None],
        "unknown": [ABSENT, "kv_roles", "Kv_Role", "kv-role", ""],
    },
)
