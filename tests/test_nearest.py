"""The word that was probably meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetpd_cli.fields import fields
from hetpd_cli.nearest import did_you_mean, nearest

WORDS = ("prefill.kv.block_size", "prefill.kv.dtype", "NixlConnector", "mooncake", "tp", "side-channel")
words = st.sampled_from(WORDS)


@given(words, st.randoms(use_true_random=False))
def test_case_dashes_and_underscores_are_not_told_apart(word, random) -> None:
    mangled = "".join(random.choice([one.upper(), one.lower(), {"-": "_", "_": "-"}.get(one, one)]) for one in word)
    assert nearest(mangled, WORDS) == word


@given(words.filter(lambda word: len(word) > 5), st.data())
def test_one_slip_of_a_longer_word_is_forgiven(word, data) -> None:
    index = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("abcxyz_.1"))
    for slip in (
        word[:index] + word[index + 1 :],
        word[:index] + letter + word[index:],
        word[:index] + letter + word[index + 1 :],
        word[:index] + word[index : index + 2][::-1] + word[index + 2 :],
    ):
        assert nearest(slip, WORDS) is not None


@given(st.text(max_size=100), st.lists(st.text(max_size=10), max_size=5))
def test_an_answer_is_a_known_word(word, known) -> None:
    assert nearest(word, known) in {None, *known}


@pytest.mark.parametrize(
    ("word", "known", "guess"),
    [
        ("dtyp", ("dtype", "type", "layout"), "dtype"),
        ("max-model-len", ("max_model_len", "max_model"), "max_model_len"),
        ("qqq", WORDS, None),
        ("", WORDS, None),
        ("x", (), None),
        ("a" * 80, ("a" * 80,), "a" * 80),
        ("a" * 81, ("a" * 81,), None),
        ("A", ("b", "a"), "a"),
    ],
)
def test_guesses(word, known, guess) -> None:
    assert nearest(word, known) == guess
    assert nearest(word, iter(known)) == guess


def test_every_field_is_nearest_to_itself() -> None:
    for section in ("pool", "handoff", "router"):
        for path in fields(section):
            assert nearest(path, fields(section)) == path


def test_the_end_of_the_sentence() -> None:
    assert did_you_mean("dtype") == ", did you mean dtype?"
    assert did_you_mean(None) == did_you_mean("") == ""
