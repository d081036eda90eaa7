"""Assumptions and images: what the configuration says of facts that no input states.

An assumption never overrides what is written. It fills what is unknown, comes before the engine's default, and is
shown as
``assumed`` wherever a finding rests on it.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from hetpd_cli.configuration.read import ConfigurationError
from hetpd_cli.deployment import Section, Stated
from hetpd_cli.engine.ids import TABLES as ID_FIELDS
from hetpd_cli.engine.ids import misspelt_id
from hetpd_cli.facts.registry import derivations
from hetpd_cli.facts.values import ASSUMED, DEFAULT, NONE, Unknown, Value
from hetpd_cli.fields import field, fields, schema_part
from hetpd_cli.findings import LabelledPlace
from hetpd_cli.globs import is_looked_at, matches_handoff, matches_path
from hetpd_cli.nearest import did_you_mean, nearest
from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.shape import Decoder
from hetpd_cli.sources.tree import Entry, Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hetpd_cli.configuration.settings import Assumption, Configuration, Image, Setting
    from hetpd_cli.deployment import Deployment
    from hetpd_cli.places import Place
    from hetpd_cli.sources.reader import Reading

_PYTHON_TYPES: dict[str, Any] = {"text": str, "integer": int, "number": (int, float), "boolean": bool, "list": list}


class Target(NamedTuple):
    """A section that assumptions can fill: the pool, handoff or other part ``name``.

    ``paths`` are those of the input and of the file that declares it, where that is another one: the half of a
    deployment. ``role`` is that of a pool.
    """

    paths: tuple[str, ...]
    kind: str
    name: str
    section: Section
    role: str | None = None


def apply(
    readings: Sequence[Reading], configuration: Configuration, directories: Sequence[str] = ("/",)
) -> list[Problem]:
    """Fill facts that nobody states and return what is wrong with assumptions and images.

    One without any effect is a problem if the ``directories`` looked through hold everything that it may be about, or
    if its path names one of the readings. Raises ConfigurationError for an assumption about a fact that does not exist,
    or with a value that does not fit.
    """
    values = _values(configuration)
    images = _images(configuration)
    targets = [target for reading in readings for one in reading.deployments for target in targets_of(reading, one)]
    files = [reading.path for reading in readings]

    def looked_at(path: str) -> bool:
        return bool(targets) and is_looked_at(path, configuration.folder, files, directories)

    problems = [problem for stated in values for problem in _misspelt(stated)]
    used = {image.pattern for target in targets for image in [_apply_image(target, images, configuration)] if image}
    problems += [_image_without_effect(image) for image in images if image.pattern not in used and looked_at("*")]
    for assumption, stated in zip(configuration.assume, values, strict=True):
        meant = [target for target in targets if _meant(assumption, target, configuration.folder)]
        note = f"{assumption.reason} ({configuration.path}:{assumption.place.line})"
        said = [written(target, assumption.fact) for target in meant]
        filled = [fill(target, stated, note) for target in meant]
        if not any(filled) and looked_at(assumption.path) and not _is_overridden(said):
            problems.append(_without_effect(assumption, [one for one in said if one is not None]))
    return problems


def targets_of(reading: Reading, deployment: Deployment) -> Iterator[Target]:
    """Yield every part of ``deployment`` that assumptions can fill."""
    here = (reading.path,)
    for pool in deployment.pools:
        paths = tuple(dict.fromkeys((*here, pool.place.path)))
        yield Target(paths, "pool", pool.name, pool.settings, pool.role)
    for handoff in deployment.handoffs:
        yield Target(here, "handoff", f"{handoff.prefill} -> {handoff.decode}", handoff.settings)
    for section in (deployment.workload, deployment.router, deployment.store):
        yield Target(here, section.kind, section.kind, section)


def _meant(assumption: Assumption, target: Target, folder: str) -> bool:
    if assumption.subject != target.kind:
        return False
    if not any(matches_path(path, assumption.path, folder) for path in target.paths):
        return False
    return (matches_handoff if target.kind == "handoff" else fnmatchcase)(target.name, assumption.of)


def fill(target: Target, stated: Section, note: str) -> bool:
    """State what ``stated`` says and the target does not, and tell whether there was any of it."""
    missing = [path for path in stated.stated if is_open(written(target, path))]
    for path in missing:
        _state(target, path, stated.stated[path], note)
    return bool(missing)


def written(target: Target, path: str) -> Stated | None:
    """Return what the target states at ``path``; a release may be stated by the pool's image alone."""
    stated = target.section.stated.get(path)
    if path != "engine.version" or target.kind != "pool" or not is_open(stated):
        return stated
    from hetpd_cli.facts.space import Subject

    image = target.section.stated.get("engine.image")
    known = image is not None and not Subject("pool", target.name, target.section, None).fact(path).unknown
    return image if known else stated


def _is_overridden(written: Sequence[Stated | None]) -> bool:
    """Tell whether an option of the command line says what an assumption would: that is no fault of the assumption."""
    return any(one is not None and one.origin == ASSUMED and (one.note or "").startswith("--") for one in written)


def is_open(stated: Stated | None) -> bool:
    """Tell whether an assumption may fill a fact: nobody states it, or nobody can tell what is stated."""
    return stated is None or isinstance(stated.value, Unknown) or stated.origin == DEFAULT


def _state(target: Target, path: str, stated: Stated, note: str) -> None:
    """State an assumed value. Findings point at the pool whose fact it is, or else at the line of the configuration."""
    place = None if target.kind == "pool" else stated.place
    target.section.stated[path] = Stated(stated.value, place, None, ASSUMED, note)
    parts = path.split(".")[:-1]
    target.section.declared.update(".".join(parts[: count + 1]) for count in range(len(parts)))
    target.section.declared.add("")


