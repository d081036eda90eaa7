"""DynamoGraphDeployment: services of v1alpha1, components of v1beta1."""

from __future__ import annotations

import pytest

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.sources.assembly import assemble
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.manifests import PATH, check_places, groups, line, members, settings

ALPHA = """\
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata: {name: g}
spec:
  envs: [{name: A, value: "1"}]
  services:
    Frontend:
      componentType: frontend
      replicas: 1
      extraPodSpec:
        mainContainer: {image: f}
    VllmDecodeWorker:
      componentType: worker
      replicas: 2
      envs: [{name: B, value: "$(A)2"}]
      multinode: {nodeCount: 2}
      resources:
        limits: {gpu: "4", custom: {rdma/ib: "4"}}
      extraPodSpec:
        nodeSelector: {nvidia.com/gpu.product: NVIDIA-H200}
        hostNetwork: true
        mainContainer:
          image: nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.3.0
          command: [python3, -m, dynamo.vllm]
          args: [--model, m, --x=$(B)]
    PrefillThing:
      componentType: worker
      subComponentType: prefill
      extraPodSpec:
        mainContainer:
          image: i
          command: [/bin/sh, -c]
          args:
            - |
              exec python3 -m dynamo.vllm --model m \\
                --disaggregation-mode prefill
"""


def test_services() -> None:
    (group,) = groups(ALPHA)
    found = members(ALPHA)
    assert group.format == "DynamoGraphDeployment v1alpha1"
    assert list(found) == ["VllmDecodeWorker", "PrefillThing"]
    decode, prefill = found["VllmDecodeWorker"], found["PrefillThing"]
    assert decode.role is not None
    assert prefill.role is not None
    assert (decode.role.value, decode.role_by) == ("decode", "name")
    assert (prefill.role.value, prefill.role_by) == ("prefill", "field")
    assert settings(decode) == {
        "engine.image": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.3.0",
        "workers": 2,
        "accelerator": "h200-sxm",
        "devices_per_worker": 8,
        "host_network": True,
        "network.rdma": True,
    }
    assert line(decode.launches[0]) == "python3 -m dynamo.vllm --model m --x=12"
    assert line(prefill.launches[0]) == "python3 -m dynamo.vllm --model m --disaggregation-mode prefill"
    assert [line(launch) for launch in group.others] == ["python3 -m dynamo.frontend"]


def test_places() -> None:
    found = groups(ALPHA)
    assert check_places(found, {PATH: ALPHA}) > 20
    decode = found[0].members[0]
    token = decode.settings.stated["accelerator"].place
    assert token is not None
    assert ALPHA[token.start : token.end] == "NVIDIA-H200"
    assert ALPHA[decode.place.start : decode.place.end] == "VllmDecodeWorker"


BETA = """\
apiVersion: nvidia.com/v1beta1
kind: DynamoGraphDeployment
metadata: {name: g}
spec:
  env: [{name: A, value: "1"}]
  components:
    - name: Frontend
      type: frontend
      podTemplate: {spec: {containers: [{name: main, args: [-m, dynamo.frontend, --router-mode, kv]}]}}
    - name: EncodeWorker
      type: worker
      podTemplate: {spec: {containers: [{name: main, image: i, command: [python3, -m, dynamo.vllm, --model, m]}]}}
    - name: one
      type: decode
      replicas: 3
      podTemplate:
        metadata: {annotations: {k8s.v1.cni.cncf.io/networks: rdma-net}}
        spec:
          containers:
            - {name: sidecar, image: s, command: [sleep, "1"]}
            - name: main
              image: i
              command: [python3, -m, dynamo.trtllm]
              args: [--model-path, m, --x, $(A)]
              resources: {limits: {nvidia.com/gpu: "2"}}
"""


def test_components() -> None:
    (group,) = groups(BETA)
    (member,) = group.members
    assert member.role is not None
    assert (member.name, member.role.value, member.role_by) == ("one", "decode", "field")
    assert settings(member)["workers"] == 3
    assert settings(member)["devices_per_worker"] == 2
    assert settings(member)["network.rdma"] is True
    assert line(member.launches[0]) == "python3 -m dynamo.trtllm --model-path m --x 1"
    assert "python3 -m dynamo.frontend --router-mode kv" in [line(launch) for launch in group.others]


def test_autoscaled_components_have_no_number() -> None:
    text = BETA.replace("      replicas: 3\n", "      replicas: 3\n      autoscaling: {enabled: true}\n")
    assert isinstance(settings(groups(text)[0].members[0])["workers"], str)


PAIR = """\
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata: {name: g}
spec:
  services:
    Decode:
      subComponentType: decode
      extraPodSpec: {mainContainer: {image: i, command: [python3, -m, dynamo.vllm], args: [--model, m, DECODE]}}
    Prefill:
      subComponentType: prefill
      extraPodSpec: {mainContainer: {image: i, command: [python3, -m, dynamo.vllm], args: [--model, m, PREFILL]}}
"""
NIXL = """--kv-transfer-config, '{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'"""


@pytest.mark.parametrize(
    ("prefill", "decode", "codes"),
    [("", "", ["HPD030"]), (NIXL, "", ["HPD505"]), ("", NIXL, ["HPD030"]), (NIXL, NIXL, [])],
    ids=["neither", "prefill", "decode", "both"],
)
def test_a_connector_that_is_missing_is_one_fault(prefill: str, decode: str, codes: list[str]) -> None:
    text = PAIR.replace("PREFILL", f"--disaggregation-mode, prefill, {prefill}")
    text = text.replace("DECODE", f"--disaggregation-mode, decode, {decode}").replace(", ]", "]")
    report = check(assemble([read_text(SourceText(PATH, text), Limits())], Limits()), catalogue())
    assert [found.code for found in report.findings if found.severity == "error"] == codes
