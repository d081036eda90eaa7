"""``check --changed-since``: what is checked, what is left out, and what is said where git cannot tell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from hetpd_cli.cli import changed
from hetpd_cli.cli.app import run
from hetpd_cli.cli.changed import ChangesError, changes
from hetpd_cli.tables import use_own

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIT = shutil.which("git")
pytestmark = pytest.mark.skipif(GIT is None, reason="no git")

BAD = """\
hetpd: 1
pools:
  - {name: p, role: prefill, connector: nixl}
  - {name: d, role: decode, connector: mooncake}
"""
FINE = BAD.replace("mooncake", "nixl")
MISMATCH = "HPD501"


def half(role: str, name: str, connector: str = "NixlConnector") -> str:
    """A manifest of workers of one role, by what its command says."""
    words = ["vllm", "serve", "Qwen/Qwen3-32B", "--kv-transfer-config"]
    config = json.dumps({"kv_connector": connector, "kv_role": "kv_producer" if role == "prefill" else "kv_consumer"})
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"{name}-{role}", "labels": {"role": role}},
            "spec": {
                "template": {
                    "metadata": {"labels": {"role": role}},
                    "spec": {
                        "containers": [
                            {"name": "vllm", "image": "vllm/vllm-openai:v0.24.0", "command": [*words, config]}
                        ]
                    },
                }
            },
        }
    )


class Checkout:
    """A repository in a directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        said = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always")
        done = subprocess.run([str(GIT), *said, *words], cwd=self.folder, capture_output=True, check=True)
        return done.stdout.decode(errors="surrogateescape").strip()

    def write(self, **files: str) -> None:
        """Write files; `__` in a name stands for a stroke, and all are YAML."""
        for name, text in files.items():
            self.put(f"{name.replace('__', '/')}.yaml", text)

    def put(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:
    """Two deployments with a mismatch and a branch on which nothing happened yet."""
    for key in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    made = Checkout(tmp_path / "repo")
    made.write(a=BAD, deep__b=BAD)
    made.commit()
    made.git("checkout", "-q", "-b", "topic")
    monkeypatch.chdir(made.folder)
    yield made
    use_own([])


class Checked:
    """What a call gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.err = err
        self.report = json.loads(out) if out.startswith("{") else {}

    @property
    def inputs(self) -> list[str]:
        return [entry["path"] for entry in self.report["inputs"]]

    @property
    def codes(self) -> list[str]:
        return sorted({one["code"] for one in self.report["findings"]})


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str, since: str = "main") -> Checked:
        capsys.readouterr()
        code = run(["check", "--format", "json", "--changed-since", since, *arguments])
        return Checked(code, *capsys.readouterr())

    return call


# -- what changed ----------------------------------------------------------------------------------------------


def test_nothing_changed(repo: Checkout, check, capsys: pytest.CaptureFixture[str]) -> None:
    found = check()
    assert (found.code, found.inputs, found.report["findings"]) == (0, [], [])
    assert found.err.startswith("hetpd: 2 of 2 inputs ")
    assert check("--quiet").err == ""
    assert run(["check", "--changed-since", "main"]) == 0
    shown = capsys.readouterr().out
    assert "2 files left out" in shown
    assert "no findings" not in shown


@pytest.mark.parametrize("how", ["committed", "staged", "unstaged", "new", "intended", "renamed"])
def test_a_change_counts_however_far_it_has_come(repo: Checkout, check, how: str) -> None:
    name = "c.yaml" if how in ("new", "intended", "renamed") else "a.yaml"
    if how == "renamed":
        repo.git("mv", "deep/b.yaml", "c.yaml")
    else:
        repo.put(name, BAD + "# more\n")
    if how == "committed":
        repo.commit()
    elif how == "staged":
        repo.git("add", "-A")
    elif how == "intended":
        repo.git("add", "-N", name)
    found = check()
    assert (found.code, found.inputs, found.codes) == (1, [name], [MISMATCH])


def test_what_main_did_since_is_no_change_of_ours(repo: Checkout, check) -> None:
    repo.git("checkout", "-q", "main")
    repo.write(a=FINE)
    repo.commit()
    repo.git("checkout", "-q", "topic")
    repo.put("deep/b.yaml", BAD + "# more\n")
    assert check().inputs == ["deep/b.yaml"]


def test_a_change_taken_back_or_a_touched_file_is_none(repo: Checkout, check) -> None:
    repo.git("config", "diff.autoRefreshIndex", "false")
    repo.write(a=FINE)
    repo.commit()
    repo.write(a=BAD)
    os.utime("deep/b.yaml", (1, 1))
    assert check().inputs == []


@pytest.mark.parametrize("moved", [False, True])
def test_a_file_that_is_gone_concerns_its_folder(repo: Checkout, check, moved: bool) -> None:
    repo.write(deep__c=FINE, deeper__d=FINE)
    repo.put("deep/c.txt", "")
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.git("rm", "-q", "deep/c.txt")
    assert check().inputs == []
    if moved:
        repo.git("mv", "deep/c.yaml", "c.yaml")
    else:
        (repo.folder / "deep" / "c.yaml").unlink()
    assert check().inputs == [*(["c.yaml"] if moved else []), "deep/b.yaml"]


@pytest.mark.parametrize("name", ["\xe9\n\t\"'.yaml", "-b.yaml", "\udcff.yaml", "[a].yaml", " .yaml"])
def test_names_of_any_bytes(repo: Checkout, check, name: str) -> None:
    repo.git("config", "core.quotePath", "true")
    try:
        repo.put(name, BAD)
    except OSError:
        pytest.skip("the file system has no such names")
    found = check()
    assert len(found.inputs) == 1
    assert found.codes == [MISMATCH]
    repo.commit()
    assert len(check().inputs) == 1
    repo.git("branch", "-f", "main")
    assert check().inputs == []


# -- where ------------------------------------------------------------------------------------------------------


def test_from_a_directory_within(repo: Checkout, check, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.git("config", "diff.relative", "true")
    repo.put("a.yaml", BAD + "# more\n")
    repo.put("deep/new.yaml", BAD)
    monkeypatch.chdir(repo.folder / "deep")
    assert check().inputs == ["new.yaml"]
    assert check("..").inputs == ["../a.yaml", "../deep/new.yaml"]
    assert check(str(repo.folder / "a.yaml"), "b.yaml").inputs == [str(repo.folder / "a.yaml")]


def test_through_links(repo: Checkout, check, tmp_path: Path) -> None:
    (tmp_path / "door").symlink_to(repo.folder)
    (repo.folder / "link.yaml").symlink_to("deep/b.yaml")
    repo.commit()
    repo.git("branch", "-f", "main")
    assert check("link.yaml", str(tmp_path / "door")).inputs == []
    repo.put("deep/b.yaml", BAD + "# more\n")
    assert check("link.yaml").inputs == ["link.yaml"]
    assert check(str(tmp_path / "door" / "deep")).inputs == [str(tmp_path / "door" / "deep" / "b.yaml")]


def test_a_worktree(repo: Checkout, check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"), "main")
    (tmp_path / "tree" / "a.yaml").write_text(FINE)
    assert check().inputs == []
    monkeypatch.chdir(tmp_path / "tree")
    assert check().inputs == ["a.yaml"]


def test_two_repositories(repo: Checkout, check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Checkout(tmp_path / "other")
    other.write(x=BAD, y=BAD)
    other.commit()
    other.put("y.yaml", BAD + "# more\n")
    repo.put("a.yaml", BAD + "# more\n")
    assert check(".", "../other").inputs == ["a.yaml", "../other/y.yaml"]
    monkeypatch.chdir(tmp_path)
    assert check().inputs == ["other/y.yaml", "repo/a.yaml"]


def test_a_submodule_and_a_repository_within(repo: Checkout, check, tmp_path: Path) -> None:
    other = Checkout(tmp_path / "other")
    other.write(x=BAD)
    other.commit()
    repo.git("submodule", "add", "-q", "../other", "sub")
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.git("config", "diff.ignoreSubmodules", "all")
    assert check().inputs == []
    inner = repo.folder / "sub" / "x.yaml"
    inner.write_text(BAD + "# more\n")
    assert check().inputs == ["sub/x.yaml"]
    subprocess.run(
        [str(GIT), "-c", "user.name=a", "-c", "user.email=a", "commit", "-qam", "x"], cwd=inner.parent, check=True
    )
    assert check().inputs == ["sub/x.yaml"]
    assert check("sub", since="HEAD").inputs == []
    assert check("sub", since="HEAD~1").inputs == ["sub/x.yaml"]
    repo.commit()
    nested = Checkout(repo.folder / "nested")
    nested.write(n=BAD)
    nested.commit()
    assert check(since="HEAD").inputs == ["nested/n.yaml"]


def test_what_is_in_no_repository_counts_as_changed(repo: Checkout, check, tmp_path: Path) -> None:
    (tmp_path / "loose.yaml").write_text(BAD)
    found = check(".", "../loose.yaml")
    assert found.inputs == ["../loose.yaml"]
    assert "1 input in no git repository" in found.err


def test_what_git_ignores(repo: Checkout, check) -> None:
    repo.put(".gitignore", "made/\n/one.yaml\n")
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.write(made__x=BAD, one=BAD)
    found = check()
    assert found.inputs == []
    assert "git ignores 2 " in found.err
    assert check("made", "one.yaml", "a.yaml").inputs == ["made/x.yaml", "one.yaml"]


def test_standard_input_is_always_checked(repo: Checkout, check, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    class Stream(io.StringIO):
        buffer = io.BytesIO(BAD.encode())

    monkeypatch.setattr("sys.stdin", Stream())
    found = check("-", "a.yaml")
    assert (found.inputs, found.code) == (["<stdin>"], 1)


# -- what it concerns -------------------------------------------------------------------------------------------


def test_halves_stay_together(repo: Checkout, check) -> None:
    repo.write(pair__prefill=half("prefill", "x"), pair__decode=half("decode", "x"))
    repo.commit()
    repo.git("branch", "-f", "main")
    assert check("pair").inputs == []
    repo.write(pair__decode=half("decode", "x", "MooncakeConnector"))
    found = check()
    assert sorted(found.inputs) == ["pair/decode.yaml", "pair/prefill.yaml"]
    assert MISMATCH in found.codes


def test_a_half_whose_other_half_is_gone(repo: Checkout, check) -> None:
    repo.write(pair__prefill=half("prefill", "x"), pair__decode=half("decode", "x"))
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.write(pair__decode=half("decode", "x").replace("32B", "8B"))
    assert sorted(check().inputs) == ["pair/decode.yaml", "pair/prefill.yaml"]
    (repo.folder / "pair" / "decode.yaml").unlink()
    assert check().inputs == ["pair/prefill.yaml"]


MODEL = '{"num_hidden_layers": 64, "num_attention_heads": 64, "num_key_value_heads": 8, "hidden_size": 5120}'


@pytest.mark.parametrize("now", [MODEL.replace("64", "32"), "{broken", None])
def test_a_file_that_a_deployment_names(repo: Checkout, check, now: str | None) -> None:
    repo.put("models/q/config.json", MODEL)
    repo.write(named=FINE.replace("pools:", "model: {id: Qwen/Qwen3-32B, config: models/q}\npools:"))
    repo.commit()
    repo.git("branch", "-f", "main")
    assert check("named.yaml", "a.yaml").inputs == []
    if now is None:
        shutil.rmtree("models")
    else:
        repo.put("models/q/config.json", now)
    assert check("named.yaml", "a.yaml").inputs == ["named.yaml"]


def test_a_base_of_a_kustomization(repo: Checkout, check) -> None:
    repo.write(k__base__prefill=half("prefill", "x"), k__base__decode=half("decode", "x"))
    repo.put("k/base/kustomization.yaml", "resources: [prefill.yaml, decode.yaml]\n")

    def overlay(name: str, replicas: int) -> None:
        step = f'[{{"op": "add", "path": "/spec/replicas", "value": {replicas}}}]'
        patch = f"patches: [{{target: {{kind: Deployment}}, patch: '{step}'}}]"
        repo.put(f"k/{name}/kustomization.yaml", f"resources: [../base]\n{patch}\n")

    overlay("one", 2)
    overlay("two", 3)
    repo.commit()
    repo.git("branch", "-f", "main")
    assert check("k").inputs == []
    overlay("one", 4)
    assert check("k").inputs == ["k/one/kustomization.yaml"]
    repo.write(k__base__decode=half("decode", "x", "MooncakeConnector"))
    assert {"k/one/kustomization.yaml", "k/two/kustomization.yaml"} <= set(check("k").inputs)
    shutil.rmtree("k/base")
    assert {"k/one/kustomization.yaml", "k/two/kustomization.yaml"} <= set(check("k").inputs)


SETTINGS = {
    "hetpd.toml": 'ignore = ["HPD2"]\n',
    "pyproject.toml": '[tool.hetpd]\nignore = ["HPD2"]\n',
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("how", ["new", "other", "gone"])
def test_a_change_of_the_configuration_concerns_everything(repo: Checkout, check, name: str, how: str) -> None:
    if how != "new":
        repo.put(name, SETTINGS[name])
        repo.commit()
        repo.git("branch", "-f", "main")
        assert check().inputs == []
    if how == "gone":
        (repo.folder / name).unlink()
    else:
        repo.put(name, SETTINGS[name].replace("HPD2", "HPD3"))
    assert check().inputs == ["a.yaml", "deep/b.yaml"]
    assert check("deep").inputs == ["deep/b.yaml"]
    assert check("--no-config").inputs == []


def test_another_table_of_the_same_file_concerns_nothing(repo: Checkout, check) -> None:
    repo.put("pyproject.toml", SETTINGS["pyproject.toml"])
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.put("pyproject.toml", '[project]\nname = "x"\n' + SETTINGS["pyproject.toml"])
    assert check().inputs == []


def test_own_rules_and_the_baseline_concern_everything(repo: Checkout, check) -> None:
    repo.put("hetpd.toml", 'rule-folders = ["ours"]\n')
    repo.put("ours/x.txt", "")
    repo.put("accepted.txt", '{"schema": 1, "findings": []}')
    repo.commit()
    repo.git("branch", "-f", "main")
    assert check("--baseline", "accepted.txt").inputs == []
    repo.put("ours/x.txt", "1")
    assert check().inputs == ["a.yaml", "deep/b.yaml"]
    repo.put("ours/x.txt", "")
    repo.put("accepted.txt", '{"schema": 1, "findings":  []}')
    assert check().inputs == []
    assert check("--baseline", "accepted.txt").inputs == ["a.yaml", "deep/b.yaml"]


# -- what must not happen ----------------------------------------------------------------------------------------


def test_nothing_is_called_unused_that_may_be_used_by_the_rest(repo: Checkout, check) -> None:
    repo.put(
        "hetpd.toml",
        '[images]\n"registry/vllm:{version}" = "vllm"\n'
        '[[suppress]]\nrule = "connector-mismatch"\npath = "deep/*"\nreason = "known"\n'
        '[[assume]]\npath = "*"\nfact = "connector.lease_s"\npool = "q"\nvalue = 60\nreason = "said"\n',
    )
    repo.write(a=FINE, c=BAD.replace("nixl", "nixl, accelerator: h200-sxm"))
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.put("a.yaml", FINE.replace("connector", "accelerator: h100-sxm, connector"))
    given = ("--prefill-gpu", "h200-sxm")
    assert check(*given).codes == []
    whole = run(["check", "--format", "concise", *given])
    assert whole == 1


def test_a_suppression_in_a_changed_input_may_be_unused(repo: Checkout, check) -> None:
    repo.put("a.yaml", FINE + "# hetpd: ignore[connector-mismatch] no more\n")
    repo.put("deep/b.yaml", BAD)
    assert check().codes == ["HPD901"]


def test_a_baseline_keeps_what_was_not_looked_at(repo: Checkout, check) -> None:
    assert run(["check", "--write-baseline", "--baseline", "base.json"]) == 0
    repo.commit()
    repo.git("branch", "-f", "main")
    before = json.loads((repo.folder / "base.json").read_text())["findings"]
    repo.put("a.yaml", FINE)
    found = check("--baseline", "base.json")
    assert (found.code, found.inputs) == (0, ["a.yaml"])
    after = json.loads((repo.folder / "base.json").read_text())["findings"]
    assert {entry["path"] for entry in before} == {"a.yaml", "deep/b.yaml"}
    assert after == [entry for entry in before if entry["path"] == "deep/b.yaml"]


def test_a_baseline_is_not_written_of_a_part(repo: Checkout, check) -> None:
    assert check("--write-baseline", "--baseline", "base.json").code == 2
    assert not (repo.folder / "base.json").exists()


def test_what_cannot_be_read_and_has_not_changed_fails_nothing(repo: Checkout, check) -> None:
    repo.put("broken.yaml", "hetpd: 1\npools: [\n")
    repo.commit()
    assert check().code == 3
    repo.git("branch", "-f", "main")
    assert check().code == 0
    assert check("a.yaml", "misspelt.yaml").code == 3


# -- settings that are in the way ----------------------------------------------------------------------------------


def test_a_hook_names_another_repository(
    repo: Checkout, check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Checkout(tmp_path / "other")
    for key, value in {
        "GIT_DIR": str(other.folder / ".git"),
        "GIT_WORK_TREE": str(other.folder),
        "GIT_INDEX_FILE": str(tmp_path / "index"),
        "GIT_PREFIX": "deep/",
        "GIT_LITERAL_PATHSPECS": "1",
    }.items():
        monkeypatch.setenv(key, value)
    (repo.folder / "a.yaml").write_text(FINE)
    assert check().inputs == ["a.yaml"]


def test_no_program_is_run(repo: Checkout, check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = tmp_path / "spy"
    spy.write_text(f"#!/bin/sh\ntouch {tmp_path}/seen\nexit 1\n")
    spy.chmod(0o755)
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        (tmp_path / hook).write_text(spy.read_text())
        (tmp_path / hook).chmod(0o755)
    repo.put(".gitattributes", "*.yaml diff=spy\n")
    repo.commit()
    for key, value in {
        "core.fsmonitor": str(spy),
        "core.hooksPath": str(tmp_path),
        "core.pager": str(spy),
        "diff.external": str(spy),
        "diff.spy.textconv": str(spy),
        "diff.spy.command": str(spy),
        "diff.noprefix": "true",
        "diff.renames": "copies",
        "diff.orderFile": str(tmp_path / "missing"),
        "color.ui": "always",
        "alias.diff": f"!{spy}",
    }.items():
        repo.git("config", key, value)
    (tmp_path / "seen").unlink(missing_ok=True)
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(spy))
    monkeypatch.setenv("GIT_PAGER", str(spy))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "seen"))
    (repo.folder / "a.yaml").write_text(FINE)
    assert check().inputs == ["a.yaml"]
    assert not (tmp_path / "seen").exists()


@pytest.mark.parametrize("repositories", [1, 2])
def test_git_is_run_a_few_times(
    repo: Checkout, check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repositories: int
) -> None:
    other = Checkout(tmp_path / "other")
    other.write(x=BAD)
    other.commit()
    for number in range(20):
        repo.put(f"many/{number}/x.yaml", BAD)
    calls = []
    before = changed._git
    monkeypatch.setattr(changed, "_git", lambda *words: calls.append(words) or before(*words))
    found = check(*(f"many/{number}/x.yaml" for number in range(20)), *(["../other"] if repositories == 2 else []))
    assert len(found.inputs) == 20
    assert len(calls) <= 5 * repositories


# -- what cannot be ------------------------------------------------------------------------------------------------


def refused(found: Checked) -> str:
    assert found.code == 2
    assert not found.report
    assert found.err.startswith("hetpd: --changed-since")
    assert found.err.count("\n") == 1
    assert found.err[:-1].isprintable()
    return found.err


@pytest.mark.parametrize(
    "revision",
    [
        *("", " ", "nope", "-h", "--all", "--output=x", "main:a.yaml", "main:", "main..topic", "^main", "HEAD~9"),
        *("0" * 40, "main\n", "\x1b[31m", "\udcff", "::error::x", "main^{tree}", "main main"),
    ],
)
def test_revisions_that_are_none(repo: Checkout, check, revision: str) -> None:
    refused(check(since=revision))
    assert not (repo.folder / "x").exists()


@pytest.mark.parametrize("revision", ["main", "HEAD", "topic", "HEAD^0", "v1", "@", ":/a change"])
def test_revisions_of_every_kind(repo: Checkout, check, revision: str) -> None:
    repo.git("tag", "-a", "-m", "x", "v1")
    if revision == ":/a change":
        refused(check(since=revision))
    else:
        assert check(since=revision).inputs == []
        assert check(since=repo.git("rev-parse", "--short", revision)).inputs == [] or revision == "v1"


def test_without_a_common_commit_the_revision_itself_is_compared(repo: Checkout, check) -> None:
    repo.git("checkout", "-q", "--orphan", "alone")
    repo.put("a.yaml", FINE)
    repo.commit()
    found = check()
    assert found.inputs == ["a.yaml"]
    assert "no common commit" in found.err


def test_nothing_is_committed(tmp_path: Path, check, monkeypatch: pytest.MonkeyPatch) -> None:
    new = Checkout(tmp_path / "new")
    new.write(a=BAD)
    monkeypatch.chdir(new.folder)
    assert "nothing is committed" in refused(check(since="HEAD"))


def test_a_shallow_clone(repo: Checkout, check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.put("a.yaml", FINE)
    repo.commit()
    repo.git("clone", "-q", "--depth", "1", "--single-branch", f"file://{repo.folder}", str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    assert "fetch-depth: 0" in refused(check(since="origin/main"))
    assert "fetch-depth: 0" in refused(check(since="HEAD~1"))
    assert check(since="HEAD").inputs == []


def test_no_repository(tmp_path: Path, check, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    refused(check())
    (tmp_path / ".git").write_text("gitdir: /nowhere/\x1b[31m\n")
    refused(check())


def test_no_git(repo: Checkout, check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "PATH" in refused(check())
    (tmp_path / "git").write_text("not a program")
    (tmp_path / "git").chmod(0o755)
    refused(check())


def test_a_repository_of_somebody_else(repo: Checkout, check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setattr(changed, "_environment", lambda: dict(os.environ))
    assert "safe.directory" in refused(check())


def test_states(repo: Checkout, tmp_path: Path) -> None:
    repo.put("new.yaml", BAD)
    known = changes("main", ["."], ["new.yaml"])
    shown = [known.state(path) for path in ("new.yaml", "a.yaml", str(tmp_path / "x"), "missing.yaml")]
    assert shown == [changed.CHANGED, changed.UNCHANGED, changed.OUTSIDE, changed.UNCHANGED]
    assert known.before(str(repo.folder / "a.yaml")) == BAD.encode()
    assert known.before(str(repo.folder / "new.yaml")) is None
    with pytest.raises(ChangesError):
        changes("main\0", ["."], [])
