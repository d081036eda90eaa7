"""Which argument of which program says which field of a pool, as data.

An argument is named by its longest spelling without dashes, ``-`` for ``_``. What needs more than decoding its value by
the field's schema has a function in the module of its engine.

Sources: vLLM 0.16 to 0.33 ``engine/arg_utils.py``; SGLang 0.5.13 to 0.5.23 ``srt/server_args.py``; TensorRT-LLM 1.x
``commands/serve.py`` and ``llmapi/llm_args.py``; Dynamo 0.7 to 1.3 ``components/src/dynamo``.
"""

from __future__ import annotations

from typing import NamedTuple


class Fields(NamedTuple):
    """What the arguments of a program say.

    ``values`` maps an argument to the field that its value states, ``switches`` to a field and what giving the switch
    states there. ``short`` maps further spellings to the name of the argument. ``left`` holds values by which the
    engine is told to decide itself. ``many`` are arguments that take several words.
    """

    values: dict[str, str]
    switches: dict[str, tuple[str, bool]]
    short: dict[str, str]
    left: dict[str, tuple[str, ...]]
    many: frozenset[str]


VLLM = Fields(
    values={
        "model": "model.id",
        "revision": "model.revision",
        "tokenizer": "model.position.tokenizer",
        "chat-template": "model.position.chat_template",
        "dtype": "engine.dtype",
        "kv-cache-dtype": "kv.dtype",
        "block-size": "kv.block_size",
        "tensor-parallel-size": "parallelism.tp",
        "pipeline-parallel-size": "parallelism.pp",
        "decode-context-parallel-size": "parallelism.dcp",
        "prefill-context-parallel-size": "parallelism.cp",
        "quantization": "precision.method",
        "attention-backend": "engine.attention_backend",
        "max-model-len": "engine.max_context_tokens",
        "max-num-batched-tokens": "engine.max_batched_tokens",
        "max-num-seqs": "engine.max_sequences",
        "gpu-memory-utilization": "memory.utilization",
        "num-gpu-blocks-override": "memory.kv_blocks",
        "kv-offloading-size": "engine.kv_offloading_gib",
        "port": "ports.api",
        "data-parallel-rpc-port": "ports.data_parallel_rpc",
        "master-port": "ports.master",
    },
    switches={
        "enable-prefix-caching": ("engine.prefix_caching", True),
        "disable-hybrid-kv-cache-manager": ("engine.hybrid_kv_manager", False),
        "enable-sleep-mode": ("engine.sleep_mode", True),
        "enable-cumem-allocator": ("engine.cumem_allocator", True),
        "enable-return-routed-experts": ("engine.routed_experts", True),
    },
    short={
        "tp": "tensor-parallel-size",
        "pp": "pipeline-parallel-size",
        "dp": "data-parallel-size",
        "dpl": "data-parallel-size-local",
        "dpn": "data-parallel-rank",
        "dpr": "data-parallel-start-rank",
        "dpa": "data-parallel-address",
        "dpp": "data-parallel-rpc-port",
        "dpb": "data-parallel-backend",
        "dph": "data-parallel-hybrid-lb",
        "dpe": "data-parallel-external-lb",
        "dcp": "decode-context-parallel-size",
        "pcp": "prefill-context-parallel-size",
        "ep": "enable-expert-parallel",
        "q": "quantization",
        "n": "nnodes",
        "r": "node-rank",
        "sc": "speculative-config",
        "ac": "attention-config",
    },
    left={
        "max-model-len": ("-1", "auto"),
        "max-num-seqs": ("auto",),
        "max-num-batched-tokens": ("auto",),
        "attention-backend": ("auto",),
        "quantization": ("auto",),
    },
    many=frozenset({"served-model-name", "lora-modules", "api-key", "middleware", "connector"}),
)

SGLANG = Fields(
    values={
        "model-path": "model.id",
        "revision": "model.revision",
        "tokenizer-path": "model.position.tokenizer",
        "chat-template": "model.position.chat_template",
        "dtype": "engine.dtype",
        "kv-cache-dtype": "kv.dtype",
        "page-size": "kv.block_size",
        "tp-size": "parallelism.tp",
        "pp-size": "parallelism.pp",
        "dp-size": "parallelism.dp",
        "ep-size": "parallelism.ep",
        "dcp-size": "parallelism.dcp",
        "attn-cp-size": "parallelism.cp",
        "quantization": "precision.method",
        "attention-backend": "engine.attention_backend",
        "context-length": "engine.max_context_tokens",
        "chunked-prefill-size": "engine.max_batched_tokens",
        "max-running-requests": "engine.max_sequences",
        "mem-fraction-static": "memory.utilization",
        "speculative-algorithm": "speculative.method",
        "speculative-draft-model-path": "speculative.draft_model",
        "speculative-num-draft-tokens": "speculative.tokens",
        "disaggregation-transfer-backend": "connector.name",
        "disaggregation-bootstrap-port": "connector.bootstrap.port",
        "num-reserved-decode-tokens": "connector.reservation.reserved_decode_tokens",
        "port": "ports.api",
        "nccl-port": "ports.nccl",
    },
    switches={
        "enable-dp-attention": ("parallelism.dp_attention", True),
        "disable-radix-cache": ("engine.prefix_caching", False),
    },
    short={
        "model": "model-path",
        "tp": "tp-size",
        "tensor-parallel-size": "tp-size",
        "pp": "pp-size",
        "pipeline-parallel-size": "pp-size",
        "dp": "dp-size",
        "data-parallel-size": "dp-size",
        "ep": "ep-size",
        "expert-parallel-size": "ep-size",
        "decode-context-parallel-size": "dcp-size",
        "attention-context-parallel-size": "attn-cp-size",
        "speculative-draft-model": "speculative-draft-model-path",
        "speculative-algo": "speculative-algorithm",
    },
    left={"chunked-prefill-size": ("-1",), "quantization": ("auto",), "attention-backend": ("auto",)},
    many=frozenset({"lora-paths", "cuda-graph-bs", "lora-target-modules"}),
)

