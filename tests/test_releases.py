"""A new release of an engine: what is listed, what is widened, and that nothing else changes."""

from __future__ import annotations

import shutil

import pytest
import yaml

from hetpd_cli import releases
from hetpd_cli.releases import Range, ending, main, ranges, widen, widened
from hetpd_cli.resources import rules_dir, table_path
from hetpd_cli.versions import version_in


@pytest.mark.parametrize(
    ("spec", "version", "wider"),
    [
        (">=0.24,<0.34", "0.34.0", ">=0.24,<0.35"),
        (">=0.24,<0.34", "0.36.2", ">=0.24,<0.37"),
        (">=0.5.13,<0.5.24", "0.5.24", ">=0.5.13,<0.5.25"),
        (">=0.5.13,<0.5.24", "0.5.24.post1", ">=0.5.13,<0.5.25"),
        (">=0.24,<0.34", "1.0.0", ">=0.24,<1.1"),
    ],
)
def test_a_range_takes_in_the_release(spec, version, wider) -> None:
    assert widened(spec, version) == wider
    assert version_in(version.partition(".post")[0], wider)


def test_only_ranges_that_reach_the_newest_known_release_are_listed() -> None:
    every = list(ranges())
    found = ending(every, "vllm", "0.34.0")
    assert found
    assert {one.engine for one in found} == {"vllm"}
    assert {one.spec.partition("<")[2] for one in found} == {"0.34"}
    assert ending(every, "vllm", "0.33.0") == []
    assert ending(every, "no-engine", "1.0") == []


def test_widening_changes_these_ranges_and_nothing_else(tmp_path, monkeypatch) -> None:
    shutil.copytree(rules_dir(), tmp_path / "rules")
    (tmp_path / "data").mkdir()
    for name in releases.TABLES:
        shutil.copy(table_path(name), tmp_path / "data")
    monkeypatch.setattr(releases, "table_path", lambda name: tmp_path / "data" / f"{name}.yaml")
    before = list(ranges(tmp_path / "rules"))
    texts = {path: yaml.safe_load(path.read_text()) for path in {one.path for one in before}}
    found = ending(before, "vllm", "0.34.0")
    assert set(widen(found, "0.34.0")) == {one.path for one in found}
    after = list(ranges(tmp_path / "rules"))
    assert after == [one._replace(spec=widened(one.spec, "0.34.0")) if one in found else one for one in before]
    for path, content in texts.items():
        assert _without_ranges(yaml.safe_load(path.read_text())) == _without_ranges(content)


def _without_ranges(value):
    if isinstance(value, dict):
        return {key: _without_ranges(item) for key, item in value.items() if key not in {"of", "versions"}}
    return [_without_ranges(item) for item in value] if isinstance(value, list) else value


def test_the_program_lists_and_refuses(capsys) -> None:
    assert main(["vllm", "0.34.0"]) == 0
    assert capsys.readouterr().out.endswith("ranges end before vllm 0.34.0\n")
    assert main(["vllm"]) == 2
    assert main(["vllm", "latest"]) == 2
    capsys.readouterr()


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
