"""Kinds of workload: where their pods hang, their roles, and how many workers and devices they stand for."""

from __future__ import annotations

import pytest

from tests.manifests import PATH, check_places, groups, line, members, settings

POD = "{containers: [{name: main, image: vllm/vllm-openai:v0.16.0, command: [vllm, serve, m], " \
      "resources: {limits: {nvidia.com/gpu: 4}}}]}"  # fmt: skip


def _shapes(text: str) -> dict[str, tuple[str | None, str, object, object]]:
    return {
        name: (
            None if member.role is None else str(member.role.value),
            member.role_by,
            settings(member).get("workers"),
            settings(member).get("devices_per_worker"),
        )
        for name, member in members(text).items()
    }


@pytest.mark.parametrize(
    ("spec", "workers"),
    [("{selector: {}, replicas: 3, template: {spec: POD}}", 3), ("{selector: {}, template: {spec: POD}}", 1)],
)
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_plain_workloads(kind: str, spec: str, workers: int) -> None:
    text = f"apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: x-prefill}}\nspec: {spec.replace('POD', POD)}\n"
    assert _shapes(text) == {"x-prefill": ("prefill", "name", workers, 4)}
    assert groups(text)[0].name == "x"


def test_replicas_of_none_and_of_no_number_are_not_known() -> None:
    for written in ("0", "many", "1.5", "-1", "99999999999999999999"):
        text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x-prefill}\n"
        text += f"spec: {{selector: {{}}, replicas: {written}, template: {{spec: {POD}}}}}\n"
        assert isinstance(_shapes(text)["x-prefill"][2], str)


def test_an_autoscaler_hides_the_replicas() -> None:
    text = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: x-prefill}}
spec: {{selector: {{}}, replicas: 3, template: {{spec: {POD}}}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: h}}
spec: {{scaleTargetRef: {{kind: Deployment, name: x-prefill}}}}
"""
    assert isinstance(_shapes(text)["x-prefill"][2], str)


def test_labels_go_before_names() -> None:
    text = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: x-prefill}}
spec: {{selector: {{}}, template: {{metadata: {{labels: {{app: prefill, llm-d.ai/role: decode}}}}, spec: {POD}}}}}
"""
    assert _shapes(text)["x-prefill"][:2] == ("decode", "label")
    assert groups(text)[0].labels["llm-d.ai/role"] == "decode"


LWS = """\
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata: {name: w-decode}
spec:
  replicas: 2
  leaderWorkerTemplate:
    size: 3
    leaderTemplate:
      spec: {containers: [{name: a, image: i, command: [vllm, serve, m, --data-parallel-size=$(LWS_GROUP_SIZE),
        --rank=$(LWS_WORKER_INDEX), --address=$(LWS_LEADER_ADDRESS)], resources: {limits: {nvidia.com/gpu: 8}}}]}
    workerTemplate:
      spec: {containers: [{name: a, image: i, command: [vllm, serve, m], resources: {limits: {nvidia.com/gpu: 4}}}]}
"""


def test_leader_and_workers() -> None:
    assert _shapes(LWS) == {"w-decode": ("decode", "name", 2, 16)}
    words = members(LWS)["w-decode"].launches[0].words
    assert [word.value for word in words[3:]] == [
        "--data-parallel-size=3",
        "--rank=0",
        "--address=$(LWS_LEADER_ADDRESS)",
    ]
    assert [bool(word.unresolved) for word in words[3:]] == [False, False, True]
    size = words[3].text.place(len("--data-parallel-size="))
    assert LWS[size.start : size.end] == "3"


@pytest.mark.parametrize("inner", [True, False])
def test_disaggregated_sets_of_both_versions(inner: bool) -> None:
    role = f"replicas: 2, leaderWorkerTemplate: {{size: 2, workerTemplate: {{spec: {POD}}}}}"
    body = f"spec: {{{role}}}" if inner else role
    text = f"""\
apiVersion: disaggregatedset.x-k8s.io/v1
kind: DisaggregatedSet
metadata: {{name: d}}
spec:
  slices: 3
  roles:
    - {{name: prefill, {body}}}
    - {{name: decode, {body}}}
    - {{name: encode, {body}}}
"""
    assert _shapes(text) == {name: (name, "field", 6, 8) for name in ("prefill", "decode")}
    assert len(groups(text)[0].others) == 1


def test_storm_services_multiply() -> None:
    text = f"""\
apiVersion: orchestration.aibrix.ai/v1alpha1
kind: StormService
metadata: {{name: s}}
spec:
  replicas: 2
  template:
    spec:
      roles:
        - {{name: prefill, replicas: 3, podGroupSize: 2, template: {{spec: {POD}}}}}
        - {{name: decode, replicas: 1, template: {{spec: {POD}}}}}
        - {{name: routing, template: {{spec: {{containers: [{{name: lb, image: i, command: [mini-lb]}}]}}}}}}
"""
    assert _shapes(text) == {"prefill": ("prefill", "field", 6, 8), "decode": ("decode", "field", 2, 4)}
    assert [line(launch) for launch in groups(text)[0].others] == ["mini-lb"]


