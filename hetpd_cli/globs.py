"""Globs of the configuration over inputs, pools, handoffs and facts."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SPECIAL = re.compile(r"[*?\[]")


def matches_path(path: str, pattern: str, folder: str) -> bool:
    """Tell whether an input is meant by a glob that is relative to ``folder``; ``*`` stands for ``/`` too.

    A folder means everything in it.
    """
    relative = os.path.relpath(path, folder or ".").replace(os.sep, "/")
    pattern = pattern.removeprefix("./")
    return fnmatchcase(relative, pattern) or fnmatchcase(relative, f"{pattern.rstrip('/')}/*")


def is_looked_at(pattern: str, folder: str, files: Iterable[str], directories: Iterable[str]) -> bool:
    """Tell whether a run over ``files`` and whole ``directories`` sees everything that ``pattern`` may mean.

    It does if a directory contains all that begins like the glob, or if the pattern is the path of one of the files.
    """
    special = _SPECIAL.search(pattern)
    literal = pattern if special is None else pattern[: special.start()].rpartition("/")[0]
    base = os.path.abspath(os.path.join(folder or ".", literal))  # noqa: PTH100, PTH118 (paths stay text)
    if any(_contains(os.path.abspath(directory), base) for directory in directories):  # noqa: PTH100
        return True
    return special is None and any(matches_path(path, pattern, folder) for path in files)


def _contains(directory: str, path: str) -> bool:
    return path == directory or path.startswith(os.path.join(directory, ""))  # noqa: PTH118


def matches_handoff(label: str, pattern: str) -> bool:
    """Tell whether ``label`` (`prefill -> decode`) is meant by a glob; spaces around the arrow do not count."""
    return fnmatchcase(label, " -> ".join(part.strip() for part in pattern.split("->")))
