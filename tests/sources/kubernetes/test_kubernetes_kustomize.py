"""Kustomizations: strategic merges, JSON patches, components, images, names, and bases that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.kubernetes import reader
from hetpd_cli.sources.kubernetes.kustomize import build
from hetpd_cli.sources.kubernetes.nodes import at, items, merged, text
from hetpd_cli.sources.text import Limits, SourceText
from hetpd_cli.sources.tree import parse
from tests.manifests import check_places, groups, line, settings

if TYPE_CHECKING:
    from pathlib import Path

    from hetpd_cli.sources.launch import Group
    from hetpd_cli.sources.tree import Node

BASE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: decode, labels: {llm-d.ai/role: decode}}
spec:
  replicas: 1
  selector: {}
  template:
    spec:
      containers:
        - name: modelserver
          image: SERVER
          command: [vllm, serve]
          env: [{name: A, value: base}, {name: GONE, value: x}]
          resources: {limits: {nvidia.com/gpu: "1"}}
"""
PATCH = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: decode}
spec:
  replicas: 3
  template:
    spec:
      containers:
        - name: modelserver
          args: [m, --x=$(A)]
          env: [{name: A, value: patched}, {name: GONE, $patch: delete}]
"""


def _node(written: str) -> Node:
    (document,) = parse(SourceText("x.yaml", written), Limits()).documents
    return document


def _plain(node: Node) -> object:
    if node.kind == "mapping":
        return {entry.key.source: _plain(entry.value) for entry in node.entries}
    return [_plain(item) for item in node.items] if node.kind == "sequence" else node.value


@pytest.mark.parametrize(
    ("base", "patch", "result"),
    [
        ("{a: 1, b: 2}", "{b: null, c: 3}", {"a": 1, "c": 3}),
        ("{args: [1, 2]}", "{args: [3]}", {"args": [3]}),
        ("{env: [{name: x, value: 1}, {name: y, value: 2}]}", "{env: [{name: y, value: 3}]}",
         {"env": [{"name": "x", "value": 1}, {"name": "y", "value": 3}]}),
        ("{env: [{name: x, value: 1}]}", "{env: [{name: x, $patch: delete}]}", {"env": []}),
        ("{env: [{name: x}]}", "{env: [{$patch: replace}, {name: z}]}", {"env": [{"name": "z"}]}),
        ("{a: {b: 1, c: 2}}", "{a: {$patch: replace, d: 3}}", {"a": {"d": 3}}),
        ("{a: {b: 1}, e: 1}", "{a: {$patch: delete}}", {"e": 1}),
        ("{volumeMounts: [{mountPath: /a, name: x}]}", "{volumeMounts: [{mountPath: /a, name: y}]}",
         {"volumeMounts": [{"mountPath": "/a", "name": "y"}]}),
        ("{a: 1}", "{a: [1]}", {"a": [1]}),
    ],
)  # fmt: skip
def test_strategic_merges(base: str, patch: str, result: object) -> None:
    assert _plain(merged(_node(base), _node(patch))) == result


def test_merged_scalars_keep_their_places() -> None:
    found = at(merged(_node("{a: {b: one, c: two}}"), _node("{a: {c: 33}}")), "a", "c")
    assert found is not None
    assert (found.place.start, found.place.end) == (8, 10)


def _write(root: Path, **files: str) -> None:
    (root / ".git").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def _read(path: Path) -> list[Group]:
    source = SourceText(str(path), path.read_text())
    tree = parse(source, Limits(), collect_ambiguous=False)
    assert reader.claims(source)
    assert reader.recognises(tree)
    found, texts = reader.groups_with_texts(source, tree, Limits())
    check_places(found, {one.path: one.text for one in texts})
    return found


def test_a_patch_is_read_over_the_base_that_its_kustomization_names(tmp_path: Path) -> None:
    _write(
        tmp_path,
        base__kustomization_yaml="resources: [d.yaml]\n",
        base__d_yaml=BASE,
        over__kustomization_yaml="resources: [../base]\npatches: [{path: patch.yaml}]\n",
        over__patch_yaml=PATCH,
    )
    for name in ("patch.yaml", "kustomization.yaml"):
        (group,) = _read(tmp_path / "over" / name)
        (member,) = group.members
        assert line(member.launches[0]) == "vllm serve m --x=patched"
        assert settings(member)["workers"] == 3
        assert settings(member)["devices_per_worker"] == 1
        assert "GONE" not in member.launches[0].env
        stated = member.settings.stated
        assert stated["workers"].place is not None
        assert stated["devices_per_worker"].place is not None
        assert stated["workers"].place.path.endswith("over/patch.yaml")
        assert stated["devices_per_worker"].place.path.endswith("base/d.yaml")


def test_json_patches_images_replicas_and_names(tmp_path: Path) -> None:
    _write(
        tmp_path,
        base__kustomization_yaml="resources: [d.yaml]\nlabels: [{pairs: {guide: g}}]\nnamePrefix: pre-\nimages: [{name: SERVER, newName: vllm/vllm-openai, newTag: v0.23.0}]\n",
        base__d_yaml=BASE,
        over__kustomization_yaml="""\
