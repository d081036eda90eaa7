"""What a pool takes from `defaults`, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys

from hetpd_cli.sources.inputs import find, read
from hetpd_cli.sources.text import Limits
from tests.support import ROOT, deployment_of

DEFAULTS = "{connector: {name: NixlPushConnector, lease_s: 30}, engine: {name: vllm, version: 0.24.0}}"


def settings_of(pool: str) -> dict[str, object]:
    text = f"hetpd: 1\ndefaults: {DEFAULTS}\npools: [{{name: p, role: prefill{pool}}}]\n"
    (only,) = deployment_of(text).pools
    return {path: stated.value for path, stated in only.settings.stated.items()}


def test_what_is_not_stated_is_taken_over() -> None:
    found = settings_of("")
    assert (found["connector.mode"], found["connector.lease_s"], found["engine.version"]) == ("push", 30, "0.24.0")


def test_a_replaced_word_takes_what_it_implied_along() -> None:
    found = settings_of(", connector: NixlConnector")
    assert "connector.mode" not in found
    assert found["connector.lease_s"] == 30


def test_nothing_is_taken_from_another_engine_or_connector() -> None:
    found = settings_of(", engine: sglang, connector: mooncake")
    assert "engine.version" not in found
    assert "connector.lease_s" not in found


def test_the_configuration_of_the_default_model_is_read(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"num_hidden_layers": 7}))
    file = tmp_path / "deploy.yaml"
    file.write_text("hetpd: 1\ndefaults: {model: {config: config.json}}\npools: [{name: p, role: prefill}]\n")
    (deployment,) = read(str(file), Limits()).deployments
    assert deployment.pools[0].settings.value("model.layers") == 7


def test_two_spellings_of_a_path_are_one_input() -> None:
    assert find(["./a.yaml", "a.yaml", "b/../a.yaml"]).files == ("./a.yaml",)


def test_the_version_may_go_nowhere() -> None:
    command = f"{sys.executable} -m hetpd_cli --version | true; {sys.executable} -m hetpd_cli --version >&-"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
