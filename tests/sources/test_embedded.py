"""A value within a value keeps the places of its characters, whatever quotes and folds stand between."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hetpd_cli.sources.embedded import Embedded, join, of_scalar, put_in, whole
from hetpd_cli.sources.text import Limits, Positions, SourceText
from hetpd_cli.sources.tree import Node, parse


def only_value(text: str) -> tuple[Node, Positions]:
    source = SourceText("f.yaml", text)
    tree = parse(source, Limits())
    assert not tree.problems
    node = tree.documents[0].get("key")
    assert node is not None
    return node, Positions(source)


def embedded(text: str) -> Embedded:
    return of_scalar(*only_value(text))


@pytest.mark.parametrize(
    "text",
    [
        "key: serve --tp 4 --x\n",
        "key: 'serve --tp 4 ''it'' --x'\n",
        'key: "serve --tp 4\\t\\"it\\" --x"\n',
        'key: "serve \\\n  --tp 4\\\n  --x"\n',
        "key: |\n  serve \\\n    --tp 4 \\\n    --x\n",
        "key: |-\n\n  serve\n\n    --tp 4\n  --x",
        "key: >\n  serve\n  --tp 4\n\n  --x\n",
        "key: >-\n  serve\n    --tp 4\n    more\n  --x\n",
        "key: |2\n    serve\n  --tp 4 --x\n",
        "- a: 1\n- key\n",
        "key: serve\n  --tp 4\n  --x\n",
        "key: |\r\n  serve\r\n  --tp 4\r\n  --x\r\n",
    ],
)
def test_a_token_is_found_where_it_stands(text: str) -> None:
    if text.startswith("- "):
        source = SourceText("f.yaml", "key: [a, --tp 4, b]\n")
        node = parse(source, Limits()).documents[0].get("key")
        assert node is not None
        value = of_scalar(node.items[1], Positions(source))
        text = source.text
    else:
        value = embedded(text)
    start = value.text.index("--tp 4")
    place = value.place(start, start + len("--tp 4"))
    assert text[place.start : place.end] == "--tp 4"


words = st.text(st.sampled_from("ab'\"\\ \n\t:#-{}é{"), max_size=40)


@given(words, st.sampled_from(["'", '"', "|", ">", None]))
def test_every_character_stands_for_itself(value: str, style: str | None) -> None:
    text = yaml.safe_dump({"key": value}, default_style=style, allow_unicode=True, width=20)
    found = yaml.safe_load(text)
    if set(found) != {"key"}:
        text = "key: " + yaml.safe_dump(value, default_style="'")
    source = SourceText("f.yaml", text)
    documents = parse(source, Limits()).documents
    entry = next((entry for entry in documents[0].entries if entry.key.source == "key"), None)
    assert entry is not None
    got = of_scalar(entry.value, Positions(source))
    assert got.text == value
    offset = 0
    for piece in got.pieces:
        if piece.end - piece.start == piece.length:
            written = text[piece.start : piece.end]
            assert written == value[offset : offset + piece.length] or not written.strip()
        offset += piece.length


def test_a_json_object_in_an_argument_has_the_places_of_the_file() -> None:
    text = 'key: |\n  serve --config \'{"tp": 4,\n    "role": "both"}\'\n'
    value = embedded(text)
    start = value.text.index("{")
    tree = parse(value[start : value.text.index("}") + 1], Limits())
    role = tree.documents[0].get("role")
    assert role is not None
    assert role.value == "both"
    assert text[role.place.start : role.place.end] == '"both"'
    assert role.place.line == 3


def test_a_part_from_elsewhere_keeps_its_place() -> None:
    here, there = whole(SourceText("a", "--tp=")), whole(SourceText("b", "x 4"))[2:]
    both = join([here, there])
    assert both.text == "--tp=4"
    assert both[5:].place().path == "b"
    assert both[5:].place().start == 2
    assert both.place().path == "a"


def test_what_is_put_in_stands_for_the_whole_of_its_place() -> None:
    source = SourceText("a", "x: [1, 2]")
    positions = Positions(source)
    value = put_in("serve", positions.place(3, 9), positions)
    assert value[1:3].place() == positions.place(3, 9)


def test_text_without_characters_has_no_place() -> None:
    with pytest.raises(ValueError, match="no characters"):
        Embedded("", []).place()
