"""Halves of a pair find each other: in a file, in a directory, beside a file; and what is no pair stays apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hetpd_cli.deployment import OPEN
from hetpd_cli.engine.catalogue import catalogue
from hetpd_cli.engine.check import check
from hetpd_cli.sources.inputs import find, read_all
from hetpd_cli.sources.text import Limits, SourceText

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hetpd_cli.sources.reader import Reading

ROLES = {"prefill": "producer", "decode": "consumer"}
BOTH = """ --kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'"""
PAIR = [["prefill", "decode"]]


def vllm(role: str, model: str = "m", more: str = "") -> str:
    """Return a command whose connector says the role."""
    return f"vllm serve {model} {more}{BOTH.replace('kv_both', 'kv_' + ROLES[role])}\n"


def sglang(role: str, model: str = "m") -> str:
    return f"python3 -m sglang.launch_server --model-path {model} --disaggregation-mode {role}\n"


def deployment(name: str, command: str, label: str = "") -> str:
    """Return a manifest of one Deployment that runs ``command``."""
    labels = f"{{role: {label}}}" if label else "{app: a}"
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{}}
  template:
    metadata: {{labels: {labels}}}
    spec:
      containers:
        - name: engine
          image: ours/serving:1
          command: [bash, -c, "exec {command.strip().replace('"', chr(92) + '"')}"]
"""


def read(files: Mapping[str, str], limits: Limits | None = None) -> dict[str, Reading]:
    found = read_all([SourceText(path, text) for path, text in files.items()], limits or Limits())
    return {reading.path: reading for reading in found}


def roles(reading: Reading) -> list[list[str | None]]:
    """Return the roles of the pools of each deployment."""
    return [[pool.role for pool in one.pools] for one in reading.deployments]


def models(reading: Reading) -> list[set[object]]:
    return [{pool.settings.value("model.id") for pool in one.pools} for one in reading.deployments]


def pairs(readings: Mapping[str, Reading]) -> set[tuple[str, ...]]:
    """Return the files of each deployment, those of its pools' commands."""
    return {
        tuple(sorted({pool.place.path for pool in one.pools if pool.place is not None}))
        for reading in readings.values()
        for one in reading.deployments
    }


