"""completion: a script for each shell, and what it completes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hetpd_cli.cli.app import run
from tests.cli.test_cli_output import _environment, hetpd, imported
from tests.support import ROOT

COMMANDS = {"check", "rules", "rules test", "explain", "facts", "schema", "init", "completion", "doctor"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed(shell, capsys) -> None:
    assert run(["completion", shell]) == 0
    shown = capsys.readouterr().out
    assert f"_HETPD_COMPLETE=complete_{shell}" in shown
    assert "hetpd" in shown
    interpreter = shutil.which(shell)
    if interpreter:
        subprocess.run([interpreter, "-n"], input=shown, text=True, check=True)


@pytest.mark.parametrize("shell", ["tcsh", "", "\x1b"])
def test_another_shell_is_wrong_usage(shell, capsys) -> None:
    assert run(["completion", shell]) == 2
    assert capsys.readouterr().out == ""


def completed(words: str) -> list[str]:
    number = str(len(words.split(" ")) - 1)
    done = hetpd(_HETPD_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=number)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def test_commands_are_completed() -> None:
    assert set(completed("hetpd ")) >= COMMANDS
    assert completed("hetpd expl") == ["explain"]


def test_options_and_names_are_completed() -> None:
    assert "--fail-on-undecided" in completed("hetpd check --fail-on")
    assert completed("hetpd explain kv-dtype-m") == ["kv-dtype-mismatch"]
    assert completed("hetpd rules HPD50") == [f"HPD50{number}" for number in range(1, 10)]
    assert completed("hetpd schema dep") == ["deployment"]
    assert "test" in completed("hetpd rules ")


def test_bash_takes_the_script(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    program = tmp_path / "hetpd"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hetpd_cli "$@"\n')
    program.chmod(0o755)
    script = """
eval "$(hetpd completion bash)"
COMP_WORDS=(hetpd expl) COMP_CWORD=1
_hetpd_completion hetpd
echo "${COMPREPLY[@]}"
"""
    environment = {**_environment(), "PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
    assert done.stdout == "explain\n"


def test_check_declares_no_other_command() -> None:
    """Declaring a command takes time at every start."""
    assert "hetpd_cli.cli.commands" not in imported("check", str(ROOT / "examples" / "vllm-nixl-1p1d.yaml"))
    assert "hetpd_cli.cli.commands" in imported("--help")