def test_role_based_groups_lay_patches_over_shared_templates() -> None:
    text = """\
apiVersion: workloads.x-k8s.io/v1alpha2
kind: RoleBasedGroup
metadata: {name: r}
spec:
  roleTemplates:
    - name: base
      template:
        spec:
          containers:
            - {name: e, image: lmsysorg/sglang:v0.5.5, env: [{name: M, value: org/m}]}
  roles:
    - name: prefill
      replicas: 2
      standalonePattern:
        templateRef:
          name: base
          patch: {spec: {containers: [{name: e, command: [python3, -m, sglang.launch_server, --model-path, $(M)]}]}}
    - name: decode
      leaderWorkerPattern:
        size: 4
        templateRef:
          name: base
          patch:
            spec: {containers: [{name: e, command: [sglang, serve, --nnodes, $(RBG_LWP_GROUP_SIZE)],
                                 resources: {limits: {nvidia.com/gpu: 2}}}]}
"""
    assert _shapes(text) == {"prefill": ("prefill", "field", 2, None), "decode": ("decode", "field", 1, 8)}
    found = members(text)
    assert line(found["prefill"].launches[0]) == "python3 -m sglang.launch_server --model-path org/m"
    assert line(found["decode"].launches[0]) == "sglang serve --nnodes 4"
    assert settings(found["decode"])["engine.image"] == "lmsysorg/sglang:v0.5.5"


def test_role_based_groups_of_the_first_version() -> None:
    text = f"""\
apiVersion: workloads.x-k8s.io/v1alpha1
kind: RoleBasedGroup
metadata: {{name: r}}
spec:
  roles:
    - {{name: prefill, replicas: 2, template: {{spec: {POD}}}}}
    - {{name: decode, leaderWorkerSet: {{size: 2}}, template: {{spec: {POD}}}}}
"""
    assert _shapes(text) == {"prefill": ("prefill", "field", 2, 4), "decode": ("decode", "field", 1, 8)}


def test_model_servings_have_an_entry_and_workers() -> None:
    text = f"""\
apiVersion: workload.serving.volcano.sh/v1alpha1
kind: ModelServing
metadata: {{name: k}}
spec:
  replicas: 2
  template:
    roles:
      - {{name: prefill, replicas: 1, workerReplicas: 1, entryTemplate: {{spec: {POD}}}, workerTemplate: {{spec: {POD}}}}}
      - {{name: decode, replicas: 3, workerReplicas: 0, entryTemplate: {{spec: {POD}}}}}
"""
    assert _shapes(text) == {"prefill": ("prefill", "field", 2, 8), "decode": ("decode", "field", 6, 4)}


OME = """\
apiVersion: ome.io/v1beta1
kind: ClusterServingRuntime
metadata: {name: rt}
spec:
  engineConfig:
    leader: {hostNetwork: true, runner: {name: e, image: i, command: [sglang, serve, a, --model-path, $(MODEL_PATH)],
      resources: {limits: {nvidia.com/gpu: 8}}}}
    worker: {size: 3, runner: {name: e, image: i, resources: {limits: {nvidia.com/gpu: 8}}}}
  decoderConfig:
    runner: {name: e, image: i, command: [sglang, serve, b], resources: {limits: {nvidia.com/gpu: 2}}}
  routerConfig:
    runner: {name: r, image: i, command: [sglang-router]}
"""


def test_engine_and_decoder_of_a_runtime() -> None:
    found = _shapes(OME)
    assert found["engineConfig"][0::3] == ("prefill", 32)
    assert found["decoderConfig"][0::3] == ("decode", 2)
    assert settings(members(OME)["engineConfig"])["host_network"] is True
    assert "OME" in members(OME)["engineConfig"].launches[0].words[-1].unresolved


def test_a_service_is_laid_over_its_runtime() -> None:
    text = (
        OME
        + """\
---
apiVersion: ome.io/v1beta1
kind: InferenceService
metadata: {name: svc}
spec:
  runtime: {name: rt}
  engine: {minReplicas: 2, maxReplicas: 2}
  decoder: {minReplicas: 1, maxReplicas: 4}
"""
    )
    (group,) = groups(text)
    assert group.name == "svc"
    found = {member.name: settings(member)["workers"] for member in group.members}
    assert found["engine"] == 2
    assert isinstance(found["decoder"], str)


def test_a_service_without_its_runtime_is_unresolved() -> None:
    text = "apiVersion: ome.io/v1beta1\nkind: InferenceService\nmetadata: {name: svc}\n"
    (group,) = groups(text + "spec: {runtime: {name: rt}, engine: {minReplicas: 1}, decoder: {minReplicas: 1}}\n")
    assert group.unresolved
    assert not group.members


def test_inference_services_of_kserve_are_not_of_ome() -> None:
    text = (
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: svc}\nspec: {predictor: {}}\n"
    )
    assert groups(text) == []


