"""Members to deployments: reads what workers are launched with, gives them roles, and joins the halves of a pair."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from os.path import basename, dirname, normpath, splitext
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.deployment import AGGREGATED, DECODE, OPEN, PREFILL, Deployment, Handoff, Pool, Section, Stated
from hetpd_cli.facts.values import DEFAULT, NONE, Unknown
from hetpd_cli.findings import LabelledPlace
from hetpd_cli.sources.commands import read_launch, read_router
from hetpd_cli.sources.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hetpd_cli.places import Place
    from hetpd_cli.sources.commands import EngineSettings
    from hetpd_cli.sources.launch import Group, Member
    from hetpd_cli.sources.reader import Reading
    from hetpd_cli.sources.text import Limits, SourceText

ROLES = (PREFILL, DECODE)
TO_ANOTHER_ENGINE = frozenset({"nixl", "mooncake", "moriio", "p2p-nccl", "flagcx", "ascend", "trtllm-transceiver"})
"""Connectors that move KV from one engine to another, and do nothing else."""
BESIDE = -1
"""Number of a reading that was looked up and is not reported."""
_ROLE_WORDS = frozenset({
    "prefill", "prefiller", "prefills", "prefillworker", "decode", "decoder", "decodes", "decodeworker", "p", "d",
    "ctx", "gen", "context", "generation", "worker", "workers", "producer", "consumer", "patch",
})  # fmt: skip
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


@dataclass(slots=True)
class Worker:
    """A member with what its command says. ``role`` is the one it is taken to have."""

    member: Member
    engine: EngineSettings | None
    role: str | None

    @property
    def hint(self) -> str | None:
        """The role that the manifest gives."""
        said = self.member.role
        return said.value if said is not None and isinstance(said.value, str) else None

    @property
    def model(self) -> str | None:
        """The model's id, where it is known."""
        section = self.engine.settings if self.engine is not None else self.member.settings
        return section.text("model.id")


@dataclass(slots=True)
class Unit:
    """The workers of one group, and of the groups that were joined with it."""

    reading: int
    path: str
    groups: list[Group]
    workers: list[Worker]
    joined: list[Unit] = field(default_factory=list)

    def roles(self) -> set[str | None]:
        """Return the roles of the workers."""
        return {worker.role for worker in self.workers}

    @property
    def half(self) -> str | None:
        """The one role of a prefill or decode half; None of anything else."""
        roles = self.roles() & set(ROLES)
        return next(iter(roles)) if len(roles) == 1 else None

    @property
    def whole(self) -> bool:
        """Whether there is a prefill and a decode worker."""
        return self.roles() >= set(ROLES)

    def absorb(self, other: Unit) -> None:
        """Take over the workers of ``other``."""
        self.groups += other.groups
        self.workers += other.workers
        self.joined.append(other)


Beside = Callable[[str], "Sequence[Reading]"]
"""Gives the readings of the other files in the directory of a file."""


def assemble(readings: Sequence[Reading], limits: Limits, beside: Beside | None = None) -> list[Reading]:
    """Return ``readings`` with the deployments that their groups make.

    Halves are joined within a file, within a directory, and last among all inputs if there are only two. For one that
    is left over, its other half is looked for ``beside`` its file.
    """
    units = [
        unit
        for index, reading in enumerate(readings)
        for group in reading.groups
        for unit in _by_model(_unit(index, reading.path, group, limits))
    ]
    _join_all(units, two_inputs=sum(bool(reading.groups) for reading in readings) == len(ROLES))
    _drop_copies(units)
    texts: list[SourceText] = []
    if beside is not None:
        texts = _join_beside(units, beside, limits, {normpath(reading.path) for reading in readings})
    return [_finished(index, reading, units, texts, limits) for index, reading in enumerate(readings)]


