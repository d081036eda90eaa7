"""Commands to settings: what a launch says about its pool, and what a router's command says.

A command is read in steps: which program it runs (``program``), which arguments it gives (``words``), which fields
these state (``table``, and a module an engine for what needs more than decoding), what is wrong with them (``faults``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.deployment import CLOSED, OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hetpd_cli.deployment import Section, Stated
    from hetpd_cli.places import Place
    from hetpd_cli.sources.commands.context import Context
    from hetpd_cli.sources.commands.program import Program
    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.launch import Launch
    from hetpd_cli.sources.problems import Problem
    from hetpd_cli.sources.text import Limits


class EngineSettings(NamedTuple):
    """What a command says about its pool.

    ``engine`` is the engine's name in a deployment file, ``program`` what is launched (``dynamo.vllm``), ``wrapper``
    what starts the engine in its own process. ``settings`` is a section of a pool, closed if all arguments are known.
    ``role`` is what the command says of it: prefill, decode, aggregated, or ``encode``, which is no pool of a handoff;
    None if it says nothing. ``mode`` is the stage that the engine itself is told to run, where it is told one: the
    label of a connector (``kv_role``) is a role and no mode. ``place`` is that of the word that names the program;
    ``incomplete`` says why the section is open. ``ranks`` is the data parallel size of all nodes together, where the
    settings state that of one node.
    """

    engine: str
    program: str
    wrapper: str | None
    settings: Section
    role: Stated | None
    mode: Stated | None
    problems: tuple[Problem, ...]
    place: Place
    incomplete: str = ""
    ranks: Stated | None = None


def read_launch(
    launch: Launch,
    files: Mapping[str, Embedded],
    limits: Limits,
    *,
    version: str | None = None,
    image: str | None = None,
) -> EngineSettings | None:
    """Return what ``launch`` says about its pool; None if it launches no engine.

    ``files`` are the texts that the command can read, by path. ``version`` is the engine's release where it is known,
    else it is looked up by the tag of ``image``, the container image.
    """
    from hetpd_cli.sources.commands import environment
    from hetpd_cli.sources.commands.faults import faults
    from hetpd_cli.sources.commands.program import ENGINES, engine_of, implied
    from hetpd_cli.sources.commands.spelling import words_of

    program = engine_of(launch.words) or implied(launch.words, image or "")
    if program is None:
        return None
    context = _context(program, launch, files, limits, version, image)
    if launch.incomplete:
        context.incomplete = launch.incomplete
    engine = ENGINES[program.runtime]
    _read(context)
    environment.read(context, engine)
    environment.read_lmcache(context)
    engine = _flavour(context, engine)
    context.settings.known("engine.name", engine, program.place, program.name if program.name != engine else None)
    _wrapped_release(context)
    section = context.settings.section
    section.scope = OPEN if context.incomplete else CLOSED
    section.words = words_of(program.runtime, program.wrapper)
    problems = (*context.problems, *context.settings.problems, *faults(context))
    return EngineSettings(
        engine,
        program.name,
        program.wrapper,
        section,
        context.role,
        context.mode,
        problems,
        program.place,
        context.incomplete,
        context.ranks,
    )


def _context(
    program: Program,
    launch: Launch,
    files: Mapping[str, Embedded],
    limits: Limits,
    version: str | None,
    image: str | None,
) -> Context:
    from hetpd_cli.sources.commands import table
    from hetpd_cli.sources.commands.context import Context

    fields = {"vllm": table.VLLM, "sglang": table.SGLANG, "trtllm": table.TRTLLM}[program.runtime]
    return Context(program, fields, launch.env, files, limits, version or _release_in(image, program), image)


def _release_in(image: str | None, program: Program) -> str | None:
    """Return the release of the program that an image brings, if it is the image of that engine and its tag tells."""
    if not image or program.wrapper:
        return None
    from hetpd_cli.sources.commands.program import ENGINES
    from hetpd_cli.tables import cell
    from hetpd_cli.tables.images import release_of, repository_of

    engine, release = cell("images", repository_of(image), "runs"), release_of(image)
    known = engine is not None and release is not None and ENGINES[program.runtime] == engine.value
    return str(release.value) if known and release is not None else None


def _read(context: Context) -> None:
    from hetpd_cli.sources.commands import dynamo, sglang, trtllm, vllm

    {"vllm": vllm.read, "sglang": sglang.read, "trtllm": trtllm.read}[context.program.runtime](context)
    if context.program.wrapper:
        dynamo.read(context)


def _wrapped_release(context: Context) -> None:
    """State the engine's release that Dynamo's image brings, where both are known."""
    from hetpd_cli.deployment import Stated
    from hetpd_cli.facts.values import LOOKED_UP

    known = context.known
    if known is None or known.engine is None or not known.exact or not known.engine.version:
        return
    if context.settings.text("engine.name") in ENGINES_OF_WRAPPERS:
        note = f"Dynamo {known.version} brings {known.engine.program} {known.engine.version}"
        stated = Stated(known.engine.version, None, None, LOOKED_UP, note)
        context.settings.section.stated["engine.version"] = stated


ENGINES_OF_WRAPPERS = frozenset({"vllm", "sglang", "tensorrt-llm"})
"""Engines whose release Dynamo's images fix."""


def _flavour(context: Context, engine: str) -> str:
    """Return vllm-ascend for vLLM on Ascend devices: its classes of connectors, its variables or its image say so."""
    from hetpd_cli.sources.commands.transfer_config import ASCEND_CLASSES

    if engine != "vllm":
        return engine
    stated = context.settings.section.stated.get("connector.name")
    if stated is not None and stated.written in ASCEND_CLASSES:
        return "vllm-ascend"
    if "ascend" in context.image.lower() or "ASCEND_RT_VISIBLE_DEVICES" in context.env:
        return "vllm-ascend"
    return engine


def read_router(launch: Launch) -> Section | None:
    """Return what ``launch`` says about the router; None if it launches none that is known."""
    from hetpd_cli.sources.commands import router

    return router.read(launch)
