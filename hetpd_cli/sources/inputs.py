"""Paths to readings: finds the inputs, and gives each to the reader whose format it is in."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.findings import NO_ENGINE, NO_FORMAT
from hetpd_cli.sources.deployment_file import DeploymentFileReader
from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.reader import Reading
from hetpd_cli.sources.text import STDIN, SourceText, read_source
from hetpd_cli.sources.tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hetpd_cli.sources.assembly import Beside
    from hetpd_cli.sources.launch import Group
    from hetpd_cli.sources.reader import Reader
    from hetpd_cli.sources.text import Limits

READERS: tuple[Reader, ...] = (DeploymentFileReader(),)
"""The formats, in the order in which they are asked."""

SUFFIXES = (".yaml", ".yml", ".json", ".sh", ".bash")
"""Endings of the files that are looked at in a directory."""

MOST_NEIGHBOURS = 200
"""Files of a directory among which the other half of a pair is looked for."""

SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
"""Directories that are never entered, beside hidden ones."""


class Found(NamedTuple):
    """The files behind the paths of a command line, and the directories in which there was none.

    ``named`` holds the files that somebody named; the others were found by walking a directory.
    """

    files: tuple[str, ...]
    empty: tuple[str, ...]
    named: frozenset[str] = frozenset()

    def readings(self, limits: Limits) -> list[Reading]:
        """Return what each file declares; nothing is raised.

        Halves of a pair that stand in several files are joined. The other half of a file that was named is looked for
        in its directory.
        """

        def beside(path: str) -> list[Reading]:
            return _beside(path, limits) if path in self.named else []

        return _assembled([read(path, limits, named=path in self.named) for path in self.files], limits, beside)


def read_all(sources: Iterable[SourceText], limits: Limits) -> list[Reading]:
    """Return what each of several texts declares, as if they were the files of one run; nothing is raised."""
    return _assembled([read_text(source, limits) for source in sources], limits)


def _assembled(readings: list[Reading], limits: Limits, beside: Beside | None = None) -> list[Reading]:
    """Return readings with the deployments that their groups make; without groups nothing is imported for it."""
    if not any(reading.groups for reading in readings):
        return readings
    from hetpd_cli.sources.assembly import assemble

    return assemble(readings, limits, beside)


def find(paths: Iterable[str], apart: frozenset[str] = frozenset()) -> Found:
    """Return the files that ``paths`` stand for: files and ``-`` as they are, directories walked in order.

    Links to directories are not followed below a directory. Each path is returned once. What is found in a directory
    is none of those ``apart``, which are real paths: a baseline or a report of an earlier run is no input.
    """
    files: dict[str, str] = {}
    empty = []
    named = set()
    for path in paths:
        if path != STDIN and os.path.isdir(path):  # noqa: PTH112 (paths stay text: file names need not be UTF-8)
            below = [file for file in _walk(path) if not apart or os.path.realpath(file) not in apart]
            for file in below:
                files.setdefault(os.path.abspath(file), file)  # noqa: PTH100
            if not below:
                empty.append(path)
        else:
            named.add(files.setdefault(path if path == STDIN else os.path.abspath(path), path))  # noqa: PTH100
    return Found(tuple(files.values()), tuple(empty), frozenset(named))


def _walk(directory: str) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED)
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES):
                yield os.path.normpath(os.path.join(folder, name))  # noqa: PTH118


def read(path: str, limits: Limits, *, named: bool = True) -> Reading:
    """Return what the file ``path`` declares; nothing is raised.

    A file in another encoding, or beyond the limit, that nothing marks as one of ours is nobody's fault: pre-commit
    names every file. One that nobody ``named`` is judged by its beginning.
    """
    source = read_source(path, limits)
    if isinstance(source, Problem):
        shown = source.places[0].place.path
        if source.rule in FOREIGN and not _claimed(path, limits.max_bytes if named else _HEAD_BYTES):
            return Reading(shown, None, "not-pd", source.message.removeprefix(f"{shown} "))
        return Reading(shown, None, "unreadable", source.message, problems=(source,))
    return read_text(source, limits)


FOREIGN = frozenset({"not-utf-8", "input-too-large"})
"""Problems that a file of another purpose may well have."""

_HEAD_BYTES = 65_536


def _claimed(path: str, most_bytes: int) -> bool:
    """Tell whether a reader would claim the file ``path``, or an engine be launched in it, by its first bytes."""
    from hetpd_cli.sources.launch_lines import NAMES

    try:
        with open(path, "rb") as file:  # noqa: PTH123 (paths stay text)
            text = file.read(most_bytes).lstrip(b"\xff\xfe").replace(b"\0", b"").decode("latin-1")
    except OSError:
        return True
    head = SourceText(path, text)
    return any(reader.claims(head) for reader in READERS) or NAMES.search(text) is not None


def _beside(path: str, limits: Limits) -> list[Reading]:
    """Return the readings of the other files in the directory of ``path`` that launch something."""
    folder = os.path.dirname(path)  # noqa: PTH120 (paths stay text)
    try:
        names = sorted(os.listdir(folder or "."))[:MOST_NEIGHBOURS]  # noqa: PTH208 (paths stay text)
    except OSError:
        return []
    paths = [os.path.join(folder, name) for name in names if name.lower().endswith(SUFFIXES)]  # noqa: PTH118
    readings = [read(one, limits, named=False) for one in paths if one != path and os.path.isfile(one)]  # noqa: PTH113
    return [reading for reading in readings if reading.groups]


def read_text(source: SourceText, limits: Limits) -> Reading:
    """Return what ``source`` declares; nothing is raised.

    A text that no reader claims is not parsed: whether it is good YAML is not our business.
    """
    for reader in READERS:
        if reader.claims(source):
            reading = _parsed(reader, source, limits)
            if reading is not None:
                return reading
    return _read_foreign(source, limits) or Reading(source.path, None, "not-pd", NO_FORMAT)


def _read_foreign(source: SourceText, limits: Limits) -> Reading | None:
    """Return the groups of workers in a manifest or a script; None if it is neither."""
    from hetpd_cli.sources.kubernetes import reader as kubernetes
    from hetpd_cli.sources.kubernetes.templates import is_broken_template
    from hetpd_cli.sources.launch_lines import NAMES, MarkdownReader, ShellReader

    if kubernetes.claims(source):
        if not kubernetes.concerns(source):
            return Reading(source.path, "Kubernetes", "not-pd", NO_ENGINE)
        tree = parse(source, limits, collect_ambiguous=False)
        if kubernetes.recognises(tree):
            groups, texts = kubernetes.groups_with_texts(source, tree, limits)
            return _of_groups(source, groups, texts, tree.problems)
        broken = next((problem for problem in tree.problems if problem.rule in UNPARSED), None)
        if broken is not None and is_broken_template(source, tree):
            groups, texts = kubernetes.groups_with_texts(source, tree, limits)
            return _of_groups(source, groups, texts, ())
        if broken is not None and NAMES.search(source.text):
            return Reading(source.path, "Kubernetes", "unreadable", broken.message, (), (broken,), (source,))
    for reader in (MarkdownReader(), ShellReader()):
        if reader.claims(source):
            reading = _of_groups(source, reader.groups(source, limits), (source,), ())
            if not reading.groups and _MANIFEST.search(source.text):
                reading = reading._replace(detail="no command launches an engine; manifests within it are not read")
            return reading
    return None


_MANIFEST = re.compile(r"^[ \t]*apiVersion:[ \t]*\S", re.M)


def _of_groups(
    source: SourceText, groups: list[Group], texts: tuple[SourceText, ...], problems: tuple[Problem, ...]
) -> Reading:
    """Return a reading of which no deployment has been made yet; ``problems`` count if it turns out to have one."""
    formats = dict.fromkeys(group.format for group in groups)
    detail = "" if groups else NO_ENGINE
    return Reading(
        source.path, ", ".join(formats) or None, "not-pd", detail, problems=problems, texts=texts, groups=tuple(groups)
    )


def _parsed(reader: Reader, source: SourceText, limits: Limits) -> Reading | None:
    """Return the reading of a claimed file; None if its documents are in another format after all."""
    tree = parse(source, limits, collect_ambiguous=not source.path.lower().endswith(".json"))
    if reader.recognises(tree):
        return reader.read(source, tree, limits)
    broken = next((problem for problem in tree.problems if problem.rule in UNPARSED), None)
    if broken is None:
        return None
    return Reading(source.path, reader.format, "unreadable", broken.message, (), tree.problems, (source,))


UNPARSED = frozenset({"yaml-syntax", "too-deep", "too-many-nodes", "alias-expansion", "recursive-alias"})
"""Problems for whose sake a document has no tree."""
