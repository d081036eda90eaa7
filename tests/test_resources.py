"""Compiled forms: made when missing, stale or corrupt, and done without where nothing can be written."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from hetpd_cli import resources
from hetpd_cli.compile import compile_all
from hetpd_cli.engine.catalogue import COMPILER, PACKED, Rule, compile_builtin, compile_catalogue, packed, rule_files
from hetpd_cli.tables import TABLES, table

if TYPE_CHECKING:
    from pathlib import Path


class Kitchen:
    """A source, a folder of compiled forms, and a count of builds."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source.yaml"
        self.source.write_text("1")
        self.compiled = folder / "compiled"
        self.stored = self.compiled / "thing.json"
        self.builds = 0

    def build(self) -> Any:
        self.builds += 1
        return {"text": self.source.read_text(), "rows": (1, 2)}

    def get(self) -> Any:
        return resources.compiled("thing", lambda: [self.source], self.build)


@pytest.fixture
def kitchen(tmp_path, monkeypatch) -> Kitchen:
    made = Kitchen(tmp_path)
    monkeypatch.setattr(resources, "COMPILED", made.compiled)
    monkeypatch.setattr(resources, "INSTALLED", False)
    return made


def test_it_is_built_once_and_comes_back_as_json_would(kitchen) -> None:
    first = kitchen.get()
    assert first == kitchen.get() == {"text": "1", "rows": [1, 2]}
    assert kitchen.builds == 1
    assert json.loads(kitchen.stored.read_text())["content"] == first
    assert [path.name for path in kitchen.compiled.iterdir()] == ["thing.json"]


@pytest.mark.parametrize("change", ["size", "time", "name", "more"])
def test_a_changed_source_is_built_anew(kitchen, change) -> None:
    kitchen.get()
    status = kitchen.source.stat()
    sources = [kitchen.source]
    if change == "size":
        kitchen.source.write_text("22")
        os.utime(kitchen.source, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(kitchen.source, ns=(status.st_atime_ns, status.st_mtime_ns - 1))
    elif change == "name":
        sources = [kitchen.source.rename(kitchen.source.with_name("other.yaml"))]
        kitchen.source = sources[0]
    else:
        sources.append(kitchen.compiled / "thing.json")
    for builds in (2, 2 if change != "more" else 3):
        resources.compiled("thing", lambda: sources, kitchen.build)
        assert kitchen.builds == builds


@pytest.mark.parametrize(
    "stored",
    [b"", b"{", b"[]", b"1", b"null", b'"x"', b"{}", b'{"signature": []}', b'{"content": 1}', b"\xff\xfe\x00", b'{"signature": null, "content": 7}'],
)  # fmt: skip
def test_a_corrupt_form_is_replaced(kitchen, stored) -> None:
    kitchen.compiled.mkdir()
    kitchen.stored.write_bytes(stored)
    assert kitchen.get()["text"] == "1"
    assert kitchen.get()["text"] == "1"
    assert kitchen.builds == 1


def test_a_form_without_content_is_replaced(kitchen) -> None:
    kitchen.get()
    document = json.loads(kitchen.stored.read_text())
    del document["content"]
    kitchen.stored.write_text(json.dumps(document))
    kitchen.get()
    assert kitchen.builds == 2


@pytest.mark.parametrize("way", ["file", "missing", "directory", "read-only"])
def test_a_folder_that_cannot_be_written_to_is_no_error(kitchen, monkeypatch, way) -> None:
    if way == "file":
        kitchen.compiled.write_text("in the way")
    elif way == "missing":
        monkeypatch.setattr(resources, "COMPILED", kitchen.compiled / "a" / "b")
    elif way == "directory":
        kitchen.stored.mkdir(parents=True)
    else:

        def refuse(**_: Any) -> Any:
            raise PermissionError(13, "read-only")

        monkeypatch.setattr("tempfile.mkstemp", refuse)
    for builds in (1, 2):
        assert kitchen.get()["text"] == "1"
        assert kitchen.builds == builds


def test_an_installed_package_asks_no_source(kitchen, monkeypatch) -> None:
    kitchen.get()
    monkeypatch.setattr(resources, "INSTALLED", True)
    kitchen.source.unlink()
    assert kitchen.get()["text"] == "1"
    assert kitchen.builds == 1


def test_an_installed_package_with_a_corrupt_form_builds_but_never_writes(kitchen, monkeypatch) -> None:
    kitchen.compiled.mkdir()
    kitchen.stored.write_text("{")
    monkeypatch.setattr(resources, "INSTALLED", True)
    assert kitchen.get()["rows"] == [1, 2]
    assert kitchen.stored.read_text() == "{"


def test_what_fails_to_build_is_said(kitchen) -> None:
    def fail() -> Any:
        raise ValueError("two rows")

    with pytest.raises(ValueError, match="two rows"):
        resources.compiled("thing", lambda: [kitchen.source], fail)
    assert not kitchen.compiled.exists()


def test_signatures_do_not_depend_on_order(tmp_path) -> None:
    files = [tmp_path / name for name in ("b", "a", "c")]
    for index, file in enumerate(files):
        file.write_text("x" * index)
    assert resources.signature(files) == resources.signature(files[::-1])
    assert [row[0] for row in resources.signature(files)] == ["a", "b", "c"]


# -- the real ones ---------------------------------------------------------------------------------------------


def test_everything_is_compiled_to_one_file_each(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(resources, "COMPILED", tmp_path)
    table.cache_clear()
    try:
        fresh = compile_builtin()
        compiled = json.loads(json.dumps(compile_catalogue(resources.rules_dir())))
        assert fresh == [packed(rule) for rule in compiled]
        for stored, rule in zip(fresh, compiled, strict=True):
            assert Rule(stored).data == {**rule, PACKED: stored[PACKED]}
        assert len(compile_all()) == 1 + len(TABLES)
        assert {path.stem for path in tmp_path.iterdir()} == {"catalogue", *TABLES}
    finally:
        table.cache_clear()


def test_the_compiler_is_a_source_of_the_catalogue(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(resources, "COMPILED", tmp_path)
    compile_builtin()
    names = {row[0] for row in json.loads((tmp_path / "catalogue.json").read_text())["signature"]}
    assert names >= {path.name for path in (*COMPILER, *rule_files(resources.rules_dir()))}
    assert "deployment.schema.json" in names


def test_schemas_and_rules_are_found() -> None:
    for name in ("deployment", "rule", "check-output"):
        assert resources.load_schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert resources.rules_dir().is_dir()
    assert all(resources.table_path(name).is_file() for name in TABLES)
