"""What the tests of manifests need: groups of a text, and the check that every place is the token it speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetpd_cli.facts.values import Unknown
from hetpd_cli.sources.kubernetes import reader
from hetpd_cli.sources.text import Limits, SourceText
from hetpd_cli.sources.tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hetpd_cli.places import Place
    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.launch import Group, Launch, Member

PATH = "manifest.yaml"

PUT_IN = frozenset(
    {"vllm", "serve", "python3", "-m", "trtllm-serve", "sglang.launch_server", "dynamo.frontend", "vllm "}
)
"""Words that no file states: they stand for all of a place, which may be as long as they are."""


def groups(text: str, path: str = PATH) -> list[Group]:
    """Return the groups of a manifest that has no bases."""
    source = SourceText(path, text)
    tree = parse(source, Limits(), collect_ambiguous=False)
    assert reader.claims(source)
    assert reader.recognises(tree)
    return reader.groups(source, tree, Limits())


def members(text: str) -> dict[str, Member]:
    """Return the members of all groups by name."""
    return {member.name: member for group in groups(text) for member in group.members}


def line(launch: Launch) -> str:
    """Return the words of a command, joined by blanks."""
    return " ".join(word.value for word in launch.words)


def settings(member: Member) -> dict[str, object]:
    """Return the settings of a member; what is not known as its reason."""
    values = {path: stated.value for path, stated in member.settings.stated.items()}
    return {path: value.reason if isinstance(value, Unknown) else value for path, value in values.items()}


def places(group: Group) -> Iterator[Place]:
    """Yield every place of a group."""
    yield group.place
    for member in group.members:
        yield member.place
        yield from (one.place for one in (member.role, *member.settings.stated.values()) if one and one.place)
    for launch in (*group.others, *(one for member in group.members for one in member.launches)):
        yield launch.place
        yield from (word.place for word in (*launch.words, *launch.env.values()))


def embedded(group: Group) -> Iterator[Embedded]:
    """Yield every text of a group that was taken out of a file."""
    for member in group.members:
        yield from member.files.values()
    for launch in (*group.others, *(one for member in group.members for one in member.launches)):
        yield from (word.text for word in (*launch.words, *launch.env.values()))


def check_places(found: list[Group], texts: Mapping[str, str]) -> int:
    """Assert that places lie in their file and that a character with a place of its own is the one there."""
    count = 0
    for group in found:
        for place in places(group):
            token = texts[place.path][place.start : place.end]
            assert token
            assert texts[place.path][: place.start].count("\n") == place.line - 1
            count += 1
        for value in embedded(group):
            offset = 0
            for piece in value.pieces:
                if piece.end - piece.start == piece.length and piece.length > 1:
                    own = piece.positions.text[piece.start : piece.end]
                    said = value.text[offset : offset + piece.length]
                    assert own == said or said in PUT_IN or said.startswith(("--", "$("))
                offset += piece.length
    return count
