"""LLMInferenceService: decode is the service itself, prefill what stands under ``spec.prefill``."""

from __future__ import annotations

from hetpd_cli.facts.values import Unknown
from hetpd_cli.sources.assembly import assemble
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.manifests import PATH, check_places, groups, line, settings

SERVICE = """\
apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata: {name: svc}
spec:
  model: {uri: "hf://org/m", name: served}
  replicas: 2
  parallelism: {data: 16, dataLocal: 8, expert: true, tensor: 1}
  template:
    containers:
      - name: main
        env:
          - name: VLLM_ADDITIONAL_ARGS
            value: "--block-size 64 --kv_transfer_config '{\\"kv_connector\\":\\"NixlConnector\\"}'"
        resources: {limits: {nvidia.com/gpu: 8}}
  worker: {containers: [{name: main, resources: {limits: {nvidia.com/gpu: 8}}}]}
  prefill:
    replicas: 3
    template:
      containers:
        - name: main
          args: [--max-model-len=9]
          resources: {limits: {nvidia.com/gpu: 1}}
"""


def test_decode_and_prefill() -> None:
    (group,) = groups(SERVICE)
    decode, prefill = group.members
    assert decode.role is not None
    assert prefill.role is not None
    assert (decode.role.value, prefill.role.value) == ("decode", "prefill")
    assert (settings(decode)["workers"], settings(decode)["devices_per_worker"]) == (2, 16)
    assert (settings(prefill)["workers"], settings(prefill)["devices_per_worker"]) == (3, 1)
    assert line(decode.launches[0]) == (
        "vllm serve org/m --served-model-name served --data-parallel-size 16 --data-parallel-size-local 8 "
        "--enable-expert-parallel --tensor-parallel-size 1 --block-size 64 "
        '--kv_transfer_config {"kv_connector":"NixlConnector"}'
    )
    assert line(prefill.launches[0]) == "vllm serve org/m --served-model-name served --max-model-len=9"


def test_the_cluster_may_give_the_connector_that_is_not_written() -> None:
    (deployment,) = assemble([read_text(SourceText(PATH, SERVICE), Limits())], Limits())[0].deployments
    pools = {pool.role: pool.settings for pool in deployment.pools}
    assert pools["decode"].value("connector.name") == "nixl"
    assert isinstance(pools["prefill"].value("connector.name"), Unknown)
    own = SERVICE.replace("args: [--max-model-len=9]", "command: [vllm, serve, m]")
    (deployment,) = assemble([read_text(SourceText(PATH, own), Limits())], Limits())[0].deployments
    prefill = next(pool for pool in deployment.pools if pool.role == "prefill")
    assert "connector.name" not in prefill.settings.stated


def test_arguments_in_a_variable_know_their_places() -> None:
    words = groups(SERVICE)[0].members[0].launches[0].words
    found = next(word for word in words if word.value == "64")
    place = found.text.place()
    assert SERVICE[place.start : place.end] == "64"
    tensor = words[[word.value for word in words].index("--tensor-parallel-size") + 1].text.place()
    assert SERVICE[tensor.start - 8 : tensor.end] == "tensor: 1"
    assert check_places(groups(SERVICE), {PATH: SERVICE}) > 20


def test_a_service_alone_is_one_member_without_a_role() -> None:
    (group,) = groups(SERVICE[: SERVICE.index("  prefill:")])
    (member,) = group.members
    assert member.role is None


CONFIG = """\
---
apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceServiceConfig
metadata: {name: base}
spec:
  template:
    containers: [{name: main, image: "i:1", command: [vllm, serve, /mnt/models, --block-size=128]}]
"""


def test_bases_are_laid_below() -> None:
    text = SERVICE.replace("  replicas: 2\n", "  replicas: 2\n  baseRefs: [{name: base}]\n") + CONFIG
    decode, _ = groups(text)[0].members
    assert line(decode.launches[0]) == "vllm serve /mnt/models --block-size=128"
    assert settings(decode)["engine.image"] == "i:1"
    assert settings(decode)["workers"] == 2


def test_bases_that_are_not_here_leave_a_command_incomplete() -> None:
    text = SERVICE.replace("  replicas: 2\n", "  replicas: 2\n  baseRefs: [{name: base}]\n")
    assert all("base" in member.launches[0].incomplete for member in groups(text)[0].members)
