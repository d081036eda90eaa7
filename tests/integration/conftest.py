"""What the tests of the integrations share: a copy of the checkout, a wheel of it, a repository to check.

They install hetpd as its users do, so pip has to reach a registry; where it cannot, they fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.support import CLEAN, FOREIGN, PREFILL, copy_checkout, copy_of_image, decode


@pytest.fixture(scope="session", name="checkout")
def _checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout as it is published."""
    folder = tmp_path_factory.mktemp("checkout") / "hetpd"
    copy_checkout(folder)
    return folder


@pytest.fixture(scope="session", name="wheel")
def _wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel made of what the container's build stage gets, and nothing else."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("image", "wheels"))
    copy_of_image(source)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(target), str(source)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(name="faulty")
def _faulty(tmp_path: Path) -> Path:
    """A repository whose pair of manifests disagrees, among files of other people."""
    return _repository(tmp_path / "faulty", decode("fp8"))


@pytest.fixture(name="clean")
def _clean(tmp_path: Path) -> Path:
    """The same with a pair that agrees."""
    return _repository(tmp_path / "clean", decode("auto"))


def _repository(folder: Path, decode_side: str) -> Path:
    files = {"k8s/prefill.yaml": PREFILL, "k8s/decode.yaml": decode_side, "clean.yaml": CLEAN, **FOREIGN}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the CI that the tests themselves may run in."""
    for name in os.environ:
        if name.startswith(("GITHUB_", "CI_", "PRE_COMMIT", "GIT_", "GH_", "HETPD_", "RUNNER_")):
            monkeypatch.delenv(name)
