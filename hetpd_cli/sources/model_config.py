"""Reads a Hugging Face ``config.json`` that a deployment names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.deployment import Section, Stated
from hetpd_cli.facts.values import LOOKED_UP, Scalar, Value
from hetpd_cli.findings import LabelledPlace
from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.text import SourceText, read_source
from hetpd_cli.sources.tree import parse

if TYPE_CHECKING:
    from hetpd_cli.sources.text import Limits
    from hetpd_cli.sources.tree import Node

KEYS = {
    "num_hidden_layers": "layers",
    "hidden_size": "hidden",
    "num_attention_heads": "attention.heads",
    "num_key_value_heads": "attention.kv_heads",
    "head_dim": "attention.head_dim",
    "kv_lora_rank": "attention.kv_lora_rank",
    "qk_rope_head_dim": "attention.rope_head_dim",
    "sliding_window": "attention.sliding_window",
    "max_position_embeddings": "position.max_context_tokens",
    "rope_theta": "position.rope_theta",
}
"""Key of a Hugging Face configuration to the field it states."""

DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
LARGEST = 1e12
"""Beyond any size in a model configuration."""

ATTENTION_ONLY = frozenset(
    [
        "llama",
        "mistral",
        "mixtral",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "deepseek_v2",
        "deepseek_v3",
        "deepseek_v32",
        "gpt_oss",
        "gemma2",
        "gemma3_text",
        "glm4",
        "glm4_moe",
        "phi3",
        "opt",
    ]
)
"""Values of `model_type` whose layers are all attention."""
_RECURRENT = ("linear_num_key_heads", "mamba_d_state", "ssm_cfg", "linear_attn_config", "mamba_d_ssm")


class ModelConfig(NamedTuple):
    """Facts of a model configuration, the problems met, and the text read."""

    section: Section
    problems: tuple[Problem, ...] = ()
    texts: tuple[SourceText, ...] = ()


def read_model_config(node: Node, declared_in: str, limits: Limits) -> ModelConfig:
    """Read the ``config.json`` named by the scalar ``node`` of the file ``declared_in``.

    Paths are taken relative to that file and must stay below its directory.
    """
    empty = Section("model", None)
    if "\0" in node.source:
        spot = LabelledPlace(node.place, "no path", primary=True)
        return ModelConfig(empty, (Problem("unreadable-file", "model.config holds a NUL, which no path has", (spot,)),))
    base = os.path.realpath(os.path.dirname(declared_in) or ".")  # noqa: PTH120
    target = os.path.realpath(os.path.join(base, node.source))  # noqa: PTH118
    if os.path.commonpath([base, target]) != base:
        spot = LabelledPlace(node.place, "leaves the file's directory", primary=True)
        message = f"model.config names {node.source}, which lies outside the directory of this file"
        return ModelConfig(empty, (Problem("path-outside", message, (spot,)),))
    shown = os.path.join(os.path.dirname(declared_in), node.source)  # noqa: PTH118, PTH120
    if os.path.isdir(target):  # noqa: PTH112
        target, shown = os.path.join(target, "config.json"), os.path.join(shown, "config.json")  # noqa: PTH118
    source = read_source(target, limits)
    if isinstance(source, Problem):
        spot = LabelledPlace(node.place, "named here", primary=True)
        return ModelConfig(empty, (source._replace(places=(spot,)),))
    source = SourceText(shown, source.text)
    tree = parse(source, limits)
    if not tree.documents or tree.documents[0].kind != "mapping":
        spot = LabelledPlace(node.place, "named here", primary=True)
        message = f"model.config names {node.source}, which is no JSON object"
        return ModelConfig(empty, (Problem("invalid-value", message, (spot,)),))
    problems: list[Problem] = []
    section = _facts(tree.documents[0], problems)
    return ModelConfig(section, tuple(problems), (source,))


def _facts(root: Node, problems: list[Problem]) -> Section:
    """Return what the configuration states; a value that cannot be becomes one of ``problems``."""
    text = root.get("text_config")
    body = text if text is not None and text.kind == "mapping" else root
    section = Section("model", None)
    windows = body.get("use_sliding_window")
    for key, path in KEYS.items():
        if key != "sliding_window" or windows is None or windows.value is not False:
            _state(section, path, body.get(key), key, problems)
    _dtype(section, body.get("torch_dtype") or body.get("dtype") or root.get("torch_dtype"))
    if "attention.head_dim" not in section.stated:
        _head_dim(section)
    _kind(section, body)
    recurrent = next((body.get(key) for key in _RECURRENT if body.get(key) is not None), None)
    if recurrent is not None:
        section.stated["hybrid"] = Stated(True, recurrent.place, None, LOOKED_UP)
    kind = body.get("model_type")
    if recurrent is None and kind is not None and kind.source in ATTENTION_ONLY:
        section.stated["hybrid"] = Stated(False, kind.place, kind.source, LOOKED_UP)
    return section


def _state(section: Section, path: str, node: Node | None, key: str, problems: list[Problem]) -> None:
    if node is None or node.kind != "scalar" or (node.value is None and node.plain):
        return
    number = node.value
    whole = path != "position.rope_theta"
    if isinstance(number, bool) or not isinstance(number, int if whole else (int, float)) or not 0 < number < LARGEST:
        shown = node.source if len(node.source) <= 40 else node.source[:37] + "..."
        message = f"{key} is {shown}, where a positive number is expected"
        problems.append(Problem("invalid-value", message, (LabelledPlace(node.place, "out of range", primary=True),)))
        return
    section.stated[path] = Stated(number, node.place, None, LOOKED_UP)


def _dtype(section: Section, node: Node | None) -> None:
    if node is not None and node.kind == "scalar" and node.source in DTYPES:
        section.stated["dtype"] = Stated(DTYPES[node.source], node.place, node.source, LOOKED_UP)


def _head_dim(section: Section) -> None:
    heads, hidden = section.stated.get("attention.heads"), section.stated.get("hidden")
    if heads is None or hidden is None:
        return
    one, other = heads.value, hidden.value
    if isinstance(one, int) and isinstance(other, int) and one > 0 and other % one == 0:
        section.stated["attention.head_dim"] = Stated(other // one, hidden.place, None, LOOKED_UP)


def _kind(section: Section, body: Node) -> None:
    """State the kind of attention that the geometry gives away."""
    latent = section.stated.get("attention.kv_lora_rank")
    if latent is not None:
        kind: Scalar = "dsa" if body.get("index_topk") is not None else "mla"
        section.stated["attention.kind"] = Stated(kind, latent.place, None, LOOKED_UP)
        return
    heads, kv_heads = section.stated.get("attention.heads"), section.stated.get("attention.kv_heads")
    if heads is None or kv_heads is None:
        return
    section.stated["attention.kind"] = Stated(_gqa(heads.value, kv_heads.value), kv_heads.place, None, LOOKED_UP)


def _gqa(heads: Value, kv_heads: Value) -> str:
    if kv_heads == 1:
        return "mqa"
    return "mha" if heads == kv_heads else "gqa"
