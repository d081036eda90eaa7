"""Cases about vLLM's Mooncake connector: which regions it pairs, what it copies, whether that is what decode reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.families.base import ENGINE, Family, attention, both, kv

if TYPE_CHECKING:
    from tests.conformance.families.base import Fields
    from tests.conformance.tables import Case

_COMPARED: dict[str, list[Any]] = {
    "tp": [4, 1, 2, 3, 6, 8, 16],
    "block": [16, 32, 64, 128],
    "kv": ["bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "nvfp4"],
    "layout": ["HND", "NHD"],
    "pp": [1, 2],
}


def _dimensions(_version: str) -> dict[str, list[Any]]:
    kinds = ["gqa:8", "gqa:1", "gqa:2", "gqa:4", "gqa:12", "mla"]
    compared = {f"{side}_{name}": values for name, values in _COMPARED.items() for side in ("p", "d")}
    return {"attention": kinds, **compared}


def _fields(case: Case, version: str) -> tuple[Fields, Fields]:
    def side(prefix: str, role: str) -> Fields:
        return {
            "parallelism.tp": case[f"{prefix}_tp"],
            "parallelism.pp": case[f"{prefix}_pp"],
            "kv.block_size": case[f"{prefix}_block"],
            "kv.kernel_block_size": case[f"{prefix}_block"],
            "kv.layout": case[f"{prefix}_layout"],
            **kv(case[f"{prefix}_kv"]),
            "connector.role": role,
        }

    common = {
        **ENGINE,
        "engine.version": version,
        **attention(case["attention"]),
        "parallelism.dp": 1,
        "parallelism.cp": 1,
        "parallelism.dcp": 1,
        "engine.prefix_caching": True,
        "engine.hybrid_kv_manager": True,
        "engine.attention_backend": "FLASH_ATTN",
        "speculative.method": "none",
        "connector.name": "mooncake",
        "connector.class_name": "MooncakeConnector",
        "connector.mode": "push",
        "connector.protocol": "rdma",
        "connector.failure_policy": "fail",
        "connector.buffer_device": "device",
        "connector.permute_local_kv": False,
        "connector.bidirectional": False,
    }
    return both(common, side("p", "producer"), side("d", "consumer"))


MOONCAKE = Family(
    name="mooncake",
    about="_get_tp_ratio, _align_transfer_regions, _validate_asymmetric_region_lengths, the check of re-sharded heads "
    "and _compute_sender_transfer_plan, for every pair of ranks",
    sizes={"0.24.0": 9000, "0.33.0": 9000},
    dimensions=_dimensions,
    likely={"attention": 0.3, "pp": 0.7, "layout": 0.6},
    alike={"tp": 0.4, "block": 0.7, "kv": 0.6, "layout": 0.8, "pp": 0.6},
    fields=_fields,
    others={
        "attention": ["gqa:10", "gqa:3", "gqa:5", "gqa:20", "gqa:32", "mla"],
        "tp": [10, 5, 12, 24, 32, 2, 1],
        "block": [8, 48, 96, 256],
        "pp": [1, 2, 4],
    },
    labels={
        "equal width": "no code of the connector compares element types; lengths are equal, bytes of one type are read as "
        "the other",
        "other bytes": "the copies that _compute_sender_transfer_plan plans, carried out on a block whose every head and "
        "token is marked, leave decode with another head, token or element type than it reads there",
        "packed scales": "NVFP4 pages whose heads are split anew (0.33 refuses them for holding all scales after all elements)",
        "fewer blocks": "a prompt takes fewer blocks on prefill than decode asks for; _build_transfer_params refuses "
        "such a request, so every prompt above one block of decode fails (read in the source, not run)",
    },
)