def _drop_copies(units: list[Unit]) -> None:
    """Let the same workers be read once, though a kustomization gives them and each of its patches a part of them.

    Overlays of one base are workers of one place too, but not equal ones. The file in which a worker stands keeps it.
    """
    contents = {id(unit): _content(unit) for unit in units}

    def stands_here(unit: Unit) -> bool:
        return any(worker.member.place.path == unit.path for worker in unit.workers)

    for unit in sorted(units, key=lambda unit: (len(unit.workers), stands_here(unit))):
        others = (one for one in units if one is not unit and contents[id(unit)] <= contents[id(one)])
        fuller = next(others, None)
        if fuller is not None and unit.workers:
            fuller.joined.append(unit)
            units.remove(unit)


def _content(unit: Unit) -> frozenset[object]:
    """Return what tells workers from others: where they are declared, what is launched, and what is stated of them."""
    return frozenset(
        (
            worker.member.place,
            worker.role,
            tuple(tuple(word.value for word in launch.words) for launch in worker.member.launches),
            frozenset(
                (path, repr(stated.value), stated.place)
                for section in (worker.member.settings, *((worker.engine.settings,) if worker.engine else ()))
                for path, stated in section.stated.items()
            ),
        )
        for worker in unit.workers
    )


def _take_over(units: list[Unit]) -> None:
    """Give a half what a whole beside it, of which it is a part, has more."""
    for unit in [unit for unit in units if unit.half is not None and unit.reading != BESIDE]:
        own = _content(unit)
        wholes = (one for one in units if one.reading == BESIDE and one.whole and own <= _content(one))
        whole = next(wholes, None)
        if whole is not None:
            unit.workers = whole.workers
            unit.joined.append(whole)


def _join_beside(units: list[Unit], beside: Beside, limits: Limits, taken: set[str]) -> list[SourceText]:
    """Join halves with what stands beside their files, and return the texts of the files that it stands in.

    Files that are ``taken``, inputs or the other half of one, are no other's half.
    """
    texts: list[SourceText] = []
    for path in dict.fromkeys(unit.path for unit in units if unit.half is not None):
        others = [other for other in beside(path) if normpath(other.path) not in taken]
        more = [
            unit
            for other in others
            for group in other.groups
            for unit in _by_model(_unit(BESIDE, other.path, group, limits))
        ]
        units += more
        _join_all(units, two_inputs=False)
        _take_over(units)
        units[:] = [unit for unit in units if unit.reading != BESIDE]
        used = {part.path for unit in units for part in _parts(unit)}
        taken |= {normpath(other.path) for other in others if other.path in used}
        texts += [text for other in others if other.path in used for text in other.texts]
    return texts


# -- workers ---------------------------------------------------------------------------------------------------


def _unit(index: int, path: str, group: Group, limits: Limits) -> Unit:
    workers = [_worker(member, limits) for member in group.members]
    unit = Unit(index, path, [group], [one for one in workers if one.engine is not None or one.hint is not None])
    if not unit.whole:
        _prefer_hints(unit.workers)
    return unit


def _by_model(unit: Unit) -> list[Unit]:
    """Return the pairs of a script or a section that shows several, each of an engine or a model of its own."""
    if not _is_text(unit):
        return [unit]
    parts = _parts_by(unit, lambda worker: worker.engine and worker.engine.program)
    return [one for part in parts for one in _parts_by(part, lambda worker: worker.model)]


def _parts_by(unit: Unit, key: Callable[[Worker], str | None]) -> list[Unit]:
    """Return a part for each value of ``key`` if it is known of every worker and each part has both roles."""
    keys = dict.fromkeys(key(worker) for worker in unit.workers if worker.role in ROLES)
    if len(keys) < 2 or None in keys:
        return [unit]
    (group,) = unit.groups
    parts: list[Unit] = []
    for one in keys:
        workers = [worker for worker in unit.workers if key(worker) == one]
        own = group._replace(
            members=tuple(worker.member for worker in workers), problems=() if parts else group.problems
        )
        parts.append(Unit(unit.reading, unit.path, [own], workers))
    return parts if all(part.whole for part in parts) else [unit]