def walked(folder: Path, files: Mapping[str, str], *named: str) -> dict[str, Reading]:
    """Return the readings of ``named`` files of a folder with ``files``, by name; of the folder without any."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    paths = [str(folder / name) for name in named] or [str(folder)]
    return {reading.path.removeprefix(f"{folder}/"): reading for reading in find(paths).readings(Limits())}


# -- within a file ---------------------------------------------------------------------------------------------


def test_halves_in_two_documents() -> None:
    text = deployment("q-prefill", vllm("prefill")) + "---\n" + deployment("q-decode", vllm("decode"))
    found = read({"a.yaml": text})["a.yaml"]
    assert (found.status, found.detail, found.joined, roles(found)) == ("checked", "", (), PAIR)
    (one,) = found.deployments
    assert [(handoff.prefill, handoff.decode) for handoff in one.handoffs] == [("q-prefill", "q-decode")]
    assert [pool.shares_model for pool in one.pools] == [True, True]


def test_two_pairs_of_one_file_are_told_apart_by_their_names() -> None:
    parts = [deployment(f"{name}-{role}", vllm(role, model=name)) for role in ROLES for name in ("a", "b")]
    found = read({"a.yaml": "---\n".join(parts)})["a.yaml"]
    assert roles(found) == PAIR * 2
    assert models(found) == [{"a"}, {"b"}]
    same = [deployment(f"{name}-{role}", vllm(role)) for role in ROLES for name in ("a", "b")]
    found = read({"a.yaml": "---\n".join(same)})["a.yaml"]
    assert [[pool.name for pool in one.pools] for one in found.deployments] == [
        ["a-prefill", "a-decode"], ["b-prefill", "b-decode"]
    ]  # fmt: skip


def test_one_prefill_pool_may_have_several_decode_pools() -> None:
    parts = [deployment("x-prefill", vllm("prefill")), deployment("y-decode", vllm("decode"))]
    found = read({"a.yaml": "---\n".join([*parts, deployment("z-decode", vllm("decode"))])})["a.yaml"]
    assert roles(found) == [["prefill", "decode", "decode"]]
    assert len(found.deployments[0].handoffs) == 2


def test_two_pools_of_one_name() -> None:
    text = "\n".join(
        f"{vllm(role).strip()} --port {port} &" for role, port in (("prefill", 1), ("decode", 2), ("decode", 3))
    )
    (one,) = read({"serve.sh": text})["serve.sh"].deployments
    names = [pool.name for pool in one.pools]
    assert len(set(names)) == len(names) == 3
    objects = [deployment("same", vllm(role)) for role in ROLES]
    (one,) = read({"p.yaml": objects[0], "d.yaml": objects[1]})["p.yaml"].deployments
    assert [pool.name for pool in one.pools] == ["same", "same-2"]
    assert [(handoff.prefill, handoff.decode) for handoff in one.handoffs] == [("same", "same-2")]


def test_halves_of_other_engines_are_not_joined() -> None:
    prefill, decode = vllm("prefill"), sglang("decode")
    found = read({"a.yaml": deployment("q-prefill", prefill) + "---\n" + deployment("q-decode", decode)})["a.yaml"]
    assert (found.status, roles(found)) == ("checked", [["prefill"], ["decode"]])
    assert [one.handoffs for one in found.deployments] == [(), ()]
    apart = read({"prefill.sh": prefill, "decode.sh": decode})
    assert [roles(one) for one in apart.values()] == [[["prefill"]], [["decode"]]]
    assert [one.joined for one in apart.values()] == [(), ()]


def test_two_namesakes_of_two_models_are_a_faulty_pair() -> None:
    halves = {role: vllm(role, model) for role, model in zip(ROLES, "ab", strict=True)}
    text = "---\n".join(deployment(f"q-{role}", command) for role, command in halves.items())
    assert roles(read({"a.yaml": text})["a.yaml"]) == PAIR
    apart = read({f"{role}.sh": command for role, command in halves.items()})
    assert [one.joined for one in apart.values()] == [("decode.sh",), ("prefill.sh",)]


@pytest.mark.parametrize("names", [("x-prefill", "y-decode"), ("x-prefill", "x-decode", "decode-x")])
def test_halves_of_two_models_without_one_name_are_not_joined(names) -> None:
    commands = [vllm("prefill", "a"), vllm("decode", "b"), vllm("decode", "c")]
    found = read({f"{name}.sh": command for name, command in zip(names, commands, strict=False)})
    assert all(one.joined == () for one in found.values())


def test_one_of_two_scripts_that_says_the_other_role_keeps_the_name_of_its_own() -> None:
    found = read({f"{role}.sh": vllm("decode") for role in ROLES})
    (one,) = (one for reading in found.values() for one in reading.deployments)
    assert {pool.name: pool.role for pool in one.pools} == {role: role for role in ROLES}
    assert all("engine.mode" not in pool.settings.stated for pool in one.pools)


def test_a_label_in_a_broken_configuration_is_no_mode_either() -> None:
    broken = 'vllm serve m --kv-transfer-config \'{"kv_connector":"NixlConnector","kv_role":"kv_consumer"\'\n'
    found = read({f"{role}.sh": broken for role in ROLES})
    pools = [pool for reading in found.values() for one in reading.deployments for pool in one.pools]
    assert [pool.role for pool in pools] == list(ROLES)
    assert all("engine.mode" not in pool.settings.stated for pool in pools)


def test_a_mode_of_the_engine_is_kept_beside_the_role_of_its_pool() -> None:
    found = read({f"{role}.sh": sglang("decode") for role in ROLES})
    pools = [pool for reading in found.values() for one in reading.deployments for pool in one.pools]
    modes = {pool.role: pool.settings.value("engine.mode") for pool in pools}
    assert modes == {"prefill": "decode", "decode": "decode"}


def test_a_model_that_is_not_known_may_be_the_same() -> None:
    unknown = read({"prefill.sh": vllm("prefill", "$MODEL"), "decode.sh": vllm("decode")})["prefill.sh"]
    assert roles(unknown) == PAIR
    assert [pool.shares_model for pool in unknown.deployments[0].pools] == [False, False]


# -- within a directory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("prefill.sh", "decode.sh"), ("p.sh", "d.sh"), ("x-prefill.sh", "y-decode.sh")])
def test_two_scripts_of_a_directory(names) -> None:
    found = read({f"run/{name}": vllm(role) for name, role in zip(names, ROLES, strict=True)})
    first, second = found.values()
    assert (first.status, roles(first), first.joined) == ("checked", PAIR, (second.path,))
    assert (second.status, roles(second), second.joined) == ("checked", [], (first.path,))
    assert first.detail == second.detail == ""


def test_two_manifests_of_a_directory() -> None:
    found = read({"p.yaml": deployment("a", vllm("prefill")), "d.yaml": deployment("b", vllm("decode"))})
    assert pairs(found) == {("d.yaml", "p.yaml")}


def test_the_deployment_is_in_the_file_that_comes_first_and_the_others_name_it_first() -> None:
    parts = {"z.yaml": deployment("q-prefill", vllm("prefill"))}
    parts |= {f"{name}.yaml": deployment("q-decode", vllm("decode")) for name in ("b", "a")}
    found = read(parts)
    assert roles(found["z.yaml"]) == [["prefill", "decode", "decode"]]
    assert {path: one.joined for path, one in found.items()} == {
        "z.yaml": ("a.yaml", "b.yaml"), "b.yaml": ("z.yaml", "a.yaml"), "a.yaml": ("z.yaml", "b.yaml")
    }  # fmt: skip


def test_variants_of_a_directory_are_paired_by_name_and_never_crossed() -> None:
    variants = ("", "-tp4", "-fp8")
    scripts = {f"run/{role}{variant}.sh": vllm(role) for role in ROLES for variant in variants}
    assert pairs(read(scripts)) == {(f"run/decode{one}.sh", f"run/prefill{one}.sh") for one in variants}
    manifests = {f"{one[1:]}{role}.yaml": deployment(f"q-{role}", vllm(role)) for role in ROLES for one in variants}
    assert pairs(read(manifests)) == {(f"{one[1:]}decode.yaml", f"{one[1:]}prefill.yaml") for one in variants}


def test_files_that_no_name_tells_apart_are_not_joined() -> None:
    found = read({f"{name}.sh": vllm(role) for role in ROLES for name in (role, role[0])})
    assert all(len(one) == 1 for one in pairs(found))
    found = read({"a-prefill.sh": vllm("prefill"), "b-prefill.sh": vllm("prefill"), "c-decode.sh": vllm("decode")})
    assert all(len(one) == 1 for one in pairs(found))


def test_directories_are_apart_unless_there_are_two_inputs_only() -> None:
    two = {f"{role}/serve.sh": vllm(role) for role in ROLES}
    assert pairs(read(two)) == {("decode/serve.sh", "prefill/serve.sh")}
    four = two | {f"other/{role}.sh": vllm(role) for role in ROLES}
    assert pairs(read(four)) == {("other/decode.sh", "other/prefill.sh"), ("decode/serve.sh",), ("prefill/serve.sh",)}


def test_a_script_and_a_manifest_may_be_halves_of_one_deployment() -> None:
    found = read({"p.yaml": deployment("a", vllm("prefill")), "decode.sh": vllm("decode")})
    assert pairs(found) == {("decode.sh", "p.yaml")}


def test_texts_of_all_files_are_in_the_reading_and_problems_in_it_only() -> None:
    found = read({"prefill.sh": vllm("prefill"), "decode.sh": vllm("decode", more="--max-modl-len 8")})
    assert [problem.rule for problem in found["prefill.sh"].problems] == ["misspelt-argument"]
    assert found["decode.sh"].problems == ()
    report = check(list(found.values()), catalogue())
    assert [(one.name, one.primary.path) for one in report.findings] == [("misspelt-argument", "decode.sh")]


# -- beside a file that was named ------------------------------------------------------------------------------

SCRIPTS = {f"{role}.sh": vllm(role) for role in ROLES}


def test_the_other_half_is_looked_up_beside_a_file_that_was_named(tmp_path: Path) -> None:
    (found,) = walked(tmp_path, SCRIPTS, "decode.sh").values()
    assert (found.status, sorted(roles(found)[0])) == ("checked", ["decode", "prefill"])
    assert found.joined == (str(tmp_path / "prefill.sh"),)
    assert {text.path for text in found.texts} == {str(tmp_path / name) for name in SCRIPTS}


def test_nothing_is_looked_up_for_a_pair_or_for_a_file_that_a_walk_found(tmp_path: Path) -> None:
    whole = vllm("prefill").strip() + " &\n" + vllm("decode")
    (found,) = walked(tmp_path, SCRIPTS | {"all.sh": whole}, "all.sh").values()
    assert (roles(found), found.joined) == (PAIR, ())
    found = walked(tmp_path / "more", {"sub/prefill.sh": vllm("prefill"), "decode.sh": vllm("decode"), "x/a.sh": whole})
    assert all(one.joined == () for one in found.values())


def test_what_is_beside_is_the_half_of_its_own_name_first(tmp_path: Path) -> None:
    files = {f"{role}{variant}.sh": vllm(role) for role in ROLES for variant in ("", "-tp4", "-fp8")}
    (found,) = walked(tmp_path, files, "prefill-tp4.sh").values()
    assert found.joined == (str(tmp_path / "decode-tp4.sh"),)
    del files["decode-tp4.sh"]
    (tmp_path / "decode-tp4.sh").unlink()
    (found,) = walked(tmp_path, files, "prefill-tp4.sh").values()
    assert (roles(found), found.joined) == ([["prefill"]], ())


def test_a_file_beside_is_the_half_of_one_input_only(tmp_path: Path) -> None:
    files = {"prefill-a.sh": vllm("prefill"), "prefill-b.sh": vllm("prefill"), "decode-a.sh": vllm("decode")}
    found = walked(tmp_path, files, "prefill-b.sh", "prefill-a.sh")
    assert found["prefill-a.sh"].joined == (str(tmp_path / "decode-a.sh"),)
    assert (roles(found["prefill-b.sh"]), found["prefill-b.sh"].joined) == ([["prefill"]], ())


def test_an_input_is_not_looked_up_again(tmp_path: Path) -> None:
    files = {"prefill-a.sh": vllm("prefill"), "decode-a.sh": vllm("decode"), "prefill-b.sh": vllm("prefill")}
    found = walked(tmp_path, files, "prefill-a.sh", "decode-a.sh", "prefill-b.sh")
    assert [roles(one) for one in found.values()] == [PAIR, [], [["prefill"]]]
    assert found["prefill-b.sh"].joined == ()


# -- what is no pair -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("serve.sh", "vllm serve m\n"),
        ("serve.sh", "python3 -m sglang.launch_server --model-path m\n"),
        ("prefill.sh", "vllm serve m\n"),
        ("a.yaml", deployment("q", "vllm serve m")),
        ("a.yaml", deployment("q", "vllm serve m", label="prefill")),
        ("a.yaml", deployment("q-prefill", "vllm serve m" + BOTH.replace("NixlConnector", "LMCacheConnectorV1"))),
        ("serve.sh", "docker build -t vllm-openai .\n"),
    ],
    ids=["aggregated", "aggregated sglang", "a name", "a manifest", "a label", "a cache", "nothing launched"],
)
def test_what_is_no_pair_is_said_in_one_line(name, text) -> None:
    found = read({name: text})[name]
    assert (found.status, found.deployments, found.problems) == ("not-pd", (), ())
    assert found.detail
    assert "\n" not in found.detail


def test_a_label_is_no_half_of_a_pair_and_two_labels_are_one() -> None:
    alone = read({"a.yaml": deployment("q", "vllm serve m", label="decode")})["a.yaml"]
    assert "decode" in alone.detail
    halves = [deployment(f"q-{role}", "vllm serve m" + BOTH, label=role) for role in ROLES]
    found = read({"a.yaml": "---\n".join(halves)})["a.yaml"]
    assert (found.status, roles(found)) == ("checked", PAIR)


def test_labels_of_both_roles_that_do_not_fit_are_not_said_to_be_one_only() -> None:
    halves = [
        deployment(f"{role}-q", f"vllm serve {model}", label=role) for role, model in zip(ROLES, "ab", strict=True)
    ]
    found = read({"a.yaml": "---\n".join(halves)})["a.yaml"]
    assert found.status == "not-pd"
    alone = read({"a.yaml": halves[0]})["a.yaml"]
    assert found.detail != alone.detail


@pytest.mark.parametrize("role", list(ROLES))
@pytest.mark.parametrize("command", [vllm, sglang])
def test_a_lone_half_whose_command_shows_its_role_is_checked_without_a_boundary(role, command) -> None:
    reading = read({"serve.sh": command(role)})["serve.sh"]
    assert (reading.status, roles(reading)) == ("checked", [[role]])
    (item,) = check([reading], catalogue()).inputs
    assert (item.status, item.detail != "") == ("checked", True)


def test_a_connector_to_another_engine_makes_a_labelled_worker_a_half() -> None:
    found = read({"a.yaml": deployment("q", "vllm serve m" + BOTH, label="decode")})["a.yaml"]
    assert (found.status, roles(found)) == ("checked", [["decode"]])


# -- roles -----------------------------------------------------------------------------------------------------


def test_a_manifest_that_makes_a_pair_goes_before_commands_that_make_none() -> None:
    text = "---\n".join(deployment(f"q-{role}", sglang("decode"), label=role) for role in ROLES)
    reading = read({"a.yaml": text})["a.yaml"]
    (one,) = reading.deployments
    assert [(pool.name, pool.role, pool.settings.value("engine.mode")) for pool in one.pools] == [
        ("q-prefill", "prefill", "decode"), ("q-decode", "decode", "decode")
    ]  # fmt: skip
    (found,) = [one for one in check([reading], catalogue()).findings if one.name == "engine-mode-against-role"]
    assert text[found.primary.start : found.primary.end] == "decode"
    assert found.primary.line == text[: text.index("--disaggregation-mode")].count("\n") + 1


def test_commands_go_before_labels_where_they_make_a_pair() -> None:
    swapped = dict(zip(ROLES, reversed(ROLES), strict=True))
    text = "---\n".join(deployment(f"q-{role}", sglang(swapped[role])) for role in ROLES)
    (one,) = read({"a.yaml": text})["a.yaml"].deployments
    assert [(pool.name, pool.role) for pool in one.pools] == [("q-prefill", "decode"), ("q-decode", "prefill")]


def test_a_lone_half_keeps_the_role_of_its_command() -> None:
    found = read({"a.yaml": deployment("q", sglang("decode"), label="prefill")})["a.yaml"]
    assert roles(found) == [["decode"]]


def test_the_role_stands_where_it_is_said() -> None:
    text = "---\n".join(deployment(f"q-{role}", sglang(role)) for role in ROLES)
    (one,) = read({"a.yaml": text})["a.yaml"].deployments
    for pool in one.pools:
        stated = pool.settings.stated["engine.mode"]
        assert stated.place is not None
        assert text[stated.place.start : stated.place.end] == pool.role == stated.value


GRAPH = """\
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata: {name: g}
spec:
  services:
