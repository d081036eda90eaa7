"""Resource names, claims and node labels: which devices a pod gets, and how many."""

from __future__ import annotations

import pytest

from hetpd_cli.facts.machines import MACHINE_TYPES, accelerator_of_name
from hetpd_cli.facts.values import Unknown
from hetpd_cli.tables import row
from tests.manifests import members, settings

HEAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: decode}
spec:
  selector: {}
  template:
    metadata: {annotations: ANNOTATIONS}
    spec:
      containers: [{name: vllm, image: i, command: [vllm, serve, m], resources: RESOURCES}]
"""


def _settings(resources: str = "{}", pod: str = "", annotations: str = "{}", more: str = "") -> dict[str, object]:
    text = HEAD.replace("RESOURCES", resources).replace("ANNOTATIONS", annotations) + pod + more
    return settings(members(text)["decode"])


@pytest.mark.parametrize(
    ("resource", "vendor"),
    [
        ("nvidia.com/gpu", "NVIDIA"),
        ("nvidia.com/mig-1g.5gb", "NVIDIA"),
        ("amd.com/gpu", "AMD"),
        ("habana.ai/gaudi", "Intel"),
        ("gpu.intel.com/i915", "Intel"),
        ("huawei.com/ascend-1980", "Huawei"),
        ("aws.amazon.com/neuroncore", "AWS"),
        ("metax-tech.com/gpu", "MetaX"),
    ],
)
def test_resources_of_vendors(resource: str, vendor: str) -> None:
    found = _settings(f'{{limits: {{cpu: 3, {resource}: "2"}}}}')
    assert (found["devices_per_worker"], found["accelerator.vendor"]) == (2, vendor)


@pytest.mark.parametrize("resource", ["google.com/tpu", "aws.amazon.com/neuron", "aws.amazon.com/neurondevice"])
def test_chips_of_which_nobody_knows_the_devices(resource: str) -> None:
    text = HEAD.replace("RESOURCES", f"{{limits: {{{resource}: 4}}}}").replace("ANNOTATIONS", "{}")
    assert isinstance(members(text)["decode"].settings.value("devices_per_worker"), Unknown)


@pytest.mark.parametrize(
    ("kind", "devices"), [("tpu7x", 8), ("tpu-v6e-slice", 4), ("tpu-v5-lite-podslice", 4), ("tpu-v5p-slice", 4)]
)
def test_a_tpu_chip_is_one_device_or_two(kind: str, devices: int) -> None:
    pod = f"      nodeSelector: {{cloud.google.com/gke-tpu-accelerator: {kind}}}\n"
    assert _settings("{limits: {google.com/tpu: 4}}", pod)["devices_per_worker"] == devices


@pytest.mark.parametrize("resource", ["nvidia.com/gpumem", "nvidia.com/gpucores", "cpu", "rdma/ib"])
def test_resources_that_are_no_devices(resource: str) -> None:
    assert "devices_per_worker" not in _settings(f"{{limits: {{{resource}: 4}}}}")


def test_requests_count_where_there_is_no_limit() -> None:
    assert _settings("{requests: {nvidia.com/gpu: 3}}")["devices_per_worker"] == 3


def test_a_resource_that_names_its_device() -> None:
    assert _settings("{limits: {huawei.com/Ascend910B3: 8}}")["accelerator"] == "ascend-910b3"


def _selector(label: str, value: str) -> str:
    return f"      nodeSelector: {{{label}: {value}}}\n"


@pytest.mark.parametrize(
    ("label", "value", "accelerator"),
    [
        ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3", "h100-sxm"),
        ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3-SHARED", "h100-sxm"),
        ("nvidia.com/gpu.product", "NVIDIA-NEVER-SEEN", "NVIDIA-NEVER-SEEN"),
        ("cloud.google.com/gke-accelerator", "nvidia-h100-80gb", "h100-sxm"),
        ("cloud.google.com/gke-accelerator", "nvidia-h200-141gb", "h200-sxm"),
        ("amd.com/gpu.product-name", "AMD-Instinct-MI300X-OAM", "mi300x"),
        ("gpu.nvidia.com/class", "H100_NVLINK_80GB", "h100-sxm"),
        ("cloud.google.com/gke-tpu-accelerator", "tpu-v6e-slice", "tpu-v6e"),
        ("node.kubernetes.io/instance-type", "p5.48xlarge", "h100-sxm"),
        ("beta.kubernetes.io/instance-type", "p5en.48xlarge", "h200-sxm"),
        ("node.kubernetes.io/instance-type", "a3-highgpu-8g", "h100-sxm"),
        ("node.kubernetes.io/instance-type", "Standard_ND96isr_H100_v5", "h100-sxm"),
    ],
)
def test_labels_of_nodes(label: str, value: str, accelerator: str) -> None:
    assert _settings(pod=_selector(label, value))["accelerator"] == accelerator


@pytest.mark.parametrize(("label", "value"), [("node.kubernetes.io/instance-type", "m5.large"), ("pool", "h100")])
def test_labels_that_say_nothing(label: str, value: str) -> None:
    assert "accelerator" not in _settings(pod=_selector(label, value))


def _affinity(*values: str) -> str:
    listed = ", ".join(values)
    return (
        "      affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: ["
        f"{{matchExpressions: [{{key: nvidia.com/gpu.product, operator: In, values: [{listed}]}}]}}]}}}}}}\n"
    )


def test_affinities() -> None:
    assert _settings(pod=_affinity("NVIDIA-H200"))["accelerator"] == "h200-sxm"
    assert _settings(pod=_affinity("NVIDIA-H200", "H200-SXM-141GB"))["accelerator"] == "h200-sxm"
    text = HEAD.replace("RESOURCES", "{}").replace("ANNOTATIONS", "{}") + _affinity("NVIDIA-H200", "NVIDIA-B200")
    value = members(text)["decode"].settings.value("accelerator")
    assert isinstance(value, Unknown)
    assert value.candidates == ("h200-sxm", "b200-sxm")


CLAIM = """\
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: t}
spec:
  spec:
    devices:
      requests:
        - name: gpu
          exactly: {deviceClassName: CLASS, count: 2, selectors: [{cel: {expression: 'EXPRESSION'}}]}