def _without_effect(assumption: Assumption, written: Sequence[Stated]) -> Problem:
    places = [LabelledPlace(assumption.place, "assumed here", primary=True)]
    of = f"{assumption.subject}.{assumption.fact}"
    if not written:
        message = f"the assumption about {of} fits no {assumption.subject} of any input"
        return Problem("unused-assumption", message, tuple(places))
    first = next((one for one in written if one.place is not None), written[0])
    if first.place is not None and first.origin != ASSUMED:
        places.append(LabelledPlace(first.place, "stated here"))
        message = f"the assumption about {of} has no effect: the inputs state it"
        return Problem("unused-assumption", message, tuple(places), "remove the assumption, or what is written")
    message = f"the assumption about {of} has no effect: another one fills it already ({first.note})"
    return Problem("unused-assumption", message, tuple(places), "remove one of the two")


def _misspelt(stated: Section) -> list[Problem]:
    found = [misspelt_id(stated, path) for path in ID_FIELDS]
    return [problem for problem in found if problem is not None]


# -- values ----------------------------------------------------------------------------------------------------


class WrongValueError(ValueError):
    """What is assumed is no fact, or its value does not fit."""


def _values(configuration: Configuration) -> list[Section]:
    """Return what each assumption states, in a section. Raises ConfigurationError with all that do not fit."""
    faults = []
    values = []
    for assumption in configuration.assume:
        try:
            values.append(stated_by(assumption))
        except WrongValueError as error:
            faults.append(f"{configuration.path}:{assumption.place.line}: {error}")
    if faults:
        raise ConfigurationError(faults)
    return values


def stated_by(assumption: Assumption) -> Section:
    """Return what an assumption states, decoded as a deployment file would be: implied facts too."""
    kind, path = assumption.subject, assumption.fact
    section = Section(kind, assumption.place)
    part = schema_part(kind, path)
    if part is None:
        section.stated[path] = Stated(_derived_value(assumption), assumption.place)
        return section
    decoder = Decoder()
    decoder.value(_node(assumption.value, assumption.place), part, path, section, f"{kind}.{path}")
    if decoder.problems:
        raise WrongValueError(decoder.problems[0].message)
    for name, number in _numbers(assumption.value, path):
        known = field(kind, name)
        if known is not None and known.kind == "text":
            raise WrongValueError(f'{kind}.{name} is the number {number} where text is expected: write "{number}"')
    return section


def _numbers(value: Setting, path: str) -> Iterator[tuple[str, float]]:
    """Yield every fraction in a value, with the path of its field: TOML's 0.30 is 0.3, and no version."""
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{path}.{key}")


def _derived_value(assumption: Assumption) -> Value:
    kind, path, value = assumption.subject, assumption.fact, assumption.value
    derived = derivations(kind).get(path)
    if derived is None:
        guess = nearest(path, [*fields(kind), *derivations(kind)])
        raise WrongValueError(f"{path} is no fact of a {kind}{did_you_mean(guess)}")
    if not isinstance(value, _PYTHON_TYPES[derived.result]) or isinstance(value, bool) != (derived.result == "boolean"):
        raise WrongValueError(f"{kind}.{path} is {value!r} where a {derived.result} is expected")
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


def _images(configuration: Configuration) -> list[Image]:
    """Return the images with their engines as a deployment file spells them. Raises ConfigurationError for others."""
    faults, images = [], []
    part = schema_part("pool", "engine.name")
    for image in configuration.images:
        decoder, section = Decoder(), Section("pool", image.place)
        if part is not None:
            decoder.value(_node(image.engine, image.place), part, "engine.name", section, "engine")
        faults += [f"{configuration.path}:{image.place.line}: {problem.message}" for problem in decoder.problems]
        images.append(image._replace(engine=section.text("engine.name") or image.engine))
    if faults:
        raise ConfigurationError(faults)
    return images


def _apply_image(target: Target, images: Sequence[Image], configuration: Configuration) -> Image | None:
    """State engine and version of a pool by its image, as far as nobody states them, and return its entry."""
    name = target.section.text("engine.image") if target.kind == "pool" else None
    if name is None:
        return None
    for image in images:
        found = image_version(name, image.pattern)
        if found is None:
            continue
        note = f"image {image.pattern} ({configuration.path}:{image.place.line})"
        for path, value in (("engine.name", image.engine), ("engine.version", image.version or found)):
            if value and is_open(target.section.stated.get(path)):
                _state(target, path, Stated(value, image.place), note)
        return image
    return None


def _image_without_effect(image: Image) -> Problem:
    place = LabelledPlace(image.place, "this image", primary=True)
    return Problem("unused-assumption", f"no pool of any input has an image like {image.pattern}", (place,))


_VERSION = r"v?(?P<version>[0-9][0-9A-Za-z.+]*)"


def image_version(image: str, pattern: str) -> str | None:
    """Return the version that `{version}` of ``pattern`` stands for in ``image``, empty if the pattern has none.

    None if the image does not match. Each piece between two stars is taken where it first stands, and never given back:
    time is bounded whatever the pattern.
    """
    first, *rest = [re.escape(piece).replace(re.escape("{version}"), _VERSION) for piece in pattern.split("*")]
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    last = f".*?{rest[-1]}" if rest else ""
    match = re.fullmatch(f"{first}{middle}{last}", image, flags=re.S)
    if match is None:
        return None
    return match.groupdict().get("version") or ""
