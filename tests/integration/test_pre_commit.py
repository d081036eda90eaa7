"""The hooks under a real pre-commit, installed from a git repository of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.support import decode
from tests.support import ROOT

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

IDENTITY = {
    **{f"GIT_{who}_NAME": "test" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "test@example.com" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, **IDENTITY, **environment}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)


def git(folder: Path, *arguments: str) -> str:
    done = run(folder, "git", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class PreCommit:
    """Runs hooks of one checkout, in one environment for all tests."""

    def __init__(self, hetpd: Path, home: Path) -> None:
        self.hetpd, self.home = hetpd, str(home)
        self.rev = git(hetpd, "rev-parse", "HEAD")

    def configure(self, folder: Path, hook: str) -> None:
        """Make ``folder`` a git repository with one hook, and stage everything."""
        git(folder, "init", "--quiet")
        configuration = {"repos": [{"repo": str(self.hetpd), "rev": self.rev, "hooks": [{"id": hook}]}]}
        (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        git(folder, "add", "--all")

    def __call__(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``pre-commit run``."""
        command = (sys.executable, "-m", "pre_commit", "run", "--color=never", "--verbose", *arguments)
        return run(folder, *command, PRE_COMMIT_HOME=self.home)


@pytest.fixture(scope="module", name="pre_commit")
def _pre_commit(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> PreCommit:
    """The checkout as it stands, committed to a repository of its own."""
    hetpd = tmp_path_factory.mktemp("repository") / "hetpd"
    shutil.copytree(checkout, hetpd)
    git(hetpd, "init", "--quiet")
    git(hetpd, "add", "--all")
    git(hetpd, "commit", "--quiet", "--message", "as it stands")
    return PreCommit(hetpd, tmp_path_factory.mktemp("environments"))


def test_the_manifest_is_one() -> None:
    done = run(ROOT, sys.executable, "-m", "pre_commit", "validate-manifest", ".pre-commit-hooks.yaml")
    assert done.returncode == 0, done.stdout


def test_a_faulty_pair_fails_at_both_places(pre_commit, faulty) -> None:
    pre_commit.configure(faulty, "hetpd-check")
    done = pre_commit(faulty, "--all-files")
    assert done.returncode == 1, done.stdout
    assert "exit code: 1" in done.stdout
    assert done.stdout.count("error[HPD229]") == 1
    assert "k8s/prefill.yaml:20:" in done.stdout
    assert "k8s/decode.yaml:20:" in done.stdout


def test_names_of_files_are_no_options(pre_commit, faulty) -> None:
    option = faulty / "--fail-on=never"
    option.write_text("#!/bin/sh\n", encoding="utf-8")
    option.chmod(0o755)
    pre_commit.configure(faulty, "hetpd-check")
    assert pre_commit(faulty, "--all-files").returncode == 1


def test_everything_else_passes(pre_commit, clean) -> None:
    pre_commit.configure(clean, "hetpd-check")
    done = pre_commit(clean, "--all-files")
    assert done.returncode == 0, done.stdout
    assert "9 files not-pd" in done.stdout


@pytest.mark.parametrize("side", ["prefill", "decode"])
def test_one_staged_half_is_checked_with_the_other_beside_it(pre_commit, faulty, side) -> None:
    pre_commit.configure(faulty, "hetpd-check")
    git(faulty, "commit", "--quiet", "--message", "before")
    with (faulty / "k8s" / f"{side}.yaml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    git(faulty, "add", "--all")
    done = pre_commit(faulty)
    assert done.returncode == 1, done.stdout
    assert "k8s/prefill.yaml:20:" in done.stdout
    assert "k8s/decode.yaml:20:" in done.stdout


def test_staged_files_of_others_pass_beside_a_faulty_pair(pre_commit, faulty) -> None:
    pre_commit.configure(faulty, "hetpd-check")
    git(faulty, "commit", "--quiet", "--message", "before")
    for path in [*faulty.glob("other/*"), *faulty.glob("chart/templates/*")]:
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    git(faulty, "add", "--all")
    done = pre_commit(faulty)
    assert done.returncode == 0, done.stdout
    assert "8 files not-pd" in done.stdout


def test_a_commit_without_such_files_runs_nothing(pre_commit, faulty) -> None:
    pre_commit.configure(faulty, "hetpd-check")
    git(faulty, "commit", "--quiet", "--message", "before")
    (faulty / "notes.txt").write_text("nothing\n", encoding="utf-8")
    git(faulty, "add", "--all")
    done = pre_commit(faulty)
    assert done.returncode == 0
    assert "Skipped" in done.stdout


def test_halves_in_different_directories_need_the_whole_repository(pre_commit, clean) -> None:
    (clean / "decode").mkdir()
    (clean / "k8s" / "decode.yaml").rename(clean / "decode" / "decode.yaml")
    codes = {}
    for hook in ("hetpd-check", "hetpd-check-all"):
        pre_commit.configure(clean, hook)
        git(clean, "commit", "--quiet", "--message", "before")
        (clean / "decode" / "decode.yaml").write_text(decode("fp8") + f"# {hook}\n", encoding="utf-8")
        git(clean, "add", "--all")
        codes[hook] = pre_commit(clean).returncode
    assert codes == {"hetpd-check": 0, "hetpd-check-all": 1}


def test_a_repository_without_deployments_passes_as_a_whole(pre_commit, clean) -> None:
    shutil.rmtree(clean / "k8s")
    (clean / "clean.yaml").unlink()
    pre_commit.configure(clean, "hetpd-check-all")
    done = pre_commit(clean, "--all-files")
    assert done.returncode == 0, done.stdout
