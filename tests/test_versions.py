"""Versions are text, ordered by PEP 440."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hetpd_cli.versions import is_version, same_version, version_in

RELEASES = st.lists(st.integers(0, 40), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
SUFFIXES = st.sampled_from(["", "rc1", ".post1", ".dev3", "+cu126"])


@given(RELEASES, SUFFIXES, RELEASES, st.sampled_from([">=", "<=", ">", "<", "==", "!="]))
def test_ranges_agree_with_packaging(release, suffix, bound, operator) -> None:
    version = release + suffix
    expected = SpecifierSet(f"{operator}{bound}").contains(Version(version), prereleases=True)
    assert version_in(version, f"{operator}{bound}") == expected


@given(RELEASES, SUFFIXES, RELEASES, SUFFIXES)
def test_equality_agrees_with_packaging(one, tail, other, end) -> None:
    assert same_version(one + tail, other + end) == (Version(one + tail) == Version(other + end))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [("0.20", "0.2", False), ("0.24", "v0.24.0", True), ("latest", "latest", True), ("latest", "0.1", False)],
)
def test_equality_of_texts(left, right, same) -> None:
    assert same_version(left, right) is same


@pytest.mark.parametrize("text", ["latest", "", "0.24.²", "sha256:abc", "1" * 5000, "0." + "9" * 5000 + "rc1", "main"])
def test_what_names_no_version(text) -> None:
    assert not is_version(text)


def test_a_star_is_every_version() -> None:
    assert version_in("anything", "*")
    assert version_in("0.24.0", ">=0.24,<0.34")
    assert not version_in("0.34.0", ">=0.24,<0.34")
