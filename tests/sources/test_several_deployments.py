"""Scripts and pages that show several deployments, or none although they name roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetpd_cli.sources.assembly import assemble
from hetpd_cli.sources.inputs import find, read_text
from hetpd_cli.sources.text import Limits, SourceText

NIXL = """--kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'"""
PRODUCER = NIXL.replace("kv_both", "kv_producer")
CONSUMER = NIXL.replace("kv_both", "kv_consumer")


def pools(text: str, path: str = "s.sh") -> list[list[tuple[str | None, object]]]:
    """Return role and model of the pools of each deployment."""
    limits = Limits()
    (reading,) = assemble([read_text(SourceText(path, text), limits)], limits)
    assert reading.status == ("checked" if reading.deployments else "not-pd")
    return [
        [(pool.role, pool.settings.stated["model.id"].value) for pool in deployment.pools]
        for deployment in reading.deployments
    ]


PAIR = [("prefill", "m"), ("decode", "m")]
OTHER_PAIR = [("prefill", "n"), ("decode", "n")]


def test_one_script_for_two_models() -> None:
    text = "".join(f"vllm serve {model} {role} &\n" for role in (PRODUCER, CONSUMER) for model in "mn")
    assert pools(text) == [PAIR, OTHER_PAIR]


def test_models_of_which_one_has_one_role_only_stay_together() -> None:
    text = f"vllm serve m {PRODUCER} &\nvllm serve m {CONSUMER} &\nvllm serve n {CONSUMER} &\n"
    assert pools(text) == [[*PAIR, ("decode", "n")]]


def test_one_script_for_two_engines() -> None:
    text = f"vllm serve m {PRODUCER} &\nvllm serve m {CONSUMER} &\n"
    text += "".join(
        f"python3 -m sglang.launch_server --model-path m --disaggregation-mode {role} &\n"
        for role in ("prefill", "decode")
    )
    assert pools(text) == [PAIR, PAIR]


def test_functions_that_each_launch_a_pair() -> None:
    text = f"small() {{ vllm serve m {PRODUCER} & vllm serve m {CONSUMER} & }}\n"
    text += (
        f"large() {{ vllm serve m {PRODUCER} & vllm serve m {CONSUMER} & vllm serve m {CONSUMER} & }}\nsmall\nlarge\n"
    )
    assert pools(text) == [PAIR, [*PAIR, ("decode", "m")]]


def test_a_function_for_each_role_is_one_pair() -> None:
    text = f"start_prefill() {{ vllm serve m {NIXL} & }}\nstart_decode() {{ vllm serve m {NIXL} & }}\n"
    assert pools(text + "start_prefill\nstart_decode\n") == [PAIR]


def test_branches_that_each_launch_a_pair() -> None:
    pair = f"vllm serve m {PRODUCER} & vllm serve m {CONSUMER} &"
    assert pools(f"if [ $X ]; then {pair}\nelse {pair}\nfi\n") == [PAIR, PAIR]
    assert pools(f"case $1 in\na) {pair};;\nb) {pair};;\nesac\n".replace("&;;", "& ;;")) == [PAIR, PAIR]


def test_a_branch_for_each_role_is_one_pair() -> None:
    text = f"case $1 in\np) vllm serve m {PRODUCER} ;;\nd) vllm serve m {CONSUMER} ;;\nesac\n"
    assert pools(text) == [PAIR]
    assert pools(text.replace("case $1 in", "case $(hostname) in")) == [PAIR]


def test_comments_further_up_name_roles() -> None:
    text = f"""# Start prefill instance
PORT=1

CMD="vllm serve m --port $PORT {NIXL.replace('"', chr(92) + '"')}"
eval "$CMD &"
"""
    assert pools(text + text.replace("prefill", "decode")) == [PAIR]


@pytest.mark.parametrize(
    ("before", "behind", "run"),
    [('="cd x; A=1 ', '"', 'ssh $HOST "$%s" &'), ("='", "'", 'bash -c "$%s" &'), ("=(", ")", '"${%s[@]}" &')],
)
def test_variables_that_hold_commands_name_roles(before: str, behind: str, run: str) -> None:
    command = "vllm serve m --kv-transfer-config.kv_connector=NixlConnector"
    text = "".join(
        f"{name}_CMD{before}{command}{behind}\necho ok\n{run % f'{name}_CMD'}\n" for name in ("PREFILL", "D_DECODE")
    )
    (found,) = pools(text)
    assert [role for role, _ in found] == ["prefill", "decode"]


