"""What a start costs: the modules that the two commonest calls import."""

from __future__ import annotations

import subprocess
import sys

from tests.support import ROOT

SHOW = "import sys; from hetpd_cli.__main__ import main; import os; os._exit = lambda code: None\n"
NEVER = ("rich", "numpy", "networkx", "jsonschema", "pydantic", "packaging")


def modules_after(arguments: list[str]) -> set[str]:
    """Return the modules that are loaded when ``hetpd ARGUMENTS`` is done."""
    program = (
        f"{SHOW}sys.argv = ['hetpd', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('MODULES', *sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.rsplit("MODULES ", 1)[1].split())


def test_the_version_needs_nothing() -> None:
    loaded = modules_after(["--version"])
    assert {name for name in loaded if name.startswith("hetpd_cli")} == {"hetpd_cli", "hetpd_cli.__main__"}
    assert not loaded & {"typer", "yaml", "json", "re", *NEVER}


def test_a_check_pays_for_no_package_that_it_does_not_use() -> None:
    loaded = modules_after(["check", "-f", "full", "examples/vllm-1p1d-mismatch.yaml"])
    assert "yaml" in loaded
    assert not loaded & set(NEVER)
    assert not loaded & {"hetpd_cli.engine.parse", "hetpd_cli.sources.model_config", "hetpd_cli.report.json_report"}
