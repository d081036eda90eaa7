"""What differs from an older revision, by git: the only program that ``hetpd`` runs.

Compared are the commit at which the revision and HEAD parted and the working tree: what was committed since, what is
staged, what is not, and what git does not follow yet.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from hetpd_cli.cli.settings import ChangesError
from hetpd_cli.report.style import inert
from hetpd_cli.sources.text import STDIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FLAG = "--changed-since"

CHANGED = "changed"
UNCHANGED = "unchanged"
IGNORED = "ignored"
OUTSIDE = "outside"
"""What is known of a file: it differs, it does not, git is told to ignore it, or it is in no repository."""


class Compared(NamedTuple):
    """A repository that was compared: its top, the commit that it is compared with, and absolute paths below it.

    ``changed`` holds what differs, deleted files included; an entry may be a directory (a submodule, a repository
    within this one), which stands for everything in it. ``parted`` is false where HEAD and the revision have no common
    commit.
    """

    top: str
    base: str
    parted: bool
    changed: frozenset[str]
    ignored: frozenset[str]


class Changes:
    """What differs in the repositories of a run."""

    def __init__(self, revision: str, repositories: Sequence[Compared]) -> None:
        self.revision = revision
        self.repositories = tuple(sorted(repositories, key=lambda one: len(one.top), reverse=True))
        self.paths = frozenset(path for one in self.repositories for path in one.changed)
        self.gone = frozenset(path for path in self.paths if not os.path.lexists(path))
        """Those of :attr:`paths` that are there no more."""
        self._states: dict[str, str] = {}

    def state(self, path: str) -> str:
        """Return what is known of a file; a link has changed if its target has."""
        if path not in self._states:
            self._states[path] = self._state(path)
        return self._states[path]

    def _state(self, path: str) -> str:
        real = os.path.realpath(path)
        if any(_is_within(name, self.paths) for name in {os.path.abspath(path), real_name(path), real}):  # noqa: PTH100 (paths stay text)
            return CHANGED
        home = self.repository_of(real)
        if home is None:
            return OUTSIDE
        return IGNORED if _is_within(real, home.ignored) else UNCHANGED

    def repository_of(self, path: str) -> Compared | None:
        """Return the innermost repository of a run that an absolute path without links lies in."""
        return next((one for one in self.repositories if is_below(path, one.top)), None)

    def before(self, path: str) -> bytes | None:
        """Return what an absolute path held at the commit that is compared with; None if it was not there."""
        home = self.repository_of(path)
        if home is None:
            return None
        name = os.path.relpath(path, home.top).replace(os.sep, "/")
        done = _git(home.top, "cat-file", "blob", f"{home.base}:{name}")
        return done.out if done.code == 0 else None


def real_name(path: str) -> str:
    """Return a path without links but for its last part."""
    folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118


def is_below(path: str, folder: str) -> bool:
    """Tell whether a path is a directory or lies in it."""
    return path == folder or path.startswith(os.path.join(folder, ""))  # noqa: PTH118


def _is_within(path: str, entries: frozenset[str]) -> bool:
    """Tell whether a path or a directory above it is one of ``entries``."""
    while path not in entries:
        above = os.path.dirname(path)  # noqa: PTH120
        if above == path:
            return False
        path = above
    return True


# -- repositories ----------------------------------------------------------------------------------------------


def changes(revision: str, paths: Iterable[str], files: Iterable[str]) -> Changes:
    """Return what differs since ``revision`` around the ``paths`` of a command line, which stand for ``files``.

    The repository of each path is asked; where a directory is in none, those of the files within it are. Raises
    ChangesError where git cannot tell.
    """
    _refuse_no_name(revision)
    named = [path for path in paths if path != STDIN]
    folders: dict[str, str | None] = {}
    tops = {_nearest(_folder(path), folders): None for path in named}
    if None in tops:
        del tops[None]
        for file in files:
            folder = os.path.realpath(os.path.dirname(file) or ".")  # noqa: PTH120
            if file != STDIN and not any(is_below(folder, top) for top in tops if top):
                tops[_nearest(folder, folders)] = None
    found: dict[str, Compared] = {}
    for top in filter(None, tops):
        repository = _repository(top, revision)
        found.setdefault(repository.top, repository)
    if named and not found:
        raise ChangesError(f"{FLAG}: {inert(named[0])} is in no git repository")
    return Changes(revision, list(found.values()))


def _refuse_no_name(revision: str) -> None:
    """Raise ChangesError for what can be no revision, and what git might take for an option."""
    if not revision.strip():
        raise ChangesError(f"{FLAG} names no revision: it is empty")
    if revision.startswith("-") or "\0" in revision:
        raise ChangesError(f"{FLAG}: {inert(revision)} is no revision")


def _folder(path: str) -> str:
    return os.path.realpath(path if os.path.isdir(path) else os.path.dirname(path) or ".")  # noqa: PTH112, PTH120


def _nearest(folder: str, known: dict[str, str | None]) -> str | None:
    """Return the nearest directory with a ``.git``, which a worktree and a submodule have as a file."""
    passed = []
    while folder not in known:
        passed.append(folder)
        above = os.path.dirname(folder)  # noqa: PTH120
        if os.path.lexists(os.path.join(folder, ".git")):  # noqa: PTH118
            known[folder] = folder
        elif above == folder:
            known[folder] = None
        else:
            folder = above
    return known.setdefault(passed[0], known[folder]) if passed else known[folder]


_OBJECT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def _repository(folder: str, revision: str) -> Compared:
    """Return what differs in the repository around ``folder``. Raises ChangesError where git cannot tell."""
    asked = ("--is-shallow-repository", "--show-toplevel", "--verify", "--quiet")
    done = _git(folder, "rev-parse", *asked, f"{revision}^{{commit}}")
    shallow, _, rest = done.out.partition(b"\n")
    # A directory may have a line break in its name: the object is the last line.
    top, _, commit = rest.removesuffix(b"\n").rpartition(b"\n") if done.code == 0 else (rest, b"", b"")
    if not rest:
        raise ChangesError(_refusal(folder, done.error))
    if not _OBJECT.fullmatch(commit):
        raise ChangesError(_unknown(revision, folder, shallow=shallow == b"true"))
    root = os.path.realpath(os.fsdecode(top))
    parting = _git(root, "merge-base", os.fsdecode(commit), "HEAD")
    base = parting.out.strip() if parting.code == 0 else commit
    name = os.fsdecode(base)
    differ = _paths(root, *_DIFFER, name, "--") | _paths(root, *_LIST)
    return Compared(root, name, parting.code == 0, differ, _paths(root, *_LIST, "--ignored", "--directory"))


def _refusal(folder: str, error: bytes) -> str:
    """Return why git says nothing of the repository around ``folder``, in its own words."""
    said = next((line for line in os.fsdecode(error).splitlines() if line.strip()), "it does not say why")
    said = said.removeprefix("fatal: ")
    hint = ""
    if "dubious ownership" in said:
        hint = " (`git config --global --add safe.directory DIRECTORY` says that it may be read)"
    return f"{FLAG}: git cannot read {inert(folder)}: {inert(said)}{hint}"


def _unknown(revision: str, folder: str, *, shallow: bool) -> str:
    """Return why ``revision`` is not known to the repository around ``folder``."""
    said = f"{FLAG}: {inert(revision)}"
    if set(revision) == {"0"}:
        return f"{said} stands for no commit: so a push event says that the branch is new"
    if shallow:
        return f"{said} is not in this shallow clone: fetch it, or all (`fetch-depth: 0` of actions/checkout)"
    if _git(folder, "rev-parse", "--verify", "--quiet", "HEAD").code:
        return f"{said} is no commit: nothing is committed yet in {inert(folder)}"
    return f"{said} is no commit in {inert(folder)}: it is misspelt, or has to be fetched"


# -- git -------------------------------------------------------------------------------------------------------

_ALWAYS = (
    "--no-pager",
    "-c", "core.fsmonitor=false",  # may be a program
    "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.quotePath=false",
    "-c", "diff.autoRefreshIndex=true",  # else a file that was only touched has changed
)  # fmt: skip
_DIFFER = (
    "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color",
    "--ignore-submodules=none", f"-O{os.devnull}",
)  # fmt: skip
_LIST = ("ls-files", "-z", "--full-name", "--others", "--exclude-standard")
_OF_THE_USER = re.compile(r"GIT_(?:CONFIG_(?:GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_\d+|VALUE_\d+)|EXEC_PATH)")
"""Variables about git itself. All others are about one repository, as those that a hook is given, or run programs."""


class _Done(NamedTuple):
    code: int
    out: bytes
    error: bytes


def _git(folder: str, *words: str) -> _Done:
    """Run git in a directory. Raises ChangesError where it cannot be run."""
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 (words are ours, but for a revision that begins like no option)
            ["git", *_ALWAYS, *words],  # noqa: S607 (the one that the user has)
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise ChangesError(f"{FLAG} needs git, and there is none in PATH") from None
    except OSError as error:
        raise ChangesError(f"{FLAG}: git cannot be run: {inert(error.strerror or str(error))}") from None
    return _Done(done.returncode, done.stdout, done.stderr)


def _environment() -> dict[str, str]:
    """Return our environment without what would lead git to another repository, another index or a program."""
    kept = {key: value for key, value in os.environ.items() if key[:4] != "GIT_" or _OF_THE_USER.fullmatch(key)}
    # No index is written, nobody is asked, nothing is fetched, and messages are in English.
    ours = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    return kept | ours


def _paths(top: str, *words: str) -> frozenset[str]:
    """Return the absolute paths that git lists with ``words``."""
    done = _git(top, *words)
    if done.code:
        raise ChangesError(_refusal(top, done.error))
    names = (os.fsdecode(name) for name in done.out.split(b"\0") if name)
    return frozenset(os.path.normpath(os.path.join(top, name)) for name in names)  # noqa: PTH118
