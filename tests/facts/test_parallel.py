"""Facts about stages and context parallelism: what starts, what meets, what is known without every setting."""

from __future__ import annotations

import pytest

from hetpd_cli.facts.nixl_agreement import frees_early, one_share_of_tokens
from hetpd_cli.facts.startup import context_starts, heads_share_tokens
from hetpd_cli.facts.values import Unknown

OPEN = Unknown("not said")


@pytest.mark.parametrize(
    ("tp", "other_tp", "dcp", "other_dcp", "found"),
    [
        (8, 8, 8, 8, True),
        (8, 4, 4, 4, False),
        (4, 8, 4, 4, False),
        (6, 2, 2, 2, True),  # rank 1 reads from rank 3, which has the second part too
        (2, 6, 2, 2, False),
        (8, 8, 8, 1, False),
        (8, 4, 1, 1, True),
    ],
)
def test_ranks_that_meet_have_one_share(tp, other_tp, dcp, other_dcp, found) -> None:
    assert one_share_of_tokens(False, tp, other_tp, dcp, other_dcp) is found


def test_a_prefill_that_reads_has_to_find_its_share_too() -> None:
    assert one_share_of_tokens(True, 6, 2, 2, 2) is False


def test_without_context_parallelism_ranks_need_not_be_known() -> None:
    assert one_share_of_tokens(OPEN, OPEN, OPEN, 1, 1) is True
    assert isinstance(one_share_of_tokens(False, OPEN, 8, 2, 2), Unknown)


@pytest.mark.parametrize(
    ("tp", "dcp", "heads", "kv_heads", "found"),
    [(16, 2, 64, 8, True), (8, 2, 64, 8, False), (16, 4, 64, 8, False), (24, 8, 24, 2, False), (24, 4, 24, 2, True)],
)
def test_copies_of_heads_share_tokens(tp, dcp, heads, kv_heads, found) -> None:
    assert heads_share_tokens(tp, dcp, "gqa", heads, kv_heads) is found


def test_a_latent_shares_tokens_without_heads() -> None:
    assert heads_share_tokens(8, 8, "mla", OPEN, OPEN) is True


@pytest.mark.parametrize(
    ("version", "tp", "pp", "cp", "dcp", "kind", "found"),
    [
        ("0.24.0", 8, 1, 1, 3, "mla", False),
        ("0.24.0", 8, 1, 2, 1, "mla", False),
        ("0.26.0", 8, 1, 2, 1, "mla", True),
        ("0.26.0", 8, 1, 2, 1, "gqa", False),
        ("0.31.0", 8, 2, 2, 1, "mla", False),
        ("0.32.0", 8, 2, 2, 1, "mla", True),
        ("0.33.0", 1, 1, 4, 4, "mla", False),
        ("0.33.0", 1, 1, 4, 4, "dsa", True),
        ("0.33.0", 2, 1, 4, 2, "dsa", False),
        ("0.33.0", 2, 1, 4, 8, "dsa", True),
    ],
)
def test_context_parallel_sizes_start(version, tp, pp, cp, dcp, kind, found) -> None:
    assert context_starts(version, tp, pp, cp, dcp, kind, True) is found


def test_a_size_that_does_not_divide_decides_alone() -> None:
    assert context_starts(OPEN, 8, OPEN, 1, 3, OPEN, OPEN) is False


def test_stages_of_decode_that_are_taken_free_blocks_early() -> None:
    assert frees_early(True, True, 2) is True
    assert frees_early(True, False, 2) is False
    assert frees_early(True, True, 1) is False
    assert isinstance(frees_early(True, OPEN, 2), Unknown)
