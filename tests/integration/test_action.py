"""action.yml: well formed, and its scripts do as they say in a repository with PD and other YAML."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runner import ACTION, SET_UP, STEPS, Ran, commands, run_action, value_of
from tests.support import ROOT

ANNOTATION = re.compile(r"::(error|warning|notice) [^:]*file=")
PULL = {"pull_request": {"node_id": "PR_1"}}
MODULES = ("json", "shlex", "secrets", "venv", "pip", "hetpd_cli", "sitecustomize")

GH = f"""#!{sys.executable} -I
import json, os, sys
words = sys.argv[1:]
fields = dict(words[n + 1].split("=", 1) for n, word in enumerate(words) if word in ("-f", "-F"))
kind = "update" if "updateIssueComment" in fields["query"] else "add" if "addComment" in fields["query"] else "find"
if fields.get("body", "").startswith("@"):
    with open(fields["body"][1:], encoding="utf-8") as file:
        fields["body"] = file.read()
with open(os.environ["GH_LOG"], "a", encoding="utf-8") as file:
    said = {{"kind": kind, "words": words[:2], "id": fields["id"], "body": fields.get("body")}}
    said |= {{"host": os.environ["GH_HOST"], "token": os.environ["GH_TOKEN"]}}
    file.write(json.dumps(said) + "\\n")
if kind in os.environ.get("GH_REFUSES", ""):
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
if kind == "find":
    print(os.environ.get("GH_COMMENTS", ""), end="")
