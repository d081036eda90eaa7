"""What a configuration file says, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from hetpd_cli.places import Place

Setting = str | int | float | bool | list["Setting"] | dict[str, "Setting"] | None


class RuleSettings(NamedTuple):
    """What is set for one rule: another severity, other thresholds (in the rule's own units)."""

    place: Place
    severity: str | None
    parameters: Mapping[str, float]


class Assumption(NamedTuple):
    """A fact that is taken for true where no input states it.

    ``path`` and ``of`` are globs: the input, relative to the configuration's folder, and the pool or handoff.
    ``subject`` is ``pool``, ``handoff``, ``workload``, ``router`` or ``store``; ``fact`` a path within it.
    """

    path: str
    subject: str
    of: str
    fact: str
    value: Setting
    reason: str
    place: Place


class Image(NamedTuple):
    """Container images that hold an engine at a version.

    In ``pattern`` a ``*`` stands for anything and ``{version}`` for the version.
    """

    pattern: str
    engine: str
    version: str | None
    place: Place


class Suppression(NamedTuple):
    """Findings that are accepted: those of ``rule`` in inputs like ``path``.

    Where given, ``handoff`` is a glob of the boundary, and ``pool`` and ``fact`` of one fact that the finding rests on.
    ``until`` is the last day on which it holds.
    """

    rule: str
    path: str
    pool: str
    handoff: str
    fact: str
    until: date | None
    reason: str
    place: Place


class Configuration(NamedTuple):
    """Everything that one file configures; the defaults are those of no file."""

    path: str | None = None
    text: str = ""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str | None = None
    baseline: str | None = None
    rule_folders: tuple[str, ...] = ()
    table_folders: tuple[str, ...] = ()
    rules: Mapping[str, RuleSettings] = {}
    assume: tuple[Assumption, ...] = ()
    images: tuple[Image, ...] = ()
    suppress: tuple[Suppression, ...] = ()

    @property
    def folder(self) -> str:
        """The folder that relative paths are meant from."""
        from os.path import dirname

        return dirname(self.path) if self.path else ""  # noqa: PTH120 (paths stay text)
