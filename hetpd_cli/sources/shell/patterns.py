"""Shell patterns, matched without going back further than the last star."""

from __future__ import annotations

from typing import NamedTuple

_CLASSES = {
    "[:alnum:]": str.isalnum,
    "[:alpha:]": str.isalpha,
    "[:digit:]": str.isdigit,
    "[:lower:]": str.islower,
    "[:upper:]": str.isupper,
    "[:space:]": str.isspace,
}


class Glob(NamedTuple):
    """A character of a pattern; ``kind`` is ``character``, ``any``, ``star`` or ``set``."""

    kind: str
    characters: str = ""


def compiled(pieces: list[tuple[str, bool]]) -> list[Glob]:
    """Return a pattern from its pieces: text, and whether it is quoted."""
    globs: list[Glob] = []
    for text, quoted in pieces:
        at = 0
        while at < len(text):
            character = text[at]
            end = text.find("]", at + 2) if character == "[" and not quoted else -1
            if "[:" in text[at:end] and text.startswith("[[:", at):
                end = text.find("]", end + 1) if ":]" in text[at : end + 1] else end
            if quoted or character not in "*?[\\" or (character == "[" and end < 0):
                globs.append(Glob("character", character))
            elif character == "\\" and at + 1 < len(text):
                at += 1
                globs.append(Glob("character", text[at]))
            elif character == "[":
                globs.append(Glob("set", text[at + 1 : end]))
                at = end
            else:
                globs.append(Glob({"*": "star", "?": "any"}.get(character, "character"), character))
            at += 1
    return globs


def is_literal(pattern: list[Glob]) -> bool:
    """Tell whether a pattern stands for one text only."""
    return all(glob.kind == "character" for glob in pattern)


def matches(pattern: list[Glob], text: str) -> bool:
    """Tell whether all of ``text`` fits the pattern."""
    at = index = 0
    star = mark = -1
    while at < len(text):
        if index < len(pattern) and pattern[index].kind == "star":
            star, mark = index, at
            index += 1
        elif index < len(pattern) and _fits(pattern[index], text[at]):
            at, index = at + 1, index + 1
        elif star >= 0:
            mark += 1
            at, index = mark, star + 1
        else:
            return False
    return all(glob.kind == "star" for glob in pattern[index:])


def _fits(glob: Glob, character: str) -> bool:
    if glob.kind == "set":
        return _in_set(glob.characters, character)
    return glob.kind == "any" or glob.characters == character


def _in_set(characters: str, character: str) -> bool:
    negated = characters[:1] in ("!", "^")
    rest = characters[1:] if negated else characters
    found = False
    for name, test in _CLASSES.items():
        if name in rest:
            found = found or test(character)
            rest = rest.replace(name, "")
    at = 0
    while at < len(rest):
        if rest[at + 1 : at + 2] == "-" and at + 2 < len(rest):
            found = found or rest[at] <= character <= rest[at + 2]
            at += 3
        else:
            found = found or rest[at] == character
            at += 1
    return found != negated
