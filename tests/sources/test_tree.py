from __future__ import annotations

import gc
import math
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hetpd_cli.sources import tree as module
from hetpd_cli.sources.scalars import resolve
from hetpd_cli.sources.text import Limits, SourceText
from hetpd_cli.sources.tree import Node, Tree, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hetpd_cli.places import Place
    from hetpd_cli.sources.problems import Problem

LIMITS = Limits()
LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(module, "_LOADER", request.param)
    return request.param


def read(text: str, limits: Limits = LIMITS) -> Tree:
    return parse(SourceText("f.yaml", text), limits)


def root(text: str, rules: list[str] | None = None) -> Node:
    tree = read(text)
    assert [problem.rule for problem in tree.problems] == (rules or [])
    assert len(tree.documents) == 1
    return tree.documents[0]


def only(text: str, rule: str, limits: Limits = LIMITS) -> Problem:
    problems = read(text, limits).problems
    assert [problem.rule for problem in problems] == [rule]
    assert sum(spot.primary for spot in problems[0].places) == 1
    for spot in problems[0].places:
        assert len(spot.label.split()) <= 6
    return problems[0]


def primary(problem: Problem) -> Place:
    return next(spot.place for spot in problem.places if spot.primary)


def cut(text: str, place: Place) -> str:
    return text[place.start : place.end]


def nodes(tree: Tree) -> Iterator[Node]:
    stack = list(tree.documents)
    while stack:
        node = stack.pop()
        yield node
        stack += node.items
        for entry in node.entries:
            stack += [entry.key, entry.value]


def plain_value(node: Node) -> Any:
    if node.kind == "scalar":
        return node.value
    if node.kind == "sequence":
        return [plain_value(item) for item in node.items]
    return {key: plain_value(node.get(key) or node) for key in node.keys()}  # noqa: SIM118


# -- values and places ---------------------------------------------------------------------------------------

SAMPLE = """\
# comment
hetpd: 1
"quoted key": 'it''s'
größe:   é𝄞x   # trailing
list:
  - 16
  - "a\\tb"   # b

  - {a: [1, 2], b: }
block: |
  one
   two

folded: >-
  three
multi: one
  two
empty:
tagged: &anchor !!str 012
map: &m
  k: v
alias: *m
last: true

# end
"""


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_values(newline: str) -> None:
    node = root(SAMPLE.replace("\n", newline))
    assert plain_value(node) == {
        "hetpd": 1,
        "quoted key": "it's",
        "größe": "é𝄞x",
        "list": [16, "a\tb", {"a": [1, 2], "b": None}],
        "block": "one\n two\n",
        "folded": "three",
        "multi": "one two",
        "empty": None,
        "tagged": "012",
        "map": {"k": "v"},
        "alias": {"k": "v"},
        "last": True,
    }


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_places_are_tokens(newline: str) -> None:
    text = SAMPLE.replace("\n", newline)
    node = root(text)
    shown = {entry.key.source: cut(text, entry.value.place).replace("\r", "") for entry in node.entries}
    assert shown == {
        "hetpd": "1",
        "quoted key": "'it''s'",
        "größe": "é𝄞x",
        "list": '- 16\n  - "a\\tb"   # b\n\n  - {a: [1, 2], b: }',
        "block": "|\n  one\n   two",
        "folded": ">-\n  three",
        "multi": "one\n  two",
        "empty": "empty",
        "tagged": "012",
        "map": "k: v",
        "alias": "k: v",
        "last": "true",
    }
    assert [cut(text, entry.key.place) for entry in node.entries][1] == '"quoted key"'
    assert cut(text, node.place).replace("\r", "") == SAMPLE[10:-8]
    last = node.get("last")
    assert last is not None
    assert (last.place.line, last.place.column, last.place.end_line, last.place.end_column) == (23, 7, 23, 11)
    assert str(last.place) == "f.yaml:23:7"


