from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetpd_cli.sources.units import UnitError, parse_quantity

SCHEMA = Path(__file__).parents[2] / "schemas" / "deployment.schema.json"


def quantities() -> dict[str, tuple[str, str]]:
    """Return the unit and the pattern of each quantity that the schema takes as text."""
    definitions: dict[str, Any] = json.loads(SCHEMA.read_text())["$defs"]
    found = {}
    for name, part in definitions.items():
        patterns = [choice["pattern"] for choice in part.get("anyOf", ()) if "pattern" in choice]
        if patterns and "x-unit" in part:
            assert len(patterns) == 1
            found[name] = (part["x-unit"], patterns[0])
    return found


QUANTITIES = {name: one for name, one in quantities().items() if name != "window"}
"""Units of the schema. A window is tokens, or a word that the decoder takes before any unit."""


def read(text: str, unit: str) -> int | float | UnitError:
    return parse_quantity(text, text, unit)


def test_every_quantity_of_the_schema_is_known() -> None:
    assert set(QUANTITIES) >= {
        "seconds",
        "gibibytes",
        "gigabytes_per_s",
        "gigabits_per_s",
        "tokens",
        "fraction",
    }


@pytest.mark.parametrize("name", QUANTITIES)
@given(data=st.data())
def test_takes_what_the_schema_takes(name: str, data: st.DataObject) -> None:
    unit, pattern = QUANTITIES[name]
    text = data.draw(st.from_regex(pattern))
    value = read(text, unit)
    assert not isinstance(value, UnitError), (text, value)
    assert value >= 0


SUFFIXES = (
    *(
        "us",
        "µs",
        "μs",
        "ms",
        "s",
        "S",
        "min",
        "h",
        "d",
        "k",
        "K",
        "m",
        "M",
        "G",
        "kB",
        "KB",
        "KiB",
        "kiB",
        "MB",
    ),
    *(
        "mb",
        "GB",
        "Gb",
        "gb",
        "GiB",
        "TiB",
        "PB",
        "B",
        "b",
        "B/s",
        "GB/s",
        "GiB/s",
        "Gb/s",
        "gb/s",
        "Gbps",
        "GBps",
    ),
    *(
        "Gbit/s",
        "Gibit/s",
        "bps",
        "kbps",
        "Kbps",
        "Tbit/s",
        "bit/s",
        "b/s",
        "%",
        "%%",
        "tokens",
        "x",
        "/s",
        "",
    ),
)
NEAR_MISS = st.builds(
    "{}{}{}{}".format,
    st.from_regex(r"[-+]?[0-9]{0,3}(\.[0-9]{0,2})?(e[0-9])?", fullmatch=True),
    st.sampled_from(["", " ", "  ", "\u00a0", "\t"]),
    st.sampled_from(SUFFIXES),
    st.sampled_from(["", "", "", "\n", " ", "\n\n"]),
)


@pytest.mark.parametrize("name", QUANTITIES)
@given(text=st.one_of(NEAR_MISS, st.text(max_size=8)))
def test_refuses_what_the_schema_refuses(name: str, text: str) -> None:
    unit, pattern = QUANTITIES[name]
    value = read(text, unit)
    assert (re.search(pattern, text) is None) == isinstance(value, UnitError), (text, value)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("30s", "s", 30),
        ("500ms", "s", Fraction(1, 2)),
        ("7us", "s", Fraction(7, 10**6)),
        ("7 µs", "s", Fraction(7, 10**6)),
        ("1.5 min", "s", 90),
        ("2h", "s", 7200),
        ("80GiB", "GiB", 80),
        ("80GB", "GiB", Fraction(80 * 10**9, 2**30)),
        ("1TiB", "GiB", 1024),
        ("512kiB", "GiB", Fraction(512, 2**20)),
        ("1KB", "GiB", Fraction(1000, 2**30)),
        ("50GB/s", "GB/s", 50),
        ("400Gbps", "GB/s", 50),
        ("1GiB/s", "GB/s", Fraction(2**30, 10**9)),
        ("400Gbps", "Gbit/s", 400),
        ("400Gbit/s", "Gbit/s", 400),
        ("400Gb/s", "Gbit/s", 400),
        ("50GB/s", "Gbit/s", 400),
        ("0.4Tbps", "Gbit/s", 400),
        ("800bps", "Gbit/s", Fraction(8, 10**7)),
        ("64k", "token", 64000),
        ("64K", "token", 65536),
        ("1m", "token", 10**6),
        ("1M", "token", 1048576),
        ("1.5k", "token", 1500),
        ("90%", "1", Fraction(9, 10)),
        ("0.5 %", "1", Fraction(1, 200)),
        ("100%", "1", 1),
    ],
)
def test_conversions(text: str, unit: str, expected: Fraction | int) -> None:
    value = read(text, unit)
    assert value == (expected if isinstance(expected, int) else float(expected))
    assert isinstance(value, int) == isinstance(expected, int)


