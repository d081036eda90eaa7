"""Paths from the top of the checkout, and the addresses of places."""

from __future__ import annotations

import pytest

from hetpd_cli.places import Place
from hetpd_cli.report import Options, Repository
from hetpd_cli.report.repository import is_file, repository_path, url_of

HERE = Repository("/work/shop", "/work/shop/deploy", "https://host/o/r/blob/1/")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a.yaml", "deploy/a.yaml"),
        ("./sub/../a.yaml", "deploy/a.yaml"),
        ("../b.yaml", "b.yaml"),
        ("/work/shop/x/c.yaml", "x/c.yaml"),
        ("../../shopping/d.yaml", "/work/shopping/d.yaml"),
        ("/etc/e.yaml", "/etc/e.yaml"),
        ("<stdin>", "<stdin>"),
        ("<command line>", "<command line>"),
    ],
)
def test_paths_from_the_top(path: str, shown: str) -> None:
    assert repository_path(path, HERE) == shown
    assert repository_path(path, None) == path


def test_the_top_may_be_the_root() -> None:
    assert repository_path("a.yaml", Repository("/", "/x")) == "x/a.yaml"


def test_what_is_no_file() -> None:
    assert [is_file(path) for path in ("a", "<stdin>", "<command line>", "<a")] == [True, False, False, True]


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("a b#?.yaml", "https://host/o/r/blob/1/deploy/a%20b%23%3F.yaml#L3"),
        ("\udcff.yaml", "https://host/o/r/blob/1/deploy/%FF.yaml#L3"),
        ("/etc/e.yaml", None),
        ("<stdin>", None),
    ],
)
def test_addresses(path: str, url: str | None) -> None:
    place = Place(path, 3, 1, 3, 2, 0, 1)
    assert url_of(place, Options(repository=HERE)) == url
    assert url_of(place, Options(repository=HERE._replace(url=""))) is None
    assert url_of(place, Options()) is None
