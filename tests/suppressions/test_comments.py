"""Comments that speak to hetpd: what they name, and which line they are about."""

from __future__ import annotations

import pytest

from hetpd_cli.sources.text import SourceText
from hetpd_cli.suppressions.comments import comments


def read(text: str) -> list[tuple[str, tuple[str, ...] | None, str, int]]:
    return [(one.word, one.rules, one.reason, one.line) for one in comments(SourceText("deploy.yaml", text))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1  # hetpd: ignore[x] because", [("ignore", ("x",), "because", 1)]),
        ("a: 1  #hetpd:ignore[x]because", [("ignore", ("x",), "because", 1)]),
        ("a: 1  # hetpd: ignore[x, HPD2]: because of this", [("ignore", ("x", "HPD2"), "because of this", 1)]),
        ("a: 1  # hetpd: ignore [x] -- because", [("ignore", ("x",), "because", 1)]),
        ("# hetpd: ignore[x] because\na: 1", [("ignore", ("x",), "because", 2)]),
        ("# hetpd: ignore[x] because\n# a note\n\n  a: 1", [("ignore", ("x",), "because", 4)]),
        ("# hetpd: ignore[x] because", [("ignore", ("x",), "because", 1)]),
        ("a: 1 # hetpd: ignore[] because", [("ignore", (), "because", 1)]),
        ("a: 1 # hetpd: ignore because", [("ignore", None, "because", 1)]),
        ("a: 1 # hetpd: disable[x] because", [("disable", ("x",), "because", 1)]),
        ("a: 1 # hetpd: ignore[x]", [("ignore", ("x",), "", 1)]),
        ("a: 1 # HETPD: Ignore[x] because", [("ignore", ("x",), "because", 1)]),
        ("a: 1 # a note # hetpd: ignore[x] because", [("ignore", ("x",), "because", 1)]),
        ("a: 1 # hetpd: ignore[x] because\r\nb: 2 # hetpd: ignore[y] of that\r\n", [
            ("ignore", ("x",), "because", 1), ("ignore", ("y",), "of that", 2),
        ]),
    ],
)  # fmt: skip
def test_what_a_comment_says(text, found) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("# hetpd: ignore[x] y\nvllm serve \\\n  --a \\\n  --b\necho", (2, 4)),
        ("# hetpd: ignore[x] y\r\nvllm serve \\\r\n  --a\r\n", (2, 3)),
        ("# hetpd: ignore[x] y\necho \\\\\n  --a", (2, 2)),
        ("# hetpd: ignore[x] y\necho \\\\\\\n  --a", (2, 3)),
        ("# hetpd: ignore[x] y\nvllm serve \\", (2, 2)),
        ("vllm serve # hetpd: ignore[x] y \\\n  --a", (1, 1)),
    ],
)
def test_a_command_that_goes_on_is_one_line(text, lines) -> None:
    (found,) = comments(SourceText("serve.sh", text))
    assert (found.line, found.last) == lines


@pytest.mark.parametrize(
    "text",
    [
        "hetpd: 1",
        "a: b#hetpd: ignore[x] y",
        "# hetpd ignores this",
        "# see hetpd: it checks",
        "# hetpd: see the runbook",
        "",
    ],
)
def test_what_is_no_comment_to_hetpd(text) -> None:
    assert read(text) == []


def test_many_comments_take_no_time() -> None:
    assert len(read("# hetpd: ignore[x] y\n" * 20_000)) == 20_000
    assert len(read("# hetpd: ignore[x] y\n" * 20_000 + "a \\\n" * 20_000)) == 20_000
