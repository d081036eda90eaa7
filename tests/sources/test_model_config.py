"""A Hugging Face ``config.json`` beside the deployment file gives the geometry, and only that."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from hetpd_cli.facts.values import LOOKED_UP, STATED
from hetpd_cli.sources.inputs import read
from hetpd_cli.sources.text import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from hetpd_cli.deployment import Section
    from hetpd_cli.sources.reader import Reading

LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_hidden_layers": 40,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "rope_theta": 500000.0,
    "sliding_window": None,
    "torch_dtype": "bfloat16",
}
DEEPSEEK = {
    "hidden_size": 7168,
    "num_attention_heads": 128,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "torch_dtype": "bfloat16",
}


def deployed(folder: Path, model: str) -> Reading:
    file = folder / "deploy.yaml"
    file.write_text(f"hetpd: 1\nmodel: {model}\npools: [{{name: p, role: prefill}}, {{name: d, role: decode}}]\n")
    return read(str(file), Limits())


def model_of(found: Reading) -> Section:
    return found.deployments[0].pools[1].settings.part("model")


def geometry(folder: Path, config: dict[str, Any], model: str = "{config: config.json}") -> dict[str, Any]:
    """Return what a configuration says of the model of a pool."""
    (folder / "config.json").write_text(json.dumps(config))
    found = deployed(folder, model)
    assert not found.problems
    return {path: stated.value for path, stated in model_of(found).stated.items() if path != "config"}


def rules(found: Reading) -> list[str]:
    return [problem.rule for problem in found.problems]


def test_geometry(tmp_path: Path) -> None:
    assert geometry(tmp_path, LLAMA) == {
        "layers": 40,
        "hidden": 4096,
        "hybrid": False,
        "attention.heads": 32,
        "attention.kv_heads": 8,
        "attention.head_dim": 128,
        "attention.kind": "gqa",
        "position.max_context_tokens": 131072,
        "position.rope_theta": 500000.0,
        "dtype": "bf16",
    }


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LLAMA | {"num_key_value_heads": 32}, {"attention.kind": "mha"}),
        (LLAMA | {"num_key_value_heads": 1}, {"attention.kind": "mqa"}),
        (LLAMA | {"head_dim": 256}, {"attention.head_dim": 256}),
        (LLAMA | {"torch_dtype": "float16"}, {"dtype": "fp16"}),
        ({**LLAMA, "torch_dtype": None, "dtype": "float32"}, {"dtype": None}),
        ({"dtype": "float32"}, {"dtype": "fp32", "attention.kind": None, "attention.head_dim": None}),
        ({"torch_dtype": "float8"}, {"dtype": None}),
        (DEEPSEEK, {"attention.kind": "mla", "attention.kv_lora_rank": 512, "attention.rope_head_dim": 64}),
        (DEEPSEEK | {"index_topk": 2048}, {"attention.kind": "dsa"}),
        (LLAMA | {"sliding_window": 4096}, {"attention.sliding_window": 4096}),
        (LLAMA | {"sliding_window": 4096, "use_sliding_window": True}, {"attention.sliding_window": 4096}),
        (LLAMA | {"sliding_window": 4096, "use_sliding_window": False}, {"attention.sliding_window": None}),
        (LLAMA | {"mamba_d_state": 128}, {"hybrid": True}),
        (LLAMA | {"linear_num_key_heads": 16}, {"hybrid": True}),
        (LLAMA | {"model_type": "never-heard-of"}, {"hybrid": None}),
        ({"text_config": LLAMA, "hidden_size": 1}, {"hidden": 4096, "attention.kv_heads": 8, "dtype": "bf16"}),
        ({"text_config": {"hidden_size": 64}, "torch_dtype": "bfloat16"}, {"hidden": 64, "dtype": "bf16"}),
        ({"text_config": "x", "hidden_size": 64}, {"hidden": 64}),
        ({}, {"hidden": None}),
    ],
)  # fmt: skip
def test_kinds_of_models(tmp_path: Path, config: dict[str, Any], expected: dict[str, Any]) -> None:
    found = geometry(tmp_path, config)
    assert {path: found.get(path) for path in expected} == expected


def test_places_lie_in_the_configuration_and_inline_wins(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA, indent=2))
    found = deployed(tmp_path, "{config: ./config.json, layers: 41}")
    layers, heads = (model_of(found).stated[path] for path in ("layers", "attention.heads"))
    assert layers.place is not None
    assert heads.place is not None
    assert (layers.value, layers.origin, layers.place.path) == (41, STATED, str(tmp_path / "deploy.yaml"))
    assert (heads.value, heads.origin, heads.place.line) == (32, LOOKED_UP, 4)
    assert heads.place.path == os.path.join(tmp_path, "./config.json")  # noqa: PTH118 (as it is written)
    assert {text.path for text in found.texts} == {str(tmp_path / "deploy.yaml"), heads.place.path}


def test_a_pool_has_a_configuration_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps(LLAMA | {"num_hidden_layers": 7}))
    (tmp_path / "deploy.yaml").write_text(
        "hetpd: 1\nmodel: {layers: 4}\npools: [{name: p, role: prefill, model: {config: other}}, {name: d, role: decode}]\n"
    )
    found = read(str(tmp_path / "deploy.yaml"), Limits())
    assert [pool.settings.value("model.layers") for pool in found.deployments[0].pools] == [7, 4]


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("no-such.json", "unreadable-file"),
        ("../config.json", "path-outside"),
        ("/etc/hostname", "path-outside"),
        ("sub/../../config.json", "path-outside"),
        ("link.json", "path-outside"),
        ("linked/config.json", "path-outside"),
        ("latin.json", "not-utf-8"),
        ("list.json", "invalid-value"),
        ("broken.json", "invalid-value"),
        ("pipe", "unreadable-file"),
        ("empty", "unreadable-file"),
        ('"nul\\0.json"', "unreadable-file"),
        ("odd.json", "invalid-value"),
        ("[config.json]", "wrong-type"),
    ],
)
def test_what_cannot_be_used_is_one_finding(tmp_path: Path, value: str, rule: str) -> None:
    folder = tmp_path / "in"
    (folder / "empty").mkdir(parents=True)
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (folder / "link.json").symlink_to("../config.json")
    (folder / "linked").symlink_to("..")
    (folder / "latin.json").write_bytes(b'{"hidden_size": "\xe9"}')
    (folder / "list.json").write_text("[1]")
    (folder / "broken.json").write_text('{"hidden_size": ')
    (folder / "odd.json").write_text('{"num_hidden_layers": -4}')
    os.mkfifo(folder / "pipe")
    found = deployed(folder, f"{{config: {value}}}")
    assert rules(found) == [rule]
    assert not any(path.startswith("attention") for path in model_of(found).stated)
    assert len(found.deployments[0].handoffs) == 1


def test_a_link_within_the_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "real.json").write_text(json.dumps(LLAMA))
    (tmp_path / "config.json").symlink_to("models/real.json")
    assert model_of(deployed(tmp_path, "{config: config.json}")).value("layers") == 40


def test_paths_start_at_the_file_not_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "config.json").write_text(json.dumps(LLAMA))
    deployed(tmp_path / "sub", "{config: config.json}")
    monkeypatch.chdir(tmp_path)
    assert model_of(read("sub/deploy.yaml", Limits())).value("layers") == 40
    monkeypatch.chdir(tmp_path / "sub")
    assert model_of(read("deploy.yaml", Limits())).value("layers") == 40


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_hidden_layers", text) for text in ("-3", "0", "1e400", "NaN", "1.5", '"4"', "true", "9" * 400, "[4]")]
    + [("num_attention_heads", "0"), ("kv_lora_rank", "0"), ("rope_theta", "-1"), ("hidden_size", "1e300")],
)
def test_absurd_numbers_state_nothing(tmp_path: Path, key: str, value: str) -> None:
    whole = json.dumps(LLAMA | {key: 0}).replace(f'"{key}": 0', f'"{key}": {value}')
    (tmp_path / "config.json").write_text(whole)
    found = deployed(tmp_path, "{config: config.json}")
    assert rules(found) in ([], ["invalid-value"])
    values = [stated.value for stated in model_of(found).stated.values()]
    assert all(value > 0 for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    assert "mla" not in values
