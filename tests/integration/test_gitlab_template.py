"""templates/hetpd.yml: well formed, and its job does as it says where a runner would run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.integration.test_action import HOSTILE, spoil
from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT = (ROOT / "templates" / "hetpd.yml").read_text(encoding="utf-8")
HEADER, JOB = TEXT.split("\n---\n")
INPUTS: dict[str, dict[str, str]] = yaml.safe_load(HEADER)["spec"]["inputs"]
SHELLS = {"bash": ("bash", "-eo", "pipefail", "-c"), "sh": ("sh", "-e", "-c")}
"""What a runner starts, by what the image has."""


def job(**inputs: str) -> tuple[str, dict[str, Any]]:
    """Return name and content of the job, with inputs written into the text as GitLab does."""
    given = {name: one.get("default", "hetpd") for name, one in INPUTS.items()} | {
        name.replace("_", "-"): value for name, value in inputs.items()
    }
    text = re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda match: given[match[1]], JOB)
    assert "$[[" not in text
    ((name, content),) = yaml.safe_load(text).items()
    return name, content


def run(shell: str, script: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SHELLS[shell], script],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module", name="installed")
def _installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the job's first lines, where everything speaks against bytecode and the checkout is hostile."""
    workspace, temporary = (tmp_path_factory.mktemp(name) for name in ("workspace", "temporary"))
    told = spoil(workspace)
    _, content = job(package=str(wheel))
    odd = {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1", "PIP_NO_COMPILE": "1"}
    path = f"{_python3(tmp_path_factory.mktemp('bin'))}{os.pathsep}{os.environ['PATH']}"
    done = run("sh", content["script"][0], workspace, {**content["variables"], **odd, "PATH": path})
    assert done.returncode == 0, done.stdout
    assert not told.exists()
    (folder,) = (path.parent for path in temporary.glob("*/pyvenv.cfg"))
    return folder


def _python3(folder: Path) -> Path:
    (folder / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    (folder / "python3").chmod(0o755)
    return folder


def check(installed: Path, workspace: Path, shell: str = "bash", **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the job's last lines."""
    _, content = job(**inputs)
    _, last = content["script"]
    return run(shell, f"folder={installed}\n{last}", workspace, content["variables"])


@pytest.mark.parametrize("number", [0, 1])
def test_both_documents_are_gitlab_s(tmp_path, number) -> None:
    document = tmp_path / "document.yml"
    document.write_text(yaml.safe_dump([yaml.safe_load(HEADER), dict([job()])][number]), encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(document)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_each_input_is_used() -> None:
    assert set(re.findall(r"\$\[\[ inputs\.([\w-]+) \]\]", JOB)) == set(INPUTS)


def test_what_is_installed_has_to_be_said() -> None:
    assert [name for name, one in INPUTS.items() if "default" not in one] == ["package"]


def test_name_stage_and_image_can_be_chosen() -> None:
    name, content = job(job_name="lint: pd", stage="lint", image="python:3.12")
    assert (name, content["stage"], content["image"]) == ("lint: pd", "lint", "python:3.12")


@pytest.mark.parametrize("value", ["", "a 'b' \"c\"", "C:\\x # y: {z}", "- a", "$CI_PROJECT_DIR/k8s"])
@pytest.mark.parametrize("name", ["package", "paths", "args", "fail_on", "changed_since"])
def test_any_line_can_be_an_input(name, value) -> None:
    _, content = job(**{name: value})
    assert content["variables"][f"HETPD_{name.upper()}"] == value


def test_the_job_runs_once_for_a_change() -> None:
    _, content = job()
    assert [rule["if"] for rule in content["rules"] if rule.get("when") != "never"] == [
        '$CI_PIPELINE_SOURCE == "merge_request_event"',
        "$CI_COMMIT_BRANCH",
    ]
    assert [rule["if"] for rule in content["rules"] if rule.get("when") == "never"] == [
        "$CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS"
    ]


def test_the_installation_is_compiled(installed) -> None:
    (package,) = installed.glob("lib/python*/site-packages/hetpd_cli")
    assert list(package.glob("cli/__pycache__/check.*.pyc"))
    assert list(package.parent.glob("yaml/__pycache__/*.pyc"))


@pytest.mark.parametrize("shell", SHELLS)
def test_findings_fail_the_job_and_stand_in_both_reports(installed, faulty, shell) -> None:
    done = check(installed, faulty, shell)
    assert done.returncode == 1, done.stdout
    assert "error[HPD229]" in done.stdout
    assert quality(faulty)
    assert "HPD229" in ElementTree.tostring(junit(faulty), encoding="unicode")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_clean_repository_passes(installed, clean, shell) -> None:
    done = check(installed, clean, shell)
    assert done.returncode == 0, done.stdout
    assert quality(clean) == []


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"paths": "clean.yaml other"}, 0),
        ({"paths": "k8s/decode.yaml"}, 1),
        ({"fail_on": "never"}, 0),
        ({"args": "--ignore kv-dtype-word-mismatch --quiet"}, 0),
        ({"paths": "*.yaml"}, 3),
    ],
)
def test_inputs_reach_hetpd(installed, faulty, inputs, code) -> None:
    assert check(installed, faulty, **inputs).returncode == code


def test_a_revision_reaches_hetpd(installed, faulty) -> None:
    done = check(installed, faulty, changed_since="no-such-revision")
    assert done.returncode == 2
    assert re.search("changed-since|no-such-revision", done.stdout)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", ["paths", "args", "fail_on", "changed_since"])
def test_hostile_inputs_are_words(installed, clean, name, shell) -> None:
    touched = clean / "touched"
    value = " ".join(HOSTILE).replace("\n", " ").format(*[touched] * len(HOSTILE))
    done = check(installed, clean, shell, **{name: value})
    assert done.returncode in (2, 3)
    assert not touched.exists()


def test_modules_of_the_checkout_are_not_imported(installed, faulty) -> None:
    told = spoil(faulty)
    assert check(installed, faulty).returncode == 1
    assert not told.exists()


def quality(workspace: Path) -> list[Any]:
    """Return the code quality report that the job uploads."""
    found = json.loads((workspace / _reports()["codequality"]).read_text(encoding="utf-8"))
    assert isinstance(found, list)
    return found


def junit(workspace: Path) -> ElementTree.Element:
    """Return the test report that the job uploads."""
    return ElementTree.fromstring((workspace / _reports()["junit"]).read_bytes())


def _reports() -> dict[str, str]:
    _, content = job()
    assert content["artifacts"]["when"] == "always"
    reports: dict[str, str] = content["artifacts"]["reports"]
    return reports
