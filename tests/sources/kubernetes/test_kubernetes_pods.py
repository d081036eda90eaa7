"""Containers: commands, arguments, environment and mounted files by the rules of Kubernetes."""

from __future__ import annotations

import pytest

from tests.manifests import PATH, check_places, groups, line, members, settings

HEAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: qwen-decode}
spec:
  replicas: 2
  selector: {}
  template:
    metadata: {labels: {llm-d.ai/role: decode}}
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.16.0
"""


def _launch(container: str) -> str:
    (group,) = groups(HEAD + container)
    (member,) = group.members
    return line(member.launches[0])


def test_command_and_arguments_are_one_line() -> None:
    found = _launch(
        '          command: ["vllm", "serve"]\n          args: ["m", --block-size, "64", --max-model-len=8]\n'
    )
    assert found == "vllm serve m --block-size 64 --max-model-len=8"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("[--model, m]", "vllm serve --model m"),
        ("[Qwen/Qwen3-8B, --port=1]", "vllm serve Qwen/Qwen3-8B --port=1"),
        ("[/models/q, --port=1]", "vllm serve /models/q --port=1"),
        ("[serve, m]", "vllm serve m"),
        ("[vllm, serve, m]", "vllm serve m"),
        ("[python3, -m, vllm.entrypoints.openai.api_server, --model, m]",
         "python3 -m vllm.entrypoints.openai.api_server --model m"),
        ("[bash, -c, 'vllm serve m']", "vllm serve m"),
    ],
)  # fmt: skip
def test_arguments_without_a_command_follow_what_the_image_starts(args: str, expected: str) -> None:
    assert _launch(f"          args: {args}\n") == expected


@pytest.mark.parametrize(
    "image", ["ghcr.io/llm-d/llm-d-inference-sim:latest", "x/vllm-mock:1", "registry.io/a/vllm-simulator@sha256:0"]
)
def test_a_simulator_is_no_engine(image: str) -> None:
    (group,) = groups(HEAD.replace("vllm/vllm-openai:v0.16.0", image) + "          args: [--model=m, --port=8000]\n")
    assert [line(launch).split()[0] for member in group.members for launch in member.launches] == [
        image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    ]


def test_an_image_of_sglang_starts_nothing_by_itself() -> None:
    text = HEAD.replace("vllm/vllm-openai:v0.16.0", "lmsysorg/sglang:v0.5.5").replace("name: vllm", "name: x")
    (member,) = groups(text + "          args: [--model-path, m]\n")[0].members
    assert line(member.launches[0]) == "python3 -m sglang.launch_server --model-path m"


@pytest.mark.parametrize("shell", ["[sh, -c]", "[/bin/bash, -lc]", "[bash, -euo, pipefail, -c]", "[bash, -c, --]"])
def test_scripts_of_a_shell_are_read(shell: str) -> None:
    script = "          args:\n            - |\n              vllm serve m \\\n                --block-size 64\n"
    assert _launch(f"          command: {shell}\n{script}") == "vllm serve m --block-size 64"


def test_variables_expand_in_order() -> None:
    env = """\
          command: [vllm, serve, $(MODEL), --x=$(B), --y=$$(B), --z=$(NONE)]
          env:
            - {name: A, value: "1"}
            - {name: B, value: "$(A)-$(LATER)"}
            - {name: LATER, value: "2"}
            - {name: MODEL, value: "org/m"}
"""
    (member,) = groups(HEAD + env)[0].members
    words = member.launches[0].words
    assert [word.value for word in words[2:]] == ["org/m", "--x=1-$(LATER)", "--y=$(B)", "--z=$(NONE)"]
    assert [bool(word.unresolved) for word in words[2:]] == [False, True, False, True]
    text = HEAD + env
    model = words[2].text.place()
    assert text[model.start : model.end] == "org/m"
    assert text[words[2].place.start : words[2].place.end] == "$(MODEL)"


def test_variables_from_elsewhere_say_why_they_are_not_known() -> None:
    env = """\
          command: [vllm, serve, m, --host, $(IP), --key=$(KEY)]
          env:
            - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
            - {name: KEY, valueFrom: {secretKeyRef: {name: s, key: k}}}
"""
    (member,) = groups(HEAD + env)[0].members
    found = [word.unresolved for word in member.launches[0].words if word.unresolved]
    assert len(found) == 2
    assert "status.podIP" in found[0]
    assert "Secret" in found[1]


CONFIG = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: engine}
data:
  KV: '{"kv_connector":"NixlConnector"}'
  decode.yaml: |
    tensor_parallel_size: 2
    kv_cache_config:
      dtype: fp8
"""


def test_values_of_config_maps_are_joined() -> None:
    env = """\
          command: [vllm, serve, m, --kv-transfer-config=$(KV), --other=$(P_KV)]
          env:
            - {name: KV, valueFrom: {configMapKeyRef: {name: engine, key: KV}}}
          envFrom:
            - {configMapRef: {name: engine}, prefix: P_}
"""
    (member,) = groups(HEAD + env + CONFIG)[0].members
    assert line(member.launches[0]) == (
        'vllm serve m --kv-transfer-config={"kv_connector":"NixlConnector"} --other={"kv_connector":"NixlConnector"}'
    )


