"""NIXL with pipeline stages and context parallelism: the start of both sides, their handshakes, which tokens are read."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

from vllm.config import VllmConfig
from vllm.config.model import ModelConfig
from vllm.config.parallel import ParallelConfig
from vllm.distributed.kv_transfer.kv_connector import utils
from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorRole
from vllm.distributed.kv_transfer.kv_connector.v1.nixl import connector, metadata, tp_mapping
from vllm.distributed.kv_transfer.kv_connector.v1.nixl.base_worker import NixlBaseConnectorWorker as Worker
from vllm.distributed.kv_transfer.kv_connector.v1.nixl.pull_worker import NixlPullConnectorWorker as Puller
from vllm.distributed.kv_transfer.kv_connector.v1.nixl.push_worker import NixlPushConnectorWorker as Pusher
from vllm.v1.kv_cache_interface import FullAttentionSpec, MambaSpec, MLAAttentionSpec, SlidingWindowSpec
from vllm.v1.worker import cp_utils

from tests.conformance.oracle.extract import statements
from tests.conformance.oracle.raised import splits_heads, where
from tests.conformance.oracle.wire import Wire

Verdict = tuple[str, str]

LAYERS = 4
HEADS = 96
HEAD_DIM, LATENT = 128, 576
PROMPTS = (1, 15, 16, 17, 48, 64, 65, 100, 128, 129, 200, 255, 256, 257, 300, 511, 512, 513, 700, 1024, 1025)


class Engine(NamedTuple):
    """One side, in the words of a case."""

    kind: str
    kv_heads: int
    hma: bool
    push: bool
    both: bool
    """Whether each side reads from the other."""
    tp: int
    pp: int
    dcp: int
    cp: int
    role: str
    block: int

    @property
    def mla(self) -> bool:
        return self.kind in {"mla", "dsa", "kda"}

    @property
    def mamba(self) -> bool:
        return self.kind in {"mamba2", "kda"}

    @property
    def hma_required(self) -> bool:
        return self.hma and self.kind in {"window", "mamba2", "kda"}

    @property
    def shards(self) -> bool:
        """As the worker's constructor has it: prefill context parallel ranks own different tokens."""
        return self.cp > 1 and self.dcp > 1

    @property
    def ranks(self) -> int:
        """Size that the other side is told and the topology has: transfer_tp_size of scheduler and worker (0.30 on)."""
        return self.cp if self.shards else self.tp

    def block_len(self) -> int:
        width = LATENT if self.mla else 2 * max(1, self.kv_heads // self.tp) * HEAD_DIM
        return 2 * self.block * width

    def regions(self, stage: int) -> list[list[str]]:
        """Layers that share a region, on one pipeline stage. With KV in groups a region holds one of each group."""
        each = LAYERS // self.pp
        names = [f"layers.{index}" for index in range(stage * each, (stage + 1) * each)]
        if self.kind != "window" or not self.hma_required:
            return [[name] for name in names]
        return [names[at : at + 2] for at in range(0, len(names), 2)]

    def spec_types(self) -> tuple[type, ...]:
        full = MLAAttentionSpec if self.mla else FullAttentionSpec
        if self.mamba:
            return (full, MambaSpec)
        return (full, SlidingWindowSpec) if self.hma_required else (full,)


# -- the start of one side -------------------------------------------------------------------------------------


def starts(side: Engine, version: str) -> None:
    """Run what an engine checks at its start: its parallel sizes, the model's, the runner's, then the connector's."""
    parallel = ParallelConfig(
        tensor_parallel_size=side.tp,
        pipeline_parallel_size=side.pp,
        decode_context_parallel_size=side.dcp,
        prefill_context_parallel_size=side.cp,
        distributed_executor_backend="mp",
    )
    _model_takes(side, parallel)
    splits_heads(side.kv_heads, side.tp, latent=side.mla)
    if side.mamba:
        assert side.hma_required
    if version >= "0.29":
        _runner_takes(side, parallel)
        _configuration(side, parallel)
    else:
        _attention_takes(side)
    _connector_starts(side, parallel)
    if version >= "0.29":
        _worker_starts(side, parallel)
    else:
        # All ranks' metadata, as the engine hands it to the connector.
        shards: Any = {(stage, 0): None for stage in range(side.pp)}
        receiver = SimpleNamespace(set_xfer_handshake_metadata=lambda _metadata: None)
        connector.NixlConnector.set_xfer_handshake_metadata_pp_aware(receiver, shards)


def _model_takes(side: Engine, parallel: Any) -> None:
    model = SimpleNamespace(
        model_arch_config=SimpleNamespace(total_num_attention_heads=HEADS),
        registry=SimpleNamespace(is_pp_supported_model=lambda *_: True, is_hc_sp_supported_model=lambda *_: True),
        architectures=[],
        use_mla=side.mla,
        get_total_num_kv_heads=lambda: 1 if side.mla else side.kv_heads,
        multimodal_config=None,
    )
    ModelConfig.verify_with_parallel_config(model, parallel)


def _attention_takes(side: Engine) -> None:
    """0.24: no implementation of attention says that it takes prefill context parallelism."""
    from vllm.v1.attention.backend import AttentionImpl

    impl = SimpleNamespace(supports_pcp=AttentionImpl.supports_pcp, need_to_return_lse_for_decode=True)
    config = SimpleNamespace(
        parallel_config=SimpleNamespace(
            prefill_context_parallel_size=side.cp,
            decode_context_parallel_size=side.dcp,
            cp_kv_cache_interleave_size=1,
        ),
        speculative_config=None,
    )
    layers = {"layers.0": SimpleNamespace(impl=impl)}
    with patch.object(cp_utils, "get_layers_from_vllm_config", lambda *_: layers):
        cp_utils.check_attention_cp_compatibility(config)


def _runner_takes(side: Engine, parallel: Any) -> None:
    """0.33: prefill context parallelism of the runner. A sparse latent is that of DeepSeek V3.2."""
    from vllm.config import CUDAGraphMode
    from vllm.v1.worker.gpu.pcp_manager import PCPManager

    sparse: dict[str, Any] = {"index_topk": 2048, "model_type": "deepseek_v32"} if side.kind == "dsa" else {}
    config = SimpleNamespace(
        parallel_config=parallel,
        model_config=SimpleNamespace(
            use_mla=side.mla,
            is_encoder_decoder=False,
            hf_text_config=SimpleNamespace(**sparse),
        ),
        lora_config=None,
        speculative_config=None,
        compilation_config=SimpleNamespace(cudagraph_mode=CUDAGraphMode.FULL_AND_PIECEWISE),
    )
    if parallel.dcp_comm_backend is None:
        parallel.set_dcp_defaults()
    PCPManager.validate_config(config, supports_mm_inputs=False)


def _transfer_config(side: Engine) -> SimpleNamespace:
    name = "NixlPushConnector" if side.push else "NixlConnector"
    extra = {"bidirectional_kv_xfer": side.both}
    return SimpleNamespace(
        kv_connector=name,
        kv_role=side.role,
        engine_id="local",
        has_connector=lambda wanted: wanted == name,
        get_from_extra_config=extra.get,
    )


@cache
def _part(function: Any, first: str) -> Any:
    return statements(function, first=first)


def _configuration(side: Engine, parallel: Any) -> None:
    """Run the statement about NIXL in the middle of VllmConfig.__post_init__."""
    config = SimpleNamespace(
        kv_transfer_config=_transfer_config(side),
        parallel_config=parallel,
        model_config=SimpleNamespace(use_mla=side.mla),
    )
    _part(VllmConfig.__post_init__, "has_connector('NixlConnector')")(self=config)


def _connector_starts(side: Engine, parallel: Any) -> None:
    """Construct the connector; its scheduler, which opens sockets, is replaced."""
    config = SimpleNamespace(kv_transfer_config=_transfer_config(side), parallel_config=parallel)
    name = "NixlPushConnector" if side.push else "NixlPullConnector"
    with patch.object(connector, f"{name}Scheduler", lambda *_: None):
        getattr(connector, name)(config, KVConnectorRole.SCHEDULER, None)


def _worker_starts(side: Engine, parallel: Any) -> None:
    """Run the statement about pipeline stages in the worker's constructor."""
    worker = SimpleNamespace(
        pp_size=side.pp,
        _is_hma_required=side.hma_required,
        _supports_pp_hma=(Pusher if side.push else Puller)._supports_pp_hma,
        _has_mamba=side.mamba,
    )
    config = SimpleNamespace(kv_transfer_config=_transfer_config(side), parallel_config=parallel)
    _part(Worker.__init__, "if self.pp_size > 1")(self=worker, vllm_config=config)


# -- the handshake ---------------------------------------------------------------------------------------------


class Backend:
    """An attention backend as the topology asks for it."""

    @staticmethod
    def get_kv_cache_shape(
        num_blocks: int, block_size: int, num_kv_heads: int, head_size: int, cache_dtype_str: str = "auto"
    ) -> tuple[int, ...]:
        return (num_blocks, 2, block_size, num_kv_heads, head_size)


def _layout(version: str) -> str:
    return "LBHNC" if version >= "0.29" else "HND"


def topology(local: Engine, rank: int, version: str) -> Any:
    """Return the topology of one rank."""
    words: dict[str, Any] = {"dcp_size": local.dcp} if version >= "0.29" else {}
    return utils.TransferTopology(
        tp_rank=rank, tp_size=local.ranks, block_size=local.block, engine_id="local", is_mla=local.mla,
        is_mamba=local.mamba, total_num_kv_heads=1 if local.mla else local.kv_heads, attn_backends=[Backend], **words,
    )  # fmt: skip


def _stub(local: Engine, stage: int, rank: int, version: str) -> SimpleNamespace:
    regions = local.regions(stage)
    lens = [local.block_len()] * len(regions)
    cls: Any = Pusher if local.push else Puller
    full = MLAAttentionSpec if local.mla else FullAttentionSpec
    spec = object.__new__(full)
    object.__setattr__(spec, "kv_quant_mode", SimpleNamespace(is_nvfp4=False))
    names = [name for region in regions for name in region]
    stub = SimpleNamespace(
        transfer_topo=topology(local, rank, version),
        use_mla=local.mla,
        pp_size=local.pp,
        block_size=local.block,
        _has_mamba=local.mamba,
        _is_hma_required=local.hma_required,
        _is_csa_linear=False,
        _has_packed_cache=False,
        _packed_member_layouts={},
        _physical_blocks_per_logical_kv_block=1,
        _remote_agents={},
        _remote_region_offset=len(regions) * stage,
        block_len_per_layer=lens,
        _region_is_mla=[local.mla] * len(regions),
        kv_cache_layout=_layout(version),
        host_buffer_kv_cache_layout=_layout(version),
        use_host_buffer=False,
        enable_permute_local_kv=False,
        enable_heterogeneous_attn_post_process=False,
        kv_transfer_config=SimpleNamespace(enable_permute_local_kv=False),
        backend_name="FLASH_ATTN",
        nixl_memory_type="VRAM",
        nixl_wrapper=SimpleNamespace(add_remote_agent=lambda _agent: "agent"),
        kv_cache_config=SimpleNamespace(transfer_group_index_by_layer=dict.fromkeys(names, 0)),
        vllm_config=SimpleNamespace(cache_config=SimpleNamespace(enable_prefix_caching=False)),
        dcp_size=local.dcp,
        pcp_size=local.cp,
        dst_num_blocks={},
        dst_region_num_blocks={},
        dst_region_group_ids={},
        dst_uses_region_group_mapping={},
        dst_region_mem_types={},
        kv_caches_base_addr={"remote": {}},
        tp_mappings={},
        region_group_ids=[0] * len(regions),
        region_names=[region[0] for region in regions],
        _group_spec_types=local.spec_types(),
        _transfer_layer_region_indices=(),
        _transfer_layer_names=(),
        _head_sharded_draft_regions=set(),
        _layer_specs={"layer": spec},
        _supports_pp_hma=getattr(cls, "_supports_pp_hma", False),
        _TRANSFER_MODE="push" if local.push else "pull",
    )
    for name in (
        "_is_region_replicated",
        "_validate_remote_agent_handshake",
        "_validate_remote_parallel_config",
        "_align_remote_regions_by_layer",
        "_split_remote_blocks",
        "_tracks_region_layers",
        "_requires_layer_name_routing",
        "_set_region_layers",
    ):
        if hasattr(cls, name):
            setattr(stub, name, getattr(cls, name).__get__(stub))
    if cls is Pusher:
        # super() needs an instance of the class.
        stub._validate_remote_agent_handshake = Worker._validate_remote_agent_handshake.__get__(stub)
    if version >= "0.29":
        stub._set_region_layers(regions)
    return stub


def _metadata(remote: Engine, stage: int, version: str) -> Any:
    regions = remote.regions(stage)
    lens = [remote.block_len()] * len(regions)
    values = {
        "engine_id": "remote",
        "agent_metadata": b"",
        "kv_caches_base_addr": [1000 * index for index in range(len(regions))],
        "device_id": 0,
        "num_blocks": 1000,
        "block_lens": lens,
        "kv_cache_layout": _layout(version),
        "block_size": remote.block,
        "ssm_sizes": (0, 0),
        "attn_backend_name": "FLASH_ATTN",
        "physical_blocks_per_logical_kv_block": 1,
    }
    if version >= "0.29":
        values |= {
            "block_strides": lens,
            "region_num_blocks": [1000] * len(regions),
            "region_group_ids": [0] * len(regions),
            "region_names": [region[0] for region in regions],
            "region_mem_types": ["VRAM"] * len(regions),
            "region_members": regions,
            "packed_member_layouts": {},
            "dcp_size": remote.dcp,
            "pcp_size": remote.cp,
        }
    return metadata.NixlAgentMetadata(**values)


@cache
def _adding() -> Any:
    return statements(Worker.add_remote_agent, last="self._validate_remote_agent_handshake(")


def shake_hands(local: Engine, remote: Engine, version: str, *, notified: bool = False) -> None:
    """Let every stage of ``local`` take every stage of ``remote`` that it asks for; raises what vLLM raises.

    A push asks for the first stage only: the registration names no others. ``notified``: agents for notifications.
    """
    asked = range(1 if local.push and not notified else remote.pp)
    for stage in range(local.pp):
        for rank in sorted({0, local.ranks - 1}):
            stub = _stub(local, stage, rank, version)
            for source in asked:
                _take(stub, remote, source, version, notified=notified)


def _take(stub: Any, remote: Engine, stage: int, version: str, *, notified: bool) -> None:
    if version < "0.29":
        info = utils.EngineTransferInfo(
            remote_tp_size=remote.tp, remote_block_size=remote.block, remote_block_len=remote.block_len(),
            remote_physical_blocks_per_logical=1,
        )  # fmt: skip
        stub.transfer_topo.register_remote_engine("remote", info)
        stub.dst_num_blocks["remote"] = 1000
        tp_mapping.compute_tp_mapping(stub.transfer_topo, remote.tp, stub._group_spec_types)
        stub._validate_remote_agent_handshake(_metadata(remote, stage, version), remote.tp)
        return
    for rank in stub.transfer_topo.handshake_target_ranks(remote.ranks, remote.dcp):
        about = _metadata(remote, stage, version)
        stub._validate_remote_parallel_config(about)
        if not notified:
            _adding()(
                self=stub,
                nixl_agent_meta=about,
                remote_tp_rank=rank,
                remote_tp_size=remote.ranks,
                remote_dcp_size=about.dcp_size,
            )


# -- which tokens are read -------------------------------------------------------------------------------------


def _shares_alike(reader: Engine, source: Engine, version: str) -> bool:
    """Tell whether each rank reads from ranks with its own share of the tokens (0.24: nothing else is exchanged)."""
    for rank in range(reader.tp):
        plan = tp_mapping.compute_tp_mapping(topology(reader, rank, version), source.tp, reader.spec_types())
        for other in plan.source_ranks_per_group[0]:
            if (rank % reader.dcp, reader.dcp) != (other % source.dcp, source.dcp):
                return False
    return True


@cache
def read_right(reader: Engine, source: Engine, version: str) -> Verdict | None:
    """Read prompts with `_read_blocks_for_req` of every rank; None if every token comes to its place.

    Block i of a rank with share c of C holds the tokens from (i x C + c) x block size on: with NIXL the interleaving of
    decode context parallelism is set to the block (`VllmConfig`, 0.29 on).
    """
    misplaced = None
    for prompt in PROMPTS:
        for rank in range(reader.ranks):
            try:
                good = _rank_reads(reader, source, rank, prompt, version)
            except (AssertionError, ValueError) as error:
                return "stops", f"stops: {where(error)}"
            if not good:
                misplaced = ("wrong", "misplaced")
    return misplaced


class Prompt(NamedTuple):
    """What a reader asks for: tokens up to here, of which the first are cached; the source has computed so many."""

    tokens: int
    computed: int
    cached: int = 0


def _rank_reads(reader: Engine, source: Engine, rank: int, prompt: int, version: str) -> bool:
    pairs = pairs_read(reader, source, rank, Prompt(prompt, prompt), version)
    starts = range(0, prompt, source.block)
    wanted = {start for start in starts if (start // reader.block) % reader.dcp == rank % reader.dcp}
    return comes_right(pairs, wanted, prompt)


def comes_right(pairs: list[tuple[int, int]], wanted: set[int], prompt: int) -> bool:
    """Tell whether what is wanted was read from its own place, and nothing of the prompt from another."""
    right = {to for to, origin in pairs if to == origin}
    return wanted <= right and all(to == origin for to, origin in pairs if to < prompt)


def pairs_read(reader: Engine, source: Engine, rank: int, prompt: Prompt, version: str) -> list[tuple[int, int]]:
    """Return what a rank reads into what by `_read_blocks_for_req`: first tokens of blocks of the source's size."""
    stub = _stub(reader, 0, rank, version)
    remote = utils.EngineTransferInfo(
        remote_tp_size=source.ranks, remote_block_size=source.block, remote_block_len=source.block_len(),
        remote_physical_blocks_per_logical=1, remote_dcp_size=source.dcp,
    )  # fmt: skip
    stub.transfer_topo.register_remote_engine("remote", remote)
    plan = tp_mapping.compute_tp_mapping(
        transfer_topology=stub.transfer_topo, remote_tp_size=source.ranks, group_spec_types=(MLAAttentionSpec,),
        remote_dcp_size=source.dcp,
    )  # fmt: skip
    group = SimpleNamespace(kv_cache_spec=object.__new__(MLAAttentionSpec))
    wire = Wire()
    handles = {one: one for one in range(source.ranks)}
    vars(stub).update(
        _invalid_remote_engines=set(), _failed_remote_engines=set(), _remote_registration_generations={},
        _remote_agents={"remote": {(0, one): "agent" for one in range(source.ranks)}},
        _engine_last_active={}, _bidirectional_kv_xfer_enabled=False, _recving_transfers={},
        tp_mappings={"remote": plan}, dst_region_group_ids={"remote": [0]}, region_group_ids=[0],
        _group_spec_types=(MLAAttentionSpec,), dcp_rank=rank % reader.dcp, dst_xfer_side_handles={"remote": handles},
        src_xfer_handles_by_block_size={source.block: 1, reader.block: 1},
        src_xfer_handles_by_tp_ratio=_AnyHandle(), _mixed_mem_types=False, nixl_wrapper=wire, engine_id="local",
        kv_cache_config=SimpleNamespace(kv_cache_groups=[group], transfer_groups=[group], transfer_group_ids=(0,)),
        num_regions=1, block_len_per_layer=[1], dst_num_blocks={"remote": 10**6, "local": 10**6},
        dst_region_num_blocks={}, dst_uses_region_group_mapping={"remote": False}, _uses_region_group_mapping=False,
        _transfer_layer_region_indices=(), _transfer_layer_group_ids=(), world_size=reader.tp, _has_mamba=False,
        _log_failure=_reraise, _handle_failed_transfer=_reraise, _recv_failures=set(),
    )  # fmt: skip
    for name in ("_logical_to_kernel_block_ids", "_apply_dcp_prefix_caching", "_apply_prefix_caching",
                 "_map_block_ids_for_block_size_ratio", "_compute_desc_ids", "get_mapped_blocks"):  # fmt: skip
        setattr(stub, name, getattr(Puller, name).__get__(stub))
    for name in ("_apply_dcp_prefix_caching", "_logical_to_kernel_block_ids", "get_mapped_blocks"):
        if isinstance(Worker.__dict__.get(name), staticmethod):
            setattr(stub, name, getattr(Worker, name))
    pairs: list[tuple[int, int]] = []
    step = source.block

    def read(**words: Any) -> bool:
        wire.pairs = []
        done: bool = Puller._read_blocks(stub, **words)
        share = words["read_spec"].remote_rank % source.dcp
        ratio = reader.block // source.block
        for to, origin in wire.pairs:
            own = ((to // ratio) * reader.dcp + rank % reader.dcp) * reader.block + (to % ratio) * step
            pairs.append((own, (origin * source.dcp + share) * step))
        return done

    stub._read_blocks = read
    first = prompt.cached // (reader.block * reader.dcp)
    ours = list(range(first, -(-prompt.tokens // (reader.block * reader.dcp))))
    theirs = list(range(-(-prompt.computed // (source.block * source.dcp))))
    remote_meta = SimpleNamespace(
        engine_id="remote", request_id="request", block_ids=[theirs], num_tokens=prompt.computed, registration_generation=0,
        blocks_expiry_time=None, host="", port=0,
    )  # fmt: skip
    meta = SimpleNamespace(
        remote=remote_meta, local_block_ids=[ours], local_physical_block_ids=[ours], local_num_computed_blocks=(first,),
        awaiting_kvs=True, tp_size=source.ranks, dcp_size=source.dcp, pp_size=1, remote_registration_generation=0,
    )  # fmt: skip
    if reader.mamba:
        # The descriptors of recurrent layers come after all others, and there is no group of them here.
        stub._has_mamba = True
        stub._compute_desc_ids = lambda block_ids, **_more: [one for group in block_ids for one in group]
    Puller._read_blocks_for_req(stub, "request", meta)
    return pairs


class _AnyHandle(dict[Any, Any]):
    def __missing__(self, _key: Any) -> Any:
        return dict.fromkeys(range(64), 1)


def _reraise(*_words: Any, error: BaseException | None = None, **_more: Any) -> None:
    raise error or RuntimeError("the request fails")


# -- the pair --------------------------------------------------------------------------------------------------


@cache
def _start(side: Engine, version: str) -> str | None:
    try:
        starts(side, version)
    except Exception as error:
        return where(error)
    return None


@cache
def judge_pair(prefill: Engine, decode: Engine, version: str) -> Verdict:
    """Return the verdict on two engines."""
    for side in (prefill, decode):
        refused = _start(side, version)
        if refused is not None:
            return "reject", f"at start: {refused}"
    pairs = [(decode, prefill)]
    if prefill.push or prefill.both:
        pairs.append((prefill, decode))
    for local, remote in pairs:
        try:
            notified = local is decode and local.push and remote.pp > 1
            shake_hands(local, remote, version, notified=notified)
        except Exception as error:
            return "reject", where(error)
    return _said_of_accepted(prefill, decode, version)


def _said_of_accepted(prefill: Engine, decode: Engine, version: str) -> Verdict:
    shared = max(prefill.dcp, decode.dcp) > 1
    if version < "0.29":
        if shared and prefill.hma_required:
            return "open", "groups of KV and context parallelism: how they are shared out was not read"
        readers = [(decode, prefill)] + ([(prefill, decode)] if prefill.both else [])
        if not all(_shares_alike(*pair, version) for pair in readers):
            return "wrong", "other tokens"
        return "accept", ""
    found = []
    if shared:
        found = [read_right(decode, prefill, version)]
        if prefill.both:
            found.append(read_right(prefill, decode, version))
    for verdict in ("stops", "wrong"):
        for one in found:
            if one is not None and one[0] == verdict:
                return one
    if decode.pp > 1:
        return "wrong", "freed early"
    return "accept", ""


def judge_parallel(case: dict[str, Any], version: str) -> Verdict:
    """Return the verdict on a case."""
    kind, _, heads = case["attention"].partition(":")
    sides = []
    for prefix, own in (("p_", "kv_producer"), ("d_", "kv_consumer")):
        values = {name: case[prefix + name] for name in ("tp", "pp", "dcp", "cp", "block")}
        role = {"own": own, "both": "kv_both"}[case[f"{prefix}role"]]
        sides.append(
            Engine(
                kind=kind,
                kv_heads=int(heads or 1),
                hma=case["hma"],
                push=case["transfer"] == "push",
                both=case["transfer"] == "bidirectional",
                role=role,
                **values,
            )
        )
    return judge_pair(sides[0], sides[1], version)