TRTLLM = Fields(
    values={
        "model": "model.id",
        "revision": "model.revision",
        "tokenizer": "model.position.tokenizer",
        "chat-template": "model.position.chat_template",
        "kv-cache-dtype": "kv.dtype",
        "tensor-parallel-size": "parallelism.tp",
        "pipeline-parallel-size": "parallelism.pp",
        "context-parallel-size": "parallelism.cp",
        "moe-expert-parallel-size": "parallelism.ep",
        "max-seq-len": "engine.max_context_tokens",
        "max-num-tokens": "engine.max_batched_tokens",
        "max-batch-size": "engine.max_sequences",
        "free-gpu-memory-fraction": "memory.utilization",
        "port": "ports.api",
    },
    switches={"enable-attention-dp": ("parallelism.dp_attention", True)},
    short={
        "tp-size": "tensor-parallel-size",
        "pp-size": "pipeline-parallel-size",
        "cp-size": "context-parallel-size",
        "ep-size": "moe-expert-parallel-size",
        "expert-parallel-size": "moe-expert-parallel-size",
        "kv-cache-free-gpu-memory-fraction": "free-gpu-memory-fraction",
        "model-path": "model",
        "extra-llm-api-options": "config",
    },
    left={},
    many=frozenset({"connector"}),
)

TRTLLM_FILE = {
    "model": "model.id",
    "revision": "model.revision",
    "tokenizer": "model.position.tokenizer",
    "dtype": "engine.dtype",
    "tensor_parallel_size": "parallelism.tp",
    "pipeline_parallel_size": "parallelism.pp",
    "context_parallel_size": "parallelism.cp",
    "moe_expert_parallel_size": "parallelism.ep",
    "enable_attention_dp": "parallelism.dp_attention",
    "attn_backend": "engine.attention_backend",
    "max_seq_len": "engine.max_context_tokens",
    "max_num_tokens": "engine.max_batched_tokens",
    "max_batch_size": "engine.max_sequences",
    "kv_cache_config.dtype": "kv.dtype",
    "kv_cache_config.tokens_per_block": "kv.block_size",
    "kv_cache_config.enable_block_reuse": "engine.prefix_caching",
    "kv_cache_config.free_gpu_memory_fraction": "memory.utilization",
    "speculative_config.decoding_type": "speculative.method",
    "speculative_config.speculative_model": "speculative.draft_model",
    "speculative_config.speculative_model_dir": "speculative.draft_model",
    "speculative_config.max_draft_len": "speculative.tokens",
    "speculative_config.num_nextn_predict_layers": "speculative.tokens",
}
"""Key of a TensorRT-LLM engine file to field."""

TRANSFER = {
    "kv_role": "connector.role",
    "engine_id": "connector.engine_id",
    "kv_port": "connector.kv_port",
    "kv_buffer_device": "connector.buffer_device",
    "enable_permute_local_kv": "connector.permute_local_kv",
    "kv_load_failure_policy": "connector.failure_policy",
}
"""Key of vLLM's --kv-transfer-config to field."""

TRANSFER_EXTRA = {
    "backends": "connector.backends",
    "kv_lease_duration": "connector.lease_s",
    "bidirectional_kv_xfer": "connector.bidirectional",
    "decoder_kv_blocks_ttl": "connector.decoder_blocks_ttl_s",
    "push_registration_timeout": "connector.push_registration_timeout_s",
    "engine_ttl": "connector.engine_ttl_s",
    "enforce_handshake_compat": "connector.enforce_handshake_compat",
    "enable_cross_layers_blocks": "connector.cross_layer_blocks",
}
"""Key of kv_connector_extra_config to field (vLLM 0.33 ``kv_connector/v1/nixl``)."""

ENGINE_VARIABLES: dict[str, dict[str, str]] = {
    "vllm": {
        "PYTHONHASHSEED": "engine.hash_seed",
        "VLLM_KV_CACHE_LAYOUT": "kv.layout",
        "VLLM_ATTENTION_BACKEND": "engine.attention_backend",
    },
    "sglang": {
        "PYTHONHASHSEED": "engine.hash_seed",
        "SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT": "connector.bootstrap_timeout_s",
        "SGLANG_DISAGGREGATION_WAITING_TIMEOUT": "connector.waiting_timeout_s",
        "SGLANG_DISAGGREGATION_HEARTBEAT_INTERVAL": "connector.heartbeat_interval_s",
        "SGLANG_DISAGGREGATION_HEARTBEAT_MAX_FAILURE": "connector.heartbeat_max_failures",
    },
    "tensorrt-llm": {"PYTHONHASHSEED": "engine.hash_seed"},
}
"""Engine to variables that state a field whatever the connector is."""

CONNECTOR_VARIABLES: dict[str, dict[str, str]] = {
    "nixl": {
        "VLLM_NIXL_SIDE_CHANNEL_HOST": "connector.side_channel.host",
        "VLLM_NIXL_SIDE_CHANNEL_PORT": "connector.side_channel.port",
        "VLLM_NIXL_ABORT_REQUEST_TIMEOUT": "connector.abort_timeout_s",
        "SGLANG_DISAGGREGATION_NIXL_BACKEND": "connector.backends",
    },
    "mooncake": {
        "VLLM_MOONCAKE_BOOTSTRAP_PORT": "connector.bootstrap.port",
        "VLLM_MOONCAKE_ABORT_REQUEST_TIMEOUT": "connector.abort_timeout_s",
    },
}
"""Connector to variables that only it reads."""
