"""What the reader says that a script runs is what bash runs."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetpd_cli.sources.embedded import whole
from hetpd_cli.sources.shell import commands
from hetpd_cli.sources.text import SourceText

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

BASH = shutil.which("bash")
PRELUDE = r"""run() { printf '%s\0' "$@"; printf '\001\0'; }
set -f
"""

NAMES = ("A", "B", "C", "N", "M")
ARRAYS = ("XS", "YS")
plain = st.text("ab1-_=,./:{}é ", max_size=6)
bare = st.text("ab1-_=,./:é", max_size=5).map(lambda text: "a" + text)


def _escaped(text: str) -> str:
    return "x" + "".join("\\" + character if character in " {}" else character for character in text) + "x"


@st.composite
def expansions(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(("A", "B", "C")))
    array = draw(st.sampled_from(ARRAYS))
    default = draw(st.text("ab1 -", min_size=1, max_size=4))
    return draw(
        st.sampled_from(
            (
                f"${name}-",
                f"${{{name}}}",
                f"${{UNSET:-{default}}}",
                f"${{{name}:-{default}}}",
                f"${{{name}-{default}}}",
                f"${{{name}:+{default}}}",
                f"${{{name}+{default}}}",
                f"${{{name}#a}}",
                f"${{{name}##*b}}",
                f"${{{name}%?}}",
                f"${{{name}%%b*}}",
                f"${{{name}/a/{default}}}",
                f"${{{name}//[ab]/x}}",
                f"${{{name}/#a/x}}",
                f"${{{name}^^}}",
                f"${{{name}:1}}",
                f"${{{name}:0:2}}",
                f"${{#{name}}}",
                f"${{{array}[0]}}",
                f"${{#{array}[@]}}",
                f"${{{array}[*]}}",
                f"${{{array}[@]}}",
                f"${{{array}[@]:1}}",
                "$N/",
                "$((N * 3 + M))",
                "$(( (N - M) / 2 % 7 << 1 ))",
                "$((N > M ? N : -M))",
                "$(echo x $A)",
                "$1",
                "$@",
                "$#",
            )
        )
    )


def _double(pieces: list[str]) -> str:
    return '"' + "".join(pieces) + '"'


segments: SearchStrategy[str] = st.one_of(
    bare,
    plain.map(lambda text: f"'{text}'"),
    plain.map(lambda text: '"' + text + '"'),
    plain.map(_escaped),
    expansions(),
    st.lists(
        st.one_of(st.text("ab '{}", max_size=3), expansions(), st.sampled_from(('\\"', "\\$", "\\\\", "\\a"))),
        max_size=3,
    ).map(_double),
    st.sampled_from(("$'a\\tb'", "$'\\x41\\u00e9\\''", '"a\\\nb"', '""', "''")),
)
words = st.lists(segments, min_size=1, max_size=3).map("".join)


@st.composite
def statements(draw: st.DrawFn, depth: int = 0) -> str:  # noqa: PLR0912 (one line a kind of statement)
    kinds = ["run", "set", "append", "array", "extend", "number", "positional", "prefix", "eval", "declare"]
    if depth < 2:
        kinds += ["if", "for", "case", "and", "function", "group", "count"]
    kind = draw(st.sampled_from(kinds))
    name, array = draw(st.sampled_from(("A", "B", "C"))), draw(st.sampled_from(ARRAYS))
    some = " ".join(draw(st.lists(words, max_size=3)))
    word = draw(words)
    below = statements(depth=depth + 1)
    if kind == "run":
        return f"run {some}"
    if kind == "set":
        return f"{name}={word}"
    if kind == "append":
        return f"{name}+={word}"
    if kind == "array":
        return f"{array}=({some})"
    if kind == "extend":
        return f"{array}+=({some})"
    if kind == "number":
        return f"N={draw(st.integers(-20, 20))}\nM=$((N + {draw(st.integers(1, 9))}))"
    if kind == "positional":
        return f"set -- {some}"
    if kind == "prefix":
        return f"Q={word} run {some}"
    if kind == "declare":
        return f"{draw(st.sampled_from(('export', 'declare', 'readonly')))} Z{draw(st.integers(0, 10**9))}={word}; run {some}"
    if kind == "eval":
        return f"eval 'run {draw(bare)}' \"$N\""
    if kind == "if":
        test = draw(
            st.sampled_from(
                (
                    f'[ -n "${name}" ]',
                    f"[[ ${name} == a* ]]",
                    "[ $N -lt 5 ]",
                    "[[ $N -gt $M || -z $A ]]",
                    f'! [ "${name}" = ab ]',
                    "(( N % 2 ))",
                )
            )
        )
        return f"if {test}; then {draw(below)}\nelse {draw(below)}\nfi"
    if kind == "for":
        return f"for C in 1 {some}; do {draw(below)}\ndone"
    if kind == "case":
        return f"case ${name} in a|ab) {draw(below)}\n;; *b*) {draw(below)}\n;; *) {draw(below)}\n;; esac"
    if kind == "and":
        return f"[[ -n ${name} ]] {draw(st.sampled_from(('&&', '||')))} run {some}"
    if kind == "function":
        return f'f{depth}() {{ local B={word}; run "$@" $# ; {draw(below)}\n}}\nf{depth} {some}'
    if kind == "count":
        return f"for ((i = 0; i < 3; i++)); do run $i {some}; done"
    return f"({draw(below)}\n)"


scripts = st.lists(statements(), min_size=1, max_size=6).map(
    lambda found: "A=a B='b c' C= N=3 M=5 XS=(a 'b c') YS=()\n" + "\n".join(found) + "\n"
)


def by_bash(script: str) -> list[list[str]] | None:
    """Return what bash runs; None if it objects to the script."""
    assert BASH is not None
    done = subprocess.run(
        [BASH, "-c", PRELUDE + script], capture_output=True, timeout=20, check=False, env={"LC_ALL": "C.UTF-8"}
    )
    if done.stderr:
        return None
    found: list[list[str]] = [[]]
    for field in done.stdout.decode().split("\0")[:-1]:
        if field == "\1":
            found.append([])
        else:
            found[-1].append(field)
    # Without arguments printf prints an empty one.
    return [[] if command == [""] else command for command in found[:-1]]


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
# The same scripts in every run: the grammar has quirks of its own, which no run should meet by chance.
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(scripts)
def test_words_are_those_of_bash(script: str) -> None:
    expected = by_bash(script)
    if expected is None:
        return
    source = SourceText("s.sh", script)
    launches = [launch for launch in commands(whole(source), {}) if launch.words[0].value == "run"]
    assert not any(word.unresolved for launch in launches for word in launch.words)
    found = [[word.value for word in launch.words[1:]] for launch in launches]
    assert [[] if command == [""] else command for command in found] == expected
