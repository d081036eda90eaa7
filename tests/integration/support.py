"""Files to check, and copies of the checkout."""

from __future__ import annotations

import fnmatch
import shutil
import tomllib
from typing import TYPE_CHECKING

from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CLEAN = (ROOT / "examples" / "vllm-nixl-1p1d.yaml").read_text(encoding="utf-8")

_WORKER = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: qwen-{role}
  labels: {{llm-d.ai/role: {role}}}
spec:
  replicas: 1
  template:
    metadata:
      labels: {{llm-d.ai/role: {role}}}
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.24.0
          args:
            - --model=Qwen/Qwen3-32B
            - --tensor-parallel-size=4
            - --block-size=64
            - --max-model-len=32768
            - --kv-cache-dtype={kv}
            - '--kv-transfer-config={{"kv_connector": "NixlConnector", "kv_role": "kv_both"}}'
          env:
            - name: VLLM_NIXL_SIDE_CHANNEL_HOST
              valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}
          resources: {{limits: {{nvidia.com/gpu: 4}}}}
"""
PREFILL = _WORKER.format(role="prefill", kv="auto")


def decode(kv: str) -> str:
    """Return a manifest of decode workers with KV elements of the type ``kv``."""
    return _WORKER.format(role="decode", kv=kv)


FOREIGN = {
    "other/broken.yaml": "a: [1, 2\nb: {\n",
    "other/tabs.yml": "a:\n\t- 1\n",
    "other/several.yaml": "a: 1\n---\nb: 2\n---\n- c\n",
    "other/package.json": '{"name": "x", "scripts": {"build": "tsc"}}\n',
    "other/install.sh": "#!/bin/sh\nset -e\nif [ -n \"$1\" ]; then echo 'it is'; fi\n",
    "other/empty.yaml": "",
    "other/service.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n",
    "chart/templates/deployment.yaml": """\
{{- if .Values.enabled }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "web.fullname" . }}
  {{- with .Values.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  template:
    spec:
      containers:
        - name: web
          image: "{{ .Values.image }}:{{ .Values.tag | default .Chart.AppVersion }}"
{{- end }}
""",
}
"""What other people's YAML, JSON and shell looks like: none of it launches an engine."""


def copy_checkout(folder: Path) -> None:
    """Copy what is published of the checkout to ``folder``."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        published = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    folder.mkdir(parents=True)
    for name in ("pyproject.toml", ".gitignore", *(name.strip("/") for name in published)):
        _copy(name, folder)


def copy_of_image(folder: Path) -> list[str]:
    """Copy what the container file's build stage copies, less what .dockerignore leaves out, and return the names."""
    names = [name for words in instructions("COPY") if "--from" not in words[0] for name in words[:-1]]
    for name in names:
        _copy(name, folder)
    return names


def instructions(wanted: str) -> list[list[str]]:
    """Return the words of each instruction ``wanted`` of the container file."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [words[1:] for words in lines if words[0] == wanted]


def _copy(name: str, folder: Path) -> None:
    source, target = ROOT / name, folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=_built)
    elif source.exists() or name != ".gitignore":
        shutil.copyfile(source, target)


def _built(folder: str, names: list[str]) -> list[str]:
    """Return what is made, not written: bytecode, and what a build puts into the package."""
    made = [name for name in names if fnmatch.fnmatch(name, "__pycache__") or name.endswith(".pyc")]
    if folder == str(ROOT / "hetpd_cli"):
        made += [name for name in names if name in ("compiled", "rules", "schemas", "examples")]
    return made
