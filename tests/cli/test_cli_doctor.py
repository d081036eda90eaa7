"""doctor: all is well here, and what is broken is said and exited with."""

from __future__ import annotations

import pytest

from hetpd_cli import __version__, resources
from hetpd_cli.cli import doctor
from hetpd_cli.cli.app import run
from hetpd_cli.engine.catalogue import catalogue


def report(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    code = run(["doctor"])
    rows = capsys.readouterr().out.splitlines()
    return code, {row[:14].strip(): row[14:] for row in rows}


def test_all_is_well(capsys) -> None:
    code, rows = report(capsys)
    assert code == 0
    assert list(rows) == [*doctor.CHECKS, "verdict"]
    assert (rows["hetpd"], rows["verdict"]) == (__version__, "ok")
    assert rows["rules"].startswith(f"{len(catalogue())}: ")
    assert all(name in rows["dependencies"] for name in doctor.DEPENDENCIES)
    assert rows["self test"].startswith("ok")
    assert not any("BROKEN" in said for said in rows.values())


def test_a_missing_dependency_is_broken(capsys, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "DEPENDENCIES", ("typer", "no-such-distribution"))
    code, rows = report(capsys)
    assert (code, rows["verdict"]) == (1, "1 broken")
    assert rows["dependencies"].startswith("BROKEN: ")
    assert "no-such-distribution" in rows["dependencies"]


def test_missing_rules_are_broken(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(resources, "rules_dir", lambda: tmp_path / "rules")
    code, rows = report(capsys)
    assert code == 1
    assert str(tmp_path / "rules") in rows["installation"]


def test_a_self_test_that_gives_something_else_is_broken(capsys, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "TINY", "hetpd: 1\npools: [{name: p, role: prefill}, {name: d, role: decode}]\n")
    code, rows = report(capsys)
    assert (code, rows["self test"].startswith("BROKEN: ")) == (1, True)


def test_an_exception_is_no_traceback(capsys, monkeypatch) -> None:
    def fail() -> str:
        raise RuntimeError("\x1b[31mno\nway")

    monkeypatch.setitem(doctor.CHECKS, "yaml", fail)
    code, rows = report(capsys)
    assert (code, rows["yaml"]) == (1, "BROKEN: RuntimeError: \\x1b[31mno way")


@pytest.mark.parametrize(
    ("content", "state"),
    [(None, "missing"), ("{", "corrupt"), ("[]", "corrupt"), ('{"signature": [], "content": []}', "stale")],
)
def test_the_state_of_a_compiled_form(monkeypatch, tmp_path, content, state) -> None:
    monkeypatch.setattr(resources, "COMPILED", tmp_path)
    monkeypatch.setattr(resources, "INSTALLED", False)
    source = tmp_path / "source"
    source.write_text("x")
    if content is not None:
        (tmp_path / "thing.json").write_text(content)
    assert resources.compiled_state("thing", [source]) == state
    resources.compiled("thing", lambda: [source], lambda: 1)
    assert resources.compiled_state("thing", [source]) == "fresh"


def test_a_stale_catalogue_is_made_anew_and_is_not_broken(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(resources, "COMPILED", tmp_path / "compiled")
    code, rows = report(capsys)
    assert code == 0
    assert rows["catalogue"].startswith("missing in ")
    assert "made anew" in rows["catalogue"]