BOOSTER = """\
apiVersion: workload.serving.volcano.sh/v1alpha1
kind: ModelBooster
metadata: {name: b}
spec:
  backend:
    type: vLLMDisaggregated
    modelURI: "hf://org/m"
    replicas: 2
    env: [{name: PYTHONHASHSEED, value: "1"}]
    workers:
      - type: prefill
        image: vllm/vllm-openai:v0.16.0
        replicas: 3
        pods: 2
        resources: {limits: {nvidia.com/gpu: "4"}}
        config:
          tensor-parallel-size: 4
          trust-remote-code: ""
          kv-transfer-config: '{"kv_connector": "NixlConnector"}'
      - type: decode
        config: {enforce-eager: true}
"""


def test_flag_maps_become_command_lines() -> None:
    found = members(BOOSTER)
    assert _shapes(BOOSTER)["prefill"] == ("prefill", "field", 6, 8)
    launch = found["prefill"].launches[0]
    assert line(launch) == (
        'vllm serve org/m --tensor-parallel-size 4 --trust-remote-code --kv-transfer-config {"kv_connector": "NixlConnector"}'
    )
    assert launch.incomplete
    assert launch.env["PYTHONHASHSEED"].value == "1"
    places = [word.text.place() for word in launch.words]
    tokens = [BOOSTER[place.start : place.end] for place in places]
    assert tokens[2:5] == ["org/m", "tensor-parallel-size", "4"]
    assert line(found["decode"].launches[0]) == "vllm serve org/m --enforce-eager"


RAY = """\
apiVersion: ray.io/v1
kind: RayService
metadata: {name: r}
spec:
  serveConfigV2: |
    applications:
      - name: app
        args:
          prefill_config:
            model_loading_config: {model_id: q, model_source: org/m}
            accelerator_type: H100
            deployment_config: {autoscaling_config: {min_replicas: 2, max_replicas: 2}}
            runtime_env: {env_vars: {UCX_TLS: rc}}
            engine_kwargs:
              tensor_parallel_size: 2
              enable_prefix_caching: false
              kv_transfer_config: {kv_connector: NixlConnector, n: 1, extra: {backends: ["UCX"]}}
          decode_config:
            model_loading_config: {model_id: q}
            deployment_config: {autoscaling_config: {min_replicas: 1, max_replicas: 2}}
"""


def test_ray_serve_within_a_service() -> None:
    (group,) = groups(RAY)
    prefill, decode = group.members
    assert (group.name, prefill.name, decode.name) == ("app", "prefill", "decode")
    assert settings(prefill) == {"accelerator": "h100-sxm", "workers": 2}
    assert isinstance(settings(decode)["workers"], str)
    launch = prefill.launches[0]
    assert line(launch) == (
        "vllm serve org/m --served-model-name q --tensor-parallel-size 2 --no-enable-prefix-caching "
        '--kv-transfer-config {"kv_connector": "NixlConnector", "n": 1, "extra": {"backends": ["UCX"]}}'
    )
    assert launch.env["UCX_TLS"].value == "rc"
    config = launch.words[-1].text
    start = config.text.index("NixlConnector")
    place = config.place(start, start + len("NixlConnector"))
    assert RAY[place.start : place.end] == "NixlConnector"
    assert RAY[prefill.place.start : prefill.place.end] == "prefill_config"


def test_ray_serve_on_its_own() -> None:
    start = RAY.index("applications")
    text = "\n".join(one[4:] for one in RAY[start - 4 :].splitlines())
    (group,) = groups(text, "serve.yaml")
    assert [member.name for member in group.members] == ["prefill", "decode"]


def test_kinds_that_nobody_knows_are_read_by_their_names() -> None:
    text = f"""\
apiVersion: example.com/v1
kind: Serving
metadata: {{name: x}}
spec:
  pools:
    prefill: {{replicas: 2, pod: {{spec: {POD}}}}}
    decodePool: {{replicas: 3, pod: {{spec: {POD}}}}}
    router: {{replicas: 3, pod: {{spec: {POD}}}}}
"""
    assert _shapes(text) == {"prefill": ("prefill", "name", 2, 4), "decodePool": ("decode", "name", 3, 4)}


def test_lists_and_templates_of_helm() -> None:
    body = f"spec: {{selector: {{}}, template: {{spec: {POD}}}}}"
    text = f"""\
# Source: chart/templates/decode.yaml
apiVersion: v1
kind: List
items:
  - {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: a-decode}}, {body}}}
---
# Source: chart/templates/prefill.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {{name: a-prefill}}
{body}
"""
    found = groups(text)
    assert [(group.name, group.members[0].name) for group in found] == [("a", "a-decode"), ("a", "a-prefill")]
    assert [group.format.rpartition("/")[2] for group in found] == ["decode.yaml)", "prefill.yaml)"]


@pytest.mark.parametrize("text", [LWS, OME, BOOSTER, RAY])
def test_places(text: str) -> None:
    assert check_places(groups(text), {PATH: text}) > 5
