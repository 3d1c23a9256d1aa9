"""Padding: what comes out, and what is refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backlit.data import pad_sequences
from backlit.errors import DataError


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=7), min_size=1, max_size=6))
def test_the_mask_gives_the_sequences_back(sequences):
    padded, mask = pad_sequences(sequences)
    assert padded.shape == mask.shape == (len(sequences), max(map(len, sequences)))
    assert [row[kept].tolist() for row, kept in zip(padded, mask, strict=True)] == sequences
    assert not padded[~mask].any()


def test_features_value_and_length():
    padded, mask = pad_sequences([torch.ones(1, 2), torch.ones(4, 2)], value=-1, length=3)
    assert padded[0].tolist() == [[1, 1], [-1, -1], [-1, -1]] and (padded[1] == 1).all()
    assert mask.tolist() == [[True, False, False], [True, True, True]]


@pytest.mark.parametrize(
    ("sequences", "length", "text"),
    [
        ([], None, "expected at least 1 sequence, got 0"),
        ([[1]], 0, "expected a length of at least 1, got 0"),
        (
            [[1], []],
            None,
            "expected sequences of at least 1 step, sequence 1 has 0; leave it out",
        ),
        (
            [torch.ones(2, 3), torch.ones(2, 4)],
            None,
            "expected sequences alike, sequence 0 is float32 (T, 3), sequence 1 is float32 (T, 4)",
        ),
        (
            [[1], [0.5]],
            None,
            "expected sequences alike, sequence 0 is int64 (T), sequence 1 is float32 (T)",
        ),
    ],
)
def test_refused(sequences, length, text):
    with pytest.raises(DataError) as error:
        pad_sequences(sequences, length=length)
    assert str(error.value) == f"pad_sequences: {text}"
