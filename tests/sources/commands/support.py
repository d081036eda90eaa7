"""Launches made of one line of text, as a shell would split it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hetpd_cli.sources.commands import EngineSettings, read_launch
from hetpd_cli.sources.embedded import whole
from hetpd_cli.sources.launch import Launch, Word
from hetpd_cli.sources.text import Limits, SourceText

if TYPE_CHECKING:
    from hetpd_cli.places import Place

LINE = "run.sh"


def launch(line: str, *, incomplete: str = "", **env: str) -> Launch:
    """Return a line as a launch; a word with ``$`` is one that is not resolved."""
    text = whole(SourceText(LINE, line))
    words = []
    end = 0
    for part in shlex.split(line):
        start = line.index(part, end)
        end = start + len(part)
        words.append(_word(text[start:end]))
    variables = {name: _word(whole(SourceText(name, value))) for name, value in env.items()}
    return Launch(tuple(words), variables, text.place(), incomplete)


def _word(text) -> Word:
    return Word(text, text.place(), f"{text.text} is not set" if "$" in text.text else "")


def read(line: str, *, version: str | None = None, image: str | None = None, files=(), **env: str) -> EngineSettings:
    """Return what a line says; ``files`` are pairs of path and text."""
    texts = {path: whole(SourceText(path, text)) for path, text in files}
    found = read_launch(launch(line, **env), texts, Limits(), version=version, image=image)
    assert found is not None
    return found


def stated(found: EngineSettings, *paths: str) -> dict[str, object]:
    """Return the values of some facts, or of all but the engine's name."""
    section = found.settings
    return {path: section.value(path) for path in paths or [one for one in section.stated if one != "engine.name"]}


def token(line: str, place: Place | None) -> str:
    """Return what stands at a place of a line."""
    assert place is not None
    assert place.path == LINE
    return line[place.start : place.end]


def faults(found: EngineSettings, line: str) -> list[tuple[str, str]]:
    """Return each problem's rule with the token at its primary place."""
    return [
        (one.rule, token(line, next(place.place for place in one.places if place.primary))) for one in found.problems
    ]
