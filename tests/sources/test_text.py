from __future__ import annotations

import io
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.text import Limits, Positions, SourceText, line_starts, read_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMITS = Limits()


@pytest.fixture(autouse=True)
def _never_blocks() -> Iterator[None]:
    signal.alarm(10)
    yield
    signal.alarm(0)


def problem(path: Path | str, limits: Limits = LIMITS) -> Problem:
    found = read_source(str(path), limits)
    assert isinstance(found, Problem)
    assert sum(spot.primary for spot in found.places) == 1
    return found


def at(found: Problem) -> tuple[int, int]:
    place = found.places[0].place
    return place.line, place.column


def test_reads_utf_8_and_keeps_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("größe: 1\r\nb: 2\n".encode())
    assert read_source(str(file), LIMITS) == SourceText(str(file), "größe: 1\r\nb: 2\n")


def test_strips_one_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1")
    found = read_source(str(file), LIMITS)
    assert isinstance(found, SourceText)
    assert found.text == "a: 1"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("order", ["-le", "-be"])
def test_foreign_byte_order_marks(tmp_path: Path, encoding: str, order: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("\ufeffa: 1".encode(encoding + order))
    found = problem(file)
    assert found.rule == "not-utf-8"
    assert encoding.upper() in found.message
    assert at(found) == (1, 1)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"\xff", (1, 1)),
        ("é: \U0001f600".encode() + b"\xe9\n", (1, 5)),
        (b"a: 1\r\nb: \xc3", (2, 4)),
        (b"\xef\xbb\xbfa\x80", (1, 2)),
        (b"a: \xed\xa0\x80", (1, 4)),
    ],
)
def test_first_bad_byte(tmp_path: Path, data: bytes, where: tuple[int, int]) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(data)
    found = problem(file)
    assert found.rule == "not-utf-8"
    assert at(found) == where


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path in (tmp_path, pipe, tmp_path / "socket", "/dev/zero", tmp_path / "missing", pipe / "below"):
            found = problem(path)
            assert found.rule == "unreadable-file"
            assert at(found) == (1, 1)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert problem(tmp_path / "loop").rule == "unreadable-file"
    assert problem("a\0b").rule == "unreadable-file"
    assert problem("x" * 5000).rule == "unreadable-file"


def test_a_pipe_swapped_in_after_the_look_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_text("a: 1")
    regular = file.stat()
    monkeypatch.setattr("hetpd_cli.sources.text.os.stat", lambda _path: regular)
    assert problem(pipe).rule == "unreadable-file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("a: 1")
    file.chmod(0)
    assert "permission" in problem(file).message


def test_size_is_checked_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sparse"
    with file.open("wb") as handle:
        handle.truncate(50 * 2**20)
    read: list[int] = []
    monkeypatch.setattr("hetpd_cli.sources.text._decode", lambda *_: read.append(1))
    found = problem(file)
    assert found.rule == "input-too-large"
    assert "50.0 MiB" in found.message
    assert not read


def test_size_limit_is_inclusive(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a: 12")
    assert isinstance(read_source(str(file), Limits(max_bytes=5)), SourceText)
    assert problem(file, Limits(max_bytes=4)).rule == "input-too-large"


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc")  # noqa: PTH110
def test_files_without_size_are_limited_too() -> None:
    assert isinstance(read_source("/proc/self/status", LIMITS), SourceText)
    assert problem("/proc/self/status", Limits(max_bytes=10)).rule == "input-too-large"


def stdin(monkeypatch: pytest.MonkeyPatch, stream: Any) -> None:
    monkeypatch.setattr(sys, "stdin", stream)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfa: 1")))
    assert read_source("-", LIMITS) == SourceText("<stdin>", "a: 1")
    stdin(monkeypatch, io.TextIOWrapper(io.BytesIO(b"123456")))
    assert problem("-", Limits(max_bytes=5)).rule == "input-too-large"


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, None)
    assert problem("-").rule == "unreadable-file"
    closed = io.TextIOWrapper(io.BytesIO(b""))
    closed.buffer.close()
    stdin(monkeypatch, closed)
    assert problem("-").places[0].place.path == "<stdin>"


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    from hetpd_cli.sources.text import _decode

    found = _decode("f", data)
    if isinstance(found, SourceText):
        assert data.removeprefix(b"\xef\xbb\xbf") == found.text.encode()
    else:
        assert found.rule == "not-utf-8"


@given(st.text(alphabet="a\r\n\x85\u2028", max_size=12), st.data())
def test_places_count_lines_as_editors_do(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    starts = line_starts(text)
    assert len(starts) == text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    place = Positions(SourceText("f", text)).place(start, end)
    assert starts[place.line - 1] + place.column - 1 == start
    assert starts[place.end_line - 1] + place.end_column - 1 == end
    assert place.end_line == len(starts) or starts[place.end_line] > end