def _is_text(unit: Unit) -> bool:
    """Tell whether the workers are launched by a script or a page, not declared by an object."""
    return all(group.format in ("shell script", "Markdown") for group in unit.groups)


def _hands_kv(unit: Unit) -> bool:
    """Tell whether a pair is more than names: some command gives a role or a connector, or may do so.

    TensorRT-LLM has both in a file that need not be at hand.
    """
    engines = [worker.engine for worker in unit.workers if worker.engine is not None]
    return (
        not engines
        or not _is_text(unit)
        or any(
            engine.role is not None
            or engine.incomplete
            or engine.engine == "tensorrt-llm"
            or "connector.name" in engine.settings.stated
            for engine in engines
        )
    )


def _worker(member: Member, limits: Limits) -> Worker:
    image = member.settings.text("engine.image")
    read = (read_launch(launch, member.files, limits, image=image) for launch in member.launches)
    engine = next((found for found in read if found is not None), None)
    worker = Worker(member, engine, None)
    said = engine.role if engine is not None else None
    worker.role = said.value if said is not None and isinstance(said.value, str) else worker.hint
    if member.role_by == "field" and worker.hint in ROLES and worker.role in ROLES:
        worker.role = worker.hint
    return worker


def _prefer_hints(workers: list[Worker]) -> None:
    """Take the manifest's word for the roles if the engines' own make no pair and the manifest's do."""
    if {worker.hint for worker in workers} >= set(ROLES):
        for worker in workers:
            worker.role = worker.hint or worker.role


# -- halves ----------------------------------------------------------------------------------------------------


class _Scope(NamedTuple):
    """Where halves are looked for together, and by what they are told apart there, the surest first."""

    of: Callable[[Unit], object]
    keys: tuple[Callable[[Unit], object], ...]


def _join_all(units: list[Unit], *, two_inputs: bool) -> None:
    """Join halves by what the engines say of roles, then by what the manifests say where that makes no pair."""
    _join_halves(units, two_inputs=two_inputs)
    for unit in [unit for unit in units if unit.half is not None]:
        hints = {worker.hint for worker in unit.workers} - {None}
        if len(hints) == 1 and hints != {unit.half}:
            before = [worker.role for worker in unit.workers]
            for worker in unit.workers:
                worker.role = worker.hint or worker.role
            _join_halves(units, two_inputs=two_inputs)
            if unit in units and not unit.whole:
                for worker, role in zip(unit.workers, before, strict=True):
                    worker.role = role


def _join_halves(units: list[Unit], *, two_inputs: bool) -> None:
    """Join prefill and decode halves, those that stand closest together first."""
    in_file = _Scope(lambda unit: (unit.reading, unit.path), (_name_stem, _nothing))
    in_directory = _Scope(_directory, (_both_stems, _file_stem, _name_stem, _nothing))
    anywhere = _Scope(_nothing, (_nothing,))
    for scope in (in_file, in_directory, *((anywhere,) if two_inputs else ())):
        # Within one file even objects that declare whole deployments may be halves of one, behind a router of routers.
        open_to_it = [unit for unit in units if scope is in_file or all(group.joins for group in unit.groups)]
        for together in _by(open_to_it, scope.of):
            for key in scope.keys:
                for alike in _by([unit for unit in together if unit in units], key):
                    if _fit(alike, sure=key is not _nothing and key(alike[0]) != ""):
                        _merge(alike, units)
    _join_namesakes(units)


def _join_namesakes(units: list[Unit]) -> None:
    """Join what is left of a directory where two halves of one engine have one name but for the role.

    They are of two models, else they were joined before: a fault that is to be found, not a reason to look at neither.
    Names alone make no pair of them: each command says its role.
    """
    halves = [unit for unit in units if all(group.joins for group in unit.groups)]
    for alike in _by(halves, lambda unit: (_directory(unit), _both_stems(unit))):
        engines = [worker.engine for unit in alike for worker in unit.workers]
        said = {engine.engine for engine in engines if engine is not None and engine.role is not None}
        if len(alike) == len(ROLES) == len(engines) and len(said) == 1 and all(one and one.role for one in engines):
            _merge(alike, units)


