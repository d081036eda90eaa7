"""Paths as CI knows files: from the top of the checkout, with slashes, whatever directory the run was started in."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hetpd_cli.places import Place
    from hetpd_cli.report import Options, Repository


def is_file(path: str) -> bool:
    """Tell whether ``path`` is that of a file: ``<stdin>`` and ``<command line>`` are none."""
    return not (path.startswith("<") and path.endswith(">"))


def repository_path(path: str, repository: Repository | None) -> str:
    """Return ``path`` from the top of ``repository``; one that is not below it is absolute, ``<stdin>`` itself."""
    if repository is None or not is_file(path):
        return path
    whole = posixpath.normpath(posixpath.join(repository.folder, path))
    base = repository.root.rstrip("/") + "/"
    return whole[len(base) :] if whole.startswith(base) else whole


def url_of(place: Place, options: Options) -> str | None:
    """Return the address at which a place can be looked at; None where there is none."""
    repository = options.repository
    if repository is None or not repository.url or not is_file(place.path):
        return None
    path = repository_path(place.path, repository)
    if path.startswith("/"):
        return None
    return f"{repository.url}{quoted(path)}#L{place.line}"


def quoted(path: str) -> str:
    """Return ``path`` as the path of a URI: whatever is no plain letter, digit or ``/``, byte by byte as ``%XX``."""
    from urllib.parse import quote

    return quote(as_bytes(path))


def as_bytes(text: str) -> bytes:
    """Return a text that may hold a file name: its bytes that are no UTF-8 as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
