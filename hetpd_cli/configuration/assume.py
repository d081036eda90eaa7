"""Assumptions and images: what the configuration says of facts that no input states.

An assumption never overrides what is written. It fills what is unknown, comes before the engine's default, and is
shown as
``assumed`` wherever a finding rests on it.
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.deployment import Section, Stated
from hetpd_cli.facts.registry import derivations
from hetpd_cli.facts.values import ASSUMED, DEFAULT, NONE, Unknown, Value
from hetpd_cli.fields import fields, schema_part
from hetpd_cli.findings import LabelledPlace
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.shape import Decoder
from hetpd_cli.sources.tree import Entry, Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hetpd_cli.configuration.settings import Assumption, Configuration, Setting
    from hetpd_cli.deployment import Deployment
    from hetpd_cli.places import Place
    from hetpd_cli.sources.reader import Reading

_PYTHON_TYPES: dict[str, Any] = {"text": str, "integer": int, "number": (int, float), "boolean": bool, "list": list}


class _Target(NamedTuple):
    """A section that assumptions can fill: the pool, handoff or other part ``name`` of the input ``path``."""

    path: str
    kind: str
    name: str
    section: Section


def apply(readings: Sequence[Reading], configuration: Configuration, *, whole: bool) -> list[Problem]:
    """Fill facts that nobody states and return what is wrong with the assumptions: those without any effect.

    Unless the readings are the ``whole`` of the files, only an assumption that names one of them can be without effect.

    Raises ConfigurationError for an assumption about a fact that does not exist, or with a value that does not fit.
    """
    values = _values(configuration)
    targets = [target for reading in readings for one in reading.deployments for target in _targets(reading, one)]
    for target in targets:
        _apply_images(target, configuration)
    problems = []
    paths = [reading.path for reading in readings]
    for assumption, stated in zip(configuration.assume, values, strict=True):
        meant = [target for target in targets if _meant(assumption, target, configuration.folder)]
        note = f"{assumption.reason} ({configuration.path}:{assumption.place.line})"
        filled = [_fill(target.section, stated, note) for target in meant]
        if targets and not any(filled) and (whole or names_one_of(assumption.path, paths, configuration.folder)):
            written = [target.section.stated.get(assumption.fact) for target in meant]
            problems.append(_without_effect(assumption, next((one.place for one in written if one), None)))
    return problems


def matches_path(path: str, pattern: str, folder: str) -> bool:
    """Tell whether an input is meant by a glob that is relative to ``folder``; ``*`` stands for ``/`` too."""
    relative = os.path.relpath(path, folder or ".").replace(os.sep, "/")
    return fnmatchcase(relative, pattern) or fnmatchcase(relative, f"{pattern.rstrip('/')}/*")


def names_one_of(pattern: str, paths: Iterable[str], folder: str) -> bool:
    """Tell whether a path of the configuration is no glob and names one of ``paths``."""
    return not set("*?[") & set(pattern) and any(matches_path(path, pattern, folder) for path in paths)


def _targets(reading: Reading, deployment: Deployment) -> Iterator[_Target]:
    for pool in deployment.pools:
        yield _Target(reading.path, "pool", pool.name, pool.settings)
    for handoff in deployment.handoffs:
        yield _Target(reading.path, "handoff", f"{handoff.prefill} -> {handoff.decode}", handoff.settings)
    for section in (deployment.workload, deployment.router, deployment.store):
        yield _Target(reading.path, section.kind, section.kind, section)


def _meant(assumption: Assumption, target: _Target, folder: str) -> bool:
    return (
        assumption.subject == target.kind
        and fnmatchcase(target.name, assumption.of)
        and matches_path(target.path, assumption.path, folder)
    )


def _fill(section: Section, values: dict[str, Value], note: str) -> bool:
    """State those of ``values`` that the section does not state and tell whether there were any."""
    missing = [path for path in values if _open(section.stated.get(path))]
    for path in missing:
        _state(section, path, values[path], note)
    return bool(missing)


def _open(stated: Stated | None) -> bool:
    return stated is None or isinstance(stated.value, Unknown) or stated.origin == DEFAULT


def _state(section: Section, path: str, value: Value, note: str) -> None:
    section.stated[path] = Stated(value, None, None, ASSUMED, note)
    parts = path.split(".")[:-1]
    section.declared.update(".".join(parts[: count + 1]) for count in range(len(parts)))
    section.declared.add("")


def _without_effect(assumption: Assumption, stated: Place | None) -> Problem:
    places = [LabelledPlace(assumption.place, "assumed here", primary=True)]
    if stated is None:
        message = f"the assumption about {assumption.fact} fits no {assumption.subject} of any input"
        return Problem("unused-assumption", message, tuple(places))
    places.append(LabelledPlace(stated, "stated here"))
    message = f"the assumption about {assumption.fact} has no effect: the inputs state it"
    return Problem("unused-assumption", message, tuple(places), "remove the assumption, or what is written")


# -- values ----------------------------------------------------------------------------------------------------


class _WrongValueError(ValueError):
    """What is assumed is no fact, or its value does not fit."""


def _values(configuration: Configuration) -> list[dict[str, Value]]:
    """Return what each assumption states: facts and values. Raises ConfigurationError with all that do not fit."""
    faults = []
    values = []
    for assumption in configuration.assume:
        try:
            values.append(_stated_by(assumption))
        except _WrongValueError as error:
            faults.append(f"{configuration.path}:{assumption.place.line}: {error}")
    if faults:
        raise ConfigurationError(faults)
    return values


def _stated_by(assumption: Assumption) -> dict[str, Value]:
    """Return the facts that an assumption states, decoded as a deployment file would be: implied ones too."""
    kind, path = assumption.subject, assumption.fact
    part = schema_part(kind, path)
    if part is None:
        return {path: _derived_value(assumption)}
    decoder, section = Decoder(), Section(kind, assumption.place)
    decoder.value(_node(assumption.value, assumption.place), part, path, section, f"{kind}.{path}")
    if decoder.problems:
        raise _WrongValueError(decoder.problems[0].message)
    return {name: stated.value for name, stated in section.stated.items()}


def _derived_value(assumption: Assumption) -> Value:
    kind, path, value = assumption.subject, assumption.fact, assumption.value
    derived = derivations(kind).get(path)
    if derived is None:
        guess = nearest(path, [*fields(kind), *derivations(kind)])
        raise _WrongValueError(f"{path} is no fact of a {kind}{did_you_mean(guess)}")
    if not isinstance(value, _PYTHON_TYPES[derived.result]) or isinstance(value, bool) != (derived.result == "boolean"):
        raise _WrongValueError(f"{kind}.{path} is {value!r} where a {derived.result} is expected")
    if isinstance(value, list):
        return tuple(item for item in value if isinstance(item, str | int | float))
    return value if isinstance(value, str | int | float) else NONE


def _node(value: Setting, place: Place) -> Node:
    """Return a value of the configuration as the deployment file's decoder takes it."""
    if isinstance(value, list):
        return Node("sequence", place, items=[_node(item, place) for item in value])
    if isinstance(value, dict):
        entries = [Entry(_node(key, place), _node(item, place)) for key, item in value.items()]
        return Node("mapping", place, entries=entries, index={entry.key.source: entry for entry in entries})
    source = str(value).lower() if isinstance(value, bool) else str(value)
    return Node("scalar", place, value, source)


# -- images ----------------------------------------------------------------------------------------------------


def _apply_images(target: _Target, configuration: Configuration) -> None:
    """State engine and version of a pool by its image, where neither is stated."""
    image = target.section.text("engine.image") if target.kind == "pool" else None
    if image is None:
        return
    for entry in configuration.images:
        found = image_version(image, entry.pattern)
        if found is None:
            continue
        version = entry.version or found
        note = f"image {entry.pattern} ({configuration.path}:{entry.place.line})"
        if "engine.name" not in target.section.stated:
            _state(target.section, "engine.name", entry.engine, note)
        if version and "engine.version" not in target.section.stated:
            _state(target.section, "engine.version", version, note)
        return


def image_version(image: str, pattern: str) -> str | None:
    """Return the version that `{version}` of ``pattern`` stands for in ``image``, empty if the pattern has none.

    None if the image does not match.
    """
    parts = [re.escape(part).replace(r"\*", ".*") for part in pattern.split("{version}")]
    match = re.fullmatch("v?(.+?)".join(parts), image)
    if match is None:
        return None
    return match[1] if match.groups() else ""
