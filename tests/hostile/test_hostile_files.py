"""Files from strangers: a finding or one line, in bounded time and memory, and nothing passed through."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.report import FORMATS, Options, renderer
from hetpd_cli.sources.inputs import read_text
from hetpd_cli.sources.text import Limits, SourceText
from tests.support import ROOT, examples, without_commands

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = 1 << 30
STAMPED = b"hetpd: 1\n"


def checked(path: Path, form: str = "full") -> subprocess.CompletedProcess[bytes]:
    """Check a file in a process that may use 1 GiB and 20 s."""
    return subprocess.run(
        [sys.executable, "-m", "hetpd_cli", "check", "-f", form, str(path)],
        cwd=ROOT,
        capture_output=True,
        timeout=20,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )


BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (name, name, b", ".join([b"*%c" % (name - 1)] * 9)) for name in range(ord("b"), ord("k"))
)
CONTENTS = {
    "large": STAMPED + b"name: " + b"x" * (50 << 20),
    "many keys": STAMPED + b"".join(b"k%d: 1\n" % number for number in range(400_000)),
    "deep": STAMPED + b"name: " + b"[" * 100_000,
    "deep mappings": STAMPED + b"name: " + b"{a: " * 100_000,
    "alias bomb": STAMPED + BOMB,
    "merge bomb": STAMPED + b"a: &a {x: 1}\n" + b"b: {" + b"<<: *a, " * 50_000 + b"}\n",
    "many pools": STAMPED + b"pools:\n" + b"- a\n" * 200_000,
    "many boundaries": STAMPED
    + b"pools:\n"
    + b"".join(
        b"- {name: %s%d, role: %s}\n" % (role[:1], n, role) for role in (b"prefill", b"decode") for n in range(120)
    ),
    "bracket behind a comment": STAMPED + "k: &x #\x85[".encode(),
    "not utf-8": STAMPED + b"name: \xff\xfe",
    "utf-16": "hetpd: 1".encode("utf-16"),
    "nul": STAMPED + b"name: a\0b",
    "nul in a path": STAMPED + b'model: {config: "a\\0b"}\npools: [{name: p, role: prefill}]\n',
    "long version": STAMPED
    + b"pools: [{name: p, role: prefill, engine: {name: vllm, version: "
    + b"9" * 5000
    + b"}}]\n",
    "long number": STAMPED + b"pools: [{name: p, role: prefill, workers: " + b"9" * 100_000 + b"}]\n",
    "not a number": STAMPED
    + b"pools: [{name: p, role: prefill, connector: {name: nixl, lease_s: .inf}, measured: {step_s: .nan}}]\n",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_a_hostile_file_is_a_finding(content, tmp_path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_bytes(content)
    done = checked(path, "concise")
    assert done.returncode in {1, 3, 0}
    assert done.stderr == b""
    assert b"HPD0" in done.stdout or b"hostile.yaml" in done.stdout or done.returncode == 0
    # A finding a fault, so the output grows with the input and no faster.
    assert len(done.stdout) < 100_000 + 50 * len(content)


SPECIAL = (
    "\x1b[31mred",
    "\x9b31m",
    "[red]markup[/red]",
    "::error file=x::boom",
    "##[error]boom",
    "##vso[task]",
    "\u202egnp",
    "a\rb",
)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("special", SPECIAL)
def test_nothing_is_passed_through(special, form, tmp_path) -> None:
    quoted = '"' + "".join(f"\\u{ord(character):04x}" for character in special) + '"'
    text = (
        f"hetpd: 1\nname: {quoted}\n{quoted}: 1\npools:\n"
        f"  - {{name: {quoted}, role: prefill, kv: {{dtype: fp16}}, connector: nixl}}\n"
        f"  - {{name: d, role: decode, kv: {{dtype: bf16}}, connector: nixl, accelerator: {quoted}}}\n"
    )
    reading = read_text(SourceText(f"dir/{special}.yaml", text), Limits())
    shown = without_commands(form, renderer(form).render(check([reading], catalogue()), Options()))
    assert "HPD201" in shown
    assert "HPD013" in shown
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    assert not re.search(r"^\s*::\w", shown, re.M)
    assert "##[" not in shown
    assert "##vso[" not in shown


PIECES = (
    "hetpd: 1\n",
    "pools:\n",
    "  - ",
    "name: p",
    "role: prefill\n",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ": ",
    "&a ",
    "*a ",
    "<<: ",
    "null",
    "~",
    "1e9",
    "-1",
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map(lambda parts: "hetpd: 1\n" + "".join(parts)),
    st.text(max_size=60).map(lambda text: f"hetpd: 1\n{text}"),
)


def judged(text: str) -> None:
    report = check([read_text(SourceText("x.yaml", text), Limits())], catalogue())
    for form in FORMATS:
        renderer(form).render(report, Options(width=80))


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_gives_a_report(text) -> None:
    judged(text)


DEPLOYMENTS = [example["deployment"] for kind in ("bad", "near-miss") for _, example in examples(kind)]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(DEPLOYMENTS),
    st.integers(0, 400),
    st.integers(0, 30),
    st.sampled_from(["", "null", "[]", "{}", ": ", "\x00", "-", '"']),
)
def test_a_damaged_deployment_gives_a_report(text, at, length, instead) -> None:
    judged(text[:at] + instead + text[at + length :])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_give_a_report(tmp_path_factory, content) -> None:
    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_bytes(STAMPED + content)
    from hetpd_cli.sources.inputs import read

    check([read(str(path), Limits())], catalogue())


def test_what_is_no_file_is_not_opened(tmp_path) -> None:
    fifo = tmp_path / "fifo.yaml"
    os.mkfifo(fifo)
    loop = tmp_path / "loop"
    loop.symlink_to(tmp_path)
    assert checked(fifo).returncode == 3
    assert checked(tmp_path).returncode == 3


def test_a_path_never_leaves_its_directory(tmp_path) -> None:
    (tmp_path / "secret.json").write_text('{"num_hidden_layers": 61}')
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.json").symlink_to(tmp_path / "secret.json")
    for named in ("../secret.json", str(tmp_path / "secret.json"), "link.json"):
        file = inside / "deploy.yaml"
        file.write_text(f"hetpd: 1\nmodel: {{config: {named}}}\npools: [{{name: p, role: prefill}}]\n")
        done = checked(file, "concise")
        assert b"HPD019" in done.stdout
        assert b"61" not in done.stdout
