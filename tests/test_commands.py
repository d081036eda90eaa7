"""``hetpd check`` as people and CI call it: exit codes, selection, formats, streams."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hetpd_cli.cli import app as command_line
from hetpd_cli.engine.check import RuleCrashError
from hetpd_cli.resources import load_schema
from tests.support import ROOT, examples

FAULTY = "examples/vllm-1p1d-mismatch.yaml"
CLEAN = "examples/vllm-nixl-1p1d.yaml"
GUESS = next(example["deployment"] for code, example in examples("bad") if code == "HPD303")


def hetpd(*arguments: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hetpd_cli", *arguments],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", CLEAN], 0),
        (["check", FAULTY], 1),
        (["check", FAULTY, "--fail-on", "never"], 0),
        (["check", FAULTY, "--ignore", "HPD2,connector-mismatch"], 0),
        (["check", FAULTY, "--ignore", "HPD2,HPD5", "--fail-on-undecided"], 0),
        (["check", FAULTY, "--select", "HPD503", "--fail-on-undecided"], 1),
        (["check", FAULTY, "--select", "HPD503", "--fail-on-undecided", "T4"], 1),
        (["check", FAULTY, "--select", "HPD503", "--fail-on-undecided", "T1"], 0),
        (["check", "--fail-on-undecided", FAULTY], 1),
        (["check", FAULTY, "--fail-on-undecided", "T9"], 2),
        (["check", FAULTY, "--select", "kv-dtype-mismach"], 2),
        (["check", FAULTY, "--format", "xml"], 2),
        (["check", FAULTY, "missing.yaml"], 3),
        (["chek"], 2),
        (["--version"], 0),
        (["check", "--help"], 0),
    ],
)
def test_exit_codes(arguments, code) -> None:
    done = hetpd(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_a_guess_never_fails_a_run() -> None:
    done = hetpd("check", "-", "--fail-on", "info", "-f", "concise", stdin=GUESS)
    assert "HPD303" in done.stdout
    assert done.returncode == 0


def test_a_misspelt_rule_is_named_right() -> None:
    assert "kv-dtype-mismatch" in hetpd("check", FAULTY, "--select", "kv-dtype-mismach").stderr


def test_directories(tmp_path) -> None:
    assert hetpd("check", str(tmp_path)).returncode == 3
    assert hetpd("check", str(tmp_path), "--allow-empty").returncode == 0
    (tmp_path / "service.yaml").write_text("apiVersion: v1\nkind: Service\nspec: {{ .Values.x }}\n")
    done = hetpd("check", str(tmp_path))
    assert (done.returncode, "not-pd" in done.stdout) == (0, True)
    (tmp_path / "deploy.yaml").write_text((ROOT / FAULTY).read_text())
    assert hetpd("check", str(tmp_path)).returncode == 1


def test_hetpds_own_failure_is_one_line_and_4(monkeypatch, capsys) -> None:
    def broken(_request: object) -> int:
        raise RuleCrashError("HPD201", ValueError("no"))

    monkeypatch.setattr("hetpd_cli.cli.check.run_check", broken)
    codes: list[int] = []
    monkeypatch.setattr("hetpd_cli.__main__.os._exit", codes.append)
    monkeypatch.setattr(sys, "argv", ["hetpd", "check", FAULTY])
    from hetpd_cli.__main__ import main

    main()
    said = capsys.readouterr().err
    assert codes == [4]
    assert said.count("\n") == 1
    assert "HPD201" in said


def test_the_flag_whose_value_may_be_left_out() -> None:
    given = command_line._with_default_cells
    assert given(["check", "--fail-on-undecided", "a.yaml"]) == ["check", "--fail-on-undecided=any", "a.yaml"]
    assert given(["--fail-on-undecided", "T4"]) == ["--fail-on-undecided", "T4"]
    assert given(["--fail-on-undecided"]) == ["--fail-on-undecided=any"]


VALIDATOR = Draft202012Validator(load_schema("check-output"))


@pytest.mark.parametrize("text", [example["deployment"] for _, example in examples("bad")[::4]])
def test_json_keeps_the_contract(text) -> None:
    done = hetpd("check", "-", "--format", "json", stdin=text)
    VALIDATOR.validate(json.loads(done.stdout))


def test_concise_lines_begin_with_a_place() -> None:
    lines = hetpd("check", FAULTY, "-f", "concise", "-q").stdout.splitlines()
    assert len(lines) == 2
    assert all(re.match(r"examples/[\w.-]+:\d+:\d+: error HPD\d{3} ", line) for line in lines)


@pytest.mark.parametrize("form", ["full", "concise", "json"])
def test_a_closed_pipe_is_no_error(form, tmp_path) -> None:
    big = tmp_path / "big.yaml"
    big.write_text("hetpd: 1\npools:\n" + "  - {name: p, role: prefil, wrkers: 1}\n" * 200)
    command = f"{sys.executable} -m hetpd_cli check -f {form} {big} | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_colour_only_where_it_is_wanted() -> None:
    assert "\x1b" not in hetpd("check", FAULTY).stdout
    assert "\x1b" in hetpd("check", FAULTY, "--color", "always").stdout
    assert "\x1b" in hetpd("check", FAULTY, FORCE_COLOR="1").stdout
    assert "\x1b" not in hetpd("check", FAULTY, FORCE_COLOR="1", NO_COLOR="1").stdout


def test_a_stream_that_cannot_take_every_character() -> None:
    done = hetpd("check", FAULTY, PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert "\\xb7" in done.stdout


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_is_never_overrun(columns) -> None:
    import pty

    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "hetpd_cli", "check", FAULTY, "--color", "never"],
        cwd=ROOT,
        stdout=follower,
        env={**os.environ, "COLUMNS": str(columns)},
    ) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        process.wait()
    lines = shown.decode().splitlines()
    assert len(lines) > 30
    assert max(map(len, lines)) <= columns


def test_a_file_name_that_is_not_utf_8(tmp_path) -> None:
    name = os.path.join(os.fsencode(tmp_path), b"odd-\xff.yaml")  # noqa: PTH118
    with open(name, "wb") as file:  # noqa: PTH123
        file.write((ROOT / FAULTY).read_bytes())
    for form in ("full", "concise", "json"):
        done = subprocess.run(
            [os.fsencode(sys.executable), b"-m", b"hetpd_cli", b"check", b"-f", form.encode(), name],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (1, b"")


def test_a_path_given_twice_is_read_once() -> None:
    done = json.loads(hetpd("check", FAULTY, FAULTY, "examples", "-f", "json").stdout)
    paths = [entry["path"] for entry in done["inputs"]]
    assert len(paths) == len(set(paths)) == len(list(Path(ROOT, "examples").glob("*.yaml")))
