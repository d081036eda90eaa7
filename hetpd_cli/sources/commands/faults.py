"""What is wrong with the arguments of a command.

Sure of a refusal one is only where the release is known exactly and its table of arguments was read from it; else an
argument is reported that is in no table and almost one that is. A release that nobody has read may bring new ones.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING

from hetpd_cli.findings import LabelledPlace
from hetpd_cli.sources.commands.json_values import SUFFIXED
from hetpd_cli.sources.commands.transfer_config import ARGUMENT, PLACEHOLDERS
from hetpd_cli.sources.problems import Problem
from hetpd_cli.tables import covers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hetpd_cli.places import Place
    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.commands.words import Given, Value
    from hetpd_cli.tables.arguments import ArgumentSet

_JSON = frozenset({ARGUMENT, "speculative-config", "compilation-config", "hf-overrides", "kv-events-config"})
_OF_CLASSES = frozenset({ARGUMENT, "compilation-config", "kv-events-config"})
_SUFFIXES = ">=0.20"
"""Releases of vLLM that write out numbers such as ``80m`` in the JSON of classes (arg_utils.py, 0.20 to 0.33)."""
_LIKE_TRANSFER = re.compile(r"kv_connector|kv_role|^\s*(?:null|\[.*\]|[A-Za-z0-9]+Connector(?:V1)?)\s*$")
"""What is meant as a transfer configuration, although it begins like none."""

_EXTENSIBLE = frozenset(
    {
        "quantization", "load-format", "tool-call-parser", "reasoning-parser", "attention-backend", "kv-connector",
        "distributed-executor-backend", "disaggregation-transfer-backend", "sampling-backend", "scheduling-policy",
    }
)  # fmt: skip
"""Arguments whose values plugins and platforms add to."""

_OF_EVERY_PARSER = ("--help", "--version")
_LOOKED_AT = 1_000
"""Arguments of a command that are looked up: no command that anybody wrote has more."""

_LETTERS = 4
"""A part of a name with fewer letters is no misspelling of another one: tp and pp are both right."""
_EDITS = 2


def faults(context: Context) -> list[Problem]:
    """Return what is wrong with the arguments of a command."""
    found = [*_unknown(context), *_duplicates(context), *_values(context), *_torn_lines(context)]
    broken = list(_broken(context))
    if not broken and context.program.runtime == "vllm":
        from hetpd_cli.sources.commands.transfer_faults import transfer_faults
        from hetpd_cli.sources.commands.variables import variable_faults

        found += [*transfer_faults(context), *variable_faults(context)]
    return found + broken


def fault(rule: str, message: str, place: Place, label: str, fix: str = "") -> Problem:
    """Return a fault at one place."""
    return Problem(rule, message, (LabelledPlace(place, label, primary=True),), fix)


# -- arguments that are not there --------------------------------------------------------------------------------


def _unknown(context: Context) -> Iterator[Problem]:
    known = context.known
    if known is None:
        return
    exact = is_exact(context)
    for given in islice(context.arguments.given, _LOOKED_AT):
        if given.spelled in _OF_EVERY_PARSER:
            continue
        if given.of_file or not given.spelled.startswith("--") or known.find(given.spelled) is not None:
            continue
        if "$" in given.spelled or "{" in given.spelled:
            continue
        if exact:
            yield _of_exact(context, known, given)
        elif not _ever(context, given.spelled):
            guess = misspelt(given.spelled, known.names())
            if guess is not None:
                message = (
                    f"{given.spelled} is no argument of {context.program.name} that is known, did you mean {guess}?"
                )
                yield fault("misspelt-argument", message, given.place, "almost a known one", f"write `{guess}`")


def is_exact(context: Context) -> bool:
    """Tell whether the release of the program is known, and its arguments are those of the table.

    A plugin or a front end may add arguments, and a wrapper's own table says nothing of the engine's release.
    """
    known = context.known
    if known is None or not known.exact or known.passes_on or context.program.front_end:
        return False
    if context.settings.text("engine.name") == "vllm-ascend" or context.arguments.last("omni") is not None:
        return False
    return known.engine is None or known.engine.exact


def _ever(context: Context, spelling: str) -> bool:
    from hetpd_cli.tables.arguments import ever

    return any(ever(program, spelling) for program in {context.program.name, context.program.runtime})


def _of_exact(context: Context, known: ArgumentSet, given: Given) -> Problem:
    from hetpd_cli.tables.arguments import releases_of

    release = f"{context.program.name} {known.version}"
    of = releases_of(context.program.name, given.spelled)
    if of:
        message = f"{release} has no argument {given.spelled}, which is in {_runs(context.program.name, of)}"
        return fault("removed-argument", message, given.place, "not in this release")
    guess = misspelt(given.spelled, known.names())
    asked = f", did you mean {guess}?" if guess else ""
    message = f"{release} has no argument {given.spelled}{asked}"
    return fault("unknown-argument", message, given.place, "no such argument", f"write `{guess}`" if guess else "")


def _runs(program: str, having: tuple[str, ...]) -> str:
    """Return releases in words, runs of neighbours by their ends."""
    from hetpd_cli.tables.arguments import releases

    runs: list[list[str]] = []
    before = None
    for release in releases(program):
        if release in having and before in having and runs:
            runs[-1].append(release)
        elif release in having:
            runs.append([release])
        before = release
    return " and ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def misspelt(word: str, known: Iterable[str]) -> str | None:
    """Return the name that ``word`` misspells, or None.

    All parts of the name but one are equal, and that one, of four letters or more, is at most two edits off; or the
    names differ in what separates their parts only. Two names that differ in a whole word are two names, and so are two
    of one word each: too many of these are alike.
    """
    parts = word.lower().replace("_", "-").strip("-").split("-")
    for name in known:
        if not name.startswith("--"):
            continue
        others = name.lower().replace("_", "-").strip("-").split("-")
        if "".join(parts) == "".join(others):
            return name
        if len(parts) == len(others) > 1:
            differing = [(one, other) for one, other in zip(parts, others, strict=True) if one != other]
            if len(differing) == 1 and _close(*differing[0]):
                return name
    return None


def _close(one: str, other: str) -> bool:
    if min(len(one), len(other)) < _LETTERS or any(character.isdigit() for character in one + other):
        return False
    return distance(one, other) <= (_EDITS if min(len(one), len(other)) > _LETTERS + 1 else 1)


def distance(one: str, other: str) -> int:
    """Return how many letters have to be put in, left out, replaced or swapped with the next one."""
    if abs(len(one) - len(other)) > _EDITS or max(len(one), len(other)) > 80:
        return _EDITS + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one):
        following = [index + 1]
        for column, against in enumerate(other):
            cost = min(row[column] + (letter != against), row[column + 1] + 1, following[column] + 1)
            swapped = index and column and letter == other[column - 1] and one[index - 1] == against
            following.append(min(cost, before[column - 1] + 1) if swapped else cost)
        before, row = row, following
    return row[-1]


# -- arguments given twice, values that do not fit ---------------------------------------------------------------


def _duplicates(context: Context) -> Iterator[Problem]:
    found: dict[str, list[Given]] = {}
    for given in context.arguments.given:
        if not given.of_file and len(given.values) <= 1 and not _is_level(given):
            found.setdefault(given.name, []).append(given)
    for same in found.values():
        *before, last = same
        differing = [one for one in before if not _same(one, last)]
        if not differing or not _once(context, last):
            continue
        empty = next((one for one in same if _needs_value(context, one)), None)
        if empty is not None:
            yield _empty(empty)
            continue
        times = "twice" if len(same) == len(("first", "last")) else f"{len(same)} times"
        what = f"{before[0].spelled} is given {times}, with different values"
        places = (
            LabelledPlace(_place_of(last), "the last one is in force", primary=True),
            *(LabelledPlace(_place_of(one), "has no effect") for one in differing),
        )
        yield Problem("duplicate-argument", what, places, "leave one of them")


_BLANK_BEHIND = re.compile(r"[ \t]*(\\[ \t]+)\r?\n[ \t]*(?=--?[A-Za-z])")


def _torn_lines(context: Context) -> Iterator[Problem]:
    """Yield that a line should go on on the next one and does not: a blank stands behind its backslash."""
    for word in context.program.words[-1:]:
        if not word.text.pieces or not word.place.start <= word.text.pieces[-1].start < word.place.end:
            continue  # put in from elsewhere
        positions = word.text.pieces[-1].positions
        found = _BLANK_BEHIND.match(positions.text, word.place.end)
        if found is not None:
            place = positions.place(found.start(1), found.end(1))
            message = "a blank behind the backslash ends the command here: what follows is no argument of it"
            yield fault("torn-line", message, place, "a blank behind the backslash")


def _is_level(given: Given) -> bool:
    """Tell whether an argument is ``-O3``, which vLLM takes beside the other keys of ``--compilation-config``."""
    is_of_it = given.spelled == "-O" and given.name == "compilation-config"
    return is_of_it and bool(given.values) and given.values[0].source.isdigit()


def _once(context: Context, given: Given) -> bool:
    """Tell whether the last of several is in force, and not all of them together."""
    if given.name in context.fields.values or given.name in context.fields.switches or given.name in _JSON:
        return True
    found = context.known.find(given.spelled) if context.known is not None else None
    return found is not None and found.takes in {"0", "1"} and found.kind in {"switch", "integer", "number"}


def _needs_value(context: Context, given: Given) -> bool:
    """Tell whether an argument that takes one value is given none."""
    found = context.known.find(given.spelled) if context.known is not None else None
    return found is not None and found.takes == "1" and not given.values and not given.negated


def _empty(given: Given) -> Problem:
    message = f"{given.spelled} takes a value and is given none"
    return fault(
        "invalid-argument-value", message, given.place, "its value is missing", "give it a value, or remove it"
    )


def _same(first: Given, second: Given) -> bool:
    if any(value.unresolved for value in (*first.values, *second.values)):
        return True
    return first.negated == second.negated and [one.source for one in first.values] == [
        one.source for one in second.values
    ]


def _place_of(given: Given) -> Place:
    return given.values[0].place if given.values else given.place


def _values(context: Context) -> Iterator[Problem]:
    """Yield values that the program refuses: of an exactly known release, outside of its choices."""
    if not is_exact(context) or context.known is None:
        return
    for given in context.arguments.given:
        found = None if given.of_file else context.known.find(given.spelled)
        if found is not None and not context.incomplete and _needs_value(context, given):
            yield _empty(given)
        if found is None or not found.choices or found.name in _EXTENSIBLE:
            continue
        known = {choice.lower() for choice in found.choices}
        for value in given.values:
            if value.unresolved or not value.source or value.source.lower() in known or value.node is not None:
                continue
            allowed = ", ".join(found.choices[:8]) + (" ..." if len(found.choices) > 8 else "")
            message = f"{given.spelled} is {value.source}, which {context.known.version} does not take ({allowed})"
            yield fault("invalid-argument-value", message, value.place, "not one of its values")


# -- JSON --------------------------------------------------------------------------------------------------------


def _broken(context: Context) -> Iterator[Problem]:
    """Yield the JSON arguments that are not JSON. What holds something unresolved may be, once it is."""
    for given in context.arguments.given:
        for value in given.values[:1]:
            if given.name not in _JSON or value.text is None or value.unresolved:
                continue
            problem = _broken_json(given, value, _takes_suffixes(context, given.name))
            if problem is not None:
                yield problem


def _takes_suffixes(context: Context, name: str) -> bool:
    """Tell whether the release may take numbers such as ``80m`` within the JSON of an argument."""
    release = exact_release(context)
    return name in _OF_CLASSES and (release is None or covers(_SUFFIXES, release))


def _broken_json(given: Given, value: Value, suffixes: bool) -> Problem | None:
    text = value.source
    opening = text.lstrip().startswith(("{", "'{", '"{'))
    meant = given.name == ARGUMENT and _LIKE_TRANSFER.search(text) is not None
    if not (opening or meant) or any(mark in text for mark in PLACEHOLDERS) or value.text is None:
        return None
    error = json_error(text)
    if error is None:
        whole = "an object is due, and nothing else"
        return None if opening else fault("broken-json", f"{given.spelled}: {whole}", value.place, "no object")
    if suffixes and json_error(SUFFIXED.sub("1", text)) is None:
        return None
    at = len(text[: error.pos + 1].rstrip()) - 1
    message = f"{given.spelled} is no JSON: {error.msg[0].lower()}{error.msg[1:]}"
    return fault("broken-json", message, value.text.place(at, at + 1), "not JSON from here on")


def json_error(text: str) -> json.JSONDecodeError | None:
    """Return what is wrong with JSON; too deep, or a number too long, is nothing that anybody has."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error
    except (RecursionError, ValueError):
        return None
    return None


def exact_release(context: Context) -> str | None:
    """Return the release of vLLM that is known exactly, its arguments being those of the table; else None."""
    known = context.known
    if known is None or not is_exact(context):
        return None
    return known.version if known.engine is None else known.engine.version


def misspelt_key(key: str, known: Iterable[str]) -> str | None:
    """Return the key that ``key`` misspells, or None."""
    guess = misspelt("--" + key, [f"--{name.replace('_', '-')}" for name in known])
    return None if guess is None else guess[2:].replace("-", "_")