@pytest.mark.parametrize(
    ("mount", "volume", "path"),
    [
        ("{name: c, mountPath: /cfg/}", "{name: c, configMap: {name: engine}}", "/cfg/decode.yaml"),
        (
            "{name: c, mountPath: /cfg/x.yaml, subPath: decode.yaml}",
            "{name: c, configMap: {name: engine}}",
            "/cfg/x.yaml",
        ),
        (
            "{name: c, mountPath: /cfg}",
            "{name: c, configMap: {name: engine, items: [{key: decode.yaml, path: d/e.yaml}]}}",
            "/cfg/d/e.yaml",
        ),
        (
            "{name: c, mountPath: /cfg}",
            "{name: c, projected: {sources: [{configMap: {name: engine}}]}}",
            "/cfg/decode.yaml",
        ),
    ],
)
def test_mounted_files_know_their_places(mount: str, volume: str, path: str) -> None:
    text = HEAD + f"          command: [vllm, serve, m]\n          volumeMounts: [{mount}]\n      volumes: [{volume}]\n"
    text += CONFIG
    (member,) = groups(text)[0].members
    found = member.files[path]
    assert found.text.startswith("tensor_parallel_size: 2\n")
    start = found.text.index("fp8")
    place = found.place(start, start + 3)
    assert text[place.start : place.end] == "fp8"
    assert place.start == text.index("fp8")


def test_a_mounted_script_is_the_command() -> None:
    text = HEAD + "          command: [/s/run.sh]\n          volumeMounts: [{name: c, mountPath: /s}]\n"
    text += "      volumes: [{name: c, configMap: {name: s}}]\n---\nkind: ConfigMap\napiVersion: v1\n"
    text += "metadata: {name: s}\ndata:\n  run.sh: |\n    cd /s\n    ./more.sh\n  more.sh: vllm serve m\n"
    (member,) = groups(text)[0].members
    assert line(member.launches[0]) == "vllm serve m"


@pytest.mark.parametrize(
    "command",
    [
        "[/s/run.sh]\n          args: [m, '8']",
        "[bash, -e, /s/run.sh, m, '8']",
        "[sh, -c, 'bash /s/run.sh m 8']",
        "[sh, -c, '/s/run.sh $1 $2', --]\n          args: [m, '8']",
        "[sh, -c, 'vllm serve \"$1\" -tp \"$2\"', --]\n          args: [m, '8']",
        "[sh, -c, 'vllm serve \"$@\"', --]\n          args: [m, -tp, '8']",
    ],
)
def test_the_first_argument_of_a_script_stands_behind_its_name(command: str) -> None:
    text = HEAD + f"          command: {command}\n          volumeMounts: [{{name: c, mountPath: /s}}]\n"
    text += "      volumes: [{name: c, configMap: {name: s}}]\n---\nkind: ConfigMap\napiVersion: v1\n"
    text += "metadata: {name: s}\ndata:\n  run.sh: vllm serve $1 -tp ${2:-1}\n"
    (member,) = groups(text)[0].members
    assert line(member.launches[0]) == "vllm serve m -tp 8"


def test_sidecars_stand_beside() -> None:
    text = HEAD + "          command: [vllm, serve, m]\n"
    text += "      initContainers:\n        - name: routing-proxy\n          image: ghcr.io/llm-d/llm-d-routing-sidecar:v1\n"
    text += "          args: [--kv-connector=nixlv2]\n"
    (group,) = groups(text)
    assert [line(launch) for launch in group.others] == ["llm-d-routing-sidecar --kv-connector=nixlv2"]
    assert len(group.members[0].launches) == 1


def test_two_engines_in_a_pod_are_two_members() -> None:
    text = HEAD.replace("metadata: {labels: {llm-d.ai/role: decode}}", "metadata: {}").replace(
        "name: vllm", "name: prefill"
    )
    text += "          command: [vllm, serve, a]\n        - name: decode\n          image: i\n"
    text += "          command: [vllm, serve, b]\n"
    found = members(text)
    assert {name: member.role.value for name, member in found.items() if member.role} == {
        "prefill": "prefill",
        "decode": "decode",
    }


def test_values_that_a_tool_puts_in_are_not_known() -> None:
    text = HEAD.replace("vllm/vllm-openai:v0.16.0", "${IMAGE}") + '          command: [vllm, serve, "${MODEL}"]\n'
    (member,) = groups(text)[0].members
    assert member.launches[0].words[2].unresolved
    assert "${IMAGE}" in str(settings(member)["engine.image"])


def test_an_engine_without_arguments_is_incomplete() -> None:
    (member,) = groups(HEAD + "          command: [vllm, serve]\n")[0].members
    assert member.launches[0].incomplete


def test_places_of_a_pod() -> None:
    text = HEAD + '          command: ["vllm", "serve"]\n          args: ["m", "--kv-transfer-config",\n'
    text += '                 \'{"a": 1}\']\n          resources: {limits: {nvidia.com/gpu: "2", rdma/ib: 1}}\n'
    found = groups(text)
    assert check_places(found, {PATH: text}) > 10
    stated = found[0].members[0].settings.stated
    tokens = {path: text[one.place.start : one.place.end] for path, one in stated.items() if one.place}
    assert tokens == {
        "engine.image": "vllm/vllm-openai:v0.16.0",
        "workers": "2",
        "accelerator.vendor": "nvidia.com/gpu",
        "devices_per_worker": '"2"',
        "network.rdma": "rdma/ib",
    }


@pytest.mark.parametrize(
    ("label", "address", "known"),
    [
        ("llm-d.ai/model", "0.0.0.0", True),
        ("model.aibrix.ai/name", "0.0.0.0", False),
        ("model.aibrix.ai/name", "127.0.0.1", True),
    ],
)
def test_the_gateway_of_aibrix_replaces_the_address_that_stands_for_every_one(label, address, known) -> None:
    text = HEAD.replace("labels: {", f"labels: {{{label}: m, ")
    env = f'          args: [m]\n          env: [{{name: VLLM_NIXL_SIDE_CHANNEL_HOST, value: "{address}"}}]\n'
    word = groups(text + env)[0].members[0].launches[0].env["VLLM_NIXL_SIDE_CHANNEL_HOST"]
    assert (word.unresolved == "") is known