@pytest.mark.usefixtures("loader")
def test_aliases_say_where_they_stand() -> None:
    text = "a: &x {k: [1]}\nb: *x\nc: [*x]\n"
    node = root(text)
    one, other = node.get("a"), node.get("b")
    assert one is not None
    assert other is not None
    assert one.via is None
    assert other.via is not None
    assert cut(text, other.via) == "*x"
    assert other.via.line == 2
    assert other.place == one.place
    assert other.entries is one.entries
    third = node.get("c")
    assert third is not None
    assert third.items[0].via is not None
    assert third.items[0].via.line == 3
    scalar = root("a: &x 1\nb: *x\n").get("b")
    assert scalar is not None
    assert (scalar.value, scalar.place.line, scalar.via and scalar.via.line) == (1, 1, 2)


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("key:\n", "key"),
        ("key: &a\n", "&a"),
        ("{key: , b: 1}", "key"),
        ("- a\n-\n", "-"),
        ("? key\n", "key"),
        ("? key\n# comment\n\n", "key"),
        ("a: 1\n? key", "key"),
        ("k: !!null\n", "!!null"),
    ],
)
def test_empty_values_point_at_something(text: str, where: str) -> None:
    tree = read(text)
    empty = [node for node in nodes(tree) if node.kind == "scalar" and node.value is None]
    assert [cut(text, node.place) for node in empty] == [where]
    assert not tree.problems


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("&a\nk: v\n", "k: v"),
        ("!!map # c\n\n&a k: v\n\n# end", "&a k: v"),
        ("x: &a !!seq\n  - 1\n", "- 1"),
        ("x: !!seq &a [1, # c\n 2 ]  \n", "[1, # c\n 2 ]"),
        ("? a\n", "? a"),
        ("-\n", "-"),
        ("- - -\n", "- - -"),
        ("a:\n- 1\n-\n\n\n", "a:\n- 1\n-"),
    ],
)
def test_containers_span_from_first_to_last(text: str, where: str) -> None:
    tree = read(text)
    assert not tree.problems
    node = tree.documents[0]
    if "x:" in text:
        node = node.entries[0].value
    # An anchor of a key is the key's, so the mapping begins at the anchor.
    assert cut(text, node.place).removeprefix("&a ") == where.removeprefix("&a ")


def test_get_entry_keys() -> None:
    node = root("b: 1\na: 2\n")
    assert node.keys() == ["b", "a"]
    entry = node.entry("a")
    assert entry is not None
    assert (entry.key.place.line, entry.value.value, entry.merged) == (2, 2, False)
    assert node.get("c") is None
    assert node.entry("c") is None
    leaf = node.get("a")
    assert leaf is not None
    assert leaf.get("a") is None
    assert leaf.keys() == []


@pytest.mark.usefixtures("loader")
def test_documents() -> None:
    assert [plain_value(node) for node in read("a: 1\n---\n- 2\n--- 3\n...\n---\n").documents] == [
        {"a": 1},
        [2],
        3,
        None,
    ]
    assert read("").documents == ()
    assert read("# nothing\n").documents == ()


@pytest.mark.usefixtures("loader")
def test_line_separators_of_unicode_are_no_lines() -> None:
    node = root('a: "x\x85\u2028y"\nb: 1\n')
    assert node.get("b").place.line == 2  # type: ignore[union-attr]


@pytest.mark.usefixtures("loader")
def test_json() -> None:
    text = '{\n  "a": [1,\n    2.5, null],"b":{"c":"\\u00e9"}\n}\n'
    assert plain_value(root(text)) == {"a": [1, 2.5, None], "b": {"c": "é"}}


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML's own parser refuses tabs here")
def test_json_indented_by_tabs() -> None:
    assert plain_value(root('{\n\t"a": [1,\n\t\t2]\n}\n')) == {"a": [1, 2]}


def test_the_collector_is_left_as_found() -> None:
    assert gc.isenabled()
    read("a: [")
    assert gc.isenabled()
    gc.disable()
    try:
        read("a: 1")
        assert not gc.isenabled()
    finally:
        gc.enable()