def _by(units: list[Unit], key: Callable[[Unit], object]) -> list[list[Unit]]:
    """Return the halves of each key that has both."""
    found: dict[object, list[Unit]] = {}
    for unit in units:
        if unit.half is not None:
            found.setdefault(key(unit), []).append(unit)
    return [halves for halves in found.values() if {unit.half for unit in halves} >= set(ROLES)]


def _fit(halves: list[Unit], *, sure: bool) -> bool:
    """Tell whether the halves belong together: one engine, one model as far as it is known, and one of a role.

    With a name in common (``sure``) there may be several of each role, and so there may within one file.
    """
    workers = [worker for unit in halves for worker in unit.workers]
    engines = {worker.engine.engine for worker in workers if worker.engine is not None}
    models = {worker.model for worker in workers if worker.model is not None}
    one_file = len({unit.path for unit in halves}) == 1
    few = min(sum(unit.half == role for unit in halves) for role in ROLES) == 1
    alone = len(halves) == len(ROLES)
    return len(engines) <= 1 and len(models) <= 1 and (sure or alone or (one_file and few))


def _merge(halves: list[Unit], units: list[Unit]) -> None:
    first, *rest = sorted(halves, key=lambda unit: (unit.reading == BESIDE, units.index(unit)))
    for unit in rest:
        first.absorb(unit)
        units.remove(unit)


def _name_stem(unit: Unit) -> str:
    """Return the name of a group without the words for roles."""
    return _stem(unit.groups[0].name)


def _file_stem(unit: Unit) -> str:
    return _stem(splitext(basename(unit.path))[0])  # noqa: PTH119, PTH122 (paths stay text)


def _directory(unit: Unit) -> str:
    return dirname(unit.path)  # noqa: PTH120 (paths stay text)


def _both_stems(unit: Unit) -> str:
    stems = _file_stem(unit), _name_stem(unit)
    return "/".join(stems) if any(stems) else ""


def _nothing(_: Unit) -> str:
    return ""


def _stem(name: str) -> str:
    return "-".join(part for part in (part.lower() for part in _PARTS.findall(name)) if part not in _ROLE_WORDS)


# -- deployments -----------------------------------------------------------------------------------------------


def _finished(index: int, reading: Reading, units: list[Unit], texts: Sequence[SourceText], limits: Limits) -> Reading:
    """Return a reading with what its groups came to; ``texts`` are those of files that were looked up."""
    if not reading.groups:
        return reading
    own = [unit for unit in units if unit.reading == index]
    parted = [unit for unit in units if unit not in own and any(part.reading == index for part in _parts(unit))]
    readable = [unit for unit in own if _is_pair(unit)]
    elsewhere = [unit for unit in parted if _is_pair(unit)]
    # A half that is left over beside a pair is looked at too, unless it is only an alternative that a text shows.
    readable += [unit for unit in own if readable and _is_half(unit) and not _is_text(unit)]
    if not readable and not elsewhere:
        readable = [unit for unit in own if _is_half(unit)]
        elsewhere = [unit for unit in parted if _is_half(unit)]
    if readable:
        problems = [problem for unit in readable for problem in (*_problems(unit), *_too_many(unit, limits))]
        joined = {part.path for unit in readable for part in _parts(unit)} - {reading.path}
        return reading._replace(
            status="checked",
            detail="",
            deployments=tuple(_deployment(unit, limits) for unit in readable),
            problems=(*reading.problems, *problems),
            joined=tuple(sorted(joined)),
            texts=(*reading.texts, *(text for text in texts if text.path in joined)),
        )
    if elsewhere:
        holders = dict.fromkeys(unit.path for unit in elsewhere)
        others = {part.path for unit in elsewhere for part in _parts(unit)} - {reading.path, *holders}
        return reading._replace(status="checked", detail="", joined=(*holders, *sorted(others)))
    status, detail = _unpaired(reading, own + parted)
    return reading._replace(status=status, detail=detail, problems=())


