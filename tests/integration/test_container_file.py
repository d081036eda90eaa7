"""Containerfile: its bases are pinned, it runs without privileges, and what it copies is enough to build."""

from __future__ import annotations

import fnmatch
import json
import re
import zipfile

import pytest

from tests.integration.support import instructions
from tests.support import ROOT

IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
COPIES = [words for words in instructions("COPY") if not words[0].startswith("--from")]
SOURCES = [name for words in COPIES for name in words[:-1]]


def sent(path: str) -> bool:
    """Tell whether ``path`` is sent to the build: the last pattern that fits decides, ``!`` takes back."""
    result = True
    for pattern in IGNORED:
        plain = pattern.removeprefix("!").removeprefix("**/")
        parts = [path[: match.start()] for match in re.finditer("/|$", path)]
        names = [part.rsplit("/", 1)[-1] for part in parts] if "**/" in pattern else parts
        if any(fnmatch.fnmatchcase(name, plain) for name in names):
            result = pattern.startswith("!")
    return result


def test_bases_are_pinned_to_one_tag() -> None:
    bases = {words[0] for words in instructions("FROM")}
    assert len(bases) == 1
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-[a-z]+", bases.pop())


def test_it_runs_without_privileges_in_its_own_folder() -> None:
    assert instructions("USER")[-1] == ["10001:10001"]
    assert instructions("WORKDIR")[-1] == ["/work"]


def test_it_is_hetpd() -> None:
    (entry,), (command,) = instructions("ENTRYPOINT"), instructions("CMD")
    assert (json.loads(" ".join(entry)), json.loads(" ".join(command))) == (["hetpd"], ["check", "."])


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_copied_is_there_and_sent(name) -> None:
    assert (ROOT / name).exists()
    assert sent(name)


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "tests/support.py",
        "dist/hetpd.whl",
        "hetpd_cli/compiled/catalogue.json",
        "hetpd_cli/rules/launch/HPD501.yaml",
        "hetpd_cli/cli/__pycache__/app.pyc",
    ],
)
def test_what_is_not_needed_is_not_sent(path) -> None:
    assert not sent(path)


def test_a_part_of_the_package_is_sent() -> None:
    assert sent("hetpd_cli/cli/app.py")
    assert sent("rules/launch/HPD501-connector-mismatch.yaml")


def test_what_is_copied_is_enough_for_a_whole_wheel(wheel) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    inside = {name.split("/")[1] for name in names if name.startswith("hetpd_cli/") and name.count("/") > 1}
    assert {"cli", "compiled", "rules", "schemas", "examples", "tables"} <= inside
    sources = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("hetpd_cli/**/*.py")}
    assert sources <= set(names)
