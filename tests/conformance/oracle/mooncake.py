"""Mooncake: which regions are paired, what is copied, and whether decode finds what it reads."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from vllm.distributed.kv_transfer.kv_connector import utils
from vllm.distributed.kv_transfer.kv_connector.v1.mooncake import mooncake_connector as mooncake

from tests.conformance.oracle.nixl import LATENT, WIDTHS, Backend
from tests.conformance.oracle.raised import splits_heads, where

HEAD_DIM = 128
LAYERS = 4

Verdict = tuple[str, str]


def judge_mooncake(case: dict[str, Any], version: str) -> Verdict:
    """Return the verdict on a case."""
    kind, _, heads = case["attention"].partition(":")
    sides = [{name[2:]: value for name, value in case.items() if name.startswith(side)} for side in ("p_", "d_")]
    key = (kind == "mla", int(heads or 1), *(tuple(sorted(side.items())) for side in sides), version)
    return _judge(*key)


@cache
def _judge(mla: bool, heads: int, prefill_items: Any, decode_items: Any, version: str) -> Verdict:
    prefill, decode = dict(prefill_items), dict(decode_items)
    try:
        for side in (prefill, decode):
            splits_heads(heads, side["tp"], latent=mla)
        mooncake._get_tp_ratio(prefill["tp"], decode["tp"])
        for stages in _stages(prefill["pp"], decode["pp"]):
            error = _paired(mla, heads, prefill, decode, stages, version)
            if error is not None:
                return "reject", error
        copies = _copies(mla, heads, prefill, decode, version)
    except Exception as error:
        return "reject", where(error)
    if prefill["block"] > decode["block"]:
        return "stops", "fewer blocks"
    own = [max(1, heads // side["tp"]) for side in (prefill, decode)]
    if "nvfp4" in {prefill["kv"], decode["kv"]} and own[0] != own[1] and not mla:
        return "wrong", "packed scales"
    if prefill["block"] != decode["block"] or not _is_right(mla, heads, prefill, decode, copies):
        return "wrong", "other bytes"
    if prefill["kv"] != decode["kv"]:
        return "wrong", "equal width"
    return "accept", ""


def _stages(prefill: int, decode: int) -> list[tuple[int, int]]:
    """Return the pipeline stages that meet: all of prefill's, for each of decode's, unless there are as many."""
    if prefill == decode:
        return [(stage, stage) for stage in range(prefill)]
    return [(one, other) for one in range(prefill) for other in range(decode)]


def _block_len(mla: bool, heads: int, side: dict[str, Any]) -> int:
    width = LATENT if mla else 2 * max(1, heads // side["tp"]) * HEAD_DIM
    return int(side["block"] * width * WIDTHS[side["kv"]])


def _regions(mla: bool, heads: int, side: dict[str, Any], stage: int) -> list[Any]:
    per_stage = LAYERS // side["pp"]
    length = _block_len(mla, heads, side)
    return [
        mooncake.TransferRegion(
            layer_name=f"layers.{layer}", layer_index=layer, base_addr=0, block_len=length, kv_block_len=length
        )
        for layer in range(stage * per_stage, (stage + 1) * per_stage)
    ]


def _paired(
    mla: bool, heads: int, prefill: dict[str, Any], decode: dict[str, Any], stages: tuple[int, int], version: str
) -> str | None:
    """Return what the producer says of the regions of two stages, if it refuses."""
    local, remote = _regions(mla, heads, prefill, stages[0]), _regions(mla, heads, decode, stages[1])
    more: dict[str, Any] = {}
    if version >= "0.29":
        more["allow_partial_layers"] = prefill["pp"] != decode["pp"]
    ours, theirs, error = mooncake._align_transfer_regions(local, remote, **more)
    if error is not None:
        return "_align_transfer_regions"
    if version >= "0.33" and _resharded(mla, heads, prefill, decode, ours):
        return "_validate_head_resharding_layout"
    words: dict[str, Any] = {}
    if version >= "0.29":
        words["total_num_kv_heads"] = None if mla else heads
    replicated = mla or prefill["tp"] > heads
    error = mooncake._validate_asymmetric_region_lengths(ours, theirs, prefill["tp"], decode["tp"], replicated, **words)
    return None if error is None else "_validate_asymmetric_region_lengths"


def _resharded(mla: bool, heads: int, prefill: dict[str, Any], decode: dict[str, Any], regions: list[Any]) -> bool:
    from vllm.v1.kv_cache_interface import FullAttentionSpec

    class Spec(FullAttentionSpec):
        page_size_bytes = unpadded_page_size_bytes = 1
        kv_quant_mode = SimpleNamespace(is_nvfp4=prefill["kv"] == "nvfp4")

    spec = object.__new__(Spec)
    stub = SimpleNamespace(
        use_mla=mla,
        kv_cache_config=SimpleNamespace(has_mamba_layers=False),
        transfer_topo=SimpleNamespace(total_num_kv_heads=heads),
        tp_size=prefill["tp"],
        _layer_specs={region.layer_name: spec for region in regions},
    )
    refused = mooncake.MooncakeConnectorWorker._validate_head_resharding_layout(stub, decode["tp"], regions)
    return refused is not None


Copies = dict[int, list[tuple[int, int, int, int]]]
"""For each rank of decode: rank of prefill, offset there, offset here, bytes."""


def _copies(mla: bool, heads: int, prefill: dict[str, Any], decode: dict[str, Any], version: str) -> Copies:
    found: Copies = {}
    ours, theirs = _block_len(mla, heads, prefill), _block_len(mla, heads, decode)
    words: dict[str, Any] = {}
    if version >= "0.29":
        words["total_num_kv_heads"] = None if mla else heads
    for rank in range(decode["tp"]):
        topology = utils.TransferTopology(
            tp_rank=rank, tp_size=decode["tp"], block_size=decode["block"], engine_id="local", is_mla=mla,
            is_mamba=False, total_num_kv_heads=heads, attn_backends=[Backend],
        )  # fmt: skip
        found[rank] = []
        for source in topology.handshake_target_ranks(prefill["tp"]):
            send, start, to, length = mooncake._compute_sender_transfer_plan(
                source, prefill["tp"], rank, decode["tp"], ours, theirs, mla or prefill["tp"] > heads, **words
            )
            if send:
                assert start + length <= ours, "beyond the source's block"
                assert to + length <= theirs, "beyond the destination's block"
                found[rank].append((source, start, to, length))
    return found


def _head_of(rank: int, local: int, heads: int, tp: int) -> int:
    """Return the head of the model that is the ``local``-th of a rank."""
    return rank * heads // tp + local


def _is_right(mla: bool, heads: int, prefill: dict[str, Any], decode: dict[str, Any], copies: Copies) -> bool:
    """Carry the copies out on marked blocks: every head and token of decode must come from the same of prefill."""
    content = LATENT if mla else 2 * HEAD_DIM

    def cell(side: dict[str, Any]) -> int:
        return int(content * WIDTHS[side["kv"]])

    def offset(side: dict[str, Any], own: int, head: int, token: int) -> int:
        place = head * side["block"] + token if side["layout"] == "HND" or mla else token * own + head
        return place * cell(side)

    own = [max(1, heads // side["tp"]) for side in (prefill, decode)]
    if cell(prefill) != cell(decode):
        return False
    for rank, made in copies.items():
        arrived: dict[int, tuple[int, int]] = {}
        for source, start, to, length in made:
            for head in range(own[0]):
                for token in {0, 1, prefill["block"] - 1}:
                    at = offset(prefill, own[0], head, token)
                    if start <= at and at + cell(prefill) <= start + length:
                        arrived[at - start + to] = (_head_of(source, head, heads, prefill["tp"]), token)
        for head in range(own[1]):
            for token in {0, 1, decode["block"] - 1}:
                wanted = (_head_of(rank, head, heads, decode["tp"]), token)
                if arrived.get(offset(decode, own[1], head, token)) != wanted:
                    return False
    return True