"""
"""Stands in for the GitHub CLI: writes its calls to $GH_LOG, finds $GH_COMMENTS, refuses what $GH_REFUSES names."""


def spoil(workspace: Path) -> Path:
    """Put modules into ``workspace`` that tell when they are imported; return the file that they tell it in."""
    told = workspace / "imported"
    for name in MODULES:
        (workspace / f"{name}.py").write_text(f"open({str(told)!r}, 'a').write({name!r})\n", encoding="utf-8")
    return told


@pytest.fixture(scope="module", name="installed")
def _installed(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """The folder of the install step, run once, where everything speaks against bytecode and the checkout is hostile."""
    workspace, temporary = (tmp_path_factory.mktemp(name) for name in ("workspace", "temporary"))
    told = spoil(workspace)
    ran = run_action(
        workspace,
        temporary,
        done={**SET_UP, "check": {"outputs": {"exit-code": "0"}}},
        environment={"GITHUB_ACTION_PATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", "PIP_NO_COMPILE": "1"},
    )
    assert ran.code == 0, ran.log
    assert not told.exists()
    (folder,) = temporary.glob("hetpd.*")
    return folder


class Action:
    """Runs all steps but the installation, in a fresh folder for reports."""

    def __init__(self, installed: Path, folder: Path) -> None:
        self.installed, self.folder, self.calls_file = installed, folder, folder / "calls"
        (folder / "bin").mkdir()
        (folder / "bin" / "gh").write_text(GH, encoding="utf-8")
        (folder / "bin" / "gh").chmod(0o755)

    def __call__(self, workspace: Path, upload: str = "success", event: Any = None, **settings: Any) -> Ran:
        """Run; ``settings`` in capitals are variables, the others inputs."""
        reports = self.folder / "reports"
        reports.mkdir()
        (reports / "venv").symlink_to(self.installed / "venv")
        inputs = {name.replace("_", "-"): value for name, value in settings.items() if not name.isupper()}
        variables = {name: value for name, value in settings.items() if name.isupper()}
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = {**SET_UP, "install": {"outputs": {"folder": str(reports)}}, "upload": {"outcome": upload}}
        environment = {"PATH": path, "GH_LOG": str(self.calls_file), **variables}
        return run_action(
            workspace, self.folder / "temporary", inputs=inputs, event=event, done=done, environment=environment
        )

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What gh was asked for."""
        if not self.calls_file.exists():
            return []
        return [json.loads(line) for line in self.calls_file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(name="action")
def _action(installed: Path, tmp_path: Path) -> Action:
    folder = tmp_path / "action"
    folder.mkdir()
    return Action(installed, folder)


def test_the_file_is_an_action() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions"]
    done = subprocess.run([*command, str(ROOT / "action.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_zizmor_finds_nothing() -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    command = [str(zizmor), "--offline", "--no-config", "--persona", "auditor", "--format", "json", "action.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["name"])
def test_no_expression_stands_in_a_script_and_every_action_is_pinned(step) -> None:
    if "run" in step:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
    else:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("inputs.a == 'TRUE' && inputs.b", "x"),
        ("inputs.a != 'true' || 'no && yes'", "no && yes"),
        ("github.event.pull_request.node_id != ''", False),
        ("steps.none.outputs.path || 'python3'", "python3"),
    ],
)
def test_the_resolver_of_expressions(expression, value) -> None:
    assert value_of(expression, {"inputs": {"a": "true", "b": "x"}, "github": {"event": {}}, "steps": {}}) == value


def test_the_installation_is_compiled(installed) -> None:
    (package,) = installed.glob("venv/lib/python*/site-packages/hetpd_cli")
    sources = [path for path in package.rglob("*.py") if "__pycache__" not in path.parts]
    assert len(sources) > 50
    assert all(list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc")) for path in sources)
    assert list(package.parent.glob("yaml/__pycache__/*.pyc"))


def test_a_release_is_asked_of_the_index(tmp_path) -> None:
    empty = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    ran = run_action(tmp_path, tmp_path / "t", inputs={"version": "9.9.9"}, done=SET_UP, environment=empty)
    assert ran.code == 1
    assert "hetpd==9.9.9" in ran.log
    assert ran.outputs["exit-code"] == ""


def test_findings_fail_the_job_and_stand_in_every_report(action, faulty) -> None:
    ran = action(faulty)
    assert ran.code == 1
    assert {name: ran.outputs[name] for name in ("exit-code", "findings", "errors", "warnings")} == {
        "exit-code": "1",
        "findings": "1",
        "errors": "1",
        "warnings": "0",
    }
    assert [result["ruleId"] for result in _json(ran, "sarif-file")["runs"][0]["results"]] == ["HPD229"]
    assert [found["code"] for found in _json(ran, "json-file")["findings"]] == ["HPD229"]
    report = Path(ran.outputs["report-file"]).read_text(encoding="utf-8")
    assert report.startswith("<!-- hetpd -->\n")
    assert ran.summary == report
    assert "error[HPD229]" in ran.log
    annotations = commands(ran.log)
    assert annotations[0].startswith("::error ")
    assert all(ANNOTATION.match(line) and "file=k8s/" in line for line in annotations)
    assert ran.used["upload"] == {"sarif_file": ran.outputs["sarif-file"], "category": "hetpd"}
    assert action.calls == []


def test_a_clean_repository_passes(action, clean) -> None:
    ran = action(clean)
    assert ran.code == 0
    assert (ran.outputs["exit-code"], ran.outputs["findings"]) == ("0", "0")
    assert _json(ran, "sarif-file")["runs"][0]["results"] == []
    assert commands(ran.log) == []
    assert "upload" in ran.used


def test_everything_can_be_switched_off(action, faulty) -> None:
    ran = action(faulty, sarif="false", comment="False", annotations="false", summary="false", event=PULL)
    assert ran.code == 1
    assert commands(ran.log) == []
    assert ran.summary == ""
    assert "upload" not in ran.used
    assert action.calls == []


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"fail_on": "never"}, "0"),
        ({"paths": "clean.yaml other"}, "0"),
        ({"paths": "clean.yaml\nk8s/prefill.yaml\n"}, "1"),
        ({"args": "--ignore kv-dtype-word-mismatch"}, "0"),
        ({"args": "--ignore 'kv-dtype-word-mismatch'\n--quiet"}, "0"),
        ({"config": "strict.toml", "paths": "clean.yaml"}, "2"),
        ({"fail_on": "everything"}, "2"),
        ({"paths": "nowhere.yaml"}, "3"),
        ({"paths": "'two words.yaml'"}, "0"),
    ],
)
def test_inputs_reach_hetpd(action, faulty, inputs, code) -> None:
    (faulty / "two words.yaml").write_text("a: 1\n", encoding="utf-8")
    ran = action(faulty, **inputs)
    assert ran.outputs["exit-code"] == code
    assert ran.code == int(code)


def test_a_revision_reaches_hetpd(action, faulty) -> None:
    ran = action(faulty, changed_since="no-such-revision")
    assert ran.code == 2
    assert re.search("changed-since|no-such-revision", ran.log)


HOSTILE = [
    "; touch {}",
    "$(touch {})",
    "`touch {}`",
    "a\n; touch {}\n",
    "| touch {}",
    "${{IFS}}&& touch {} #",
    "* ? ~ {}",
]
SPLIT = [(name, value) for name in ("paths", "args") for value in HOSTILE]
WHOLE = [(name, " ".join(HOSTILE)) for name in ("fail_on", "config", "changed_since")]


@pytest.mark.parametrize(("name", "value"), SPLIT + WHOLE)
def test_hostile_inputs_are_words(action, clean, name, value) -> None:
    touched = clean / "touched"
    ran = action(clean, **{name: value.format(*[touched] * len(HOSTILE))})
    assert ran.outputs["exit-code"] in ("2", "3")
    assert not touched.exists()
    assert all(ANNOTATION.match(line) for line in commands(ran.log))


