"""MoRIIO: the start of each side, ranks and blocks by vLLM's own functions; what 0.24 does not check is labelled."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from vllm.distributed.kv_transfer.kv_connector.v1.base import supports_hma
from vllm.distributed.kv_transfer.kv_connector.v1.moriio import moriio_common, moriio_connector, moriio_layout
from vllm.v1.attention.backends.rocm_aiter_fa import AiterFlashAttentionBackend
from vllm.v1.kv_cache_interface import FullAttentionSpec, MLAAttentionSpec

from tests.conformance.families.moriio import given_keys
from tests.conformance.oracle.raised import splits_heads, where

Verdict = tuple[str, str]

PROMPTS = (1, 16, 17, 40, 64, 100, 128, 1000)
LAYER = "layer"
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
WORDS = {"bf16": "bfloat16", "fp16": "float16"}
HEAD_DIM, LATENT, BLOCKS = 128, 576, 256


def judge_moriio(case: dict[str, Any], version: str) -> Verdict:
    """Return the verdict on a case."""
    kind, _, heads = case["attention"].partition(":")
    total, mla = int(heads or 1), kind == "mla"
    for side in ("p", "d"):
        refused = _at_start(
            case[f"{side}_keys"],
            case[f"{side}_hma"],
            case[f"{side}_tp"],
            case[f"{side}_block"],
            case[f"{side}_kv"],
            total,
            mla,
        )
        if refused is not None:
            return "reject", f"at start: {refused}"
    if case["p_mode"] != case["d_mode"]:
        return "reject", "two protocols"
    if version < "0.25":
        if case["p_tp"] != case["d_tp"]:
            return "reject", "rank meets rank"
    else:
        try:
            _ranks(case, mla, total)
        except Exception as error:
            return "reject", where(error)
    reads = case["p_mode"] == "pull"
    local, remote = ("d", "p") if reads else ("p", "d")
    ends = tuple(
        (case[f"{side}_block"], case[f"{side}_kv"], max(1, total // case[f"{side}_tp"])) for side in (local, remote)
    )
    found = _blocks(ends[0], ends[1], mla, reads, version)
    if found is not None:
        return found
    if case["p_kv"] != case["d_kv"]:
        return "wrong", "equal width"
    return "accept", ""


@cache
def _at_start(keys: str, hma: bool, tp: int, block: int, dtype: str, heads: int, mla: bool) -> str | None:
    """Return what ends an engine at its start, if anything does."""
    try:
        splits_heads(heads, tp, latent=mla)
    except AssertionError as error:
        return where(error)
    if hma and not supports_hma(moriio_connector.MoRIIOConnector):
        return "no SupportsHMA"
    backend = AiterFlashAttentionBackend
    if not (backend.supports_block_size(block) and backend.supports_kv_cache_dtype(WORDS[dtype])):
        return "ROCM_AITER_FA does not take the KV"
    # MoRIIOConnector sets the two ports before it makes the configuration.
    extra = {**given_keys(keys), "handshake_port": 6301, "notify_port": 61005, "host_ip": "10.0.0.2"}
    parallel = SimpleNamespace(data_parallel_rank=0, data_parallel_size=1, data_parallel_size_local=1)
    config = SimpleNamespace(
        kv_transfer_config=SimpleNamespace(kv_connector_extra_config=extra, kv_port=14579, engine_id="engine"),
        parallel_config=parallel,
    )
    with (
        patch.object(moriio_common, "get_tensor_model_parallel_rank", lambda: 0),
        patch.object(moriio_common, "get_tensor_model_parallel_world_size", lambda: tp),
        patch.object(moriio_common, "get_open_port", lambda: 20000),
    ):
        try:
            moriio_common.MoRIIOConfig.from_vllm_config(config)
        except (KeyError, ValueError) as error:
            return f"{type(error).__name__} {error}"
    return None


def _ranks(case: dict[str, Any], mla: bool, heads: int) -> None:
    """Pair the ranks of two sides; raises what vLLM raises."""
    prefill, decode = case["p_tp"], case["d_tp"]
    if case["p_mode"] == "pull":
        for local, remote in ((decode, prefill), (prefill, decode)):
            moriio_connector.validate_moriio_heterogeneous_tp_kv_heads(local, remote, heads, mla)
        for rank in range(decode):
            moriio_connector.get_moriio_remote_tp_rank(rank, decode, prefill)
        moriio_connector.get_moriio_expected_ack_count(prefill, decode)
        return
    from vllm.distributed.kv_transfer.kv_connector.v1.moriio import moriio_tp_mapping

    moriio_tp_mapping.validate_write_tp_topology(prefill, decode, heads, mla)
    for rank in range(prefill):
        moriio_tp_mapping.compute_write_tp_mapping(rank, prefill, decode, heads, mla, False)
    worker = SimpleNamespace(attention_block_sizes={LAYER: case["p_block"]})
    peer = SimpleNamespace(attention_block_sizes={LAYER: case["d_block"]})
    moriio_connector.MoRIIOConnectorWorker._check_peer_block_size(worker, LAYER, peer)


_End = tuple[int, str, int]
"""Tokens of a block, element type, KV heads of a rank."""


@cache
def _blocks(local: _End, remote: _End, mla: bool, reads: bool, version: str) -> Verdict | None:
    """Compute the copies of every prompt, by the side that copies; None if blocks hold as many tokens and none fails."""
    caches = [_cache_of(end, mla, version) for end in (local, remote)]
    specs = [{LAYER: _spec(end, mla)} for end in (local, remote)]
    refused = 0
    for prompt in PROMPTS:
        ids = [list(range(-(-prompt // end[0]))) for end in (local, remote)]
        try:
            _copies(caches, specs, ids, mla, reads, version)
        except (ValueError, moriio_common.MoRIIOError) as error:
            refused, said = refused + 1, where(error)
    if refused:
        return ("reject", said) if refused == len(PROMPTS) else ("stops", f"stops: {said}")
    return ("wrong", "other blocks") if local[0] != remote[0] else None


def _cache_of(end: _End, mla: bool, version: str) -> torch.Tensor:
    block, dtype, heads = end
    latent = (BLOCKS, block, LATENT) if version < "0.33" else (BLOCKS, 1, block, LATENT)
    return torch.empty(latent if mla else (2, BLOCKS, block, heads, HEAD_DIM), dtype=DTYPES[dtype], device="meta")


def _spec(end: _End, mla: bool) -> Any:
    block, dtype, heads = end
    width = LATENT if mla else HEAD_DIM
    values = {
        "block_size": block,
        "num_kv_heads": 1 if mla else heads,
        "num_heads": 1 if mla else heads,
        "num_states": block,
        "head_size": width,
        "dtype": DTYPES[dtype],
        "state_content_size_bytes": 2 * width,
    }
    of_release = MLAAttentionSpec if mla else FullAttentionSpec
    return object.__new__(type("Spec", (of_release,), values))


def _copies(caches: list[Any], specs: list[Any], ids: list[list[int]], mla: bool, reads: bool, version: str) -> None:
    words = {"layer_name": LAYER, "kv_cache": caches[0], "layer_to_spec": specs[0], "remote_num_blocks": BLOCKS}
    if version < "0.33" or not reads:
        moriio_layout.compute_block_transfer_offsets(local_block_ids=ids[0], remote_block_ids=ids[1], **words)
        return
    layouts = [{} if mla else {LAYER: _head_layout(one)} for one in caches]
    peer = SimpleNamespace(
        kv_head_layouts={layer: layout.to_wire() for layer, layout in layouts[1].items()}, num_blocks=BLOCKS
    )
    worker = SimpleNamespace(
        kv_head_layouts=layouts[0],
        num_blocks=BLOCKS,
        merge_contiguous_blocks=lambda *offsets, **_more: offsets,
        _apply_layer_mr_offsets=lambda _layer, offsets, *_more: offsets,
        _compute_block_transfer_offsets=lambda layer, ours, theirs, *_more, **_words: (
            moriio_layout.compute_block_transfer_offsets(local_block_ids=ours, remote_block_ids=theirs, **words)
        ),
    )
    of = moriio_connector.MoRIIOConnectorWorker
    worker._block_copy_matches_peer = lambda layer, meta: of._block_copy_matches_peer(worker, layer, meta)
    of._compute_read_attention_offsets(worker, LAYER, ids[0], ids[1], peer, 1, "remote")


def _head_layout(kv_cache: torch.Tensor) -> Any:
    """Return the addressing of a cache of tokens before heads, K and V apart."""
    _, blocks, block, heads, dim = kv_cache.shape
    head = dim * kv_cache.element_size()
    return moriio_layout.HeadLayout(
        num_heads=heads,
        num_tokens=block,
        head_bytes=head,
        block_stride=block * heads * head,
        head_stride=head,
        token_stride=heads * head,
        plane_offsets=(0, blocks * block * heads * head),
    )