def _is_pair(unit: Unit) -> bool:
    return unit.whole and _hands_kv(unit) and any(worker.engine is not None for worker in unit.workers)


def _is_half(unit: Unit) -> bool:
    return unit.half is not None and any(map(_hands_over, unit.workers))


def _hands_over(worker: Worker) -> bool:
    """Tell whether a worker's command makes it one of a pair: it is given a role, or a connector to another engine.

    One that has no connector for certain hands nothing over: so run aggregated workers that are only called decode.
    """
    if worker.engine is None or worker.engine.settings.value("connector.name") is NONE:
        return False
    if worker.engine.role is not None:
        return worker.engine.role.value in ROLES
    return worker.hint is not None and worker.engine.settings.text("connector.name") in TO_ANOTHER_ENGINE


def _parts(unit: Unit) -> list[Unit]:
    """Return every unit that was joined with ``unit``."""
    return [part for joined in unit.joined for part in (joined, *_parts(joined))]


def _problems(unit: Unit) -> Iterable[Problem]:
    for group in unit.groups:
        yield from group.problems
    for worker in unit.workers:
        if worker.engine is not None:
            yield from worker.engine.problems


def _too_many(unit: Unit, limits: Limits) -> Iterator[Problem]:
    """Yield that a deployment has more pools or boundaries than are checked."""
    pools = [worker for worker in unit.workers if worker.role in ROLES]
    if len(pools) > limits.max_pools:
        message = f"there are {len(pools)} pools, more than the {limits.max_pools} that are checked"
        yield _one_too_many(pools[limits.max_pools].member.place, message)
    roles = [worker.role for worker in pools[: limits.max_pools]]
    if roles.count(PREFILL) * roles.count(DECODE) > limits.max_boundaries:
        message = f"the pools make more than the {limits.max_boundaries} boundaries that are checked"
        yield _one_too_many(pools[0].member.place, message)


def _one_too_many(place: Place, message: str) -> Problem:
    return Problem("too-many-pools", message, (LabelledPlace(place, "one too many", primary=True),))


def _unpaired(reading: Reading, own: list[Unit]) -> tuple[str, str]:
    """Return status and detail of a reading without a pair."""
    unresolved = next((group.unresolved for group in reading.groups if group.unresolved), "")
    if unresolved:
        return "unresolved", unresolved
    pairs = [unit for unit in own if unit.whole and _hands_kv(unit)]
    if pairs:
        names = ", ".join(worker.member.name for worker in pairs[0].workers)
        return "unresolved", f"no command of {names} launches an engine that is known"
    engines = [worker for unit in own for worker in unit.workers if worker.engine is not None]
    if not engines:
        return "not-pd", "no inference engine is launched"
    if any(unit.whole for unit in own):
        return "not-pd", "aggregated: roles are only in names, no command gives a role or a connector"
    halves = list(dict.fromkeys(unit.half for unit in own if unit.half is not None))
    if len(halves) == len(ROLES):
        return "not-pd", "no prefill pool belongs to a decode pool: of other models or engines, or several of each"
    half = halves[0] if halves else None
    if half is None or all(worker.role == AGGREGATED for worker in engines):
        return "not-pd", "aggregated: no worker is given the role prefill"
    other = DECODE if half == PREFILL else PREFILL
    return "not-pd", f"only a {half} pool: no {other} pool is among the inputs"


