"""Container images: what engine is in one, of which release, for which platform."""

from __future__ import annotations

import re

from hetpd_cli.tables import Cell, cell, row
from hetpd_cli.versions import is_version

_RELEASE = re.compile(r"v?(\d+\.\d+(?:\.\d+)*(?:\.?(?:post|rc|dev)\d+)*)(?=\Z|[-_+])(.*)\Z", re.DOTALL)
_UNRELEASED = re.compile(r"(?:\A|[-_.+])(?:dev|nightly|preview|main)", re.IGNORECASE)
_ROCM = re.compile(r"[-_]rocm")


def repository_of(image: str) -> str:
    """Return the last two words of an image's path: the registry, and what a mirror puts before them, say nothing."""
    path = image.partition("@")[0]
    head, colon, tag = path.rpartition(":")
    if colon and "/" not in tag:
        path = head
    return "/".join(path.split("/")[-2:])


def tag_of(image: str) -> str | None:
    """Return the tag of an image, None where it has none."""
    _, colon, tag = image.partition("@")[0].rpartition(":")
    return tag if colon and "/" not in tag else None


def release_of(image: str) -> Cell | None:
    """Return the release of the engine in ``image``, if its tag surely tells it.

    Either the tag is that of the engine, or the table has the product's release (``ai-dynamo/vllm-runtime:1.3.0``).
    """
    repository, tag = repository_of(image), tag_of(image)
    found = row("images", repository)
    match = _RELEASE.match(tag or "")
    if found is None or match is None or not is_version(match[1]) or _UNRELEASED.search(match[2]):
        return None
    if "own_release" in found:
        said = cell("images", repository, "own_release")
        return None if said is None or not said.value else said._replace(value=match[1])
    return cell("images", f"{found['id']}:{match[1]}", "engine_release")


def platform_of(image: str) -> Cell | None:
    """Return the platform that the engine in ``image`` is built for."""
    found = cell("images", repository_of(image), "platform")
    if found is not None and found.value == "cuda" and _ROCM.search(tag_of(image) or ""):
        return found._replace(value="rocm")
    return found
