"""The bars of reading, on the real files: how many are checked, with which facts, at which places."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hetpd_cli.deployment import AGGREGATED, DECODE, PREFILL
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.facts.values import DEFAULT, Unknown
from hetpd_cli.sources.kubernetes.templates import UNRENDERED
from tests.corpus.support import CORPUS, NEEDS_CORPUS, deployments, pool_of, readings, rows
from tests.corpus.table import PAGE, page
from tests.support import ROOT

if TYPE_CHECKING:
    from hetpd_cli.deployment import Deployment, Stated
    from tests.corpus.support import Row

pytestmark = NEEDS_CORPUS

SHARE_CHECKED = 0.90
SHARE_AGREEING = 0.97
MOST_MEMORY_KIB = 300 * 1024


def checked_rows() -> list[Row]:
    return [row for row in rows() if readings()[row.file].status == "checked"]


def test_nine_in_ten_files_that_are_no_templates_are_checked() -> None:
    rendered = [row for row in rows() if readings()[row.file].detail != UNRENDERED]
    assert len(checked_rows()) >= SHARE_CHECKED * len(rendered)
    assert len(rows()) - len(rendered) <= 1


def test_no_file_of_another_format_is_taken_for_a_pair() -> None:
    ours = {row.file for row in rows()}
    others = [file for file, reading in readings().items() if file not in ours and reading.status == "checked"]
    assert [file for file in others if not file.endswith("kustomization.yaml")] == []


def test_the_page_shows_what_is_read_today() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.corpus.table writes it"


# -- facts -----------------------------------------------------------------------------------------------------

SHAPES = {"tp": "parallelism.tp", "dp": "parallelism.dp", "pp": "parallelism.pp", "r": "workers"}


def compared() -> list[tuple[str, bool]]:
    """Return, for every fact that the index states of a checked file, what it is about and whether we say the same."""
    found = []
    for row in checked_rows():
        for deployment in deployments(row.file)[:1]:
            for side, shape in ((PREFILL, row.prefill), (DECODE, row.decode)):
                if any(pool.role == side for pool in deployment.pools):
                    found += [
                        (f"{row.file} {side} {what}", same) for what, same in _agreement(row, deployment, side, shape)
                    ]
    return found


def _agreement(row: Row, deployment: Deployment, side: str, shape: str) -> list[tuple[str, bool]]:
    settings = pool_of(deployment, side).settings
    found = [
        (path, settings.value(path) == int(number))
        for key, path in SHAPES.items()
        for number in re.findall(rf"(?:^|/){key}(\d+)(?=/|$)", shape)
    ]
    devices = re.search(r"(?:^|/)g(\d+)(?:x(\d+))?(?=/|$)", shape)
    if devices:
        found.append(("devices", settings.value("devices_per_worker") == int(devices[1]) * int(devices[2] or 1)))
    if row.model and not row.model.startswith(("path:", "$", "<")):
        found.append(("model", settings.value("model.id") == row.model))
    if row.connector and "from" not in row.connector:
        found.append(("connector", settings.value("connector.name") is not None))
    return found


def test_facts_are_those_that_the_index_found() -> None:
    """The index is a first reading by somebody else: it counts no replicas of a set, and the GPUs of one node."""
    facts = compared()
    differing = [what for what, same in facts if not same]
    assert len(facts) > 500
    assert len(differing) <= (1 - SHARE_AGREEING) * len(facts), differing


ARGUMENTS = {
    "kv.block_size": r"--block-size\b|--page-size\b|\btokens_per_block:",
    "kv.dtype": r"--kv-cache-dtype\b",
    "engine.max_context_tokens": r"--max-model-len\b|--context-length\b|^\s*max_seq_len:",
    "parallelism.tp": r"--tensor-parallel-size\b|--tp-size\b|^\s*tensor_parallel_size:",
}


@pytest.mark.parametrize("path", ARGUMENTS)
def test_what_a_file_states_is_stated(path: str) -> None:
    missing = []
    for row in checked_rows():
        text = (CORPUS / row.file).read_text(encoding="utf-8")
        text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        if re.search(ARGUMENTS[path], text, flags=re.M):
            pools = [pool for deployment in deployments(row.file) for pool in deployment.pools]
            if not any(path in pool.settings.stated for pool in pools):
                missing.append(row.file)
    assert missing == []


def test_every_pool_has_a_role_and_an_engine() -> None:
    for row in checked_rows():
        for deployment in deployments(row.file):
            assert {pool.role for pool in deployment.pools} <= {PREFILL, DECODE, AGGREGATED}
            assert any(pool.settings.text("engine.name") for pool in deployment.pools), row.file


# -- places ----------------------------------------------------------------------------------------------------

BY_A_WORD_OF_ITS_OWN = ("parallelism.ep", "engine.name", "connector.name", "role")
"""Facts that a switch, the program, or the name of an object states."""


def _is_told(stated: Stated, token: str) -> bool:
    """Tell whether ``token`` is what states a value."""
    token = token.replace('\\"', '"')
    word = token.strip("\"'")
    if word in {stated.written, str(stated.value)} or isinstance(stated.value, Unknown | bool):
        return bool(word)
    if "$" in word or (stated.written and stated.written in word):
        return True
    if stated.origin == DEFAULT:
        return True
    if isinstance(stated.value, tuple):
        return all(str(part) in token for part in stated.value)
    if isinstance(stated.value, int | float) and re.fullmatch(r"[\d.]+", word):
        product = stated.written is not None and re.search(rf"\b{word}\b", stated.written)
        return float(word) == float(stated.value) or product is not None
    return str(stated.value).lower() in word.lower() or word.lower() in (stated.written or "").lower()


def test_every_place_is_the_token_it_speaks_of() -> None:
    wrong, count = [], 0
    texts = {text.path: text.text for reading in readings().values() for text in reading.texts}
    for row in checked_rows():
        for deployment in readings()[row.file].deployments:
            for pool in deployment.pools:
                for path, stated in pool.settings.stated.items():
                    if stated.place is None:
                        continue
                    token = texts[stated.place.path][stated.place.start : stated.place.end]
                    count += 1
                    if not _is_told(stated, token) and path not in BY_A_WORD_OF_ITS_OWN:
                        wrong.append((row.file, pool.name, path, stated.value, stated.written, token))
                    assert token.strip(), (row.file, path)
    assert count > 3000
    assert wrong == []


def test_every_place_of_a_finding_is_within_its_file() -> None:
    report = check(list(readings().values()), catalogue())
    assert report.findings
    for finding in report.findings:
        for spot in finding.places:
            text = report.texts[spot.place.path]
            line = text.split("\n")[spot.place.line - 1]
            start = text[spot.place.start : spot.place.end]
            assert start.strip()
            assert line[spot.place.column - 1 :].startswith(start.split("\n")[0].rstrip("\r"))


# -- findings --------------------------------------------------------------------------------------------------

DEFENDED = re.compile(r"^\| `([^`]+):(\d+)` \| (HPD\d+) \| .{40,} \|$", flags=re.M)


def test_every_error_on_the_unchanged_files_is_defended() -> None:
    """docs/corpus-findings.md lists each with the reason why it is right, and nothing else."""
    listed = DEFENDED.findall((ROOT / "docs" / "corpus-findings.md").read_text(encoding="utf-8"))
    report = check(list(readings().values()), catalogue())
    found = [
        (os.path.relpath(finding.primary.path, CORPUS), str(finding.primary.line), finding.code)
        for finding in report.findings
        if finding.severity == "error"
    ]
    assert sorted(listed) == sorted(found)


def test_the_corpus_in_one_command_without_a_traceback() -> None:
    program = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-m', 'hetpd_cli', 'check', '--format', 'json', sys.argv[1]],"
        " stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.stderr.buffer.write(done.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(CORPUS)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    code, kib = map(int, done.stdout.split())
    assert code == 1
    assert kib < MOST_MEMORY_KIB
    assert "Traceback" not in done.stderr