def test_a_hostile_version_is_no_requirement(tmp_path) -> None:
    version = " ".join(HOSTILE).format(*[tmp_path / "touched"] * len(HOSTILE))
    ran = run_action(tmp_path, tmp_path / "t", inputs={"version": version}, done=SET_UP)
    assert ran.code == 2
    assert ran.ran == ["python", "install"]
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("name", ["paths", "args"])
def test_an_open_quotation_mark_is_wrong_usage(action, clean, name) -> None:
    ran = action(clean, **{name: "it's"})
    assert (ran.code, ran.outputs["exit-code"]) == (2, "2")
    assert len(commands(ran.log)) == 1


def test_modules_of_the_checkout_are_not_imported(action, faulty) -> None:
    told = spoil(faulty)
    assert action(faulty, event=PULL, PYTHONPATH=str(faulty)).outputs["findings"] == "1"
    assert not told.exists()


def test_what_a_file_says_is_no_command(action, faulty) -> None:
    decode = faulty / "k8s" / "decode.yaml"
    manifest = decode.read_text(encoding="utf-8")
    decode.write_text(
        manifest.replace("--kv-cache-dtype=fp8", "--kv-cache-dtype=fp8  # ##[add-mask]a\n            # ::error::b"),
        encoding="utf-8",
    )
    (faulty / "::error::c.yaml").write_text('hetpd: 1\n"##[error]d": [\n', encoding="utf-8")
    ran = action(faulty)
    assert ran.outputs["exit-code"] == "3"
    obeyed = commands(ran.log)
    assert obeyed
    assert all(ANNOTATION.match(line) and "##[" not in line for line in obeyed)


def test_a_comment_is_made(action, faulty) -> None:
    ran = action(faulty, event=PULL)
    assert ran.code == 1
    assert [(call["kind"], call["id"]) for call in action.calls] == [("find", "PR_1"), ("add", "PR_1")]
    assert action.calls[1]["body"] == ran.summary
    assert {(*call["words"], call["host"], call["token"]) for call in action.calls} == {
        ("api", "graphql", "github.com", "secret")
    }


@pytest.mark.parametrize("repository", ["faulty", "clean"])
def test_a_comment_is_updated(action, repository, request) -> None:
    ran = action(request.getfixturevalue(repository), event=PULL, GH_COMMENTS="IC_1\nIC_2\n")
    assert [(call["kind"], call["id"]) for call in action.calls] == [("find", "PR_1"), ("update", "IC_1")]
    assert action.calls[1]["body"] == ran.summary


def test_nobody_is_told_that_nothing_was_found(action, clean) -> None:
    assert action(clean, event=PULL).code == 0
    assert [call["kind"] for call in action.calls] == ["find"]


def test_a_failure_without_a_finding_is_told(action, clean) -> None:
    ran = action(clean, event=PULL, args="--fail-on-undecided")
    assert (ran.code, ran.outputs["findings"]) == (1, "0")
    assert [call["kind"] for call in action.calls] == ["find", "add"]


@pytest.mark.parametrize(("refused", "comments"), [("find", ""), ("add", ""), ("update", "IC_1\n")])
@pytest.mark.parametrize(("repository", "code"), [("faulty", 1), ("clean", 0)])
def test_a_refused_comment_is_a_warning(action, refused, comments, repository, code, request) -> None:
    ran = action(request.getfixturevalue(repository), event=PULL, GH_REFUSES=refused, GH_COMMENTS=comments)
    assert ran.code == code
    asked = action.calls[-1]["kind"] == refused
    assert sum(line.startswith("::warning ") for line in commands(ran.log)) == asked


def test_a_refused_upload_is_a_warning(action, clean) -> None:
    ran = action(clean, upload="failure")
    assert ran.code == 0
    assert [line.partition(" ")[0] for line in commands(ran.log)] == ["::warning"]


def test_a_refused_upload_cannot_fail_the_job() -> None:
    (upload,) = (step for step in STEPS if step.get("id") == "upload")
    assert upload["continue-on-error"] is True


def test_the_python_that_is_there_will_do(action, clean) -> None:
    ran = action(clean, python_version="")
    assert ran.code == 0
    assert "python" not in ran.ran
    assert ran.ran[0] == "install"


def test_every_output_is_set_by_the_check() -> None:
    values = [output["value"] for output in ACTION["outputs"].values()]
    assert [f"${{{{ steps.check.outputs.{name} }}}}" for name in ACTION["outputs"]] == values


def _json(ran: Ran, output: str) -> Any:
    return json.loads(Path(ran.outputs[output]).read_text(encoding="utf-8"))