@given(st.integers(0, 10**12), st.integers(0, 6), st.sampled_from(["kbps", "Gbit/s", "MB/s", "GiB/s"]))
def test_conversions_round_once(number: int, decimals: int, suffix: str) -> None:
    digits = str(number).rjust(decimals + 1, "0")
    written = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
    bits = {"kbps": 10**3, "Gbit/s": 10**9, "MB/s": 8 * 10**6, "GiB/s": 8 * 2**30}[suffix]
    assert read(written + suffix, "Gbit/s") == float(Fraction(written) * bits / 10**9)


@pytest.mark.parametrize("unit", ["s", "GiB", "1", "request/s", "port"])
def test_bare_numbers_are_canonical(unit: str) -> None:
    assert parse_quantity(30, "30", unit) == 30
    assert isinstance(parse_quantity(30.0, "30.0", unit), int)
    assert parse_quantity(0.5, "0.5", unit) == 0.5
    assert parse_quantity(math.inf, ".inf", unit) == math.inf
    assert isinstance(parse_quantity(True, "true", unit), UnitError)
    assert isinstance(parse_quantity(None, "", unit), UnitError)


@pytest.mark.parametrize(
    ("text", "unit", "said", "suggested"),
    [
        ("10s", "GiB", ("10s", "a duration", "a size"), "GiB"),
        ("400Gb", "Gbit/s", ("400Gb", "a number of bits", "a rate"), "400Gb/s"),
        ("400GB", "GB/s", ("a size", "a rate"), "400GB/s"),
        ("50GB/s", "GiB", ("a rate", "a size"), "80GiB"),
        ("80Gb", "GiB", ("a number of bits", "a size"), "80GiB"),
        ("80gb", "GiB", ("a size",), "80GB"),
        ("80G", "GiB", ("a size",), "80GB or 80GiB"),
        ("400G", "Gbit/s", ("a rate",), "400Gbps or 400GB/s"),
        ("400GBps", "Gbit/s", ("a rate",), "400GB/s"),
        ("400gbps", "Gbit/s", ("a rate",), "400Gbit/s"),
        ("400mb/s", "Gbit/s", ("a rate",), "400Gbps or 50GB/s"),
        ("30 sec", "s", ("a duration",), "30s"),
        ("5m", "s", ("a duration",), "5min or 5ms"),
        ("90%", "s", ("a share", "a duration"), "30s"),
        ("90 percent", "1", ("a share",), "90%"),
        ("101%", "1", ("more than the whole",), "100%"),
        ("12 parsecs", "s", ("parsecs", "not known"), "30s"),
        ("30", "s", ("in quotes",), "quotes"),
        ("5/s", "request/s", ("plain number", "request/s"), "number"),
    ],
)
def test_errors_name_what_was_written(text: str, unit: str, said: tuple[str, ...], suggested: str) -> None:
    error = read(text, unit)
    assert isinstance(error, UnitError)
    for words in (text, *said):
        assert words in error.message
    assert suggested in error.suggestion


@given(NEAR_MISS, st.sampled_from(["s", "GiB", "GB/s", "Gbit/s"]))
def test_a_concrete_suggestion_is_taken(text: str, unit: str) -> None:
    error = read(text, unit)
    if isinstance(error, UnitError):
        for written in error.suggestion.removeprefix("write ").split(" or "):
            if written[:1].isdigit():
                assert not isinstance(read(written, unit), UnitError), error


@pytest.mark.parametrize("text", ["9" * 10**6 + "s", "1" * 10**6, "1x" + " " * 10**5 + "y", "0." + "3" * 10**6 + "s"])
def test_long_texts(text: str) -> None:
    for unit in ("s", "1", "token"):
        value = read(text, unit)
        assert not isinstance(value, UnitError) or len(value.message) < 200


@given(st.text(), st.sampled_from(["s", "GiB", "GB/s", "Gbit/s", "token", "1", "port"]))
def test_never_raises(text: str, unit: str) -> None:
    read(text, unit)