resources: [../base]
replicas: [{name: decode, count: 5}]
patches:
  - target: {kind: Deployment, name: decode}
    patch: |-
      - op: add
        path: /spec/template/spec/containers/0/resources/limits/rdma~1ib
        value: "1"
      - {op: replace, path: /spec/template/spec/containers/0/resources/limits/nvidia.com~1gpu, value: "8"}
      - {op: add, path: /spec/template/spec/containers/0/env/-, value: {name: B, value: new}}
      - {op: remove, path: /spec/template/spec/containers/0/env/1}
      - {op: add, path: /spec/template/spec/nodeSelector, value: {node.kubernetes.io/instance-type: p5.48xlarge}}
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: decode}
      spec: {template: {spec: {hostNetwork: true, containers: [{name: modelserver, args: [m]}]}}}
""",
    )
    (group,) = _read(tmp_path / "over" / "kustomization.yaml")
    (member,) = group.members
    assert member.name == "pre-decode"
    assert group.labels == {"llm-d.ai/role": "decode", "guide": "g"}
    assert settings(member) == {
        "engine.image": "vllm/vllm-openai:v0.23.0",
        "workers": 5,
        "accelerator": "h100-sxm",
        "devices_per_worker": 8,
        "host_network": True,
        "network.rdma": True,
    }
    assert set(member.launches[0].env) == {"A", "B"}
    place = member.settings.stated["devices_per_worker"].place
    assert place is not None
    assert (tmp_path / "over" / "kustomization.yaml").read_text()[place.start : place.end] == '"8"'


def test_components_and_generated_config_maps(tmp_path: Path) -> None:
    _write(
        tmp_path,
        base__kustomization_yaml="resources: [d.yaml]\nconfigMapGenerator: [{name: c, files: [k.yaml], literals: [X=1]}]\n",
        base__k_yaml="tensor_parallel_size: 2\n",
        base__d_yaml=BASE
        + "          volumeMounts: [{name: v, mountPath: /c}]\n      volumes: [{name: v, configMap: {name: c}}]\n",
        part__kustomization_yaml=f"kind: Component\npatches:\n  - patch: |\n{_indented(PATCH)}",
        over__kustomization_yaml="resources: [../base]\ncomponents: [../part]\n",
    )
    (group,) = _read(tmp_path / "over" / "kustomization.yaml")
    (member,) = group.members
    assert line(member.launches[0]) == "vllm serve m --x=patched"
    assert member.files["/c/k.yaml"].text == "tensor_parallel_size: 2\n"
    assert member.files["/c/X"].text == "1"


def _indented(written: str) -> str:
    return "".join(f"      {one}\n" for one in written.splitlines())


def test_patches_without_a_base() -> None:
    (group,) = groups(PATCH)
    (member,) = group.members
    assert member.complete
    assert not group.unresolved
    assert "host_network" not in member.settings.stated
    for without in ("          args: [m, --x=$(A)]\n",):
        (group,) = groups(PATCH.replace(without, ""))
        assert "kustomize build" in group.unresolved
        assert not group.members


def test_patches_of_graphs_without_a_base() -> None:
    text_ = """\
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata: {name: g}
spec:
  services:
    PrefillWorker: {extraPodSpec: {mainContainer: {env: [{name: A, value: b}]}}}