def test_comments_before_another_command_name_nothing() -> None:
    text = (
        f"# prefill\ntrue\nmkdir x\nPORT=1\nvllm serve m {NIXL} &\n# decode\nmkdir y\nPORT=2\nvllm serve m {NIXL} &\n"
    )
    assert pools(text) == []


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("# Prefill", "# Decode"),
        ("### Encoder (producer)", "### Prefill+Decode (consumer)"),
        ("## Speculative decoding", "## Prefill"),
        ("## Suffix Decoding", "## Hidden states (producer)"),
    ],
)
def test_names_alone_are_no_pair(above: str, below: str) -> None:
    text = f"{above}\n```bash\nvllm serve m\n```\n{below}\n```bash\nvllm serve m\n```\n"
    assert pools(text, "page.md") == []


def test_techniques_are_no_roles() -> None:
    text = f"# Guide\n## Speculative decoding\n```bash\nvllm serve m\n```\n## Prefill\n```bash\nvllm serve m {PRODUCER}\n```\n"
    assert pools(text, "page.md") == [[("prefill", "m")]]


def test_hidden_states_are_no_kv() -> None:
    text = f"vllm serve m {PRODUCER.replace('NixlConnector', 'ExampleHiddenStatesConnector')}\n"
    assert pools(text) == []


def test_a_module_that_a_sourced_file_chooses() -> None:
    text = '. ./common.sh\npick dynamo.vllm dynamo.vllm.unified_main "$@"\n'
    text += "".join(
        f'python3 -m "$MODULE" --model m --disaggregation-mode {role} {NIXL} &\n' for role in ("prefill", "decode")
    )
    assert pools(text) == [PAIR]
    assert pools(text.replace("dynamo.vllm.unified_main", "dynamo.sglang")) == []


@pytest.mark.parametrize("path", ["page.md", "s.sh"])
def test_manifests_within_other_texts_are_not_parsed(path: str) -> None:
    text = f"#!/bin/bash\nkubectl apply -f - <<EOF\napiVersion: v1\nkind: Pod\nEOF\nvllm serve m {PRODUCER} &\nvllm serve m {CONSUMER} &\n"
    if path == "page.md":
        text = f"# `Pod`\n```yaml\napiVersion: v1\nkind: Pod\n```\n```bash\n{text}```\n*: {{\n"
    assert pools(text, path) == [PAIR]


def test_a_page_of_manifests_says_that_they_are_not_read() -> None:
    text = "Run `vllm serve`:\n```yaml\napiVersion: v1\nkind: Pod\n```\n"
    found = [read_text(SourceText("page.md", one), Limits()) for one in (text, text.replace("apiVersion", "x"))]
    assert [(one.status, "manifests" in one.detail) for one in found] == [("not-pd", True), ("not-pd", False)]


def test_an_image_that_serves(tmp_path: Path) -> None:
    for role in ("producer", "consumer"):
        text = f"IMAGE=lmcache/vllm-openai:v1\ndocker run --gpus all $IMAGE \\\n  m {NIXL.replace('kv_both', 'kv_' + role)}\n"
        (tmp_path / f"start_{role}.sh").write_text(text)
    (reading,) = find([str(tmp_path / "start_producer.sh")]).readings(Limits())
    assert [[pool.role for pool in deployment.pools] for deployment in reading.deployments] == [["prefill", "decode"]]


@pytest.mark.parametrize("model", ["[model_path]", "{your model}", "/", "xxxx", "'<model>'", "...", "your-model"])
def test_placeholders_are_unknown(model: str) -> None:
    from hetpd_cli.facts.values import Unknown

    text = "".join(
        f"python3 -m sglang.launch_server --model-path {model} --disaggregation-mode {role} &\n"
        for role in ("prefill", "decode")
    )
    ((_, prefill), (_, decode)) = pools(text)[0]
    assert isinstance(prefill, Unknown)
    assert isinstance(decode, Unknown)
