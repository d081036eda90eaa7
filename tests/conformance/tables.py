"""Tables of cases with the verdicts of vLLM's own functions, as they lie in `data/`.

A table is a gzipped text: a header (JSON, one line), then one line for each case. A case gives every dimension of its
family a value; it is written as one character a dimension, the index of the value in the header, then a space, the
verdict and the index of its reason. Nothing in a table hangs on the time, the machine or the order of a set.
"""

from __future__ import annotations

import gzip
import io
import json
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parent / "data"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

ACCEPT = "accept"
REJECT = "reject"
WRONG = "wrong"
STOPS = "stops"
VERDICTS = {"a": ACCEPT, "r": REJECT, "w": WRONG, "s": STOPS}
"""Letters of the tables. Accepted and right; refused; accepted with wrong output; accepted, and some prompts stop the
engine's step by an assertion."""
LETTERS = {verdict: letter for letter, verdict in VERDICTS.items()}

Case = dict[str, Any]
"""A value for each dimension of a family."""


class Row(NamedTuple):
    """A case as it is stored: indices of values, the verdict, the index of its reason."""

    key: str
    verdict: str
    reason: int


class Table(NamedTuple):
    """The cases of one family at one release."""

    header: dict[str, Any]
    rows: tuple[Row, ...]

    @property
    def family(self) -> str:
        """Name of the family."""
        name: str = self.header["family"]
        return name

    @property
    def version(self) -> str:
        """Release of vLLM whose functions gave the verdicts."""
        version: str = self.header["version"]
        return version

    @property
    def dimensions(self) -> dict[str, list[Any]]:
        """The values of each dimension."""
        dimensions: dict[str, list[Any]] = self.header["dimensions"]
        return dimensions

    def case(self, row: Row) -> Case:
        """Return the case of ``row``."""
        return case_of(row.key, self.dimensions)

    def reason(self, row: Row) -> str:
        """Return what vLLM said of ``row``: the exception and the line that raised it, or the label."""
        reasons: list[str] = self.header["reasons"]
        return reasons[row.reason]

    def shares(self) -> dict[str, float]:
        """Return the share of the cases that each verdict has."""
        counts = dict.fromkeys(VERDICTS.values(), 0)
        for row in self.rows:
            counts[row.verdict] += 1
        return {verdict: count / len(self.rows) for verdict, count in counts.items() if count}


def key_of(case: Case, dimensions: dict[str, list[Any]]) -> str:
    """Return the characters that stand for ``case``."""
    return "".join([DIGITS[values.index(case[name])] for name, values in dimensions.items()])


def case_of(key: str, dimensions: dict[str, list[Any]]) -> Case:
    """Return the case that the characters ``key`` stand for."""
    return {name: values[DIGITS.index(mark)] for mark, (name, values) in zip(key, dimensions.items(), strict=True)}


def pairs_of(key: str) -> list[tuple[int, int, str, str]]:
    """Return the pairs of values of two dimensions that a case covers, as indices."""
    return [(one, other, key[one], key[other]) for one, other in combinations(range(len(key)), 2)]


def all_pairs(dimensions: dict[str, list[Any]]) -> set[tuple[int, int, str, str]]:
    """Return every pair of values of two dimensions."""
    found = set()
    for (one, ones), (other, others) in combinations(list(enumerate(dimensions.values())), 2):
        found |= {(one, other, DIGITS[i], DIGITS[j]) for i in range(len(ones)) for j in range(len(others))}
    return found


def packed(table: Table) -> bytes:
    """Return the bytes of a table's file; equal tables give equal bytes."""
    lines = [json.dumps(table.header, sort_keys=False, separators=(",", ":"))]
    lines += [f"{row.key} {LETTERS[row.verdict]}{DIGITS[row.reason]}" for row in table.rows]
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return buffer.getvalue()


def unpacked(data: bytes) -> Table:
    """Return the table that the bytes of a file hold."""
    header, *lines = gzip.decompress(data).decode().splitlines()
    rows = tuple(Row(line[:-3], VERDICTS[line[-2]], DIGITS.index(line[-1])) for line in lines)
    return Table(json.loads(header), rows)


def path_of(family: str, version: str) -> Path:
    """Return where the table of a family at a release lies."""
    return DATA / f"{family}-{version}.gz"


@cache
def load(family: str, version: str) -> Table:
    """Return the committed table of a family at a release."""
    return unpacked(path_of(family, version).read_bytes())


def committed() -> list[tuple[str, str]]:
    """Return family and release of every table that there is."""
    names = sorted(path.name.removesuffix(".gz") for path in DATA.glob("*.gz"))
    return [(name.rpartition("-")[0], name.rpartition("-")[2]) for name in names]
