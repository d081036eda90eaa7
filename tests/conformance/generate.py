"""Makes the tables of this folder anew, by running the functions of a release of vLLM on the CPU.

    python -m tests.conformance.generate --version 0.33.0 --python /path/with/torch/bin/python
    python -m tests.conformance.generate --version 0.34.0 --python ... --drift

What has to be installed where `--python` points (nothing of it where hetpd runs): torch (a CPU build will do) and vLLM's
Python dependencies: regex pydantic cbor2 psutil pyzmq urllib3 transformers aiohttp requests openai_harmony openai msgspec
prometheus-client uvloop py-cpuinfo einops pillow pybase64 cachetools numpy httpx uvicorn fastapi cloudpickle llguidance
xgrammar msgpack partial_json_parser orjson. vLLM itself is neither installed nor compiled: its source distribution is
downloaded with that interpreter's pip, unpacked in a temporary folder and put on the path; `--source FOLDER` takes one that
is unpacked. pip asks the archive for its metadata before it keeps it, and vLLM's build script answers only where pip,
setuptools, setuptools-scm, setuptools-rust, wheel, packaging, jinja2 and torch are installed.

Same seed, same bytes. `--seed` and `--other-values` make other cases, and print where hetpd says otherwise. `--drift` writes nothing: it runs the cases of the newest committed table on another release and
prints which verdicts differ, the cases that are one field away from the usual pair first.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conformance.compare import compare, report
from tests.conformance.families import FAMILIES
from tests.conformance.tables import (
    DATA,
    DIGITS,
    LETTERS,
    Row,
    Table,
    all_pairs,
    case_of,
    committed,
    key_of,
    load,
    packed,
    pairs_of,
    path_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.conformance.families.base import Family
    from tests.conformance.tables import Case

ROOT = Path(__file__).parent.parent.parent
SEED = 20260629
FAIR_SHARE = 0.3
"""Where fewer of the cases have a verdict, more are looked for near those that have it."""
BRED = 2
"""How often that is done."""
OPEN = "open"
"""Verdict of a case that is none: what it says does not settle what is right. Such cases are left out."""
DRAWN = 2.5
"""Cases that are judged for one that is kept."""

Judged = tuple[str, str]


# -- drawing cases ---------------------------------------------------------------------------------------------


def drawn(family: Family, dimensions: dict[str, list[Any]], dice: random.Random) -> Case:
    """Return one case: usual values more often than others, the two sides alike more often than not."""
    case: Case = {}
    for name, values in dimensions.items():
        plain = name[2:] if name[:2] in {"p_", "d_"} else name
        twin = f"p_{plain}"
        if name.startswith("d_") and twin in case and dice.random() < family.alike.get(plain, 0):
            case[name] = case[twin]
        elif dice.random() < family.likely.get(plain, 0):
            case[name] = values[0]
        else:
            case[name] = dice.choice(values)
    return case


def single_changes(dimensions: dict[str, list[Any]]) -> Iterator[Case]:
    """Yield the usual pair, and it with one dimension changed."""
    usual = {name: values[0] for name, values in dimensions.items()}
    yield usual
    for name, values in dimensions.items():
        for value in values[1:]:
            yield {**usual, name: value}


def candidates(family: Family, dimensions: dict[str, list[Any]], count: int, dice: random.Random) -> list[str]:
    """Return the keys of different cases, among them every single change, and together every pair of values."""
    found = dict.fromkeys(key_of(case, dimensions) for case in single_changes(dimensions))
    tries = 0
    while len(found) < count and tries < 20 * count:
        found.setdefault(key_of(drawn(family, dimensions, dice), dimensions))
        tries += 1
    missing = all_pairs(dimensions) - {pair for key in found for pair in pairs_of(key)}
    for pair in sorted(missing):
        marks = list(key_of(drawn(family, dimensions, dice), dimensions))
        marks[pair[0]], marks[pair[1]] = pair[2], pair[3]
        found.setdefault("".join(marks))
    return list(found)


def bred(
    keys: list[str], verdicts: dict[str, Judged], dimensions: dict[str, list[Any]], size: int, dice: random.Random
) -> list[str]:
    """Return new cases near those whose verdict is rare: one or two dimensions otherwise."""
    found: dict[str, None] = {}
    counts = Counter(verdicts[key][0] for key in keys)
    sizes = [len(values) for values in dimensions.values()]
    for verdict in sorted(counts):
        members = [key for key in keys if verdicts[key][0] == verdict]
        lacking = int(size * FAIR_SHARE) - len(members)
        for _ in range(max(0, 3 * lacking)):
            marks = list(dice.choice(members))
            for at in dice.sample(range(len(marks)), dice.choice((1, 2))):
                marks[at] = DIGITS[dice.randrange(sizes[at])]
            key = "".join(marks)
            if key not in verdicts:
                found.setdefault(key)
    return list(found)


def kept(keys: list[str], verdicts: dict[str, Judged], fixed: int, size: int, dice: random.Random) -> list[str]:
    """Return about ``size`` of the cases, each verdict with a fair share, together with every pair of values.

    The first ``fixed`` cases stay. A verdict that is rare keeps all that it has.
    """
    by_verdict: dict[str, list[str]] = {}
    for key in keys[fixed:]:
        by_verdict.setdefault(verdicts[key][0], []).append(key)
    total = size - fixed
    quotas: dict[str, int] = {}
    rest, left = total, len(by_verdict)
    for verdict, members in sorted(by_verdict.items(), key=lambda entry: (len(entry[1]), entry[0])):
        quotas[verdict] = min(len(members), rest // left)
        rest, left = rest - quotas[verdict], left - 1
    chosen = set(keys[:fixed])
    for verdict, members in sorted(by_verdict.items()):
        chosen |= set(dice.sample(members, quotas[verdict]))
    covered = {pair for key in chosen for pair in pairs_of(key)}
    for key in keys:
        pairs = set(pairs_of(key))
        if key not in chosen and not pairs <= covered:
            chosen.add(key)
            covered |= pairs
    return [key for key in keys if key in chosen]


# -- running vLLM ----------------------------------------------------------------------------------------------


def source_of(version: str, folder: Path, python: str) -> Path:
    """Download the source distribution of a release of vLLM with pip and return where it is unpacked."""
    command = [python, "-m", "pip", "download", "--no-deps", "--no-binary", "vllm", "--no-build-isolation"]
    environment = {**os.environ, "VLLM_TARGET_DEVICE": "empty", "VLLM_VERSION_OVERRIDE": version}
    environment["SETUPTOOLS_SCM_PRETEND_VERSION"] = version
    subprocess.run([*command, "-d", str(folder), f"vllm=={version}"], env=environment, cwd=folder, check=True)
    (archive,) = folder.glob("vllm-*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.glob("vllm-*") if path.is_dir())
    return unpacked


def judged(family: str, version: str, cases: Sequence[Case], python: str, source: Path) -> list[Judged]:
    """Return the verdicts of the release at ``source`` on ``cases``, with their reasons."""
    command = [python, "-m", "tests.conformance.oracle", family, version]
    environment = {**os.environ, "PYTHONPATH": str(source), "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    environment["VLLM_LOGGING_LEVEL"] = "ERROR"
    run = subprocess.run(
        command, input=json.dumps(list(cases)), stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT, check=True
    )
    return [(verdict, reason) for verdict, reason in json.loads(run.stdout)]


def table_of(
    family: Family,
    version: str,
    python: str,
    source: Path,
    size: int | None = None,
    seed: int = SEED,
    other_values: bool = False,
) -> Table:
    """Return the table of a family at a release."""
    dice = random.Random(f"{seed} {family.name} {version}")
    dimensions = family.other_dimensions(version) if other_values else family.dimensions(version)
    size = size or next(count for at, count in reversed(family.sizes.items()) if at <= version or at == "0.24.0")
    keys = candidates(family, dimensions, int(size * DRAWN), dice)
    verdicts: dict[str, Judged] = {}
    for generation in range(BRED + 1):
        new = [key for key in keys if key not in verdicts]
        found = judged(family.name, version, [case_of(key, dimensions) for key in new], python, source)
        verdicts |= dict(zip(new, found, strict=True))
        if generation < BRED:
            keys += bred(keys, verdicts, dimensions, size, dice)
    keys = [key for key in keys if verdicts[key][0] != OPEN]
    chosen = kept(keys, verdicts, sum(1 for _ in single_changes(dimensions)), size, dice)
    counts = Counter(verdicts[key][1] for key in chosen)
    reasons = sorted(counts, key=lambda reason: (-counts[reason], reason))
    if len(reasons) > len(DIGITS):
        raise ValueError(f"{family.name} has {len(reasons)} reasons")
    rows = tuple(Row(key, verdicts[key][0], reasons.index(verdicts[key][1])) for key in chosen)
    header = {
        "family": family.name,
        "version": version,
        "about": family.about,
        "seed": seed,
        "cases": len(rows),
        "counts": {verdict: sum(row.verdict == verdict for row in rows) for verdict in LETTERS},
        "dimensions": dimensions,
        "reasons": reasons,
        "labels": _labels(family, reasons),
    }
    return Table(header, rows)


def _labels(family: Family, reasons: list[str]) -> dict[str, str]:
    """Return the labels that ``reasons`` begin with, and what each rests on."""
    used = {reason.partition(":")[0] for reason in reasons}
    return {label: text for label, text in family.labels.items() if label in used}


# -- drift -----------------------------------------------------------------------------------------------------


def drift(family: str, version: str, python: str, source: Path) -> str:
    """Return what a release says otherwise than the newest committed table of a family."""
    newest = max(at for name, at in committed() if name == family)
    table = load(family, newest)
    found = judged(family, version, [table.case(row) for row in table.rows], python, source)
    others = [(row, now) for row, now in zip(table.rows, found, strict=True) if row.verdict != now[0]]
    lines = [f"{family}: {len(others)} of {len(table.rows)} cases differ between {newest} and {version}"]
    usual = {name: values[0] for name, values in table.dimensions.items()}
    others.sort(key=lambda entry: sum(mark != "0" for mark in entry[0].key))
    for row, (verdict, reason) in others[:20]:
        changes = {name: value for name, value in table.case(row).items() if value != usual[name]}
        lines.append(f"  {row.verdict} ({table.reason(row)}) -> {verdict} ({reason}): {changes}")
    kinds = Counter((row.verdict, table.reason(row), *now) for row, now in others)
    lines += [f"  {count} x {kind}" for kind, count in kinds.most_common(10)]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write tables, or print how a release differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("families", nargs="*", choices=[[], *FAMILIES], help="all if none is named")
    parser.add_argument("--version", required=True, help="release of vLLM")
    parser.add_argument("--python", default=sys.executable, help="interpreter with torch and vLLM's dependencies")
    parser.add_argument("--source", type=Path, help="unpacked source distribution; downloaded without it")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed: compares with hetpd, and writes nothing")
    parser.add_argument(
        "--other-values", action="store_true", help="a second grid: compares with hetpd, writes nothing"
    )
    parser.add_argument("--size", type=int, help="about how many cases, if not as many as the committed tables")
    parser.add_argument("--drift", action="store_true", help="compare with the newest committed tables")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        source = chosen.source or source_of(chosen.version, Path(folder), chosen.python)
        for name in chosen.families or FAMILIES:
            if chosen.drift:
                print(drift(name, chosen.version, chosen.python, source))  # noqa: T201
                continue
            table = table_of(
                FAMILIES[name], chosen.version, chosen.python, source, chosen.size, chosen.seed, chosen.other_values
            )
            if chosen.other_values or chosen.seed != SEED:
                print(f"{table.header['counts']}\n{report(compare(table))}")  # noqa: T201
                continue
            DATA.mkdir(exist_ok=True)
            path_of(name, chosen.version).write_bytes(packed(table))
            print(f"{name} {chosen.version}: {table.header['counts']}")  # noqa: T201


if __name__ == "__main__":
    main()
