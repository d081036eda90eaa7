"""NIXL with drafts: which tokens of a prompt prefill leaves out, which decode asks for, and what is read then (0.33)."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from vllm.config import VllmConfig
from vllm.config.speculative import SpeculativeConfig
from vllm.distributed.kv_transfer.kv_connector.v1.nixl import metadata
from vllm.distributed.kv_transfer.kv_connector.v1.nixl.base_scheduler import NixlBaseConnectorScheduler as Scheduler

from tests.conformance.oracle.parallel import Engine, Prompt, comes_right, pairs_read, shake_hands
from tests.conformance.oracle.raised import where

Verdict = tuple[str, str]

LONGEST = 300


def _config(method: str, tokens: int, layers: int, mla: bool) -> Any:
    """Return a stand-in for VllmConfig whose properties about drafts are vLLM's."""
    draft = None
    if method != "none":
        model = SimpleNamespace(
            model="draft",
            revision="main",
            code_revision=None,
            hf_config=SimpleNamespace(num_nextn_predict_layers=layers, eagle_aux_hidden_state_layer_ids=None),
        )
        draft = SimpleNamespace(
            method=method,
            num_speculative_tokens=tokens,
            parallel_drafting=False,
            kv_cache_dtype=None,
            draft_model_config=None if method == "ngram" else model,
        )
        draft.use_eagle = lambda: SpeculativeConfig.use_eagle(draft)
        draft.use_multi_module_mtp = lambda: SpeculativeConfig.use_multi_module_mtp(draft)
    config = SimpleNamespace(
        speculative_config=draft,
        num_speculative_tokens=tokens if draft else 0,
        model_config=SimpleNamespace(
            model="one",
            dtype="torch.bfloat16",
            get_total_num_kv_heads=lambda: 1 if mla else 8,
            get_head_size=lambda: 576 if mla else 128,
            get_total_num_hidden_layers=lambda: 4,
        ),
        cache_config=SimpleNamespace(cache_dtype="bfloat16"),
        scheduler_config=SimpleNamespace(disable_hybrid_kv_cache_manager=False),
    )
    config.num_prefill_lookahead_tokens = VllmConfig.num_prefill_lookahead_tokens.fget(config)
    return config


def _scheduler(config: Any, mamba: bool) -> Any:
    scheduler = SimpleNamespace(vllm_config=config, _has_mamba=mamba, _bounded_replay=False)
    scheduler._prefill_backoff = lambda: Scheduler._prefill_backoff(scheduler)
    return scheduler


def computed(scheduler: Any, prompt: int) -> int:
    """Return how many tokens of a prompt prefill computes: `_truncate_request_for_prefill` on a request."""
    request = SimpleNamespace(
        kv_transfer_params={"do_remote_decode": True},
        num_prompt_tokens=prompt,
        prompt_token_ids=list(range(prompt)),
        prompt_embeds=None,
        _all_token_ids=list(range(prompt)),
        get_skip_reading_prefix_cache=lambda: False,
        max_tokens=1,
    )
    Scheduler._truncate_request_for_prefill(scheduler, request)
    return int(request.num_prompt_tokens)


def _lengths(prefill: Any, decode: Any) -> tuple[tuple[int, int], ...]:
    """Return, for every prompt, how many tokens decode asks for and how many prefill computes."""
    return tuple(
        (int(Scheduler._get_remote_prefill_token_count(decode, length)), computed(prefill, length))
        for length in range(1, LONGEST + 1)
    )


@cache
def placed(
    prefill: Engine, decode: Engine, lengths: tuple[tuple[int, int], ...], cached: bool, version: str
) -> Verdict | None:
    """Read all prompts with every cache hit of decode; None if each token that is asked for comes to its place."""
    wrong: Verdict | None = None
    for asked, done in lengths:
        for hit in range(0, asked if cached else 1, decode.block):
            verdict = _one(prefill, decode, Prompt(asked, done, hit), version)
            if verdict is not None and verdict[0] == "stops":
                return verdict
            wrong = wrong or verdict
    return wrong


@cache
def _one(prefill: Engine, decode: Engine, prompt: Prompt, version: str) -> Verdict | None:
    try:
        pairs = pairs_read(decode, prefill, 0, prompt, version)
    except (AssertionError, ValueError) as error:
        return "stops", f"stops: {where(error)}"
    wanted = set(range(prompt.cached, prompt.tokens, prefill.block))
    if not comes_right(pairs, wanted, prompt.tokens):
        return "wrong", "misplaced"
    return ("wrong", "never computed") if prompt.computed < prompt.tokens else None


def judge_mtp(case: dict[str, Any], version: str) -> Verdict:
    """Return the verdict on a case."""
    kind, _, heads = case["attention"].partition(":")
    sides, configs = [], []
    for prefix, role in (("d_", "kv_consumer"), ("p_", "kv_producer")):
        sides.append(
            Engine(
                kind=kind,
                kv_heads=int(heads or 1),
                hma=True,
                push=False,
                both=False,
                tp=4,
                pp=1,
                dcp=1,
                cp=1,
                role=role,
                block=case[f"{prefix}block"],
            )
        )
        words = case[f"{prefix}method"], case[f"{prefix}tokens"], case["layers"]
        configs.append(_config(*words, sides[0].mla))
    decode, prefill = sides
    hashes = [
        metadata.compute_nixl_compatibility_hash(config, "FLASH_ATTN", transfer_mode="pull") for config in configs
    ]
    if hashes[0] != hashes[1]:
        return "reject", "the hash differs"
    try:
        shake_hands(decode, prefill, version)
    except Exception as error:
        return "reject", where(error)
    ours, theirs = (_scheduler(config, decode.mamba) for config in configs)
    return placed(prefill, decode, _lengths(theirs, ours), case["d_cache"], version) or ("accept", "")
