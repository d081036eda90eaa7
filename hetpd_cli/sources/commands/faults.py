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
from hetpd_cli.sources.commands.transfer_config import ARGUMENT, EXTRA, HOLDERS, PLACEHOLDERS
from hetpd_cli.sources.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hetpd_cli.places import Place
    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.commands.words import Given, Value
    from hetpd_cli.sources.tree import Entry, Node
    from hetpd_cli.tables.arguments import ArgumentSet

_JSON = frozenset({ARGUMENT, "speculative-config", "compilation-config", "hf-overrides", "kv-events-config"})
_FORBIDS = "0.16"
"""From here on vLLM was seen to refuse keys of --kv-transfer-config that it does not have (``config/utils.py``)."""

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
    if not broken:
        found += _transfer_keys(context)
    return found + broken


def _problem(rule: str, message: str, place: Place, label: str, fix: str = "") -> Problem:
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
                yield _problem("misspelt-argument", message, given.place, "almost a known one", f"write `{guess}`")


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
        return _problem("removed-argument", message, given.place, "not in this release")
    guess = misspelt(given.spelled, known.names())
    asked = f", did you mean {guess}?" if guess else ""
    message = f"{release} has no argument {given.spelled}{asked}"
    return _problem("unknown-argument", message, given.place, "no such argument", f"write `{guess}`" if guess else "")


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
            yield _problem("torn-line", message, place, "a blank behind the backslash")


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
    return _problem(
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
            yield _problem("invalid-argument-value", message, value.place, "not one of its values")


# -- JSON --------------------------------------------------------------------------------------------------------


def _broken(context: Context) -> Iterator[Problem]:
    """Yield the JSON arguments that are not JSON. What holds something unresolved may be, once it is."""
    for given in context.arguments.given:
        for value in given.values[:1]:
            if given.name not in _JSON or value.text is None or value.unresolved:
                continue
            problem = _broken_json(given, value)
            if problem is not None:
                yield problem


def _broken_json(given: Given, value: Value) -> Problem | None:
    text = value.source
    opening = text.lstrip().startswith(("{", "'{", '"{'))
    if not opening or any(mark in text for mark in PLACEHOLDERS) or value.text is None:
        return None
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        at = len(text[: error.pos + 1].rstrip()) - 1
        message = f"{given.spelled} is no JSON: {error.msg[0].lower()}{error.msg[1:]}"
        return _problem("broken-json", message, value.text.place(at, at + 1), "not JSON from here on")
    except (RecursionError, ValueError):
        # Too deep, or a number too long: nobody has that.
        return None
    return None


def _transfer_keys(context: Context) -> Iterator[Problem]:
    found = context.json(ARGUMENT)
    if found is not None and context.program.runtime == "vllm":
        yield from _keys_of(found[1], found[0].spelled, _vllm_release(context))


def _vllm_release(context: Context) -> str | None:
    """Return the release of vLLM that is known exactly and refuses unknown keys, or None."""
    from hetpd_cli.tables.arguments import version_key

    known = context.known
    if known is None or not is_exact(context):
        return None
    release = known.version if known.engine is None else known.engine.version
    least, key = version_key(_FORBIDS), version_key(release or "")
    return release if key is not None and least is not None and key >= least else None


def _keys_of(node: Node, spelled: str, release: str | None) -> Iterator[Problem]:
    from hetpd_cli.tables.arguments import extra_config_keys

    for entry in node.entries:
        yield from _top_key(entry, spelled, release)
    yield from _class_of(node, release)
    extra, name = node.get(EXTRA), node.get("kv_connector")
    if extra is None or extra.kind != "mapping" or name is None:
        return
    if name.source in HOLDERS:
        children = extra.get("connectors")
        for child in children.items if children is not None else []:
            if child.kind == "mapping":
                yield from _keys_of(child, spelled, release)
        return
    known = extra_config_keys(name.source) or frozenset()
    for entry in extra.entries:
        key = entry.key.source
        guess = None if key in known else misspelt_key(key, sorted(known))
        if guess is not None:
            message = f"{key} is no key that {name.source} reads, did you mean {guess}?"
            yield _problem("ignored-transfer-key", message, entry.key.place, "never read", f"write `{guess}`")


def _top_key(entry: Entry, spelled: str, release: str | None) -> Iterator[Problem]:
    from hetpd_cli.tables.arguments import extra_config_keys, transfer_config_keys

    key, place = entry.key.source, entry.key.place
    if entry.key.kind != "scalar" or "$" in key or key in transfer_config_keys(release):
        return
    every = transfer_config_keys(None)
    guess = None if key in every else misspelt_key(key, every)
    if guess is not None:
        message = f"{key} is no key of {spelled}, did you mean {guess}?"
        yield _problem("unknown-transfer-key", message, place, "no such key", f"write `{guess}`")
    elif any(key in (extra_config_keys(one) or ()) for one in _WITH_EXTRA):
        message = f"{key} is no key of {spelled}: it belongs into {EXTRA}"
        yield _problem("unknown-transfer-key", message, place, "no key at this level", f"move it into {EXTRA}")
    elif release is not None:
        message = f"{spelled} of vllm {release} has no key {key}"
        yield _problem("unknown-transfer-key", message, place, "no such key", "remove the key")


_WITH_EXTRA = ("NixlConnector", "MooncakeConnector")
"""Connectors whose own keys are looked for at the wrong level."""


def _class_of(node: Node, release: str | None) -> Iterator[Problem]:
    """Yield a connector that other releases of vLLM have; one that none has may come from a plugin."""
    from hetpd_cli.tables.arguments import connector_classes

    name = node.get("kv_connector")
    if release is None or name is None or name.kind != "scalar" or node.get("kv_connector_module_path") is not None:
        return
    if name.source in connector_classes(None) and name.source not in connector_classes(release):
        message = f"kv_connector is {name.source}, which vllm {release} does not have"
        yield _problem("invalid-argument-value", message, name.place, "not in this release")


def misspelt_key(key: str, known: Iterable[str]) -> str | None:
    """Return the key that ``key`` misspells, or None."""
    guess = misspelt("--" + key, [f"--{name.replace('_', '-')}" for name in known])
    return None if guess is None else guess[2:].replace("-", "_")
