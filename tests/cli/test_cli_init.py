"""init: the file that is written is a good deployment, and nothing is overwritten unasked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hetpd_cli.cli.app import run
from hetpd_cli.cli.init import examples
from hetpd_cli.resources import examples_dir
from tests.support import ROOT, check_text


@pytest.fixture
def hetpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        return (code, *capsys.readouterr())

    return call


def test_the_template_is_without_any_finding(hetpd) -> None:
    assert hetpd("init")[0] == 0
    text = Path("deploy.yaml").read_text()
    report = check_text(text)
    assert [found.message for found in report.findings] == []
    assert report.tally.held > 5
    assert hetpd("check", "-q", "deploy.yaml") == (0, "", "")


def test_the_template_names_nothing_that_a_wheel_lacks(hetpd) -> None:
    top = hetpd("init", "-")[1].partition("hetpd: 1")[0]
    assert not re.findall(r"\w+/\w+", top)
    assert {"schema", "explain", "facts"} <= set(re.findall(r"`hetpd (\w+)", top))


def test_the_lines_that_are_commented_out_are_good_too() -> None:
    from hetpd_cli.cli.init import TEMPLATE

    text = TEMPLATE.read_text(encoding="utf-8")
    workload = text[text.index("# workload:") :]
    assert workload.count("\n") > 3
    whole = text.replace(workload, "".join(f"{line[2:]}\n" for line in workload.splitlines()))
    whole = whole.replace("# unstated: default #", "unstated: default #")
    assert "\nworkload:" in whole
    assert "\n  unstated: default" in whole
    assert [found.message for found in check_text(whole).findings if found.code < "HPD1"] == []


@pytest.mark.parametrize("name", list(examples()))
def test_an_example_is_written_as_it_is(hetpd, name) -> None:
    assert hetpd("init", "x.yaml", "--from", name)[0] == 0
    written, original = Path("x.yaml").read_text(), (examples_dir() / f"{name}.yaml").read_text()
    assert written == "".join(row for row in original.splitlines(keepends=True) if "$schema=../" not in row)
    assert [found.message for found in check_text(written).findings if found.code < "HPD1"] == []
    assert "../" not in written


def test_examples_are_listed(hetpd) -> None:
    code, shown, _ = hetpd("init", "--list")
    assert code == 0
    assert [line.split()[0] for line in shown.splitlines()] == sorted(
        path.stem for path in ROOT.glob("examples/*.yaml")
    )
    assert all(len(line.split()) > 4 for line in shown.splitlines())
    assert not Path("deploy.yaml").exists()


def test_nothing_is_overwritten_unasked(hetpd) -> None:
    Path("deploy.yaml").write_text("mine")
    Path("link.yaml").symlink_to("nowhere.yaml")
    for path in ("deploy.yaml", "link.yaml"):
        code, shown, said = hetpd("init", path)
        assert (code, shown, said.count("\n"), "--force" in said) == (2, "", 1, True)
    assert Path("deploy.yaml").read_text() == "mine"
    assert not Path("nowhere.yaml").exists()
    assert hetpd("init", "--force")[0] == 0
    assert Path("deploy.yaml").read_text() != "mine"


@pytest.mark.parametrize(
    "arguments", [["no/such/folder/x.yaml"], ["."], ["x.yaml", "--from", "vllm-1p1d-mismach"], ["a\x1b/b"]]
)
def test_what_cannot_be_written_is_wrong_usage(hetpd, arguments) -> None:
    code, shown, said = hetpd("init", *arguments)
    assert (code, shown, said.count("\n"), "\x1b" in said) == (2, "", 1, False)
    assert ("did you mean vllm-1p1d-mismatch?" in said) is ("--from" in arguments)
    assert not Path("x.yaml").exists()


def test_standard_output(hetpd) -> None:
    code, shown, _ = hetpd("init", "-")
    assert code == 0
    assert "\nhetpd: 1" in shown
    assert not Path("-").exists()
