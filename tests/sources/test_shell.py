from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetpd_cli.sources.embedded import Embedded, put_in, whole
from hetpd_cli.sources.launch import Launch, Word
from hetpd_cli.sources.shell import commands, read_script
from hetpd_cli.sources.text import Positions, SourceText


def script(text: str) -> Embedded:
    return whole(SourceText("s.sh", text))


def run(text: str, env: dict[str, Word] | None = None, arguments: tuple[Word, ...] | None = ()) -> list[Launch]:
    return commands(script(text), env or {}, arguments=arguments)


def values(text: str, arguments: tuple[Word, ...] | None = ()) -> list[list[str]]:
    return [[word.value for word in launch.words] for launch in run(text, arguments=arguments)]


def given_word(text: str, unresolved: str = "") -> Word:
    embedded = whole(SourceText("env.yaml", text))
    place = Positions(SourceText("env.yaml", text or "x")).place(0, max(len(text), 1))
    return Word(embedded, place, unresolved)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b \\\n  c\n", [["a", "b", "c"]]),
        ("a 'x y'\"z\"w", [["a", "x yzw"]]),
        ("a '{\"k\":\n 1}'", [["a", '{"k":\n 1}']]),
        ("F='--all2all-backend foo'\na $F", [["a", "--all2all-backend", "foo"]]),
        ("A=(--x 'a b' # why\n -y)\nA+=(z)\na \"${A[@]}\"", [["a", "--x", "a b", "-y", "z"]]),
        ("TP=2\nDP=4\na $((TP * DP))", [["a", "8"]]),
        ("a ${M:-m} ${N:=n} $N", [["a", "m", "n", "n"]]),
        ("eval \"a 'b c'\"", [["a", "b c"]]),
        ("bash -lc 'a $1 $0' x y", [["a", "y", "$0"]]),
        ("env -u Z A=1 nohup a b &", [["a", "b"]]),
        ("a | tee log && b || c > f 2>&1", [["a"], ["tee", "log"], ["b"]]),
        ('f() { local P=$1; a $P "$@"; }\nf 1 2\nf 3', [["a", "1", "1", "2"], ["a", "3", "3"]]),
        ("X=y\nif [ $X = y ]; then a; else b; fi", [["a"]]),
        ("if [ $X = y ]; then a; else b; fi", [["a"], ["b"]]),
        ("case prefill in pre*) a;; *) b;; esac", [["a"]]),
        ("for i in 0 1; do a $((8000 + i)); done", [["a", "8000"], ["a", "8001"]]),
        ("for i in $(seq 0 $((2 - 1))); do a $i; done", [["a", "0"], ["a", "1"]]),
        ("exit 0\na", []),
        ("exec a\nb", [["a"]]),
        ("cat > f.yaml <<EOF\nx: 1\nEOF\na", [["cat"], ["a"]]),
        ("bash <<'EOF'\na b\nEOF", [["bash"], ["a", "b"]]),
        ("a --m <your-model> -x", [["a", "--m", "<your-model>", "-x"]]),
        ("a x\\\ny", [["a", "xy"]]),
        ("A=1 B=2\nif [ $A = 1 ]; then C=1 D=2\nelse a; fi\nb", [["b"]]),
        ('a "$(cat <<EOF\n{"k": 1}\nEOF\n)"', [["a", '{"k": 1}']]),
        ("a b\r\nc\r\n", [["a", "b"], ["c"]]),
        ('if [ -z "$TOKEN" ]; then exit 1; fi\na', [["a"]]),
        ('f() { X=1; [ -z "$TOKEN" ] && exit 1; }\nf\na $X', [["a", "1"]]),
        (
            "IFS=, read -ra A <<< '1,2'\nfor i in \"${!A[@]}\"; do a $i ${A[$i]}; done",
            [["a", "0", "1"], ["a", "1", "2"]],
        ),
        ("IFS=: read -r A B C <<< 'x:y:z:w'\na $A $B $C", [["a", "x", "y", "z:w"]]),
        ("IFS=: read -r A B <<< 'x'\na $A $B", [["a", "x"]]),
        ("read A B <<< ' x  y '\na $A $B", [["a", "x", "y"]]),
        ("set -- x y\nA=$@\na $A-", [["a", "x", "y-"]]),
        ("set -- x y\nshift\na $1 $#", [["a", "y", "1"]]),
    ],
)
def test_commands(text: str, expected: list[list[str]]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(
    ("text", "unresolved", "incomplete"),
    [
        ("a --m $M", "$M is not set in this file", False),
        ("a x $EXTRA", "$EXTRA is not set in this file", True),
        ('a x "$EXTRA"', "$EXTRA is not set in this file", False),
        ("a x $(hostname)", "$(hostname) is known only when it runs", True),
        ("if b; then X=1; else X=2; fi\na x $X", "$X depends on a branch that cannot be decided here", True),
        ("while b; do X=1; done\na x $X", "$X is not set in this file", True),
        ("a x <m>", "<m> is a placeholder", False),
    ],
)
def test_unresolved(text: str, unresolved: str, incomplete: bool) -> None:
    launch = run(text)[-1]
    assert launch.words[-1].unresolved == (unresolved if "while" not in text else launch.words[-1].unresolved)
    assert launch.words[-1].unresolved
    assert bool(launch.incomplete) == incomplete


def test_branches_that_agree_are_known_and_arrays_keep_what_is_common() -> None:
    assert values("if b; then X=1; else X=1; fi\na $X")[-1] == ["a", "1"]
    launch = run('A=(--x 1 --flag)\nif b; then A+=(--y 2); fi\na "${A[@]}"')[-1]
    assert [word.value for word in launch.words] == ["a", "--x", "1"]
    assert launch.incomplete


def test_an_option_is_not_parted_from_its_value_by_a_branch() -> None:
    launch = run('if b; then A=(--tp 1); else A=(--tp 2); fi\na "${A[@]}" --z')[-1]
    assert [word.value for word in launch.words] == ["a", "--z"]
    assert launch.incomplete


def test_environment() -> None:
    text = "export A=1\nB=2\nC=3 a\nexport B\nA=4\na\n(export D=1; a)\na"
    found = [{name: word.value for name, word in launch.env.items()} for launch in run(text)]
    assert found == [{"A": "1", "C": "3"}, {"A": "4", "B": "2"}, {"A": "4", "B": "2", "D": "1"}, {"A": "4", "B": "2"}]


def test_values_of_the_container_keep_their_places_and_reasons() -> None:
    env = {"M": given_word("llama"), "IP": given_word("", "the field status.podIP")}
    launch = run("a --m $M --ip $IP", env)[0]
    assert launch.words[2].value == "llama"
    assert launch.words[2].text.place().path == "env.yaml"
    assert launch.words[2].place.path == "s.sh"
    assert (launch.words[4].value, launch.words[4].unresolved) == ("$IP", "the field status.podIP")
    assert set(launch.env) == {"M", "IP"}


def test_words_of_a_variable_have_places_of_their_own() -> None:
    text = "F='--é x'\na $F"
    launch = run(text)[0]
    places = [word.text.place() for word in launch.words[1:]]
    assert [text[place.start : place.end] for place in places] == ["--é", "x"]
    assert {text[word.place.start : word.place.end] for word in launch.words[1:]} == {"$F"}


def test_without_known_arguments_the_defaults_of_the_script_hold() -> None:
    text = 'M=m\nwhile [[ $# -gt 0 ]]; do case $1 in --m) M=$2; shift 2;; esac; done\nif [ -z "$1" ]; then exit 1; fi\na $M "$@"'
    launch = run(text, arguments=None)[-1]
    assert [word.value for word in launch.words[:2]] == ["a", "m"]
    assert launch.incomplete


def test_a_default_does_not_decide_which_worker_runs_the_script() -> None:
    text = "ROLE=${ROLE:-prefill}\nif [ $ROLE = prefill ]; then a; else b; fi"
    assert values(text) == [["a"], ["b"]]


def test_files_from_here_documents() -> None:
    reading = read_script(script("X=1\ncat > a.yaml <<EOF\nk: \"$X\"\nEOF\ncat <<'EOF' > b.yaml\n$X\nEOF"), {})
    assert {path: text.text for path, text in reading.files.items()} == {"a.yaml": 'k: "1"\n', "b.yaml": "$X\n"}


def test_what_stands_around_a_command() -> None:
    text = "# the prefill workers\nfor i in 1; do\n  a > logs/p$i.log 2>&1 &\ndone\nf() { b 2> x; }\nf"
    first, second = read_script(script(text), {}).runs
    assert (first.log, first.comment) == ("logs/p1.log", "# the prefill workers")
    assert (second.log, second.function) == ("", "f")


@pytest.mark.parametrize(
    "text",
    [
        "f() { f $@ $@; }\nf a b",
        "A=(x y)\n" + 'A+=("${A[@]}")\n' * 60,
        "A=xx\n" + "A=$A$A\n" * 60,
        "x " + "${a:-" * 5000,
        "x $((" + "(" * 5000,
        "if a; then " * 500,
        'A=\'eval "$A"\'\neval "$A"',
        "for a in 1 2 3 4 5 6 7 8 9; do " * 9 + "x;" + "done;" * 9,
        "x $((1 << 999999999)) $((2 ** 999999999)) $((1 / 0)) ${A[9999999999]} ${!A} ${}",
        "x \ud800 \0 'é",
    ],
)
def test_hostile_scripts_end(text: str) -> None:
    read_script(script(text), {}, arguments=None)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *("a ", "$X", "${X", "}", "'", '"', "`", "$(", "$((", ")", "\n", "X=", "X+=(", " é", "if ", "then "),
                *("fi\n", "for i in ", "do ", "done\n", "case ", "esac", "[[ ", " ]]", "<<E\n", "E\n", "| ", "&& "),
                *("; ", "\\", "f() {", "}", '"${X[@]}"'),
            ]
        ),
        max_size=25,
    ).map("".join)
)
def test_characters_stand_where_they_say(text: str) -> None:
    for launch in run("X='é b'\n" + text, arguments=None):
        for word in launch.words:
            for begin in range(len(word.value)):
                piece = word.text[begin : begin + 1].pieces[0]
                if piece.end - piece.start == 1:
                    assert piece.positions.text[piece.start : piece.end] == word.value[begin]


def test_a_value_in_place_of_another_stands_as_a_whole() -> None:
    source = SourceText("s.sh", "a")
    embedded = put_in("x y", Positions(source).place(0, 1), Positions(source))
    assert [word.value for word in commands(embedded, {})[0].words] == ["x", "y"]
