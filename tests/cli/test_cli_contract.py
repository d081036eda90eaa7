"""``hetpd contract``: exit codes, formats, inputs of every kind, start-up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hetpd_cli.cli.app import run
from tests.support import ROOT

CLEAN = str(ROOT / "examples" / "vllm-nixl-1p1d.yaml")
BROKEN = str(ROOT / "examples" / "vllm-1p1d-mismatch.yaml")
OPEN = str(ROOT / "examples" / "paper-production.yaml")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([CLEAN], 0),
        ([OPEN], 0),
        ([BROKEN], 1),
        ([CLEAN, BROKEN], 1),
        ([str(ROOT / "examples")], 1),
        ([], 2),
        ([CLEAN, "--format", "xml"], 2),
        ([CLEAN, "missing.yaml"], 3),
        ([BROKEN, "missing.yaml"], 3),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_exit_codes(arguments, code, form, capsys) -> None:
    assert run(["contract", "-f", form, *arguments]) == code
    printed = capsys.readouterr()
    assert bool(printed.out) is (code != 2)
    if form == "json" and code != 2:
        assert json.loads(printed.out)["schema"] == 1


INPUTS = {
    "empty.yaml": (b"", 0, "not-pd"),
    "pod.yaml": (b"kind: Pod\n", 0, "not-pd"),
    "alone.yaml": (b"hetpd: 1\npools: [{name: a, role: aggregated}]\n", 0, "no boundary"),
    "none.yaml": (b"hetpd: 1\n", 0, "no boundary"),
    "bytes.yaml": (b"hetpd: \xff", 3, "unreadable"),
    "open.yaml": (b"hetpd: [\n", 3, "unreadable"),
    "wrong.yaml": (b"hetpd: 1\npools: [{name: p, role: prefill, kv: 3}, {name: d, role: decode}]\n", 0, "faults"),
    "odd.yaml": (
        b"hetpd: 1\npools: [{name: p, role: prefill, engine: {version: 7}}, {role: decode}, 3]\n",
        0,
        "faults",
    ),
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_any_input_is_answered(name, form, tmp_path, capsys) -> None:
    content, code, said = INPUTS[name]
    (tmp_path / name).write_bytes(content)
    assert run(["contract", "-f", form, str(tmp_path / name)]) == code
    printed = capsys.readouterr()
    assert said in printed.out
    assert printed.err == ""


def test_a_directory_without_inputs(tmp_path, capsys) -> None:
    assert run(["contract", str(tmp_path)]) == 3
    assert str(tmp_path) in capsys.readouterr().err


def test_standard_input_and_colour(tmp_path) -> None:
    command = [sys.executable, "-m", "hetpd_cli", "contract", "-", "--color", "always"]
    done = subprocess.run(command, input=Path(BROKEN).read_bytes(), capture_output=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"<stdin>" in done.stdout
    assert b"\x1b[1;31m" in done.stdout


@pytest.mark.parametrize("form", ["text", "json"])
def test_it_imports_nothing_heavy(form) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "hetpd_cli", "contract", "-f", form, BROKEN]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    modules = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert "yaml" in modules
    assert not {"rich", "numpy", "networkx", "jsonschema", "pydantic"} & modules
