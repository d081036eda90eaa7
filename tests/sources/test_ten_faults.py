"""The bar of the deployment file: every fault of shape in one run, with place and nearest right word."""

from __future__ import annotations

from tests.support import check_text

TEXT = """\
hetpd: 1
modle: Qwen/Qwen3-32B
pools:
  - name: p
    role: prefil
    acelerator: h200
    workers: two
    parallelism: {tp: 4, tp: 8}
    connector: {name: nixll, lease_s: 30GiB}
    kv: {dtype: bf17, block_size: [16]}
  - role: decode
    memory: {utilization: 120%}
handoffs:
  - {from: q, to: p, path: {rate_gbit_per_s: 400GB}}
"""

EXPECTED = {
    (2, 1): ("unknown-key", "model"),
    (5, 11): ("invalid-value", "prefill"),
    (6, 5): ("unknown-key", "accelerator"),
    (7, 14): ("wrong-type", "whole number"),
    (8, 26): ("duplicate-key", "tp"),
    (9, 23): ("invalid-value", "nixl"),
    (9, 39): ("wrong-unit", "30s"),
    (10, 17): ("invalid-value", "bf16"),
    (10, 35): ("wrong-type", "whole number"),
    (11, 5): ("missing-key", "name"),
    (12, 27): ("wrong-unit", "100%"),
    (14, 12): ("unknown-reference", "p"),
    (14, 46): ("wrong-unit", "400GB/s"),
}


def test_all_faults_of_shape_come_out_in_one_run() -> None:
    found = {finding.primary[1:3]: finding for finding in check_text(TEXT).findings}
    assert {place: finding.name for place, finding in found.items()} == {
        place: name for place, (name, _) in EXPECTED.items()
    }
    for place, (_, word) in EXPECTED.items():
        assert word in f"{found[place].message} {found[place].fix}", place
