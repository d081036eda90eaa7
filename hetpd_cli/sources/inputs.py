"""Paths to readings: finds the inputs, and gives each to the reader whose format it is in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.sources.deployment_file import DeploymentFileReader
from hetpd_cli.sources.problems import Problem
from hetpd_cli.sources.reader import Reading
from hetpd_cli.sources.text import STDIN, SourceText, read_source
from hetpd_cli.sources.tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hetpd_cli.sources.reader import Reader
    from hetpd_cli.sources.text import Limits

READERS: tuple[Reader, ...] = (DeploymentFileReader(),)
"""The formats, in the order in which they are asked."""

SUFFIXES = (".yaml", ".yml", ".json")
"""Endings of the files that are looked at in a directory."""

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
        """Return what each file declares; nothing is raised."""
        return [read(path, limits, named=path in self.named) for path in self.files]


def find(paths: Iterable[str]) -> Found:
    """Return the files that ``paths`` stand for: files and ``-`` as they are, directories walked in order.

    Links to directories are not followed below a directory. Each path is returned once.
    """
    files: dict[str, str] = {}
    empty = []
    named = set()
    for path in paths:
        if path != STDIN and os.path.isdir(path):  # noqa: PTH112 (paths stay text: file names need not be UTF-8)
            below = list(_walk(path))
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

    A file that nobody ``named`` and that no reader would claim by its beginning is nobody's fault if it cannot be read.
    """
    source = read_source(path, limits)
    if isinstance(source, Problem):
        shown = source.places[0].place.path
        if not named and source.rule in FOREIGN and not _claimed(path):
            return Reading(shown, None, "not-pd", source.message.removeprefix(f"{shown} "))
        return Reading(shown, None, "unreadable", source.message, problems=(source,))
    return read_text(source, limits)


FOREIGN = frozenset({"not-utf-8", "input-too-large"})
"""Problems that a file of another purpose may well have."""

_HEAD_BYTES = 65_536


def _claimed(path: str) -> bool:
    """Tell whether a reader would claim the file ``path`` by its first bytes."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (paths stay text)
            head = SourceText(path, file.read(_HEAD_BYTES).lstrip(b"\xff\xfe").replace(b"\0", b"").decode("latin-1"))
    except OSError:
        return True
    return any(reader.claims(head) for reader in READERS)


def read_text(source: SourceText, limits: Limits) -> Reading:
    """Return what ``source`` declares; nothing is raised.

    A text that no reader claims is not parsed: whether it is good YAML is not our business.
    """
    for reader in READERS:
        if reader.claims(source):
            reading = _parsed(reader, source, limits)
            if reading is not None:
                return reading
    return Reading(source.path, None, "not-pd", "no known format: a deployment file has `hetpd: 1` at its top")


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