"""
    (group,) = groups(text_)
    assert "kustomize build" in group.unresolved


def test_a_patch_and_its_base_in_one_input() -> None:
    (group,) = groups(BASE + "---\n" + PATCH)
    assert line(group.members[0].launches[0]) == "vllm serve m --x=patched"


def test_bases_that_cannot_be_read(tmp_path: Path) -> None:
    _write(tmp_path, over__kustomization_yaml="resources: [../none, https://example.com/x, ../../../../../../../../etc]\n"
           "patches: [{path: patch.yaml}]\n# prefill\n", over__patch_yaml=PATCH.replace("args", "ports"))  # fmt: skip
    (group,) = _read(tmp_path / "over" / "kustomization.yaml")
    assert "kustomize build" in group.unresolved
    assert len(build(str(tmp_path / "over"), Limits()).missing) >= 3


def test_nothing_is_read_outside_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(BASE)
    _write(tmp_path / "repo", over__kustomization_yaml="resources: [../../secret.yaml]\n")
    built = build(str(tmp_path / "repo" / "over"), Limits())
    assert built.objects == ()
    assert len(built.missing) == 1


def test_circles_end(tmp_path: Path) -> None:
    _write(tmp_path, a__kustomization_yaml="resources: [../b]\n", b__kustomization_yaml="resources: [../a]\n")
    built = build(str(tmp_path / "a"), Limits())
    assert built.objects == ()
    assert built.missing


def test_the_containers_of_a_patch_find_theirs_by_name() -> None:
    found = merged(_node(BASE), _node(PATCH))
    containers = items(at(found, "spec", "template", "spec", "containers"))
    assert [text(one.get("name")) for one in containers] == ["modelserver"]
    assert text(containers[0].get("image")) == "SERVER"


HALF = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {role}, labels: {{llm-d.ai/role: {role}}}}}
spec:
  selector: {{}}
  template:
    spec:
      containers:
        - name: modelserver
          image: vllm/vllm-openai:v0.24.0
          args: [m, --kv-transfer-config, '{{"kv_connector":"NixlConnector","kv_role":"kv_both"}}']
"""
OVERLAY = """\
resources: [../base]
patches:
  - target: {{kind: Deployment, name: {role}}}
    patch: |-
      [{{op: add, path: /spec/template/spec/containers/0/args/-, value: {argument}}}]
"""


def _tree(folder: Path, overlays: dict[str, str]) -> None:
    base = folder / "base"
    base.mkdir()
    for role in ("prefill", "decode"):
        (base / f"{role}.yaml").write_text(HALF.format(role=role))
    (base / "kustomization.yaml").write_text("resources: [prefill.yaml, decode.yaml]\n")
    for name, argument in overlays.items():
        (folder / name).mkdir()
        (folder / name / "kustomization.yaml").write_text(OVERLAY.format(role="decode", argument=argument))


def test_each_overlay_of_a_base_is_a_deployment_of_its_own(tmp_path: Path) -> None:
    _tree(tmp_path, {"a": "--block-size=64", "b": "--block-size=128"})
    readings = find([str(tmp_path)]).readings(Limits())
    sizes = [
        pool.settings.value("kv.block_size")
        for reading in readings
        for deployment in reading.deployments
        for pool in deployment.pools
        if pool.role == "decode"
    ]
    assert [reading.status for reading in readings] == ["checked"] * 5
    assert sorted(map(str, sizes)) == ["128", "64", "None"]


def test_a_fault_of_a_base_is_one_finding_with_all_overlays(tmp_path: Path) -> None:
    _tree(tmp_path, {"a": "--port=1", "b": "--port=2"})
    prefill = tmp_path / "base" / "prefill.yaml"
    prefill.write_text(prefill.read_text().replace("[m, ", "[m, --kv-cache-dtyp=fp8, "))
    report = check(find([str(tmp_path)]).readings(Limits()), catalogue())
    assert [(found.name, found.primary.path) for found in report.findings] == [("unknown-argument", str(prefill))]


def test_an_aggregated_server_that_a_kustomization_names_too_is_no_pair(tmp_path: Path) -> None:
    (tmp_path / "server.yaml").write_text(
        BASE.replace("decode", "server").replace("command: [vllm, serve]", "args: [m]")
    )
    (tmp_path / "kustomization.yaml").write_text("resources: [server.yaml]\n")
    assert [reading.status for reading in find([str(tmp_path)]).readings(Limits())] == ["not-pd", "not-pd"]
