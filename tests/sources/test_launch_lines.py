from __future__ import annotations

import pytest

from hetpd_cli.sources.launch import Group
from hetpd_cli.sources.launch_lines import MarkdownReader, ShellReader, launches_engine, launches_router, role_in
from hetpd_cli.sources.shell import commands
from hetpd_cli.sources.text import Limits, SourceText


def groups(text: str, path: str = "s.sh") -> list[Group]:
    reader = MarkdownReader() if path.endswith(".md") else ShellReader()
    source = SourceText(path, text)
    assert reader.claims(source)
    return reader.groups(source, Limits())


def shown(group: Group) -> list[tuple[str, object]]:
    return [(member.name, member.role.value if member.role else None) for member in group.members]


@pytest.mark.parametrize(
    ("line", "engine", "router"),
    [
        ("vllm serve m", True, False),
        ("numactl -N 0 python3 -u -m vllm.entrypoints.openai.api_server", True, False),
        ("srun trtllm-llmapi-launch trtllm-serve m", True, False),
        ("trtllm-serve disaggregated -c f", False, True),
        ("python3 -m dynamo.frontend", False, True),
        ("python3 -m dynamo.sglang", True, False),
        ("python3 -m sglang_router.launch_router", False, True),
        ("python toy_proxy_server.py", False, True),
        ("echo vllm serve m", False, False),
        ("vllm bench serve", False, False),
        ("pkill -f vllm serve", False, False),
    ],
)
def test_what_launches_what(line: str, engine: bool, router: bool) -> None:
    from hetpd_cli.sources.embedded import whole

    words = commands(whole(SourceText("s.sh", line)), {})[0].words
    assert (launches_engine(words), launches_router(words)) == (engine, router)


def test_a_script_is_one_group() -> None:
    text = """#!/bin/bash
CUDA_VISIBLE_DEVICES=0,1 vllm serve m --kv-transfer-config '{"kv_role":"kv_producer"}' &
CUDA_VISIBLE_DEVICES=$GPU vllm serve m > decode.log &
python3 toy_proxy_server.py
"""
    (group,) = groups(text)
    assert shown(group) == [("prefill", None), ("decode", "decode")]
    stated = group.members[0].settings.stated["devices_per_worker"]
    assert stated.value == 2
    assert stated.place is not None
    assert text[stated.place.start : stated.place.end] == "0,1"
    assert "devices_per_worker" not in group.members[1].settings.stated
    assert [launch.words[0].value for launch in group.others] == ["python3"]


def test_docker_ssh_and_shells_are_seen_through() -> None:
    text = """#!/bin/bash
docker run -d --name prefill --gpus '"device=0,1"' -e A=1 vllm/vllm-openai:v0.11.0 --model m
ssh node2 "B=2 vllm serve m --port 1" > decode.log
srun -n 1 bash -c 'vllm serve n'
docker exec -it decode vllm serve o
"""
    (group,) = groups(text)
    lines = [[word.value for word in member.launches[0].words] for member in group.members]
    assert lines == [
        ["vllm", "serve", "--model", "m"],
        ["vllm", "serve", "m", "--port", "1"],
        ["vllm", "serve", "n"],
        ["vllm", "serve", "o"],
    ]
    assert [member.role.value if member.role else None for member in group.members] == [
        "prefill",
        "decode",
        None,
        "decode",
    ]
    stated = group.members[0].settings.stated
    assert {path: found.value for path, found in stated.items()} == {
        "devices_per_worker": 2,
        "engine.image": "vllm/vllm-openai:v0.11.0",
    }
    assert {name: word.value for name, word in group.members[0].launches[0].env.items()} == {"A": "1"}


def test_disaggregated_prefilling_is_no_role() -> None:
    (group,) = groups(
        "#!/bin/sh\n# disaggregated prefill\nvllm serve m\n# chunked prefill\nvllm serve n\n", "disagg_prefill.sh"
    )
    assert [role for _, role in shown(group)] == [None, None]


def test_templates_are_not_read() -> None:
    assert groups("#!/bin/sh\nvllm serve {{ model }}\n")[0].unresolved
    assert groups("#!/bin/sh\n{% if x %}\nvllm serve m\n{% endif %}\n")[0].unresolved
    assert not groups("#!/bin/sh\ndocker ps --format '{{.Names}}'\nvllm serve m\n")[0].unresolved


