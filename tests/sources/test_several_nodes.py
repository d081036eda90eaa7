"""Workers that span several machines, with one command on each."""

from __future__ import annotations

import pytest

from hetpd_cli.facts.values import Unknown
from hetpd_cli.sources.launch import Member
from hetpd_cli.sources.launch_lines import ShellReader
from hetpd_cli.sources.text import Limits, SourceText

SGLANG = "python3 -m sglang.launch_server --model-path m --disaggregation-mode prefill --tp 16"
VLLM = "vllm serve m --tensor-parallel-size 16"


def members(text: str) -> tuple[Member, ...]:
    (group,) = ShellReader().groups(SourceText("s.sh", "export CUDA_VISIBLE_DEVICES=0,1,2,3\n" + text), Limits())
    return group.members


def devices(member: Member) -> object:
    value = member.settings.stated["devices_per_worker"].value
    return None if isinstance(value, Unknown) else value


def test_nodes_of_one_worker_are_one() -> None:
    text = "".join(f"{SGLANG} --nnodes 4 --node-rank {rank} --host 10.0.0.{rank} &\n" for rank in range(4))
    (member,) = members(text)
    assert (member.nodes, devices(member)) == (4, 16)


def test_headless_nodes_add_their_devices() -> None:
    first = "vllm serve m -dp 12 --data-parallel-size-local 4"
    (member,) = members(f"{first} &\n{first} --headless --data-parallel-start-rank 4 &\n{first} --headless -dpr 8 &\n")
    assert (member.nodes, devices(member)) == (3, 12)


def test_nodes_that_differ_stay_apart() -> None:
    one = f"{SGLANG} --nnodes 2 --node-rank 0 --page-size 64"
    found = members(f"{one} &\n{one.replace('rank 0', 'rank 1').replace('64', '32')} &\n")
    assert [member.nodes for member in found] == [1, 1]


def test_a_further_node_alone_is_a_worker() -> None:
    (member,) = members(f"{SGLANG} --nnodes 2 --node-rank 1\n")
    assert (member.nodes, devices(member)) == (1, 8)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (SGLANG, 4),
        (f"{SGLANG} --nnodes 1", 4),
        (f"{SGLANG} --nnodes=4 --node-rank 0", 16),
        (f"{SGLANG} --nnodes $N --node-rank $R", None),
        (VLLM, 4),
        (f"{VLLM} --nnodes 4", None),
        (f"{VLLM} --distributed-executor-backend ray", None),
        (f"{VLLM} --data-parallel-backend=ray", None),
        ("mpirun -n 16 trtllm-llmapi-launch trtllm-serve m --tp_size 16", None),
        ("trtllm-serve m --tp_size 16", 4),
    ],
)
def test_devices_of_all_nodes(command: str, expected: object) -> None:
    (member,) = members(command + "\n")
    assert devices(member) == expected
