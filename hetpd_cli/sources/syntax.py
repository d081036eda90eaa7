"""Errors of the YAML parser in own words.

libyaml and PyYAML's own parser word them differently and for those who know the grammar; what is said here
names the character or bracket at fault and where it stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.findings import LabelledPlace
from hetpd_cli.sources.problems import Problem

if TYPE_CHECKING:
    from hetpd_cli.places import Place
    from hetpd_cli.sources.text import Positions

RENDER = "this looks like a template: render it first, for example with `helm template`"
_ALIGN = "line it up with its neighbours, and quote values that hold `: ` or quotes"
_MISSING_COLON = "could not find expected ':'"
_WORDINGS = (
    (
        "that cannot start any token",
        "a plain value cannot begin with {character}",
        "needs quotes",
        "put the value in quotes",
    ),
    (
        "mapping values are not allowed",
        "a colon stands where no key can end: the value is not quoted, or the indentation is off",
        "no key ends here",
        _ALIGN,
    ),
    (
        _MISSING_COLON,
        "the line is no `key: value`: a colon is missing",
        "colon missing",
        _ALIGN,
    ),
    (
        "expected key",
        "a key is expected here: the indentation is off, or text follows a value",
        "key expected",
        _ALIGN,
    ),
    (
        "expected '-' indicator",
        "a list item is expected here: the indentation is off",
        "`-` expected",
        _ALIGN,
    ),
    (
        "<block end>",
        "a key or list item is expected here: the indentation is off",
        "key or `-` expected",
        _ALIGN,
    ),
    ("<document start>", "text follows the end of the document", "after the document", _ALIGN),
    (
        "sequence entries are not allowed",
        "a list item cannot begin here",
        "no list item here",
        "begin it on a new line",
    ),
    (
        "unknown escape character",
        "a backslash in double quotes begins no known escape here",
        "unknown escape",
        "use single quotes",
    ),
    ("undefined tag handle", "the tag's prefix is not declared", "undeclared tag prefix", "remove the tag"),
)
"""A part of what either parser says; message, label and fix in own words."""
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def syntax_problem(positions: Positions, error: Exception, flow: int | None) -> Problem:
    """Return ``error`` of the parser in own words; ``flow`` is where the innermost open bracket stands."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return _unprintable(positions, error)
    said = f"{getattr(error, 'context', None) or ''}; {getattr(error, 'problem', None) or ''}"
    offset = mark.index
    context = getattr(error, "context_mark", None)
    if "nesting depth" in said:
        return too_deep(positions.spot(offset), None)
    if "flow" in said and flow is not None:
        return _unclosed_bracket(positions, flow, offset, "value" if "node" in said else "comma")
    if "quoted scalar; found unexpected" in said and context is not None:
        message = "the quote that opens here is never closed"
        return _syntax(message, positions.spot(context.index), "opened here", "close the quote")
    if positions.text[offset : offset + 1] == "\t" and "found" in said:
        message = "a tab indents this line, where YAML takes spaces only"
        return _syntax(message, positions.spot(offset), "a tab", "use spaces")
    return _worded(positions, said, offset, offset if context is None else context.index)


def too_deep(place: Place, limit: int | None) -> Problem:
    """Return the problem of a nesting deeper than ``limit`` levels, or than the parser itself takes."""
    most = "the parser takes" if limit is None else f"the {limit} levels that are read"
    return Problem("too-deep", f"the nesting is deeper than {most}", (LabelledPlace(place, "too deep", primary=True),))


def _worded(positions: Positions, said: str, offset: int, context: int) -> Problem:
    for fragment, message, label, fix in _WORDINGS:
        if fragment in said:
            # A missing colon is noticed lines below the text that lacks it.
            at = context if fragment == _MISSING_COLON else offset
            hint = RENDER if "{{" in positions.line_of(at) else fix
            character = positions.text[at : at + 1]
            return _syntax(message.format(character=character), positions.spot(at), label, hint)
    said = said.strip("; ").replace("; ", ", ")
    return _syntax(f"this is no YAML: {said}", positions.spot(offset), "YAML breaks off here")


def _syntax(message: str, place: Place, label: str, fix: str = "") -> Problem:
    return Problem("yaml-syntax", message, (LabelledPlace(place, label, primary=True),), fix)


def _unclosed_bracket(positions: Positions, opener: int, offset: int, due: str) -> Problem:
    bracket = positions.text[opener : opener + 1]
    if bracket not in ("[", "{"):
        return _syntax("a bracket is never closed", positions.spot(offset), "YAML breaks off here")
    closing = "]" if bracket == "[" else "}"
    opened = positions.spot(opener)
    if not positions.text[offset:].strip():
        message = f"the bracket {bracket} that opens here is never closed"
        return _syntax(message, opened, "opened here", f"add {closing}")
    message = f"a {due} or {closing} is due here, within the bracket {bracket} of line {opened.line}"
    places = (
        LabelledPlace(opened, "opened here"),
        LabelledPlace(positions.spot(offset), f"{due} or {closing} due", primary=True),
    )
    return Problem("yaml-syntax", message, places, f"add a {due}, or close the bracket with {closing}")


def _unprintable(positions: Positions, error: Exception) -> Problem:
    found = _UNPRINTABLE.search(positions.text)
    if found is None:
        return _syntax(f"YAML cannot be read: {error}", positions.spot(0), "somewhere from here")
    number = ord(found[0])
    place = positions.place(found.start(), found.end())
    fix = "save it as UTF-8 text" if number == 0 else "remove it, or write it as an escape in double quotes"
    message = f"the control character U+{number:04X} is not allowed in YAML"
    return _syntax(message, place, "control character", fix)
