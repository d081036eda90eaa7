"""Which readings a change concerns: their own files, what these name, and what may have been a part of them.

Too many rather than too few: a reading that is left out is not checked.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.cli.changed import CHANGED, IGNORED, OUTSIDE, UNCHANGED, is_below, real_name
from hetpd_cli.cli.changed import changes as changes_since
from hetpd_cli.configuration.read import OWN_FILE, SHARED_FILE, table_of
from hetpd_cli.configuration.setup import in_folder
from hetpd_cli.report.style import inert
from hetpd_cli.report.words import plural
from hetpd_cli.sources.inputs import SUFFIXES
from hetpd_cli.sources.text import STDIN_SHOWN, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hetpd_cli.checking import Plan
    from hetpd_cli.cli.changed import Changes
    from hetpd_cli.configuration.settings import Configuration
    from hetpd_cli.sources.inputs import Found
    from hetpd_cli.sources.reader import Reading


class Concern(NamedTuple):
    """The readings that a change concerns, in order, how many there are besides, and what people should know of it."""

    kept: list[Reading]
    left_out: int
    notes: tuple[str, ...]


def of_changes(revision: str, found: Found, paths: Sequence[str], plan: Plan, *, searched: bool) -> Concern:
    """Read what was ``found`` for the ``paths`` of a command line and return what a change since ``revision`` concerns.

    Everything is, if what it is checked by has changed; ``searched`` tells that the configuration was looked for.
    Raises ChangesError where it cannot be told.
    """
    changes = changes_since(revision, paths, found.files)
    settings = settings_changed(changes, plan.configuration, paths, searched=searched)
    settings = settings or (plan.baseline is not None and changes.state(plan.baseline.path) == CHANGED)
    concern = concerned(found.readings(Limits()), changes, paths, everything=settings)
    notes = list(concern.notes)
    if settings:
        said = f"configuration, rules, tables or baseline changed since {inert(revision)}: everything is checked"
        notes.insert(0, said)
    if not all(one.parted for one in changes.repositories):
        notes.append(f"{inert(revision)} and HEAD have no common commit here: compared with {inert(revision)} itself")
    return concern._replace(notes=tuple(notes))


def concerned(readings: Sequence[Reading], changes: Changes, paths: Sequence[str], *, everything: bool) -> Concern:
    """Return what of ``readings`` the changes concern.

    ``paths`` are those of the command line: what one of them means is not left out because git ignores it or because it
    is not there. Files in no repository may have changed, so they count as changed.
    """
    look = _Look(changes, paths)
    kept = {index for index, reading in enumerate(readings) if everything or look.concerns(reading)}
    _take_along(readings, kept)
    left_out = [reading for index, reading in enumerate(readings) if index not in kept]
    ignored = sum(look.state(reading.path) == IGNORED for reading in left_out)
    outside = sum(look.state(reading.path) == OUTSIDE for reading in readings)
    notes = []
    if left_out:
        verb = "is" if len(left_out) == 1 else "are"
        of = f"{len(left_out)} of {plural(len(readings), 'input')}"
        notes.append(f"{of} {verb} unchanged since {inert(changes.revision)} and left out")
    if ignored:
        notes.append(f"git ignores {ignored} of those left out, and cannot tell whether they changed")
    if outside:
        notes.append(f"{plural(outside, 'input')} in no git repository: counted as changed")
    return Concern([readings[index] for index in sorted(kept)], len(left_out), tuple(notes))


def _take_along(readings: Sequence[Reading], kept: set[int]) -> None:
    """Add to ``kept`` what is joined with one of it, and what has the file of one of it among its own.

    So all that can be found in the file of a kept reading is found, and a baseline can be compared with it.
    """
    by_path: dict[str, list[int]] = {}
    for index, reading in enumerate(readings):
        for path in {*_files(reading)}:
            by_path.setdefault(os.path.abspath(path), []).append(index)  # noqa: PTH100 (paths stay text)
    own = {os.path.abspath(reading.path): index for index, reading in enumerate(readings)}  # noqa: PTH100
    waiting = list(kept)
    while waiting:
        reading = readings[waiting.pop()]
        joined = (own.get(os.path.abspath(path)) for path in reading.joined)  # noqa: PTH100
        more = {*by_path[os.path.abspath(reading.path)], *(index for index in joined if index is not None)} - kept  # noqa: PTH100
        kept |= more
        waiting += more


def _files(reading: Reading) -> Iterator[str]:
    """Yield the path of every file that a reading is made of."""
    yield reading.path
    yield from reading.joined
    yield from (text.path for text in reading.texts)


# -- one reading -----------------------------------------------------------------------------------------------

_NAME = re.compile(r"[^\s\"'`,;:=()\[\]{}<>|&$#]+")
"""Something in a text that may be a path."""


class _Look:
    """What changed, as readings are compared with it."""

    def __init__(self, changes: Changes, paths: Sequence[str]) -> None:
        self.changes = changes
        self.named = [os.path.abspath(path) for path in paths]  # noqa: PTH100
        inputs = [path for path in changes.paths if path.lower().endswith(SUFFIXES)]
        self.touched = frozenset(map(os.path.dirname, inputs))
        """Directories with an input that changed, came or went."""
        self.bereft = frozenset(os.path.dirname(path) for path in inputs if path in changes.gone)  # noqa: PTH120
        """Directories that have lost an input."""
        self.nameable = changes.paths | {folder for path in changes.paths for folder in _folders(path)}
        self.last_names = frozenset(map(os.path.basename, self.nameable))

    def state(self, path: str) -> str:
        """Return what is known of a file. What git cannot know of one that somebody named counts as a change."""
        if path == STDIN_SHOWN:
            return CHANGED
        state = self.changes.state(path)
        if state == UNCHANGED and os.path.abspath(path) in self.named and not os.path.lexists(path):  # noqa: PTH100
            return CHANGED
        if state == IGNORED and any(self.changes.state(name) == IGNORED for name in self._names_of(path)):
            return CHANGED
        return state

    def _names_of(self, path: str) -> Iterator[str]:
        """Yield the paths of the command line that a file was found by."""
        file = os.path.abspath(path)  # noqa: PTH100
        return (name for name in self.named if is_below(file, name))

    def concerns(self, reading: Reading) -> bool:
        """Tell whether a change concerns a reading itself, whatever it is joined with."""
        if any(self.state(path) in (CHANGED, OUTSIDE) for path in _files(reading)):
            return True
        folders = {os.path.dirname(real_name(path)) for path in _files(reading)}  # noqa: PTH120
        if folders & self.bereft or (_is_lone_half(reading) and folders & self.touched):
            return True
        return any(self._names_a_change(text.path, text.text) for text in reading.texts)

    def _names_a_change(self, path: str, text: str) -> bool:
        """Tell whether a text names what changed, though it cannot be read any more: from the directory of its file."""
        folder = os.path.dirname(real_name(path))  # noqa: PTH120
        for name in set(_NAME.findall(text)) if self.last_names else ():
            if name.rstrip("/").rpartition("/")[2] in self.last_names:
                target = os.path.normpath(os.path.join(folder, name))  # noqa: PTH118
                if target in self.nameable and not is_below(folder, target):
                    return True
        return False


def _folders(path: str) -> Iterator[str]:
    """Yield the directory of a path, and those above it up to the first that is still there."""
    folder = os.path.dirname(path)  # noqa: PTH120
    yield folder
    while not os.path.isdir(folder):  # noqa: PTH112
        folder = os.path.dirname(folder)  # noqa: PTH120
        yield folder


def _is_lone_half(reading: Reading) -> bool:
    """Tell whether workers have no other half, which they may have had before."""
    return bool(reading.groups) and not reading.joined and not any(one.handoffs for one in reading.deployments)


# -- the configuration -----------------------------------------------------------------------------------------


def settings_changed(changes: Changes, configuration: Configuration, paths: Iterable[str], *, searched: bool) -> bool:
    """Tell whether the configuration of a run, its own rules or its own tables changed.

    ``searched`` tells that the configuration is the nearest one above ``paths``: one that is gone counts too. What lies
    outside the repositories of the run has not changed.
    """
    folders = [in_folder(configuration, one) for one in (*configuration.rule_folders, *configuration.table_folders)]
    below = tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)  # noqa: PTH118
    if any(f"{path}{os.sep}".startswith(below) for path in changes.paths):
        return True
    places = set(_above(paths)) if searched else set()
    files = {os.path.join(folder, name) for folder in places for name in (OWN_FILE, SHARED_FILE)}  # noqa: PTH118
    if configuration.path is not None:
        files.add(os.path.realpath(configuration.path))
    return any(
        changes.state(file) == CHANGED and (os.path.basename(file) != SHARED_FILE or _table_changed(changes, file))  # noqa: PTH119
        for file in files
    )


def _above(paths: Iterable[str]) -> Iterator[str]:
    """Yield the directories in which a configuration of a run over ``paths`` may be."""
    folders = [os.path.realpath(path if os.path.isdir(path) else os.path.dirname(path)) for path in paths]  # noqa: PTH112, PTH120
    folder = os.path.commonpath(folders)
    yield folder
    while os.path.dirname(folder) != folder:  # noqa: PTH120
        folder = os.path.dirname(folder)  # noqa: PTH120
        yield folder


def _table_changed(changes: Changes, path: str) -> bool:
    """Tell whether our table in a ``pyproject.toml`` that changed is another one than before."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            now = file.read()
    except OSError:
        now = b""
    return table_of(changes.before(path) or b"") != table_of(now)