# -- problems ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("a:\n\tb: 1\n", (2, 1), "tab"),
        ("\ta: 1\n", (1, 1), "tab"),
        ("a: |\n\tx\n", (2, 1), "tab"),
        ("a: *nope\n", (1, 4), "nope"),
        ("a: b: c\n", (1, 5), "colon"),
        ("a: [1, 2\n", (1, 4), "["),
        ("a: {b: [1, 2\n\n\n", (1, 8), "["),
        ("a: [1, 2\nb: 3\n", (2, 2), "]"),
        ("{a: 1\nb: 2}", (2, 2), "}"),
        ("[1,, 2]", (1, 4), "value"),
        ("a: 'x\nb: 3\n", (1, 4), "quote"),
        ('a: "x\n---\n', (1, 4), "quote"),
        ("é: x\n b\x01y\n", (2, 3), "U+0001"),
        ("\x00", (1, 1), "U+0000"),
        ("a: @x\n", (1, 4), "@"),
        ("a: `x`\n", (1, 4), "`"),
        ("a:\n  b: 1\n c: 2\n", (3, 2), "key"),
        ("- a\nb: 1\n", (2, 1), ""),
        ('a: "x" y\n', (1, 8), "key"),
        ("a: b\n\nlonely\nc: d\n", (3, 1), "colon"),
        ('a: "\\q"\n', None, "escape"),
        ("a: !e!x 1\n", (1, 4), "tag"),
        ("<<: 5\n", (1, 5), "<<"),
        ("<<: [{a: 1}, x]\n", (1, 14), "<<"),
        ("<<:\n", (1, 1), "<<"),
        ("a: \ud800\n", (1, 4), "U+D800"),
        ("%YAML 3.0\n---\na: 1\n", None, ""),
        ("a: & x\n", None, ""),
    ],
)
def test_syntax(text: str, where: tuple[int, int] | None, said: str) -> None:
    problem = only(text, "yaml-syntax")
    assert said in problem.message
    place = primary(problem)
    assert where is None or (place.line, place.column) == where
    assert read(text).documents == ()


def test_templates_get_a_hint() -> None:
    for text, rule in (("a: b\n\n{{- if .x }}\nc: d\n", "yaml-syntax"), ("a: {{ .x }}\n", "complex-key")):
        assert "render" in only(text, rule).fix


def test_undefined_alias_gets_the_nearest_anchor() -> None:
    assert "*base" in only("a: &base 1\nb: *bose\n", "yaml-syntax").fix


@pytest.mark.usefixtures("loader")
def test_documents_before_an_error_are_kept() -> None:
    tree = read("a: 1\n---\nb: [\n---\nc: 1\n")
    assert [plain_value(node) for node in tree.documents] == [{"a": 1}]
    assert [problem.rule for problem in tree.problems] == ["yaml-syntax"]


@pytest.mark.usefixtures("loader")
def test_documents_around_an_unusable_alias_are_kept() -> None:
    tree = read("a: &x 1\n---\nb: *x\n---\nc: &y [*y]\nd: *y\n---\ne: 1\n")
    assert [plain_value(node) for node in tree.documents] == [{"a": 1}, {"e": 1}]
    assert [problem.rule for problem in tree.problems] == ["yaml-syntax", "recursive-alias"]


@pytest.mark.usefixtures("loader")
def test_duplicate_keys() -> None:
    text = 'a: 1\nb: 2\n"a": 3\n'
    problem = only(text, "duplicate-key")
    assert [(spot.place.line, cut(text, spot.place), spot.primary) for spot in problem.places] == [
        (1, "a", False),
        (3, '"a"', True),
    ]
    node = read(text).documents[0]
    assert plain_value(node) == {"a": 3, "b": 2}
    assert len(node.entries) == 3
    assert not read("1.0: a\n1: b\n").problems
    assert len(read("a: 1\na: 2\na: 3\n").problems) == 2