"""


def _claimed(device_class: str, expression: str = "true") -> dict[str, object]:
    pod = "      resourceClaims: [{name: c, resourceClaimTemplateName: t}]\n"
    more = CLAIM.replace("CLASS", device_class).replace("EXPRESSION", expression)
    return _settings("{claims: [{name: c}]}", pod, more=more)


def test_claims() -> None:
    found = _claimed("gpu.intel.com")
    assert (found["devices_per_worker"], found["accelerator.vendor"]) == (2, "Intel")
    expression = 'device.attributes["gpu.nvidia.com"].productName == "NVIDIA H100 80GB HBM3"'
    assert _claimed("gpu.nvidia.com", expression)["accelerator"] == "h100-sxm"
    assert _claimed("mrdma.google.com")["network.rdma"] is True


@pytest.mark.parametrize(
    "resource", ["rdma/ib", "rdma/hca_shared_devices_a", "vpc.amazonaws.com/efa", "vke.volcengine.com/rdma",
                 "networking.gke.io.networks/rdma-0"],
)  # fmt: skip
def test_rdma_by_resource(resource: str) -> None:
    assert _settings(f'{{limits: {{{resource}: "1"}}}}')["network.rdma"] is True
    assert "network.rdma" not in _settings(f'{{limits: {{{resource}: "0"}}}}')


def test_rdma_by_annotation() -> None:
    assert _settings(annotations="{k8s.v1.cni.cncf.io/networks: roce-p2}")["network.rdma"] is True
    assert "network.rdma" not in _settings(annotations="{k8s.v1.cni.cncf.io/networks: flannel}")
    assert "network.rdma" not in _settings(annotations="{note: rdma}")


def test_machine_types_name_rows_of_the_table() -> None:
    assert all(row("accelerators", accelerator) for _, accelerator in MACHINE_TYPES)
    assert accelerator_of_name("g6e.12xlarge") == "l40s"
    assert accelerator_of_name("ml.p5en.48xlarge") == "h200-sxm"


@pytest.mark.parametrize(
    ("script", "devices"),
    [
        ("for i in 0 1; do CUDA_VISIBLE_DEVICES=$i vllm serve m & done", "several engines share them"),
        ("HIP_VISIBLE_DEVICES=0 vllm serve m & vllm serve m", "several engines share them"),
        ("sglang serve --base-gpu-id 0 & sglang serve --base-gpu-id 1", "several engines share them"),
        ("if [ $X = 1 ]; then vllm serve m -tp 2; else vllm serve m --headless; fi", 2),
        ("CUDA_VISIBLE_DEVICES=0 python3 prepare.py; vllm serve m", 2),
    ],
)
def test_devices_of_a_container_with_several_engines(script: str, devices: object) -> None:
    text = HEAD.replace("[vllm, serve, m]", f"[sh, -c, '{script}']").replace("ANNOTATIONS", "{}")
    found = members(text.replace("RESOURCES", "{limits: {nvidia.com/gpu: 2}}"))["decode"]
    assert settings(found)["devices_per_worker"] == devices


@pytest.mark.parametrize(
    ("command", "devices"),
    [
        ("[sglang, serve, --nnodes, '2', --node-rank, '0', --tp, '16']", 16),
        ("[sglang, serve, --nnodes=1, --tp, '8']", 8),
        ("[vllm, serve, m, --nnodes=2, --node-rank=0, -tp, '16']", "the ranks of the worker are on several nodes"),
        ("[vllm, serve, m, --distributed-executor-backend, ray]", "Ray may use devices of other nodes"),
        ("[vllm, serve, m, --distributed-executor-backend, mp]", 8),
    ],
)
def test_single_pods_that_are_nodes_of_one_worker(command: str, devices: object) -> None:
    text = HEAD.replace("[vllm, serve, m]", command).replace("ANNOTATIONS", "{}")
    found = members(text.replace("RESOURCES", "{limits: {nvidia.com/gpu: 8}}"))["decode"]
    assert settings(found)["devices_per_worker"] == devices