def _deployment(unit: Unit, limits: Limits) -> Deployment:
    pools: list[Pool] = []
    kinds: list[object] = []
    models = {worker.model for worker in unit.workers}
    for worker in unit.workers:
        if worker.role in ROLES and len(pools) < limits.max_pools:
            kinds.append((worker.engine.engine if worker.engine is not None else None, worker.model))
            pools.append(
                _pool(worker, [pool.name for pool in pools], shares_model=len(models) == 1 and None not in models)
            )
    _leave_open_what_never_starts(unit, pools)
    apart = _each_has_both(pools, kinds)
    pairs = (
        Handoff(prefill.name, decode.name, Section("handoff", None), explicit=False)
        for prefill, of_prefill in zip(pools, kinds, strict=True)
        if prefill.role == PREFILL
        for decode, of_decode in zip(pools, kinds, strict=True)
        if decode.role == DECODE and not (apart and of_prefill != of_decode)
    )
    return Deployment(
        path=unit.path,
        name=unit.groups[0].name,
        pools=tuple(pools),
        handoffs=tuple(islice(pairs, limits.max_boundaries)),
        hosts=(),
        workload=Section("workload", None),
        router=_router(unit),
        store=Section("store", None),
    )


def _each_has_both(pools: Sequence[Pool], kinds: Sequence[object]) -> bool:
    """Tell whether there are several engines or models with a prefill and a decode pool each.

    A script with a branch for each engine, or a page with an example for each model, holds several deployments.
    """
    roles: dict[object, set[str | None]] = {}
    for pool, kind in zip(pools, kinds, strict=True):
        roles.setdefault(kind, set()).add(pool.role)
    return len(roles) > 1 and all(found >= set(ROLES) for found in roles.values())


def _leave_open_what_never_starts(unit: Unit, pools: list[Pool]) -> None:
    """Make the connector that a decode worker has by default unknown where a prefill worker is refused for having none.

    The refusal is reported; that no KV crosses is the same fault.
    """
    from hetpd_cli.sources.commands.dynamo import MISSING_CONNECTOR, NOT_STARTED

    if any(problem.rule == MISSING_CONNECTOR for problem in _problems(unit)):
        for pool in pools:
            stated = pool.settings.stated.get("connector.name")
            if pool.role == DECODE and stated is not None and stated.origin == DEFAULT and stated.value is NONE:
                pool.settings.stated["connector.name"] = Stated(Unknown(NOT_STARTED), stated.place)


def _pool(worker: Worker, taken: list[str], *, shares_model: bool) -> Pool:
    member, engine = worker.member, worker.engine
    settings = Section("pool", member.place, OPEN)
    if engine is not None:
        settings = engine.settings.over(member.settings)
        if engine.ranks is not None and member.nodes > 1:
            settings.stated["parallelism.dp"] = engine.ranks
        settings.scope = engine.settings.scope if member.complete else OPEN
        if engine.mode is not None:
            settings.stated["engine.mode"] = engine.mode
    else:
        settings = settings.over(member.settings)
    settings.declared |= {
        ".".join(path.split(".")[:count]) for path in settings.stated for count in range(1, path.count(".") + 1)
    }
    said = member.role if engine is None or engine.role is None or member.role is not None else engine.role
    place = said.place if said is not None and said.value == worker.role else None
    settings.stated["role"] = Stated(worker.role or AGGREGATED, place or member.place)
    name = worker.role if member.name in ROLES and worker.role in ROLES else member.name
    return Pool(_unused(name, taken), worker.role, _named_at(member.place, engine), settings, shares_model)


def _named_at(place: Place, engine: EngineSettings | None) -> Place:
    """Return where a pool is named: of a worker that is only a command, the program that it launches."""
    if engine is None or engine.place.path != place.path:
        return place
    return engine.place if place.start <= engine.place.start and engine.place.end <= place.end else place


def _unused(name: str, taken: Sequence[str]) -> str:
    """Return ``name``, with a number behind it if it is taken."""
    number = 2
    unused = name
    while unused in taken:
        unused, number = f"{name}-{number}", number + 1
    return unused


def _router(unit: Unit) -> Section:
    section = Section("router", None)
    for group in unit.groups:
        for launch in group.others:
            found = read_router(launch)
            if found is not None:
                section = section.over(found)
                section.place = section.place or found.place
                section.declared.add("")
    return section
