"""A new release of an engine: what is listed, what is widened, and that nothing else changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from hetpd_cli import releases
from hetpd_cli.releases import Range, ending, gap, main, ranges, widen, widened
from hetpd_cli.resources import rules_dir, table_path
from hetpd_cli.versions import version_in

UNREAD = "9.9.0"
"""A release that nobody has read."""


@pytest.mark.parametrize(
    ("spec", "version", "wider"),
    [
        (">=0.24,<0.34", "0.34.0", ">=0.24,<0.35"),
        (">=0.24,<0.34", "0.36.2", ">=0.24,<0.37"),
        (">=0.5.13,<0.5.24", "0.5.24", ">=0.5.13,<0.5.25"),
        (">=0.5.13,<0.5.24", "0.5.24.post1", ">=0.5.13,<0.5.25"),
        (">=0.24,<0.34", "1.0.0", ">=0.24,<1.1"),
        (">=0.24,<0.34", "1", ">=0.24,<1.1"),
    ],
)
def test_a_range_takes_in_the_release(spec, version, wider) -> None:
    assert widened(spec, version) == wider
    assert version_in(version.partition(".post")[0], wider)


OLD = Range(Path("old.yaml"), "vllm", ">=0.16,<0.28", "x")
NOW = Range(Path("now.yaml"), "vllm", ">=0.24,<0.34", "x")
THEN = Range(Path("then.yaml"), "vllm", ">=0.24,<0.35", "x")
OTHERS = [Range(Path("a.yaml"), "sglang", ">=0.5,<0.9", "x"), Range(Path("b.yaml"), "vllm", "*", "x")]


@pytest.mark.parametrize(
    ("every", "version", "listed"),
    [
        ([OLD, NOW, *OTHERS], "0.34.0", [NOW]),
        ([OLD, NOW, THEN, *OTHERS], "0.34.0", [NOW]),
        ([OLD, NOW, THEN, *OTHERS], "0.34.1", [NOW]),
        ([OLD, NOW, THEN, *OTHERS], "0.35", [THEN]),
        ([OLD, NOW, *OTHERS], "0.36.0", [NOW]),
        ([OLD, NOW, *OTHERS], "0.33.0", [OLD]),
        ([OLD, NOW, *OTHERS], "0.20.0", []),
        ([OLD, NOW, *OTHERS], "0.10.0", []),
        ([*OTHERS], "0.34.0", []),
        ([NOW, NOW._replace(spec=">=0.34,<0.35"), OLD], "0.34.0", [OLD]),
        ([NOW, THEN._replace(spec=">=0.34,<0.35"), OLD], "0.34.0", [NOW]),
    ],
)
def test_what_is_wide_enough_does_not_count(every, version, listed) -> None:
    assert ending(every, "vllm", version) == listed


@pytest.mark.parametrize(
    ("version", "said"), [("0.34.0", ""), ("0.34.7", ""), ("0.36.0", "from 0.34 up to 0.36.0"), ("1.0", "from 0.34 up to 1.0")]
)  # fmt: skip
def test_a_gap_is_said(version, said) -> None:
    assert said in gap([NOW], version)
    assert bool(said) is bool(gap([NOW], version))
    assert gap([], version) == ""


def test_the_newest_ranges_of_the_built_in_rules_are_listed() -> None:
    every = list(ranges())
    found = ending(every, "vllm", UNREAD)
    newest = {one.spec.partition("<")[2] for one in found}
    assert len(newest) == 1
    bounds = [
        tuple(map(int, one.spec.partition("<")[2].split(".")))
        for one in every
        if one.engine == "vllm" and "<" in one.spec
    ]
    assert newest == {".".join(map(str, max(bounds)))}
    assert {one.engine for one in found} == {"vllm"}


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """Copy rules and tables to where they may be changed."""
    shutil.copytree(rules_dir(), tmp_path / "rules")
    (tmp_path / "data").mkdir()
    for name in releases.TABLES:
        shutil.copy(table_path(name), tmp_path / "data")
    monkeypatch.setattr(releases, "table_path", lambda name: tmp_path / "data" / f"{name}.yaml")
    monkeypatch.setattr(releases, "rules_dir", lambda: tmp_path / "rules")
    return tmp_path


def newest_release() -> str:
    """Return the release that comes just after everything that has been read of vllm."""
    bound = ending(ranges(), "vllm", UNREAD)[0].spec.partition("<")[2]
    return f"{bound}.0"


def test_widening_changes_these_ranges_and_nothing_else(copies) -> None:
    version = newest_release()
    before = list(ranges())
    texts = {path: yaml.safe_load(path.read_text()) for path in {one.path for one in before}}
    found = ending(before, "vllm", version)
    assert set(widen(found, version)) == {one.path for one in found}
    after = list(ranges())
    assert after == [one._replace(spec=widened(one.spec, version)) if one in found else one for one in before]
    for path, content in texts.items():
        assert _without_ranges(yaml.safe_load(path.read_text())) == _without_ranges(content)


def test_file_after_file_is_widened_until_none_is_left(copies, capsys) -> None:
    version = newest_release()
    paths = sorted({str(one.path) for one in ending(ranges(), "vllm", version)})
    assert len(paths) > 3
    for path in paths:
        assert path in {str(one.path) for one in ending(ranges(), "vllm", version)}
        assert main(["vllm", version, "--widen", path]) == 0
        assert capsys.readouterr().out == f"widened {path}\n"
        assert main(["vllm", version, "--widen", path]) == 2
    left = ending(ranges(), "vllm", version)
    assert gap(left, version) or not left
    assert main(["vllm", version, "--widen"]) == (2 if left else 0)
    capsys.readouterr()


def _without_ranges(value):
    if isinstance(value, dict):
        return {key: _without_ranges(item) for key, item in value.items() if key not in {"of", "versions"}}
    return [_without_ranges(item) for item in value] if isinstance(value, list) else value


def test_the_program_lists(capsys) -> None:
    version = newest_release()
    assert main(["vllm", version]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(f" ranges end before vllm {version}, at {version.removesuffix('.0')}")
    assert int(last.split()[0]) > 10
    assert main(["vllm", UNREAD]) == 0
    assert f"up to {UNREAD}" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["vllm"], "usage"),
        (["vllm", "latest"], "usage"),
        (["vllm", UNREAD, "--wide"], "usage"),
        (["vllm", UNREAD, "rules/a.yaml"], "usage"),
        (["vlm", UNREAD], "did you mean vllm?"),
        (["vllm", UNREAD, "--widen", "none.yaml"], "none.yaml: no such file"),
        (["vllm", UNREAD, "--widen", __file__], "has no range of vllm"),
        (["vllm", UNREAD, "--widen"], "name the files"),
    ],
)
def test_the_program_refuses(copies, capsys, arguments, said) -> None:
    before = {path: path.read_bytes() for path in copies.rglob("*.yaml")}
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert not captured.out
    assert {path: path.read_bytes() for path in copies.rglob("*.yaml")} == before


def test_a_range_is_plain_data(tmp_path) -> None:
    path = tmp_path / "rule.yaml"
    path.write_text(
        'evidence:\n  - of: "vllm >=0.24,<0.34"\n  - {of: "vllm >=0.24,<0.34", at: x}\n  - of: "sglang >=0.24,<0.34"\n'
    )
    widen([Range(path, "vllm", ">=0.24,<0.34", "x")], "0.34.0")
    assert [row["of"] for row in yaml.safe_load(path.read_text())["evidence"]] == [
        "vllm >=0.24,<0.35",
        "vllm >=0.24,<0.35",
        "sglang >=0.24,<0.34",
    ]