@pytest.mark.usefixtures("loader")
def test_ambiguous_scalars() -> None:
    text = "NO: 012\nb: '012'\nc: [1e3, 1000, &x on]\nd: *x\ne: !!str on\nf: |\n  012\n"
    tree = read(text)
    assert {problem.rule for problem in tree.problems} == {"ambiguous-scalar"}
    assert [cut(text, primary(problem)) for problem in tree.problems] == ["NO", "012", "1e3", "on"]
    assert "YAML 1.1 reads 10, YAML 1.2 reads 12" in tree.problems[1].message
    assert "write 10 or write 12 or quote it" in tree.problems[1].fix
    assert not parse(SourceText("f", text), LIMITS, collect_ambiguous=False).problems


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "value", "where"),
    [
        ("a: !Ref foo\n", "foo", "!Ref"),
        ("a: !Ref [1]\n", [1], "!Ref"),
        ("a: &x !Ref\n", "", "!Ref"),
        ("[!Ref , 1]", None, "!Ref"),
        ("a: !!python/object:os.system {b: 1}\n", {"b": 1}, "!!python/object:os.system"),
        ("a: !!int foo\n", "foo", "!!int"),
        ("a: !!timestamp 2024-01-01\n", "2024-01-01", "!!timestamp"),
        ("a: !!seq {b: 1}\n", {"b": 1}, "!!seq"),
    ],
)
def test_unsupported_tags(text: str, value: object, where: str) -> None:
    problem = only(text, "unsupported-tag")
    assert cut(text, primary(problem)) == where
    if value is not None:
        assert plain_value(read(text).documents[0]) == {"a": value}


@pytest.mark.usefixtures("loader")
def test_core_tags() -> None:
    node = root('[!!str 012, !!int "3", !!float 3, !!bool "true", !!null "", ! 12, !!seq [], !!map {}]')
    values = plain_value(node)
    assert values == ["012", 3, 3.0, True, None, "12", [], {}]
    assert isinstance(values[2], float)


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("text", ["? [a]\n: 1\n", "{a: 1}: 2\n", "? {a: 1}\n"])
def test_complex_keys(text: str) -> None:
    only(text, "complex-key")
    node = read(text).documents[0]
    assert len(node.entries) == 1
    assert node.keys() == []


# -- merge keys ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "merged"),
    [
        ("b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3, z: 4}\n", {"y": 3, "z": 4, "x": 1}),
        ("b: &b {x: 1, y: 2}\nc: {y: 3, <<: *b}\n", {"y": 3, "x": 1}),
        ("b: &b {x: 1, y: 2}\nd: &d {x: 5, w: 6}\nc: {<<: [*b, *d]}\n", {"x": 1, "y": 2, "w": 6}),
        ("b: &b {x: 1, y: 0}\nd: &d {<<: *b, x: 2}\nc: {<<: *d, z: 3}\n", {"x": 2, "y": 0, "z": 3}),
        ("c: {<<: {x: 1, <<: {y: 2, x: 3}}}\n", {"x": 1, "y": 2}),
        ("b: &b [{x: 1}, {x: 2, y: 3}]\nc: {<<: *b}\n", {"x": 1, "y": 3}),
        ("c: {<<: []}\n", {}),
        ("c: {'<<': 1}\n", {"<<": 1}),
    ],
)
def test_merges(text: str, merged: dict[str, int]) -> None:
    # By https://yaml.org/type/merge.html; PyYAML 6.0.4 takes some of these in another order.
    node = root(text).get("c")
    assert node is not None
    assert plain_value(node) == merged


def test_merged_entries_say_so() -> None:
    text = "b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\n"
    merged = root(text).get("c")
    assert merged is not None
    assert [(entry.key.source, entry.merged) for entry in merged.entries] == [("y", False), ("x", True)]
    inherited = merged.get("x")
    assert inherited is not None
    assert inherited.via is not None
    assert (inherited.place.line, cut(text, inherited.via)) == (1, "*b")
    assert cut(text, merged.place) == "{<<: *b, y: 3}"


def test_two_merge_keys_are_duplicates() -> None:
    text = "a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc: {<<: *a, <<: *b}\n"
    only(text, "duplicate-key")
    assert plain_value(read(text).documents[0])["c"] == {"x": 2, "y": 3}


