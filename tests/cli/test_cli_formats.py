"""`--format`: several in one run, files, readers that go away, what content of files must not do in any format."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from hetpd_cli.cli.app import run
from hetpd_cli.cli.outputs import DEFAULT, Output, outputs, repository
from hetpd_cli.report import FORMATS, LINES, Options, renderer
from tests.support import ROOT, check_text

FAULTY = ROOT / "examples" / "vllm-1p1d-mismatch.yaml"
CLEAN = ROOT / "examples" / "vllm-nixl-1p1d.yaml"
DOCUMENTS = sorted(set(FORMATS) - set(LINES))
CI = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "PYTHONIOENCODING", "GITHUB_SHA", "CI_COMMIT_SHA")


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in CI} | {"PYTHONPATH": str(ROOT)}


def shell(command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command of bash in which ``hetpd`` is this checkout's."""
    function = f'hetpd() {{ {sys.executable} -m hetpd_cli "$@"; }}; '
    return subprocess.run(["bash", "-c", function + command], capture_output=True, check=False, env=environment())


# -- words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], DEFAULT),
        (["sarif"], (Output("sarif"),)),
        (["sarif=-"], (Output("sarif"),)),
        (["sarif=a=b.sarif"], (Output("sarif", "a=b.sarif"),)),
        (["sarif=out.sarif", "full"], (Output("sarif", "out.sarif"), Output("full"))),
        (["full", "github", "json=a", "json=b"], (Output("full"), Output("github"), Output("json", "a"), Output("json", "b"))),
    ],
)  # fmt: skip
def test_words_of_the_option(words: list[str], asked: tuple[Output, ...]) -> None:
    assert outputs(words) == asked


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sari"], "did you mean sarif"),
        (["="], "nothing is no format"),
        (["zzz"], "full, concise, json"),
        (["json="], "names no file"),
        (["json", "full"], "json cannot share standard output with full"),
        (["full", "json", "sarif=x"], "json=FILE"),
        (["json", "json"], "json cannot share"),
        (["json=x", "sarif=./x"], "two reports"),
    ],
)
def test_what_cannot_be_is_said(words: list[str], said: str) -> None:
    with pytest.raises(typer.BadParameter, match=re.escape(said)):
        outputs(words)


def test_wrong_usage_has_its_exit_code() -> None:
    assert run(["check", str(FAULTY), "-f", "sari"]) == 2


# -- files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_holds_what_standard_output_would(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CI:
        monkeypatch.delenv(name, raising=False)
    out = tmp_path / "report"
    assert run(["check", str(FAULTY), "-f", form]) == 1
    printed = capsys.readouterr().out
    assert run(["check", str(FAULTY), "-f", f"{form}={out}"]) == 1
    assert capsys.readouterr() == ("", "")
    assert out.read_bytes() == printed.encode()
    assert printed.endswith("\n")


def test_every_format_in_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for form in FORMATS for word in ("-f", f"{form}={tmp_path / form}")]
    assert run(["check", str(FAULTY), *words, "-f", "concise", "--color", "always"]) == 1
    assert "HPD201" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FORMATS)
    assert all("HPD201" in path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
    coloured = {path.name for path in tmp_path.iterdir() if "\x1b" in path.read_text(encoding="utf-8")}
    assert coloured == {"full", "concise", "statistics"}


def test_the_exit_code_is_that_of_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(CLEAN), "-f", f"json={tmp_path / 'a.json'}"]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["findings"] == []
    assert run(["check", str(FAULTY), "-f", f"json={tmp_path / 'a.json'}", "--fail-on", "never"]) == 0