"""


def service(name: str, arguments: str) -> str:
    return f"""\
    {name}:
      componentType: worker
      extraPodSpec:
        mainContainer:
          image: nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.1.0
          command: [python3, -m, dynamo.vllm]
          args: [--model, m, {arguments}]
"""


NIXL = """--kv-transfer-config, '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'"""


def test_fields_of_one_object_that_make_a_pair_go_before_commands_that_make_none() -> None:
    services = [service(f"Vllm{role.title()}Worker", f"--disaggregation-mode, decode, {NIXL}") for role in ROLES]
    (one,) = read({"a.yaml": GRAPH + "".join(services)})["a.yaml"].deployments
    assert [(pool.role, pool.settings.value("engine.mode")) for pool in one.pools] == [
        ("prefill", "decode"), ("decode", "decode")
    ]  # fmt: skip


def test_encode_workers_are_no_pools() -> None:
    workers = [service(f"{mode}Worker", f"--disaggregation-mode, {mode}, {NIXL}") for mode in ("encode", *ROLES)]
    reading = read({"a.yaml": GRAPH + "".join(workers)})["a.yaml"]
    assert (reading.status, roles(reading)) == ("checked", PAIR)
    alone = read({"a.yaml": GRAPH + workers[0]})["a.yaml"]
    assert (alone.status, alone.deployments) == ("not-pd", ())


def test_an_object_that_declares_a_whole_deployment_is_joined_with_nothing() -> None:
    half = GRAPH + service("prefillWorker", f"--disaggregation-mode, prefill, {NIXL}")
    found = read({"p.yaml": half, "d.yaml": deployment("q-decode", vllm("decode"))})
    assert [one.joined for one in found.values()] == [(), ()]
    assert [roles(one) for one in found.values()] == [[["prefill"]], [["decode"]]]


# -- what cannot be read, and limits ---------------------------------------------------------------------------


def test_a_patch_without_its_base_is_unresolved() -> None:
    patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: q-prefill}\nspec:\n  replicas: 2\n"
    patch += "  template: {spec: {containers: [{name: engine, resources: {limits: {nvidia.com/gpu: 2}}}]}}\n"
    found = read({"p.yaml": patch})["p.yaml"]
    assert (found.status, found.deployments) == ("unresolved", ())
    assert found.detail


def test_what_patches_leave_to_the_command_of_their_base_is_not_left_out() -> None:
    patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: q-ROLE}\nspec:\n"
    patch += "  template: {spec: {containers: [{name: engine, args: [--block-size, '64']}]}}\n"
    reading = read({"a.yaml": "---\n".join(patch.replace("ROLE", role) for role in ROLES)})["a.yaml"]
    (one,) = reading.deployments
    assert [(pool.settings.scope, pool.settings.value("kv.block_size")) for pool in one.pools] == [(OPEN, 64)] * 2
    assert check([reading], catalogue()).findings == ()


def test_a_template_is_unresolved() -> None:
    found = read({"serve.sh": "vllm serve {{ .Values.model }} --port 1\n"})["serve.sh"]
    assert (found.status, found.deployments) == ("unresolved", ())


def test_a_pair_whose_commands_nobody_knows_is_unresolved() -> None:
    halves = [deployment(f"q-{role}", "ours-serve m", label=role) for role in ROLES]
    found = read({"a.yaml": "---\n".join(halves)})["a.yaml"]
    assert (found.status, found.deployments) == ("unresolved", ())
    assert "q-prefill" in found.detail


def test_pools_and_boundaries_are_bounded_and_that_is_said() -> None:
    text = "".join(f"{vllm(role, more=f'--port {port}').strip()} &\n" for port in range(1, 5) for role in ROLES)
    whole = read({"serve.sh": text})["serve.sh"]
    assert (len(whole.deployments[0].pools), len(whole.deployments[0].handoffs), whole.problems) == (8, 16, ())
    few = read({"serve.sh": text}, Limits(max_pools=4, max_boundaries=3))["serve.sh"]
    assert (len(few.deployments[0].pools), len(few.deployments[0].handoffs)) == (4, 3)
    assert [problem.rule for problem in few.problems] == ["too-many-pools"] * 2
    assert [problem.places[0].place.line for problem in few.problems] == [5, 1]
    exact = read({"serve.sh": text}, Limits(max_pools=8, max_boundaries=16))["serve.sh"]
    assert exact.problems == ()
