"""Facts that the command line says where inputs leave them out: ``--prefill-gpu``, ``--model`` and the like.

They fill what assumptions fill, before these do, and never override what is written.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.configuration.assume import WrongValueError, fill, stated_by, targets_of, written
from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.configuration.settings import Assumption
from hetpd_cli.deployment import DECODE, PREFILL
from hetpd_cli.facts.values import ASSUMED
from hetpd_cli.findings import LabelledPlace
from hetpd_cli.nearest import almost, did_you_mean, nearest
from hetpd_cli.places import Place
from hetpd_cli.sources.problems import Problem
from hetpd_cli.tables import names, row
from hetpd_cli.versions import is_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hetpd_cli.configuration.assume import Target
    from hetpd_cli.deployment import Section, Stated
    from hetpd_cli.sources.reader import Reading

COMMAND_LINE = "<command line>"
"""Path under which findings show the options."""


class Options(NamedTuple):
    """What the command line says; versions are plain, of every engine, or as in ``vllm=0.24.0``."""

    prefill_gpu: str | None = None
    decode_gpu: str | None = None
    model: str | None = None
    link: str | None = None
    engine_versions: tuple[str, ...] = ()


class Given(NamedTuple):
    """A fact that an option gives to the pools of a role and engine (``*`` is any), or to every handoff."""

    option: str
    said: str
    subject: str
    fact: str
    value: str
    role: str = "*"
    engine: str = "*"


def given(options: Options) -> list[Given]:
    """Return the facts that ``options`` give."""
    found = []
    if options.prefill_gpu is not None:
        found.append(Given("--prefill-gpu", options.prefill_gpu, "pool", "accelerator", options.prefill_gpu, PREFILL))
    if options.decode_gpu is not None:
        found.append(Given("--decode-gpu", options.decode_gpu, "pool", "accelerator", options.decode_gpu, DECODE))
    if options.model is not None:
        found.append(Given("--model", options.model, "pool", "model.id", options.model))
    if options.link is not None:
        found.append(Given("--link", options.link, "handoff", "path.link", options.link))
    for said in options.engine_versions:
        engine, equals, version = said.rpartition("=")
        of = _engine(engine) if equals else "*"
        found.append(Given("--engine-version", said, "pool", "engine.version", version, engine=of))
    return found


def command_line(facts: Sequence[Given]) -> str:
    """Return the options as one line, for code frames."""
    return " ".join(f"{one.option} {one.said}" for one in facts)


def fill_in(readings: Sequence[Reading], facts: Sequence[Given]) -> list[Problem]:
    """Fill what ``facts`` say and no input does, and return a problem for each that has no effect.

    Raises ConfigurationError for names that no table knows and for what is no version.
    """
    values = _values(facts)
    targets = [target for reading in readings for one in reading.deployments for target in targets_of(reading, one)]
    problems = []
    for one, stated in zip(facts, values, strict=True):
        meant = [target for target in targets if _meant(one, target)]
        said = [written(target, one.fact) for target in meant]
        filled = [_fill(one, target, stated) for target in meant]
        if targets and not any(filled):
            problems.append(_without_effect(one, stated, [entry for entry in said if entry is not None]))
    return problems


def _meant(one: Given, target: Target) -> bool:
    if one.subject != target.kind or not fnmatchcase(target.role or "", one.role):
        return False
    return one.engine == "*" or target.section.text("engine.name") == one.engine


def _fill(one: Given, target: Target, stated: Section) -> bool:
    if fill(target, stated, one.option):
        return True
    if one.fact != "model.id" or not _is_path(target.section.text(one.fact)):
        return False
    return fill(target, _base(one, stated), one.option)


_PATH = re.compile(r"[./~]|(?!hf:)[a-z0-9+.-]+://", re.I)


def _is_path(model: str | None) -> bool:
    """Tell whether a model is a path or an address, under which no table has it."""
    return model is not None and _PATH.match(model) is not None and row("models", model) is None


def _base(one: Given, stated: Section) -> Section:
    """Return what ``--model`` says of a checkpoint that is given as a path: whose geometry it has."""
    assert stated.place is not None
    return stated_by(_assumption(one._replace(fact="model.base"), stated.place))


def _without_effect(one: Given, stated: Section, written: Sequence[Stated]) -> Problem:
    assert stated.place is not None
    places = [LabelledPlace(stated.place, "said here", primary=True)]
    if not written:
        of = " ".join(word for word in (one.role, one.engine, one.subject) if word != "*")
        message = f"{one.option} {one.said} fits no {of} of any input"
        return Problem("unused-assumption", message, tuple(places), f"leave out {one.option}")
    first = next((entry for entry in written if entry.place is not None), written[0])
    if first.place is not None and first.origin != ASSUMED:
        places.append(LabelledPlace(first.place, "stated here"))
    message = f"{one.option} {one.said} has no effect: {'the inputs state it' if len(places) > 1 else first.note}"
    return Problem("unused-assumption", message, tuple(places), f"leave out {one.option}")


# -- values ----------------------------------------------------------------------------------------------------


def _values(facts: Sequence[Given]) -> list[Section]:
    faults = list(filter(None, map(_fault, facts)))
    if faults:
        raise ConfigurationError(faults)
    return [stated_by(_assumption(one, place)) for one, place in zip(facts, _places(facts), strict=True)]


def _places(facts: Sequence[Given]) -> Iterator[Place]:
    """Yield where each option stands in :func:`command_line`."""
    start = 0
    for one in facts:
        end = start + len(f"{one.option} {one.said}")
        yield Place(COMMAND_LINE, 1, start + 1, 1, end + 1, start, end)
        start = end + 1


def _assumption(one: Given, place: Place) -> Assumption:
    return Assumption("*", one.subject, "*", one.fact, one.value, one.option, place)


def _fault(one: Given) -> str | None:
    """Say what is wrong with an option, or return None."""
    if not one.value.strip():
        return f"{one.option} needs a value"
    if one.fact == "engine.version":
        if not is_version(one.value):
            return f"{one.option}: {one.value} is no version"
        # No engine has had a release without a dot: 24 for 0.24.0 would match none and settle nothing.
        return None if "." in one.value else f"{one.option}: {one.value} is no release, write it in full, as 0.24.0"
    if one.fact == "model.id":
        guess = _misspelt_model(one.value)
        return f"{one.option}: no table knows {one.value}{did_you_mean(guess)}" if guess else None
    table = "links" if one.fact == "path.link" else "accelerators"
    if row(table, one.value) is not None:
        return None
    return f"{one.option}: no table knows {one.value}{did_you_mean(nearest(one.value, names(table)))}"


_BETWEEN_WORDS = re.compile(r"[-_/ ]")


def _misspelt_model(model: str) -> str | None:
    """Return the id that ``model`` misspells. One of more words is another checkpoint: ``Qwen/Qwen3-32B-AWQ``."""
    if row("models", model) is not None:
        return None
    guess = almost(model, names("models"))
    words = [_BETWEEN_WORDS.split(one) for one in (model, guess or "")]
    return guess if len(words[0]) == len(words[1]) else None


def _engine(name: str) -> str:
    """Return an engine as deployment files spell it. Raises ConfigurationError for one that is none."""
    place = Place(COMMAND_LINE, 1, 1, 1, 1, 0, 0)
    try:
        section = stated_by(Assumption("*", "pool", "*", "engine.name", name, "--engine-version", place))
    except WrongValueError as error:
        raise ConfigurationError([f"--engine-version: {error}"]) from None
    return section.text("engine.name") or name
