"""The order of versions is that of PEP 440, whatever the path that computes it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from hetpd_cli.versions import LONGEST, is_version, same_version, version_in

OPERATORS = ("==", "!=", ">=", "<=", ">", "<")
numbers = st.integers(0, 40) | st.sampled_from([0, 10**9, 20241231])
releases = st.lists(numbers, min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
versions = st.builds(
    lambda prefix, release, suffix: prefix + release + suffix,
    st.sampled_from(["", "v"]),
    releases,
    st.sampled_from(
        ["", "", "", "rc1", "a2", ".post1", ".dev3", "rc1.post2.dev3", "+cu126", "rc2+rocm", "-1", "-rc.1"]
    ),
)


@given(versions, st.lists(st.tuples(st.sampled_from(OPERATORS), releases), min_size=1, max_size=3))
def test_a_range_of_several_clauses(version, clauses) -> None:
    spec = ",".join(operator + bound for operator, bound in clauses)
    assert version_in(version, spec) == SpecifierSet(spec).contains(Version(version), prereleases=True)
    assert version_in(version, spec.replace(",", " , ")) == version_in(version, spec)


@given(releases, releases)
def test_plain_releases_are_totally_ordered(one, other) -> None:
    verdicts = [version_in(one, operator + other) for operator in ("<", "==", ">")]
    assert sum(verdicts) == 1
    assert version_in(one, f"<={other}") == (verdicts[0] or verdicts[1])
    assert version_in(one, f"!={other}") != verdicts[1]
    assert same_version(one, other) == verdicts[1]


@given(versions, versions)
def test_equality(one, other) -> None:
    assert same_version(one, other) == same_version(other, one) == (Version(one) == Version(other))
    assert same_version(one, one)


@given(st.text(alphabet="0123456789.v+-_ rcdevpostabl!x\n", max_size=12))
def test_what_is_a_version_is_what_packaging_takes(text) -> None:
    try:
        Version(text)
    except InvalidVersion:
        expected = False
    else:
        expected = True
    assert is_version(text) == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0.20", "0.2", False),
        ("0.2.0", "0.2", True),
        ("v0.24.0", "0.24", True),
        ("V0.24.0", "0.24", True),
        ("0.24.0rc1", "0.24.0", False),
        ("0.24.0-rc1", "0.24.0rc1", True),
        ("0.24.0+cu126", "0.24.0", False),
        ("0.24.0+CU126", "0.24.0+cu126", True),
        ("0.24.0.post1", "0.24.0-1", True),
        ("1!0.24", "0.24", False),
        ("latest", "latest", True),
        ("latest", "main", False),
        ("sha256:ab", "sha256:ab", True),
        ("0.024", "0.24", True),
        ("", "", True),
    ],
)
def test_one_version_or_two(one, other, same) -> None:
    assert same_version(one, other) is same
    assert same_version(other, one) is same


@pytest.mark.parametrize(
    ("version", "spec", "inside"),
    [
        ("0.24.0rc1", "<0.24", False),  # PEP 440: a pre-release of the bound is on neither side
        ("0.24.0rc1", ">=0.24", False),
        ("0.24.0rc1", ">=0.24rc0", True),
        ("0.24.0.post1", ">0.24.0", False),
        ("0.24.0.post1", ">=0.24.0", True),
        ("0.24.0+cu126", "==0.24.0", True),
        ("0.24.0+cu126", "<=0.24.0", True),
        ("0.33.9", ">=0.24,<0.34", True),
        ("0.34", ">=0.24,<0.34", False),
        ("0.24.7", "==0.24.*", True),
        ("0.25", "==0.24.*", False),
        ("0.9", ">=0.10", False),
        ("10.0", ">=9.99", True),
        ("anything", "*", True),
    ],
)
def test_ranges(version, spec, inside) -> None:
    assert version_in(version, spec) is inside


@pytest.mark.parametrize(
    ("version", "spec"),
    [("latest", ">=0.24"), ("", ">=0.24"), ("0.24", "0.24"), ("0.24", ""), ("0.24", "=>0.24"), ("0.24", ">=0.24,"),
     ("0.24", ">= "), ("0.24", "~=0.24"), ("0.24", "newest")],
)  # fmt: skip
def test_what_cannot_be_compared_is_an_error(version, spec) -> None:
    with pytest.raises(ValueError, match=r".+"):
        version_in(version, spec)


def test_very_long_texts_are_no_versions_and_cost_nothing() -> None:
    longest = "1." + "2" * (LONGEST - 2)
    assert is_version(longest)
    assert version_in(longest, ">=1.1")
    assert same_version(longest, longest + ".0") is False
    for text in (
        longest + "2",
        "9" * 5000,
        "0." + "1" * 100_000,
        "1" * 5000 + "rc1",
        "1." * 50_000 + "1",
        "v" * 10_000,
    ):
        assert not is_version(text)
        assert not same_version(text, "1")
        assert same_version(text, text)


@pytest.mark.parametrize(
    ("one", "other"), list(product(["0.24.0", "0.24.0rc1", "v0.24+x"], ["latest", "main", "0.24.0-x y"]))
)
def test_a_version_is_never_a_tag(one, other) -> None:
    assert is_version(one)
    assert not is_version(other)
    assert not same_version(one, other)
