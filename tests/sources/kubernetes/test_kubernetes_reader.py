"""Which inputs are manifests, templates that are not rendered, and hostile input."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies

from hetpd_cli.sources.assembly import assemble
from hetpd_cli.sources.inputs import find, read_text
from hetpd_cli.sources.kubernetes import reader
from hetpd_cli.sources.kubernetes.templates import is_marked
from hetpd_cli.sources.text import Limits, SourceText
from hetpd_cli.sources.tree import parse
from tests.manifests import PATH, groups, line

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: prefill}\nspec:\n  selector: {}\n"


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        ("apiVersion: v1\nkind: Pod\n", True),
        ('{"apiVersion": "v1",\n "kind": "Pod"}', True),
        ('{"apiVersion":"v1","kind":"Pod"}', True),
        ('[{"apiVersion":"v1","kind":"Pod"}]', True),
        ("items:\n- apiVersion: v1\n", True),
        ("applications:\n- args:\n    prefill_config: {}\n", True),
        ("hetpd: 1\npools: []\n", False),
        ("name: x\nbackend: {type: vllm}\n", False),
        ("see `kind: Pod` there\n", False),
    ],
)
def test_claims(text: str, claimed: bool) -> None:
    assert reader.claims(SourceText("x.yaml", text)) is claimed


@pytest.mark.parametrize("path", ["guide.md", "deploy.sh", "make.py", "README.MD"])
def test_what_holds_a_manifest_is_none(path: str) -> None:
    text = "* *one*: [two\n\nkubectl apply -f - <<EOF\nkind: Pod\nEOF\n"
    assert reader.claims(SourceText("x.yaml", text))
    assert not reader.claims(SourceText(path, text))
    assert read_text(SourceText(path, text + "vllm serve m\n"), Limits()).status != "unreadable"


def test_recognition_needs_an_object() -> None:
    for text, expected in [("kind: x\n", False), ("apiVersion: v1\nkind: Pod\n", True), ("- 1\n", False), ("", False)]:
        assert reader.recognises(parse(SourceText(PATH, text), Limits())) is expected


@pytest.mark.parametrize("kind", ["Service", "ConfigMap", "Deployment"])
def test_objects_without_an_engine_make_no_group(kind: str) -> None:
    assert groups(f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{selector: {{}}, ports: []}}\n") == []


TEMPLATES = (
    HEAD + "  replicas: {{ .Values.replicas }}\n  template: {spec: {containers: []}}\n",
    HEAD + '  replicas: "{{ .Values.replicas }}"\n',
    HEAD + "  {{- if .Values.x }}\n  replicas: 1\n  {{- end }}\n",
    HEAD + "  {% if x %}\n  replicas: 1\n  {% endif %}\n",
    HEAD + '  template:\n    spec: {containers: [{name: a, image: "{{ image }}"}]}\n',
    "{{- range .Values.models }}\n" + HEAD + "{{- end }}\n",
    HEAD + '  template: {spec: {containers: [{name: a, image: i, args: ["--model={{ model | quote }}"]}]}}\n',
)


@pytest.mark.parametrize("text", TEMPLATES)
def test_templates_are_unresolved(text: str) -> None:
    source = SourceText(PATH, text)
    tree = parse(source, Limits(), collect_ambiguous=False)
    (group,) = reader.groups(source, tree, Limits())
    assert "helm template" in group.unresolved
    assert group.members == ()
    assert text[group.place.start : group.place.end]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("{{- if .Values.prefill.create }}\n" + HEAD + "  {{- toYaml .Values.prefill | nindent 2 }}\n{{- end }}\n", "unresolved"),
        (HEAD + "  template:\n${PREFILL_BLOCK}\n    spec: {containers: [{name: prefill, image: vllm}]}\n", "unresolved"),
        (HEAD.replace("Deployment", "ClusterRole") + "  rules:\n${PREFILL_BLOCK}\n  x: 1\n", "not-pd"),
    ],
)  # fmt: skip
def test_a_template_that_is_no_yaml_is_unresolved(text: str, status: str) -> None:
    (reading,) = assemble([read_text(SourceText(PATH, text), Limits())], Limits(), lambda path: [])
    assert (reading.status, reading.problems) == (status, ())


@pytest.mark.parametrize(
    ("value", "marked"),
    [
        ("{{ .Values.x }}", True),
        ('--x={{ include "y" . }}', True),
        ("{{ model_name }}", True),
        ("{% for message in messages %}{{ message.content }}{% endfor %}", False),
        ("{{ bos_token }}{{ messages[0] }}", False),
        ('{"a":{"b":{"c":1}}}', False),
        ("awk '{{print $1}}'", False),
        ("docker ps --format '{{json .}}'", False),
        ("", False),
    ],
)
def test_markers(value: str, marked: bool) -> None:
    assert is_marked(value) is marked


def test_a_chat_template_is_no_marker() -> None:
    text = HEAD + "  template: {spec: {containers: [{name: vllm, image: vllm/vllm-openai, args: [m, --chat-template, "
    text += "'{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}']}]}}\n"
    (group,) = groups(text)
    assert not group.unresolved
    assert line(group.members[0].launches[0]).startswith("vllm serve m --chat-template")


WIDE = "".join(
    f"          - {{name: V{number}, value: '$(V{number - 1})$(V{number - 1})'}}\n" for number in range(1, 200)
)
ROLES = "".join("      - {name: prefill, replicas: 1, template: *t}\n" for _ in range(3_000))
HOSTILE = (
    HEAD + "  template:\n    spec:\n      containers:\n      - name: a\n        image: vllm\n        args: [m]\n"
    "        env:\n          - {name: V0, value: xxxxxxxx}\n" + WIDE,
    "apiVersion: a/v1\nkind: StormService\nmetadata: {name: x}\nspec:\n  t: &t {spec: {containers: [{name: a, image: vllm,"
    " command: [bash, -c, 'vllm serve m'], env: [{name: A, value: '1'}]}]}}\n  template:\n    spec:\n      roles:\n" + ROLES,
    HEAD + "  template: {spec: {containers: [" + "{name: a}, " * 20_000 + "]}}\n",
    HEAD + "  template: {spec: {volumes: [" + "{name: v, configMap: {name: c}}, " * 9_000 + "], containers: [{name: a,"
    " image: vllm, args: [m], volumeMounts: [" + "{name: v, mountPath: /a}, " * 9_000 + "]}]}}\n---\napiVersion: v1\n"
    "kind: ConfigMap\nmetadata: {name: c}\ndata: {" + ", ".join(f"k{number}: v" for number in range(2_000)) + "}\n",
    "apiVersion: example.com/v1\nkind: Odd\nspec: " + "{prefill: " * 60 + "{containers: [{name: a}]}" + "}" * 60 + "\n",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_input_ends(text: str) -> None:
    source = SourceText(PATH, text)
    tree = parse(source, Limits(), collect_ambiguous=False)
    start = time.perf_counter()
    found = reader.groups(source, tree, Limits())
    assert time.perf_counter() - start < 10
    assert sum(len(word.value) for group in found for member in group.members for launch in member.launches
               for word in launch.env.values()) < 2**25  # fmt: skip


_SCALARS = strategies.sampled_from(
    [
        "prefill",
        "decode",
        "1",
        "0",
        "x",
        "",
        "null",
        "true",
        "{}",
        "[]",
        "[a]",
        "$(A)",
        "{{ .x }}",
        "&a b",
        "vllm",
        "-1",
    ]
)
_KEYS = strategies.sampled_from([
    "spec", "template", "containers", "name", "image", "command", "args", "env", "value", "valueFrom", "resources",
    "limits", "nvidia.com/gpu", "roles", "replicas", "services", "components", "podTemplate", "extraPodSpec",
    "mainContainer", "leaderWorkerTemplate", "workerTemplate", "size", "prefill", "parallelism", "data", "model", "uri",
    "metadata", "labels", "volumes", "volumeMounts", "configMap", "backend", "workers", "type", "config", "engineConfig",
    "decoderConfig", "runner", "leader", "worker", "roleTemplates", "templateRef", "patch", "resourceClaims", "claims",
    "affinity", "nodeSelector", "items", "serveConfigV2", "baseRefs", "runtime", "entryTemplate", "multinode", "nodeCount",
])  # fmt: skip
_TREES = strategies.recursive(
    _SCALARS,
    lambda inner: strategies.one_of(
        strategies.dictionaries(_KEYS, inner, max_size=4).map(
            lambda found: "{" + ", ".join(f"{key}: {value}" for key, value in found.items()) + "}"
        ),
        strategies.lists(inner, max_size=3).map(lambda found: "[" + ", ".join(found) + "]"),
    ),
    max_leaves=25,
)
_KINDS = strategies.sampled_from([
    "Deployment", "Pod", "LeaderWorkerSet", "DisaggregatedSet", "StormService", "RoleBasedGroup", "LLMInferenceService",
    "ModelServing", "ModelBooster", "ClusterServingRuntime", "InferenceService", "RayService", "DynamoGraphDeployment",
    "Odd", "List", "ConfigMap", "LLMInferenceServiceConfig", "RoleSet", "PodSet",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(_KINDS, _TREES, _TREES)
def test_nothing_is_raised(kind: str, spec: str, metadata: str) -> None:
    source = SourceText(PATH, f"apiVersion: ome.io/v1\nkind: {kind}\nmetadata: {metadata}\nspec: {spec}\n")
    tree = parse(source, Limits(), collect_ambiguous=False)
    for group in reader.groups(source, tree, Limits()):
        assert group.place.path == PATH


GRAPH = """\
apiVersion: nvidia.com/v1beta1
kind: DynamoGraphDeployment
metadata: {name: g}
spec:
  components:
    - &worker
      name: prefill
      type: prefill
      podTemplate:
        spec:
          volumes: [{name: c, configMap: {name: engine}}]
          containers:
            - name: main
              command: [python3, -m, dynamo.trtllm]
              args: [--model, m, --extra-engine-args, /cfg/engine.yaml, --disaggregation-mode, prefill]
              volumeMounts: [{name: c, mountPath: /cfg}]
    - {<<: *worker, name: decode, type: decode}
"""
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: engine}
data:
  engine.yaml: |
    tensor_parallel_size: 4
"""


def test_a_config_map_may_stand_in_a_file_beside(tmp_path: Path) -> None:
    graph, config = tmp_path / "graph.yaml", tmp_path / "config.yaml"
    graph.write_text(GRAPH)
    config.write_text(CONFIG)
    (reading,) = find([str(graph)]).readings(Limits())
    stated = reading.deployments[0].pools[0].settings.stated["parallelism.tp"]
    assert stated.value == 4
    assert stated.place is not None
    assert stated.place.path == str(config)
    texts = {text.path: text.text for text in reading.texts}
    assert texts[str(config)][stated.place.start : stated.place.end] == "4"
    config.unlink()
    (reading,) = find([str(graph)]).readings(Limits())
    assert "parallelism.tp" not in reading.deployments[0].pools[0].settings.stated
