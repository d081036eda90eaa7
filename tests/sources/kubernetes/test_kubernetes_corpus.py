"""Real manifests, where they are at hand: every place is its token, and shapes agree with the index."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hetpd_cli.facts.values import Unknown
from hetpd_cli.sources.kubernetes import reader
from hetpd_cli.sources.text import Limits, SourceText, read_source
from hetpd_cli.sources.tree import parse
from tests.manifests import check_places
from tests.support import ROOT

if TYPE_CHECKING:
    from hetpd_cli.sources.launch import Member

CORPUS = Path(os.environ.get("HETPD_CORPUS", ROOT.parent / "shared" / "corpus"))
FORMATS = re.compile(r"Deployment|Dynamo|Kustomize|LLMInference|LeaderWorker|RoleBased|Storm")

pytestmark = pytest.mark.skipif(not (CORPUS / "INDEX.tsv").is_file(), reason="the corpus is not here")


def _rows() -> list[dict[str, str]]:
    if not (CORPUS / "INDEX.tsv").is_file():
        return []
    with (CORPUS / "INDEX.tsv").open() as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if FORMATS.match(row["format"])]


def _shape(written: str) -> tuple[int | None, int | None]:
    """Return replicas and devices of a worker as the index has them."""
    replicas = re.search(r"r(\d+)", written)
    devices = re.search(r"\bg(\d+)(?:x(\d+))?", written)
    return (
        int(replicas[1]) if replicas else None,
        int(devices[1]) * int(devices[2] or 1) if devices else None,
    )


# The index leaves out the replicas of a StormService as a whole, and the nodes of KServe's data parallelism.
_COUNTED_OTHERWISE = ("sglang/replica.yaml", "dp-ep/deepseek-r1")


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["file"])
def test_groups_of_real_manifests(row: dict[str, str]) -> None:
    source = read_source(str(CORPUS / row["file"]), Limits())
    assert isinstance(source, SourceText)
    assert reader.claims(source)
    tree = parse(source, Limits(), collect_ambiguous=False)
    assert reader.recognises(tree)
    found = reader.groups(source, tree, Limits())
    assert found
    assert check_places(found, {source.path: source.text})
    if any(group.unresolved for group in found) or any(part in row["file"] for part in _COUNTED_OTHERWISE):
        return
    for role in ("prefill", "decode"):
        pools = [one for group in found for one in group.members if one.role is not None and one.role.value == role]
        if "patch" in row["file"] or row["format"] == "LeaderWorkerSet":
            # One file for each half.
            continue
        assert pools
        assert all(one.launches for one in pools)
        replicas, devices = _shape(row[f"{role}_shape"])
        assert replicas is None or replicas in _values(pools, "workers")
        assert devices is None or devices in _values(pools, "devices_per_worker")


def _values(pools: list[Member], path: str) -> set[object]:
    values = {one.settings.value(path) for one in pools}
    return {value for value in values if not isinstance(value, Unknown)}
