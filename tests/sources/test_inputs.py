"""From the paths of a command line to the files that are read, and to what becomes of each."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest

from hetpd_cli.sources import inputs
from hetpd_cli.sources.inputs import find, read, read_all
from hetpd_cli.sources.text import Limits, SourceText

if TYPE_CHECKING:
    from pathlib import Path

OURS = "hetpd: 1\npools: [{name: p, role: prefill}, {name: d, role: decode}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(OURS)


def test_a_directory_is_walked_in_order(folder: Path) -> None:
    make(folder, "b.yaml", "a.yml", "C.JSON", "x.txt", "sub/z.yaml", "sub/a.json", "another/b.YAML", "yaml")
    walked = ("C.JSON", "a.yml", "b.yaml", "another/b.YAML", "sub/a.json", "sub/z.yaml")
    assert find(["."]).files == walked
    assert find([str(folder)]).files == tuple(str(folder / name) for name in walked)


@pytest.mark.parametrize("name", [".git", ".venv", "node_modules", "__pycache__", "venv", "site-packages", "a/.b"])
def test_skipped_directories(folder: Path, name: str) -> None:
    make(folder, "a.yaml", f"{name}/b.yaml", f"{name}/c/d.yaml")
    assert find(["."]).files == ("a.yaml",)
    assert find([name]).files == (f"{name}/b.yaml", f"{name}/c/d.yaml")


def test_links(folder: Path) -> None:
    make(folder, "real/a.yaml")
    (folder / "loop").symlink_to(".")
    (folder / "real" / "up").symlink_to("..")
    (folder / "linked").symlink_to("real")
    (folder / "link.yaml").symlink_to("real/a.yaml")
    assert find(["."]).files == ("link.yaml", "real/a.yaml")
    assert find(["linked"]).files == ("linked/a.yaml",)


def test_files_are_taken_as_they_are_and_once(folder: Path) -> None:
    make(folder, "a.yaml", "b.txt", "sub/c.yaml")
    found = find(["b.txt", "a.yaml", "b.txt", ".", "sub", "a.yaml"])
    assert found == (("b.txt", "a.yaml", "sub/c.yaml"), (), {"b.txt", "a.yaml"})
    assert find(["-", "missing.yaml", "-"]).files == ("-", "missing.yaml")


def test_directories_without_any_input(folder: Path) -> None:
    make(folder, "none/x.txt", "hidden/.git/a.yaml", "full/a.yaml")
    assert find(["none", "full", "hidden"]) == (("full/a.yaml",), ("none", "hidden"), frozenset())


def test_file_names_need_not_be_utf_8(folder: Path) -> None:
    name = os.fsdecode(b"a\xff.yaml")
    (folder / name).write_text(OURS)
    assert find(["."]).files == (name,)
    assert read(name, Limits()).status == "checked"


@pytest.mark.parametrize(
    ("name", "data", "status", "rules"),
    [
        ("a.yaml", OURS.encode(), "checked", []),
        ("a.yaml", b"", "not-pd", []),
        ("a.yaml", b"kind: [", "not-pd", []),
        ("a.yaml", b"{{ template }}", "not-pd", []),
        ("a.yaml", b"hetpd: [", "unreadable", ["yaml-syntax"]),
        ("a.yaml", b"jobs:\n  hetpd: [a, b]\n", "not-pd", []),
        ("a.yaml", b"hetpd: 1\nx: \xff\n", "unreadable", ["not-utf-8"]),
        ("a.yaml", OURS.encode("utf-16"), "unreadable", ["not-utf-8"]),
        ("a.yaml", b"\xef\xbb\xbf" + OURS.encode(), "checked", []),
        ("a.yaml", OURS.replace("\n", "\r\n").encode(), "checked", []),
        ("a.txt", OURS.encode(), "checked", []),
    ],
)
def test_what_becomes_of_a_file(folder: Path, name: str, data: bytes, status: str, rules: list[str]) -> None:
    (folder / name).write_bytes(data)
    found = read(name, Limits())
    assert (found.path, found.status, [problem.rule for problem in found.problems]) == (name, status, rules)
    assert bool(found.detail) is (status != "checked")


def test_missing_files_and_odd_ones(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    (folder / "dangling.yaml").symlink_to("nowhere")
    for name in ("pipe.yaml", "dangling.yaml", "missing.yaml", "nul\0.yaml", "a.yaml/b.yaml", "x" * 5000):
        found = read(name, Limits())
        assert (found.status, [problem.rule for problem in found.problems]) == ("unreadable", ["unreadable-file"])


def test_too_large(folder: Path) -> None:
    (folder / "a.yaml").write_text(OURS + "#" * 1000)
    found = read("a.yaml", Limits(max_bytes=1000))
    assert (found.status, [problem.rule for problem in found.problems]) == ("unreadable", ["input-too-large"])


def test_what_nobody_claims_is_never_parsed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(inputs, "parse", refuse)
    (folder / "a.yaml").write_text("on: push\nname: hetpd\n")
    assert read("a.yaml", Limits()).status == "not-pd"
    make(folder, "b.yaml")
    with pytest.raises(AssertionError, match="parsed"):
        read("b.yaml", Limits())


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, status in ((OURS, "checked"), ("kind: Pod", "not-pd")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        found = read("-", Limits())
        assert (found.path, found.status) == ("<stdin>", status)


# -- what somebody named, and what a walk found ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"name: caf\xe9\n", "not-pd"),
        (b"\xff\xfea\x00:\x001\x00", "not-pd"),
        (b"a: 1\n" * 2_000_000, "not-pd"),
        (b"hetpd: 1\nname: caf\xe9\n", "unreadable"),
        (b"hetpd: 1\n" + b"# \n" * 3_000_000, "unreadable"),
        ("hetpd: 1\n".encode("utf-16"), "unreadable"),
        (b"# caf\xe9\nvllm serve m\n", "unreadable"),
    ],
    ids=["latin", "utf-16", "large", "ours in latin", "ours too large", "ours in utf-16", "an engine"],
)
def test_a_file_that_cannot_be_read_is_a_fault_only_if_it_is_ours(tmp_path, content, status) -> None:
    path = tmp_path / "values.yaml"
    path.write_bytes(content)
    (walked,) = find([str(tmp_path)]).readings(Limits())
    assert walked.status == status
    assert bool(walked.problems) is (status == "unreadable")
    assert walked.detail
    for paths in ([path], [tmp_path, path]):
        (named,) = find(map(str, paths)).readings(Limits())
        assert named.status == status


def test_a_named_file_is_judged_by_more_than_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_bytes(b"# caf\xe9\n" * 20_000 + b"vllm serve m\n")
    assert [find([str(one)]).readings(Limits())[0].status for one in (tmp_path, path)] == ["not-pd", "unreadable"]


def test_texts_are_read_as_the_files_of_a_run_are(folder: Path) -> None:
    line = 'vllm serve m --kv-transfer-config \'{"kv_connector":"NixlConnector","kv_role":"kv_ROLE"}\'\n'
    texts = {f"{role}.sh": line.replace("ROLE", role) for role in ("producer", "consumer")} | {"d.yaml": OURS}
    for name, text in texts.items():
        (folder / name).write_text(text)
    found = read_all([SourceText(name, text) for name, text in texts.items()], Limits())
    walked = find(list(texts)).readings(Limits())
    assert [(one.path, one.status, one.joined) for one in found] == [
        (one.path, one.status, one.joined) for one in walked
    ]
    assert [[pool.role for one in reading.deployments for pool in one.pools] for reading in found] == [
        ["prefill", "decode"], [], ["prefill", "decode"]
    ]  # fmt: skip