# -- limits and hostile input --------------------------------------------------------------------------------


def quick(seconds: float, text: str, limits: Limits = LIMITS) -> Tree:
    start = time.perf_counter()
    tree = read(text, limits)
    assert time.perf_counter() - start < seconds
    return tree


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("unit", ["[", "{", "- ", "? ", "[{a: ", "{a: ["])
def test_endless_nesting(unit: str) -> None:
    tree = quick(2, unit * 100_000)
    assert [problem.rule for problem in tree.problems] == ["too-deep"]


@pytest.mark.usefixtures("loader")
def test_block_nesting() -> None:
    deep = "".join(" " * level + "a:\n" for level in range(900))
    problem = only(deep, "too-deep")
    assert primary(problem).line == 65
    allowed = "".join(" " * level + "a:\n" for level in range(64))
    root(allowed)


def bomb(levels: int, width: int = 9) -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.usefixtures("loader")
def test_alias_bomb_is_bounded() -> None:
    tracemalloc.start()
    tree = quick(2, bomb(10))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [problem.rule for problem in tree.problems] == ["alias-expansion"]
    assert peak < 20 * 2**20
    assert not tree.documents


def test_a_walk_through_aliases_is_bounded() -> None:
    limits = Limits(max_alias_nodes=500)
    for levels in range(1, 8):
        for width in range(1, 6):
            tree = read(bomb(levels, width), limits)
            count = sum(1 for _ in nodes(tree))
            assert count <= 500 + sum(1 for _ in bomb(levels, width).split()) * 2
            assert bool(tree.documents) == (not tree.problems)


def test_aliases_count_exactly() -> None:
    text = "a: &a [1, {k: v}]\nb: *a\n"
    assert read(text, Limits(max_alias_nodes=5)).documents
    only(text, "alias-expansion", Limits(max_alias_nodes=4))


def test_depth_through_aliases() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 300))
    problem = only(text, "too-deep")
    assert primary(problem).line == 64


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 {k0: 1}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: 1}}\n" for n in range(1, 60)),
        "a: " + "{<<: " * 50 + "{" + ", ".join(f"k{n}: 1" for n in range(300)) + "}" + "}" * 50,
    ],
)
def test_merges_are_bounded(text: str) -> None:
    assert read(text).documents
    only(text, "alias-expansion", Limits(max_alias_nodes=1000))


@pytest.mark.usefixtures("loader")
def test_too_many_nodes() -> None:
    problem = only("- 1\n" * 1001, "too-many-nodes", Limits(max_nodes=1000))
    assert primary(problem).line == 1000
    assert [doc.kind for doc in read("- 1\n" * 999, Limits(max_nodes=1000)).documents] == ["sequence"]
    only("---\n" * 1001, "too-many-nodes", Limits(max_nodes=1000))


def test_many_tag_prefixes() -> None:
    tree = quick(1, "".join(f"%TAG !a{n}! x\n" for n in range(100_000)) + "--- 1\n")
    assert [problem.rule for problem in tree.problems] == ["too-many-nodes"]
    assert read("%TAG !e! tag:example.com,2000:\n---\na: 1\n").documents


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "x" * 5_000_000,
        "a: '" + "x\n" * 1_000_000 + "'",
        "a: |\n" + "  x\n" * 1_000_000,
        "#\n" * 2_000_000,
        "a:" + "\n" * 4_000_000,
        "\n".join(f"a{n}: &x{n} 1" for n in range(20_000)),
        "a: " + "1_" * 1_000_000,
        "a: " + "9" * 5_000_000,
        "a: 1" + ":59" * 1_000_000,
        "!" * 1_000_000,
        "a: &x\n" * 1_000 + "b: *x\n" * 1_000,
    ],
    ids=range(11),
)
def test_large_but_harmless(text: str) -> None:
    for problem in quick(3, text).problems:
        assert len(problem.message) < 500


