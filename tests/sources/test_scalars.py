from __future__ import annotations

import datetime
import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from hetpd_cli.sources.scalars import Other, disagreement, reading_1_1, resolve, spellings

REFUSED = object()

# Text, YAML 1.1, YAML 1.2.
READINGS = [
    ("", None, None),
    ("~", None, None),
    ("Null", None, None),
    ("nULL", "nULL", "nULL"),
    ("True", True, True),
    ("FALSE", False, False),
    ("tRue", "tRue", "tRue"),
    ("NO", False, "NO"),
    ("no", False, "no"),
    ("off", False, "off"),
    ("yes", True, "yes"),
    ("On", True, "On"),
    ("y", "y", "y"),
    ("n", "n", "n"),
    ("012", 10, 12),
    ("0777", 511, 777),
    ("08", "08", 8),
    ("00", 0, 0),
    ("-012", -10, -12),
    ("0o14", "0o14", 12),
    ("+0o14", "+0o14", "+0o14"),
    ("0x1F", 31, 31),
    ("-0x1F", -31, "-0x1F"),
    ("0b11", 3, "0b11"),
    ("+12", 12, 12),
    ("1:30", 90, "1:30"),
    ("22:22:22", 80542, "22:22:22"),
    ("-1:30", -90, "-1:30"),
    ("1:99", "1:99", "1:99"),
    ("1:30.5", 90.5, "1:30.5"),
    ("8080:80", "8080:80", "8080:80"),
    ("1_000", 1000, "1_000"),
    ("1_0.5", 10.5, "1_0.5"),
    ("1e3", "1e3", 1000.0),
    ("1e-3", "1e-3", 0.001),
    ("4e11", "4e11", 4e11),
    ("1E5", "1E5", 1e5),
    ("1.5e3", "1.5e3", 1500.0),
    ("1.5e+3", 1500.0, 1500.0),
    ("1.", 1.0, 1.0),
    (".5", 0.5, 0.5),
    ("-.5", "-.5", -0.5),
    ("3.10", 3.1, 3.1),
    ("0.24.0", "0.24.0", "0.24.0"),
    (".inf", math.inf, math.inf),
    ("-.INF", -math.inf, -math.inf),
    ("None", "None", "None"),
    ("nan", "nan", "nan"),
    ("inf", "inf", "inf"),
    ("400Gbps", "400Gbps", "400Gbps"),
    ("16k", "16k", "16k"),
    ("1,000", "1,000", "1,000"),
    ("-", "-", "-"),
    (".", ".", "."),
    ("...", "...", "..."),
    ("<<", "<<", "<<"),
    ("\u0661\u0662", "\u0661\u0662", "\u0661\u0662"),
    ("prefill", "prefill", "prefill"),
]


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and (one == other or (one != one and other != other))  # noqa: PLR0124


@pytest.mark.parametrize(("text", "old", "new"), READINGS)
def test_readings(text: str, old: object, new: object) -> None:
    assert same(reading_1_1(text), old)
    assert same(resolve(text), new)
    assert (disagreement(text) is None) == same(old, new)


def test_not_a_number_agrees() -> None:
    assert disagreement(".nan") is None
    assert math.isnan(float(str(resolve(".NaN"))))


@pytest.mark.parametrize("text", ["2024-01-01", "2001-12-14t21:59:43.10-05:00", "2001-1-1 1:00:00 Z", "=", "0b_"])
def test_readings_without_a_type_here(text: str) -> None:
    assert isinstance(reading_1_1(text), Other)
    assert resolve(text) == text
    assert disagreement(text)


def test_wording() -> None:
    assert disagreement("012") == "YAML 1.1 reads 10, YAML 1.2 reads 12"
    assert disagreement("NO") == "YAML 1.1 reads false, YAML 1.2 reads the text 'NO'"
    assert disagreement("1e3") == "YAML 1.1 reads the text '1e3', YAML 1.2 reads 1000"
    assert disagreement("2024-01-01") == "YAML 1.1 reads the date 2024-01-01, YAML 1.2 reads the text '2024-01-01'"
    assert spellings("012") == ("10", "12")
    assert spellings("1e-7") == ("1.0e-07",)


def by_pyyaml(text: str) -> Any:
    """Return what PyYAML constructs from a plain scalar, without the scanner in between."""
    loader = yaml.SafeLoader("")
    try:
        tag = loader.resolve(yaml.ScalarNode, text, (True, False))
        return loader.construct_object(yaml.ScalarNode(tag, text))
    except (yaml.YAMLError, ValueError):
        return REFUSED
    finally:
        loader.dispose()


NUMBER_LIKE = st.one_of(
    st.text(alphabet="0123456789", min_size=1, max_size=4),
    st.text(alphabet="01789abx_:.+-eEoTZ ", max_size=9),
    st.from_regex(r"[-+]?[0-9_]{1,4}(:[0-5]?[0-9]){0,2}(\.[0-9_]{0,3})?([eE][-+]?[0-9]{1,2})?", fullmatch=True),
    st.from_regex(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9]{1,2}:[0-9]{2}:[0-9]{2}(Z|[-+]5)?)?", fullmatch=True),
    st.sampled_from([text for text, _, _ in READINGS]),
    st.text(max_size=6),
)


@given(NUMBER_LIKE)
@example("0b_")
@example("2024-13-45")
@example("-0_")
def test_the_1_1_side_is_pyyaml(text: str) -> None:
    if text in ("<<", "!", "&", "*") or text != text.strip() or "\n" in text:
        return
    theirs, ours = by_pyyaml(text), reading_1_1(text)
    if isinstance(theirs, datetime.date) or theirs is REFUSED:
        assert isinstance(ours, Other)
    else:
        assert same(ours, theirs)


@given(NUMBER_LIKE)
def test_disagreement_is_what_the_readings_say(text: str) -> None:
    assert (disagreement(text) is None) == same(reading_1_1(text), resolve(text))


@given(NUMBER_LIKE)
def test_what_we_tell_people_to_write_is_read_alike(text: str) -> None:
    for spelled in spellings(text):
        assert disagreement(spelled) is None
        value = resolve(spelled)
        assert any(value == reading or value != value for reading in (reading_1_1(text), resolve(text)))  # noqa: PLR0124


@pytest.mark.parametrize(
    "text",
    [
        "9" * 100_000,
        "-" + "9" * 100_000,
        "0x" + "f" * 100_000,
        "0o" + "7" * 100_000,
        "0" + "7" * 100_000,
        "1" + ":59" * 100_000,
        "1" + ":59" * 100_000 + ".5",
        "1." + "5" * 100_000 + "e99999",
        "1" * 100_000 + "x",
        "1_" * 100_000 + ":",
        "0b" + "1" * 100_000,
    ],
)
def test_huge_numbers_neither_raise_nor_take_long(text: str) -> None:
    start = time.perf_counter()
    values = (resolve(text), reading_1_1(text))
    told = disagreement(text)
    assert time.perf_counter() - start < 1
    assert told is None or len(told) < 1000
    for value in values:
        if isinstance(value, int):
            float(value)
