"""Runs the steps of a composite action as GitHub's runner does, as far as action.yml needs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")

_OPERATORS = ("||", "&&", "!=", "==")


def value_of(expression: str, contexts: Mapping[str, Any]) -> Any:
    """Return the value of an expression without functions, indices and brackets."""
    for operator in _OPERATORS:
        left, found, right = _apart(expression, operator)
        if found:
            return _combined(operator, value_of(left, contexts), right, contexts)
    word = expression.strip()
    if word.startswith("'"):
        return word[1:-1].replace("''", "'")
    assert re.fullmatch(r"[a-z_]+(\.[\w-]+)*", word), f"{word} is beyond this resolver"
    value: Any = contexts
    for name in word.split("."):
        value = value.get(name, "") if isinstance(value, dict) else ""
    return value


def _apart(expression: str, operator: str) -> tuple[str, bool, str]:
    """Split at the first ``operator`` outside quotation marks."""
    for match in re.finditer(r"'(?:[^']|'')*'|" + re.escape(operator), expression):
        if match[0] == operator:
            return expression[: match.start()], True, expression[match.end() :]
    return expression, False, ""


def _combined(operator: str, left: Any, rest: str, contexts: Mapping[str, Any]) -> Any:
    if operator == "||":
        return left or value_of(rest, contexts)
    if operator == "&&":
        return left and value_of(rest, contexts)
    right = value_of(rest, contexts)
    same = str(left).lower() == str(right).lower()  # text is compared without case
    return same if operator == "==" else not same


def text_of(template: object, contexts: Mapping[str, Any]) -> str:
    """Return a value of the action with its expressions filled in."""

    def filled(match: re.Match[str]) -> str:
        value = value_of(match[1], contexts)
        return str(value).lower() if isinstance(value, bool) else str(value)

    return re.sub(r"\$\{\{(.*?)\}\}", filled, str(template))


class Ran(NamedTuple):
    """What a run of the action left: ``log`` is what the runner reads, ``used`` the inputs of steps that use actions."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str
    used: dict[str, dict[str, str]]
    ran: list[str]


def run_action(
    workspace: Path,
    temporary: Path,
    *,
    inputs: Mapping[str, str] | None = None,
    event: Mapping[str, Any] | None = None,
    done: Mapping[str, Mapping[str, Any]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run the steps in ``workspace`` up to the first that fails.

    ``done`` has the outcome and the outputs of steps that are not run: those that use actions, and an install of before.
    """
    github = {"token": "secret", "event": dict(event or {})}
    known = {"inputs": _inputs(inputs or {}, github), "github": github, "steps": {}}
    temporary.mkdir(exist_ok=True)
    (temporary / "summary").touch()
    log, used, ran, code = "", {}, [], 0
    for number, step in enumerate(STEPS):
        name = step.get("id", step["name"])
        if "if" in step and not value_of(step["if"], known):
            continue
        ran.append(name)
        if "uses" in step or name in (done or {}):
            used[name] = {key: text_of(value, known) for key, value in step.get("with", {}).items()}
            known["steps"][name] = {"outcome": "success", "outputs": {}, **(done or {}).get(name, {})}
            continue
        code, printed, outputs = _run(step, known, workspace, temporary / f"step-{number}", environment or {})
        log += printed
        known["steps"][name] = {"outcome": "failure" if code else "success", "outputs": outputs}
        if code:
            break
    outputs = {name: text_of(output["value"], known) for name, output in ACTION["outputs"].items()}
    return Ran(code, log, outputs, (temporary / "summary").read_text(encoding="utf-8"), used, ran)


def _inputs(given: Mapping[str, str], github: Mapping[str, Any]) -> dict[str, str]:
    assert set(given) <= set(ACTION["inputs"])
    defaults = {name: text_of(one["default"], {"github": github}) for name, one in ACTION["inputs"].items()}
    return {**defaults, **given}


def _run(
    step: Mapping[str, Any], known: Mapping[str, Any], workspace: Path, file: Path, environment: Mapping[str, str]
) -> tuple[int, str, dict[str, str]]:
    """Run a script; return its exit code, what it printed and its outputs."""
    assert step["shell"] == "bash"
    script, output = file.with_suffix(".sh"), file.with_suffix(".output")
    script.write_text(step["run"], encoding="utf-8")
    output.touch()
    given = {
        **os.environ,
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_STEP_SUMMARY": str(file.parent / "summary"),
        "RUNNER_TEMP": str(file.parent),
        **environment,
        **{name: text_of(value, known) for name, value in step.get("env", {}).items()},
    }
    done = subprocess.run(
        [*SHELL, str(script)],
        cwd=workspace,
        env=given,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = output.read_text(encoding="utf-8").splitlines()
    return done.returncode, done.stdout.decode(), dict(line.split("=", 1) for line in lines)


def commands(log: str) -> list[str]:
    """Return the lines that the runner obeys: those with a command, while commands are not stopped."""
    obeyed, token = [], None
    for line in log.splitlines():
        command = re.match(r"\s*::([\w-]+)(?: [^:]*)?::(.*)", line)
        if token is not None:
            token = None if command and command[1] == token else token
        elif command and command[1] == "stop-commands":
            token = command[2]
        elif command or re.search(r"##\[[\w-]+", line):
            obeyed.append(line)
    assert token is None, "commands are stopped for ever"
    return obeyed


SET_UP = {"python": {"outputs": {"python-path": sys.executable}}}
"""What actions/setup-python says of the interpreter that the tests run under."""