@pytest.mark.parametrize("text", ["&a [*a]", "&a {k: *a}", "a: &x\n  b: &y [*x, *y]\n", "&a {<<: *a}"])
def test_recursive_aliases(text: str) -> None:
    tree = read(text)
    assert {problem.rule for problem in tree.problems} == {"recursive-alias"}
    assert not tree.documents


@pytest.mark.usefixtures("loader")
def test_half_surrogate_pairs_never_come_out() -> None:
    tree = read('a: "\\ud83d"\n')
    assert [problem.rule for problem in tree.problems] == ["yaml-syntax"]
    assert not tree.documents


# -- properties ----------------------------------------------------------------------------------------------

PIECES = (
    (
        "a",
        "b: ",
        "- ",
        "? ",
        ": ",
        "\n",
        "\n  ",
        "  ",
        "&x ",
        "*x",
        "<<: ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "'",
        '"',
    ),
    ("|\n", ">-\n", "!t ", "!!int ", "#", "---\n", "...\n", "%TAG", "\t", "\r\n", "012", "NO", "é", "\\"),
    ("\U0001f600", "\x85", "\u2028", "\x00", "{{", "\ufeff"),
)
SNIPPETS = st.lists(st.sampled_from(sum(PIECES, ())), max_size=24).map("".join)


def check_invariants(text: str, tree: Tree) -> None:
    for node in nodes(tree):
        for place in filter(None, (node.place, node.via)):
            assert 0 <= place.start <= place.end <= len(text)
            assert (place.line, place.column) <= (place.end_line, place.end_column)
    for problem in tree.problems:
        assert sum(spot.primary for spot in problem.places) == 1
        assert all(0 <= spot.place.start <= spot.place.end <= len(text) for spot in problem.places)
    assert (
        tree.documents
        or tree.problems
        or not text.replace("...", "").strip(" \t\r\n\x85\u2028\u2029\ufeff")
        or "#" in text
    )


@pytest.mark.parametrize("parser", LOADERS)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(SNIPPETS, st.text(max_size=30)))
def test_never_raises(parser: Any, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LOADER", parser)
        check_invariants(text, read(text))


SCALARS = st.one_of(
    st.text(max_size=12),
    st.integers(),
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
    st.sampled_from(["NO", "012", "1e3", "1:30", "a: b", "# x", "'", '"', "é𝄞", "- a", "~", ""]),
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=150)
@given(DATA, st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_what_pyyaml_writes_is_read_back(data: Any, flow: bool, ascii_only: bool, newline: str) -> None:
    text = yaml.safe_dump(
        data, default_flow_style=flow, allow_unicode=not ascii_only, line_break=newline, sort_keys=False
    )
    tree = read(text)
    # PyYAML's writer leaves no break a reader could mistake, but folds some control characters into them.
    assume(yaml.safe_load(text) == data)
    if tree.problems:
        assert {problem.rule for problem in tree.problems} == {"ambiguous-scalar"}
        return
    assert plain_value(tree.documents[0]) == data
    assert same_types(plain_value(tree.documents[0]), data)
    check_invariants(text, tree)
    check_slices(text, tree)


def same_types(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return all(same_types(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict):
        return all(same_types(one[key], other[key]) for key in one)
    return type(one) is type(other)


@settings(max_examples=400)
@given(SNIPPETS.map(lambda text: text.lstrip("\ufeff")))
def test_places_slice_to_the_same_scalar(text: str) -> None:
    check_slices(text, read(text))


def check_slices(text: str, tree: Tree) -> None:
    """Every single-line scalar, cut out of the text and read alone, is the same scalar."""
    for node in nodes(tree):
        token = cut(text, node.place)
        single = not set(token) & set("\n\r\x85\u2028\u2029")  # breaks by YAML 1.1, which both parsers follow
        if node.kind != "scalar" or not single or (node.plain and not node.source):
            continue
        if node.plain:
            assert token == node.source
            if node.tag is None:
                assert node.value == resolve(token) or math.isnan(float(str(node.value)))
        elif token[0] in "'\"":
            again = read(token).documents[0]
            assert (again.source, again.plain) == (node.source, False)
