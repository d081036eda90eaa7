"""Where rules, schemas and tables lie, and their compiled form.

In a checkout ``rules/`` and ``schemas/`` stand at the top, in a wheel inside the package. YAML is for people: what
runs reads JSON made from it, in ``hetpd_cli/compiled/``. A wheel brings that folder along; a checkout makes it when
a source is newer, and does without where it cannot write.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PACKAGE = Path(__file__).parent
INSTALLED = (PACKAGE / "rules").is_dir()
COMPILED = PACKAGE / "compiled"


def rules_dir() -> Path:
    """Return the folder of the built-in rules."""
    return PACKAGE / "rules" if INSTALLED else PACKAGE.parent / "rules"


def schema_path(name: str) -> Path:
    """Return the path of the schema called ``name`` (``deployment``, ``rule``, ``check-output``)."""
    folder = PACKAGE / "schemas" if INSTALLED else PACKAGE.parent / "schemas"
    return folder / f"{name}.schema.json"


def schema_names() -> list[str]:
    """Return the names of the published schemas."""
    ending = ".schema.json"
    return sorted(path.name.removesuffix(ending) for path in schema_path("rule").parent.glob(f"*{ending}"))


def examples_dir() -> Path:
    """Return the folder of the example deployments."""
    return PACKAGE / "examples" if INSTALLED else PACKAGE.parent / "examples"


def load_schema(name: str) -> dict[str, Any]:
    """Return the schema called ``name``."""
    with schema_path(name).open("rb") as file:
        schema: dict[str, Any] = json.load(file)
    return schema


def table_path(name: str) -> Path:
    """Return the YAML file of the table called ``name``."""
    return PACKAGE / "tables" / "data" / f"{name}.yaml"


def signature(sources: Iterable[Path]) -> list[list[Any]]:
    """Return what tells one state of ``sources`` from another: name, size and time of change of each file."""
    rows = []
    for source in sources:
        status = source.stat()
        rows.append([source.name, status.st_size, status.st_mtime_ns])
    return sorted(rows)


def compiled(name: str, sources: Callable[[], Iterable[Path]], build: Callable[[], Any]) -> Any:
    """Return the compiled form called ``name``, building it from ``sources`` if it is missing or stale."""
    path = COMPILED / f"{name}.json"
    stamp = None if INSTALLED else signature(sources())
    try:
        with path.open("rb") as file:
            stored = json.load(file)
        if INSTALLED or stored["signature"] == stamp:
            return stored["content"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    content = json.loads(json.dumps(build()))
    if not INSTALLED:
        store(path, {"signature": stamp, "content": content})
    return content


def compiled_state(name: str, sources: Iterable[Path]) -> str:
    """Return ``fresh``, ``stale``, ``missing`` or ``corrupt``: what the compiled form called ``name`` is."""
    try:
        with (COMPILED / f"{name}.json").open("rb") as file:
            stored = json.load(file)
        return "fresh" if INSTALLED or stored["signature"] == signature(sources) else "stale"
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError, KeyError, TypeError):
        return "corrupt"


def store(path: Path, document: Any) -> None:
    """Write ``document`` to ``path`` in one step; a folder that cannot be written to is no error."""
    import tempfile

    try:
        path.parent.mkdir(exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w") as file:
            json.dump(document, file, separators=(",", ":"))
        Path(temporary).replace(path)
    except OSError:
        return