def test_pages_are_parted_by_headings() -> None:
    page = """# Serving
## Alone
```bash
export CUDA_VISIBLE_DEVICES=0
vllm serve a
```
## 1P1D
### Prefill
1. there:
   ```console
   $ vllm serve b \\
       --port 1
   INFO started
   ```
### Decode
```sh
vllm serve b --port 2
```
```python
"vllm serve c"
```
"""
    found = {group.name: group for group in groups(page, "p.md")}
    assert {name: shown(group) for name, group in found.items()} == {
        "1P1D": [("prefill", "prefill"), ("decode", "decode")],
        "Alone": [("vllm-1", None)],
    }
    words = [word.value for word in found["1P1D"].members[0].launches[0].words]
    assert words == ["vllm", "serve", "b", "--port", "1"]
    assert found["1P1D"].members[0].place.line == 11
    # What a block exports that starts a server is for its own shell.
    assert not found["1P1D"].members[1].settings.stated
    assert found["Alone"].members[0].settings.stated["devices_per_worker"].value == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.yaml", "x: vllm serve m"),
        ("-", "apiVersion: v1\nkind: Pod\nargs: [vllm serve m]"),
        ("a.sh", "echo hello"),
        ("a.py", "# vllm serve m"),
    ],
)
def test_not_claimed(path: str, text: str) -> None:
    assert not ShellReader().claims(SourceText(path, text))


def test_nothing_launched_is_no_group() -> None:
    assert groups("#!/bin/sh\necho vllm serve m\n") == []


@pytest.mark.parametrize(
    ("words", "role"),
    [
        ("Speculative Decoding", None),
        ("guided_decoding", None),
        ("Suffix Decoding", None),
        ("Decoding", "decode"),
        ("2. Decoding", "decode"),
        ("start the decoding nodes", "decode"),
        ("speculative decoding on the prefill node", "prefill"),
        ("prefill/decode", None),
    ],
)
def test_what_names_a_role(words: str, role: str | None) -> None:
    assert role_in(words) == role


def test_the_image_of_a_server_launches_it() -> None:
    text = "docker run --name prefill vllm/vllm-openai:v0.24.0 --model m\ndocker run --name decode vllm/vllm-openai:v0.24.0 --model m\n"
    expected = [("prefill", "prefill"), ("decode", "decode")]
    assert shown(groups(text)[0]) == expected
    assert shown(groups(f"# Ours\n\n```bash\n{text}```\n", "r.md")[0]) == expected
    assert groups("docker build -t ours/vllm-openai .\n") == []


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("P node", "prefill"),
        ("=== D Node 1", "decode"),
        ("P1", "prefill"),
        ("PREFILL_CMD", "prefill"),
        ("Decoder node 2", "decode"),
        ("1P1D", None),
        ("P100", None),
        ("H100 p1", None),
        ("Speculative decoding", None),
        ("Encoder (producer)", None),
        ("Prefill+Decode (consumer)", None),
        ("Disaggregated prefill: decode node", "decode"),
    ],
)
def test_roles_in_names(text: str, role: str | None) -> None:
    assert role_in(text) == role


TWO = """\
NIXL='{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'
CUDA_VISIBLE_DEVICES=0,1 vllm serve m -tp 2 --kv-transfer-config "$NIXL" > prefill.log &
CUDA_VISIBLE_DEVICES=2,3 vllm serve m -tp 2 --kv-transfer-config "$NIXL" > decode.log &
"""


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        (TWO, True),
        (TWO.replace("2,3", "0,1"), False),
        (TWO.replace("CUDA_VISIBLE_DEVICES=2,3 ", ""), False),
        (TWO.replace("m -tp", "m --nnodes 2 -tp"), False),
    ],
)
def test_processes_among_which_a_script_parts_the_devices_share_its_host(text, shared) -> None:
    (group,) = ShellReader().groups(SourceText("pair.sh", text), Limits())
    assert len(group.members) == 2
    hosts = [member.settings.value("hosts") for member in group.members]
    assert (hosts[0] == hosts[1] is not None) is shared
    assert ({member.settings.value("host_network") for member in group.members} == {True}) is shared
