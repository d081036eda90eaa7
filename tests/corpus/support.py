"""The real files that tests try themselves on. They are not part of the project: HETPD_CORPUS names their folder."""

from __future__ import annotations

import csv
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hetpd_cli.sources.inputs import find
from hetpd_cli.sources.text import Limits
from tests.support import ROOT

if TYPE_CHECKING:
    from hetpd_cli.deployment import Deployment, Pool
    from hetpd_cli.sources.reader import Reading

CORPUS = Path(os.environ.get("HETPD_CORPUS") or ROOT.parent / "shared" / "corpus")
NEEDS_CORPUS = pytest.mark.skipif(
    not (CORPUS / "INDEX.tsv").is_file(), reason=f"the real files are not at {CORPUS} (HETPD_CORPUS names their folder)"
)

READ = re.compile(
    r"Deployment|StatefulSet|LeaderWorkerSet|DisaggregatedSet|RoleBasedGroup|StormService|LLMInferenceService"
    r"|ModelServing|ClusterServingRuntime|Ray|Dynamo|Kustomize patch|shell|Markdown"
)
"""Formats of the index that readers exist for."""


class Row(NamedTuple):
    """A line of the index."""

    file: str
    format: str
    runtime: str
    connector: str
    model: str
    prefill: str
    decode: str
    note: str


@cache
def rows() -> tuple[Row, ...]:
    """Return the lines of the index whose format has a reader."""
    with (CORPUS / "INDEX.tsv").open(encoding="utf-8") as file:
        found = [
            Row(
                line["file"],
                line["format"],
                line["runtime"],
                line["connector"] or "",
                line["model"] or "",
                line["prefill_shape"] or "",
                line["decode_shape"] or "",
                line["note"] or "",
            )
            for line in csv.DictReader(file, delimiter="\t")
        ]
    return tuple(row for row in found if READ.search(row.format) and "inline" not in row.format)


@cache
def readings() -> dict[str, Reading]:
    """Return the reading of every file of the corpus, by its path in the index, all read in one run."""
    return {os.path.relpath(reading.path, CORPUS): reading for reading in find([str(CORPUS)]).readings(Limits())}


def deployments(file: str) -> list[Deployment]:
    """Return the deployments that the file of the corpus is part of, those joined with another file too."""
    reading = readings()[file]
    found = list(reading.deployments)
    for other in reading.joined:
        found += [
            deployment
            for deployment in readings()[os.path.relpath(other, CORPUS)].deployments
            if any(
                stated.place and stated.place.path == reading.path
                for pool in deployment.pools
                for stated in pool.settings.stated.values()
            )
        ]
    return found


def pool_of(deployment: Deployment, role: str) -> Pool:
    """Return the first pool of a role."""
    return next(pool for pool in deployment.pools if pool.role == role)