@pytest.mark.parametrize("where", ["missing/out.json", ".", "\0"])
def test_a_file_that_cannot_be_written(where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(FAULTY), "-f", f"json={tmp_path / where}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("hetpd: cannot write ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("kept", ["prefill.sh", "decode.sh", "hetpd.toml", "known.json", "link.sarif"])
def test_no_report_is_written_over_what_is_read(kept: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for role, connector in (("prefill", "NixlConnector"), ("decode", "MooncakeConnector")):
        config = f'{{"kv_connector": "{connector}", "kv_role": "kv_both"}}'
        (tmp_path / f"{role}.sh").write_text(f"vllm serve Qwen/Qwen3-32B --kv-transfer-config '{config}'\n")
    (tmp_path / "hetpd.toml").write_text('fail-on = "never"\n')
    (tmp_path / "known.json").write_text('{"schema": 1, "findings": []}')
    (tmp_path / "link.sarif").symlink_to("decode.sh")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    command = ["check", str(tmp_path / "prefill.sh"), "--baseline", str(tmp_path / "known.json")]
    assert run([*command, "-f", "concise"]) == 0
    assert "decode.sh" in capsys.readouterr().out
    assert run([*command, "-f", f"sarif={tmp_path / kept}"]) == 2
    assert capsys.readouterr().err.startswith("hetpd: cannot write a report into ")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_report_is_no_input_of_the_next_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deploy.yaml").write_bytes(FAULTY.read_bytes())
    words = ["check", str(tmp_path), "-f", f"json={tmp_path / 'hetpd.json'}", "-f", f"jsonl={tmp_path / 'lines.json'}"]
    for _ in range(2):
        assert run(words) == 1
        inputs = json.loads((tmp_path / "hetpd.json").read_text())["inputs"]
        assert [item["path"] for item in inputs] == [str(tmp_path / "deploy.yaml")]


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_an_older_report_is_no_deployment(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faulty = FAULTY.read_text(encoding="utf-8").replace("prefill-awq", "prefill-\U0001f600")
    (tmp_path / "deploy.yaml").write_text(faulty, encoding="utf-8")
    assert run(["check", str(tmp_path), "-f", f"{form}={tmp_path / 'report.json'}"]) == 1
    assert "\\ud83d\\ude00" in (tmp_path / "report.json").read_text()
    assert run(["check", str(tmp_path / "report.json"), "-f", "json"]) == 0
    assert [item["status"] for item in json.loads(capsys.readouterr().out)["inputs"]] == ["not-pd"]


# -- streams ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="large")
def _large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose report is larger than what a pipe holds, in every format."""
    folder = tmp_path_factory.mktemp("large")
    keys = "".join(f"key{index}: 1\n" for index in range(3000))
    (folder / "big.yaml").write_text(f"hetpd: 1\npools: [{{name: p, role: prefill}}]\n{keys}")
    return folder / "big.yaml"


@pytest.mark.parametrize("form", FORMATS)
def test_a_reader_that_goes_away(form: str, large: Path) -> None:
    done = shell(f"hetpd check -v -f {form} {large} | head -1; echo ${{PIPESTATUS[0]}}")
    first, status = done.stdout.split(b"\n")[:2]
    assert first
    assert (status, done.stderr) == (b"1", b"")


@pytest.mark.parametrize("form", FORMATS)
def test_no_reader_at_all(form: str, large: Path) -> None:
    done = shell(f"hetpd check -f {form} {large} >&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    done = shell(f"hetpd check -f {form} {large} | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == (b"1\n", b"")


def test_a_file_is_complete_though_the_reader_went_away(large: Path, tmp_path: Path) -> None:
    done = shell(f"hetpd check -v -f full -f json={tmp_path}/a.json {large} | true; echo ${{PIPESTATUS[0]}}")
    assert done.stdout == b"1\n"
    assert len(json.loads((tmp_path / "a.json").read_text())["findings"]) == 3000


def test_a_full_disk_is_no_crash() -> None:
    done = shell(f"hetpd check {FAULTY} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith(b"hetpd: cannot write standard output: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("variables", ["", "NO_COLOR=1 FORCE_COLOR=1", "TERM=dumb"])
def test_nothing_is_coloured_or_wrapped_off_a_terminal(form: str, variables: str) -> None:
    done = shell(f"{variables} COLUMNS=30 hetpd check -f {form} {FAULTY}")
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout
    assert done.stdout == shell(f"hetpd check -f {form} {FAULTY}").stdout


@pytest.mark.parametrize("form", ["full", "concise"])
def test_places_are_never_broken(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["check", str(FAULTY), "-f", "json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    run(["check", str(FAULTY), "-f", form])
    rows = capsys.readouterr().out.splitlines()
    for spot in (spot for finding in findings for spot in finding["places"]):
        at = f"{spot['path']}:{spot['line']}:{spot['column']}"
        assert any(at in row for row in rows)


# -- content that would act --------------------------------------------------------------------------------------

HOSTILE_NAME = b'odd \xff\x1b[31m\n::error::x ##[error]y`<b>&".yaml'
HOSTILE = """\
hetpd: 1
model: Qwen/Qwen3-32B
pools:
  - name: "p\\e[31m\\n::error file=a::b ##vso[task.x]y \\u202e ]]> </script><b>`|@octocat %0A::stop-commands::z"
    role: prefill
    kv: {dtype: fp16}  # ]]> <img src=x> ::set-output name=a::b ##[group]
  - {name: "d\\r\\n##[error] [x](javascript:a) ```", role: decode, kv: {dtype: bf16}}
"""


@pytest.mark.parametrize("form", FORMATS)
def test_content_and_names_of_files_are_inert(form: str, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/" + HOSTILE_NAME
    Path(os.fsdecode(path)).write_text(HOSTILE)
    for target in (path, os.fsencode(tmp_path)):
        done = subprocess.run(
            [sys.executable, "-m", "hetpd_cli", "check", "-v", "-f", form, "--fail-on", "warning", target],
            capture_output=True, check=False, env=environment(),
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (1, b"")
        text = done.stdout.decode()
        assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text) is None
        commands = [row for row in text.splitlines() if row.lstrip().startswith("::")]
        assert bool(commands) is (form == "github")
        assert all(re.match(r"::(error|warning|notice) (file|title)=[^:]*::[^\n]*$", row) for row in commands)
        assert re.search(r"##(vso)?\[", text) is None


# -- the checkout ----------------------------------------------------------------------------------------------


def test_the_checkout_around_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_SHA", "CI_PROJECT_URL", "CI_COMMIT_SHA"):
        monkeypatch.delenv(name, raising=False)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert repository().folder == str(below.resolve())
    (tmp_path / ".git").write_text("gitdir: elsewhere")  # a worktree
    found = repository()
    assert (found.root, found.folder, found.url) == (str(tmp_path.resolve()), str(below.resolve()), "")
    monkeypatch.setenv("CI_PROJECT_URL", "https://gitlab.example/a/b")
    monkeypatch.setenv("CI_COMMIT_SHA", "123")
    assert repository().url == "https://gitlab.example/a/b/-/blob/123/"
    for name, value in {"SERVER_URL": "https://github.example", "REPOSITORY": "o/r", "SHA": "456"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    assert repository().url == "https://github.example/o/r/blob/456/"


@pytest.mark.parametrize("columns", [40, 80, 120, None])
def test_no_width_breaks_a_place(columns: int | None) -> None:
    path = "deployments of the team/" + "very-long-name-" * 6 + "/my deploy.yaml"
    report = check_text(FAULTY.read_text(encoding="utf-8"), path)
    places = [str(spot.place) for finding in report.findings for spot in finding.places]
    for form in ("full", "concise", "statistics", "github"):
        rows = renderer(form).render(report, Options(width=columns, verbose=True)).splitlines()
        assert not [row for row in rows if "my deploy.yaml" in row and path not in row]
        if form in ("full", "concise"):
            assert all(any(place in row for row in rows) for place in places)
