"""Cases about pipeline stages and context parallelism of two engines that NIXL joins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.families.base import Family, attention, kv
from tests.conformance.families.nixl import _pair, _sides

if TYPE_CHECKING:
    from tests.conformance.families.base import Fields
    from tests.conformance.tables import Case

_COMPARED: dict[str, list[Any]] = {
    "tp": [4, 1, 2, 3, 8],
    "pp": [1, 2, 4],
    "dcp": [1, 2, 4, 8],
    "cp": [1, 2, 4],
    "role": ["own", "both"],
    "block": [16, 64],
}


def _dimensions(version: str) -> dict[str, list[Any]]:
    kinds = ["mla", "dsa", "gqa:8", "gqa:2", "window:8", "mamba2:8"] + (["kda"] if version >= "0.33" else [])
    return {
        "transfer": ["pull", "push", "bidirectional"],
        "attention": kinds,
        "hma": [True, False],
        **_sides(_COMPARED),
    }


def _fields(case: Case, version: str) -> tuple[Fields, Fields]:
    def side(prefix: str) -> Fields:
        def of(name: str) -> Any:
            return case[f"{prefix}_{name}"]

        role: Fields = {"connector.role": "both"} if of("role") == "both" else {}
        return {
            "parallelism.tp": of("tp"),
            "parallelism.pp": of("pp"),
            "parallelism.dcp": of("dcp"),
            "parallelism.cp": of("cp"),
            "kv.block_size": of("block"),
            "kv.kernel_block_size": of("block"),
            **role,
        }

    sparse = case["attention"] == "dsa"
    shared = {**attention("mla" if sparse else case["attention"]), **kv("bf16")}
    shared |= {"engine.hybrid_kv_manager": case["hma"]} | ({"model.attention.kind": "dsa"} if sparse else {})
    return _pair(case["transfer"], version, shared, side("p"), side("d"))


PARALLEL = Family(
    name="parallel",
    about="ParallelConfig, verify_with_parallel_config, check_attention_cp_compatibility (0.24) or "
    "PCPManager.validate_config (0.33), the constructors of the connector and (its statement about stages) of the worker, "
    "set_xfer_handshake_metadata_pp_aware (0.24); _validate_remote_parallel_config and add_remote_agent up to "
    "_validate_remote_agent_handshake of every stage; _read_blocks_for_req where context parallel ranks share tokens",
    sizes={"0.24.0": 3000, "0.33.0": 7000},
    dimensions=_dimensions,
    likely={
        "transfer": 0.4,
        "attention": 0.35,
        "hma": 0.7,
        "pp": 0.7,
        "dcp": 0.6,
        "cp": 0.8,
        "role": 0.6,
        "block": 0.8,
    },
    alike={"tp": 0.6, "pp": 0.4, "dcp": 0.6, "cp": 0.4, "role": 0.6, "block": 0.9},
    fields=_fields,
    labels={
        "other tokens": "0.24: a rank reads from a rank that holds another part of the tokens: by compute_tp_mapping and "
        "the order of decode context parallel groups, of which nothing is exchanged",
        "misplaced": "_read_blocks_for_req of that release, run with a stub transport that records descriptors: for some "
        "prompt length, tokens of the prompt are read into another place, or not at all",
        "stops": "the same, and for some prompt length an assertion or an error ends the reading",
        "freed early": "a decode with stages that is kv_both starts; prefill counts the notifications of one stage "
        "(pull_worker.py, _get_new_notifs; the refusal of kv_consumer says why), frees the blocks, and the other "
        "stage may read what has been overwritten",
    },
)
