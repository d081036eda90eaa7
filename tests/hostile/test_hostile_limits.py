"""What costs a parser or a terminal most: each in seconds, in 1 GiB, with one finding a fault and nothing passed through."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.report import FORMATS, Options, renderer
from hetpd_cli.sources.inputs import read, read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.support import ROOT, examples, without_commands

if TYPE_CHECKING:
    from pathlib import Path

MEMORY_BYTES = 2**30
TIMEOUT_S = 20


def hetpd(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run ``hetpd check`` in bounded time and memory."""
    return subprocess.run(
        [sys.executable, "-m", "hetpd_cli", "check", *map(str, arguments)],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES)),
    )


def pool(text: str) -> str:
    return f"hetpd: 1\npools:\n  - {{name: p, role: prefill, {text}}}\n  - {{name: d, role: decode}}\n"


MIB = 2**20
CASES: dict[str, tuple[str | bytes, int, set[str]]] = {
    "50 MB": (b"hetpd: 1\n" + b"# comment\n" * (5 * MIB), 3, {"HPD003"}),
    "50 MB of nothing": (b"\0" * 50 * MIB, 0, set()),
    "a scalar of 8 MB": ('hetpd: 1\ndescription: "' + "x" * (8 * MIB - 100) + '"\n', 1, {"HPD014"}),
    "a folded scalar of 8 MB": ("hetpd: 1\ndescription: a" + "\n\n b" * (2 * MIB - 100), 1, {"HPD014"}),
    "a word of 8 MB": (pool("kv: {dtype: " + "k" * 8_000_000 + "}"), 1, {"HPD017"}),
    "a key of 8 MB": (pool("? " + "k" * 8_000_000 + "\n   : 1"), 1, {"HPD013"}),
    "blank lines": ("hetpd: 1\nx: [a" + "\n" * 8_000_000, 3, {"HPD004"}),
    "tabs": ("hetpd: 1\nx: " + "\t" * 8_000_000 + "1", 1, {"HPD013", "HPD014"}),
    "commas before a stamp": ("a" + ",\t" * 4_000_000, 0, set()),
    "an open quote": ('hetpd: 1\nx: "' + "\\" * 8_000_000, 3, {"HPD004"}),
    "unknown keys": (pool("kv: {" + ", ".join(f"blok_size_{n}: 1" for n in range(8_000)) + "}"), 1, {"HPD013"}),
    "ambiguous scalars": ("hetpd: 1\nx: [" + "1:30, " * 20_000 + "]\n", 1, {"HPD011", "HPD013", "HPD014"}),
    "keys that are lists": ("hetpd: 1\nx: {" + "[a]: 1, " * 30_000 + "}\n", 1, {"HPD010", "HPD013", "HPD014"}),
    "duplicate keys": (pool("env: {" + "A: 1, " * 20_000 + "}"), 1, {"HPD012"}),
    "unsupported tags": ("hetpd: 1\nx: [" + "!y 1, " * 20_000 + "]\n", 1, {"HPD009", "HPD013", "HPD014"}),
    "tag prefixes": ("%TAG !a! a\n" * 100_000 + "---\nhetpd: 1\n", 3, {"HPD006"}),
    "deep brackets": ("hetpd: 1\nx: " + "[" * 1_000_000, 3, {"HPD005"}),
    "deep indentation": ("hetpd: 1\n" + "".join(" " * n + "a:\n" for n in range(500)), 3, {"HPD005"}),
    "deep aliases": (
        "hetpd: 1\nx:\n  - &a0 [1]\n" + "".join(f"  - &a{n} [*a{n - 1}]\n" for n in range(1, 200)),
        3,
        {"HPD005"},
    ),
    "an alias of its own container": ("hetpd: 1\nx: &x {y: *x}\n", 3, {"HPD008"}),
    "an alias of a long scalar": (
        pool("hosts: [&x " + "h" * 7_000_000 + ", " + "*x, " * 100_000 + "]"),
        0,
        set(),
    ),
    "merges of merges": (
        "hetpd: 1\na0: &a0 {"
        + ", ".join(f"k{n}: 1" for n in range(2000))
        + "}\n"
        + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 400)),
        3,
        {"HPD007"},
    ),
    "long numbers": (
        pool(
            "workers: " + "9" * 1_000_000 + ", devices_per_worker: 0x" + "f" * 100_000
            + ", memory: {kv_capacity_gib: 1" + ":59" * 100_000 + "}, parallelism: {tp: 1e" + "9" * 100_000 + "}"
        ),
        1,
        {"HPD011", "HPD015", "HPD016"},
    ),
    "a long version": (pool('engine: {name: vllm, version: "' + "1." * 1_000_000 + '1"}'), 0, set()),
    "truncated": (pool("kv: {dtype: fp16}")[:-45], 3, {"HPD004"}),
    "many byte-order marks": (b"\xef\xbb\xbf" * 1000 + pool("x: 1").encode(), 1, {"HPD013"}),
    "UTF-16": (pool("x: 1").encode("utf-16"), 3, {"HPD002"}),
    "half a character": (b"hetpd: 1\nx: \xe2\x82", 3, {"HPD002"}),
    "half a pair": (b'hetpd: 1\nx: "\\ud800"\n', 3, {"HPD004"}),
    "an encoded surrogate": (b"hetpd: 1\nx: \xed\xa0\x80\n", 3, {"HPD002"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_costly_file(name: str, tmp_path: Path) -> None:
    content, code, codes = CASES[name]
    path = tmp_path / "hostile.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = hetpd("-f", "concise", path)
    assert (done.returncode, done.stderr) == (code, b"")
    *rows, summary = done.stdout.decode().splitlines()
    assert {row.split()[2] for row in rows} == codes
    assert summary
    assert all(row.startswith(f"{path}:") for row in rows)


@pytest.mark.parametrize("form", ["full", "json"])
@pytest.mark.parametrize("name", ["a scalar of 8 MB", "a word of 8 MB", "tabs", "unknown keys", "long numbers"])
def test_a_costly_file_in_other_formats(form: str, name: str, tmp_path: Path) -> None:
    content, code, _ = CASES[name]
    assert isinstance(content, str)
    path = tmp_path / "hostile.yaml"
    path.write_text(content)
    done = hetpd("-f", form, path)
    assert (done.returncode, done.stderr) == (code, b"")
    assert len(done.stdout) < 64 * MIB
    if form == "full":
        assert max(map(len, done.stdout.decode().splitlines())) < 2000
        assert len(done.stdout) < 100_000
    else:
        assert json.loads(done.stdout)["schema"] == 1


def test_an_endless_standard_input_is_left() -> None:
    command = f"yes 'hetpd: 1' | {sys.executable} -m hetpd_cli check -f concise -"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, timeout=TIMEOUT_S, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (3, b"")
    assert done.stdout.startswith(b"<stdin>:1:1: error HPD003 ")


def test_devices_pipes_and_loops_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "self.yaml").symlink_to("self.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    done = hetpd("-f", "concise", tmp_path, "/dev/zero", "/dev/tty", "/proc/self/mem")
    assert done.returncode == 3
    assert done.stderr == b""
    rows = done.stdout.decode().splitlines()[:-1]
    assert {row.split()[2] for row in rows} == {"HPD001"}
    assert len(rows) == 6


def test_many_files_in_deep_folders(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(100):
        folder /= "d"
        folder.mkdir()
        (folder / "a.yaml").write_text("kind: Pod\n")
    (folder / "b.yaml").write_text(pool("x: 1"))
    done = hetpd("-f", "concise", "-q", tmp_path)
    assert done.returncode == 1
    assert done.stdout.decode().startswith(f"{folder}/b.yaml:3:")


# -- nothing is passed through ---------------------------------------------------------------------------------

ODD = [
    "\x1b[31mred\x1b[0m", "\x1b]8;;https://x.example\x07link", "\x9b2J", "\x07\x08\x7f", "[red]x[/red]", ":warning:",
    "::error file=a,line=1::owned", "::set-output name=a::b", "##[error]owned", "##vso[task.complete]", "\u202egpj.exe",
    "\u2066x\u2069", "\u200b\ufeff\U000e0041", "a\r::error::b", "a\u2028::error::b", "a\x85b", "<script>alert(1)</script>", "\ue000",
]  # fmt: skip
ODD_IN_ONE = " ".join(ODD)


def assert_inert(shown: str) -> None:
    for row in shown.split("\n"):
        assert row.isprintable(), ascii(row)
        assert not re.match(r"\s*::\w", row), row
        assert not re.search(r"##\w*\[", row), row
    assert not any(unicodedata.category(character) in {"Cf", "Co", "Cs", "Zl", "Zp"} for character in shown)


def quoted(text: str) -> str:
    """Return ``text`` as a double-quoted scalar in which everything odd is an escape."""
    escapes = (letter if letter.isalnum() and letter.isascii() else f"\\U{ord(letter):08x}" for letter in text)
    return f'"{"".join(escapes)}"'


TEMPLATES = {
    "key": "hetpd: 1\n? @\n: 1\npools: [{name: p, role: prefill, ? @ : 1, kv: {? @ : 1}}]\n",
    "value": "hetpd: @\nname: @\npools: [{name: p, role: @, workers: @, unstated: @, kv: {dtype: @}, ports: {a: @}}]\n",
    "names": "hetpd: 1\npools: [{name: @, role: prefill}, {name: @, role: prefill}]\nhandoffs: [{from: @ , to: x@x}]\n",
    "quantity": "hetpd: 1\npools: [{name: p, role: prefill, connector: {lease_s: @}, memory: {utilization: @}}]\n",
    "host": "hetpd: 1\npools: [{name: p, role: prefill, hosts: [@]}]\nhosts: [{name: x}]\n",
    "config": "hetpd: 1\nmodel: {config: @}\npools: [{name: p, role: prefill}]\n",
    "comment": "hetpd: 1\npools: [{name: p, role: prefil}] # [red]\t::error::x ##[error] é\n",
    "rules": (
        "hetpd: 1\npools:\n"
        "  - {name: @, role: prefill, accelerator: @, engine: {name: vllm, version: @}, kv: {dtype: fp16}, connector: nixl}\n"
        "  - {name: d, role: decode, accelerator: @, engine: {name: sglang}, kv: {dtype: bf16}, connector: mooncake}\n"
    ),
}


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_passed_through(name: str, form: str) -> None:
    for odd in [*ODD, ODD_IN_ONE]:
        text = TEMPLATES[name].replace("@", quoted(odd))
        report = check([read_text(SourceText(f"nowhere/{odd}.yaml", text), Limits())], catalogue())
        assert {finding.code for finding in report.findings} - {"HPD004"}
        for options in (Options(), Options(width=60, verbose=True)):
            assert_inert(without_commands(form, renderer(form).render(report, options)))


@pytest.mark.parametrize("form", FORMATS)
def test_raw_control_characters_are_one_finding(form: str) -> None:
    for odd in ("\x1b[31m", "\x00", "\x07", "\x7f", "\x9b"):
        for text in (f"hetpd: 1\nname: {odd}\n", f"hetpd: 1\n# {odd}\n{odd}: 1\n"):
            report = check([read_text(SourceText("a.yaml", text), Limits())], catalogue())
            assert [finding.code for finding in report.findings if finding.code == "HPD004"] == ["HPD004"], text
            assert_inert(without_commands(form, renderer(form).render(report, Options(width=80))))


@pytest.mark.parametrize("form", FORMATS)
def test_odd_paths_and_contents_through_the_whole_program(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"{ODD_IN_ONE.replace('/', '_')[:100]}.yaml"
    path.write_text(TEMPLATES["rules"].replace("@", quoted(ODD_IN_ONE)), encoding="utf-8")
    done = hetpd("-f", form, "-v", path)
    assert (done.returncode, done.stderr) == (1, b"")
    assert_inert(without_commands(form, done.stdout.decode()))


# -- whatever comes, a report ----------------------------------------------------------------------------------

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WHOLE = max((example["deployment"] for _, example in examples("bad")), key=len)


@SETTINGS
@given(st.binary(max_size=400), st.sampled_from([b"", b"hetpd: 1\n", b"{hetpd: ", b"\xef\xbb\xbfhetpd:"]))
def test_random_bytes(tmp_path: Path, data: bytes, start: bytes) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(start + data)
    report = check([read(str(path), Limits())], catalogue())
    assert report.inputs[0].status in {"checked", "not-pd", "unreadable"}
    for form in FORMATS:
        assert_inert(without_commands(form, renderer(form).render(report, Options(width=70))))


def test_every_truncation_of_a_deployment_gives_a_report() -> None:
    text = (ROOT / "examples" / "vllm-1p1d-mismatch.yaml").read_text(encoding="utf-8")
    start = text.index("hetpd: 1") + len("hetpd: 1\n")
    for end in range(start, len(text), 3):
        report = check([read_text(SourceText("a.yaml", text[:end]), Limits())], catalogue())
        assert report.inputs[0].status in {"checked", "unreadable"}
        for finding in report.findings:
            assert 0 <= finding.primary.start <= finding.primary.end <= end
            assert 1 <= finding.primary.line <= text.count("\n", 0, end) + 1
