"""The order is a function of its arguments only, and never of numpy's version."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backlit.data import batch_indices, order
from backlit.errors import DataError


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.integers(0, 2**63), st.integers(0, 10_000))
def test_an_order_is_a_permutation_and_repeatable(n, seed, epoch):
    first = order(n, seed, epoch)
    assert first.dtype == np.int64
    assert (np.sort(first) == np.arange(n)).all()
    assert (first == order(n, seed, epoch)).all()


def test_the_order_is_pinned():
    """A resumed run on another machine or numpy must see the same pictures."""
    assert order(10, 0, 0).tolist() == [3, 2, 1, 8, 6, 0, 7, 4, 5, 9]
    assert order(10, 7, 3).tolist() == [2, 4, 7, 3, 5, 1, 8, 9, 0, 6]


def test_seed_and_epoch_both_matter_and_are_not_swapped():
    orders = {tuple(order(50, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_every_position_is_as_likely():
    places = np.stack([order(8, seed, 0) for seed in range(4000)])
    counts = np.stack([(places == value).sum(axis=0) for value in range(8)])
    assert abs(counts - 500).max() < 110  # 5 standard deviations


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.data())
def test_an_epoch_of_batches_shows_no_picture_twice(n, data):
    batch = data.draw(st.integers(1, n))
    steps = n // batch
    seen = np.concatenate([batch_indices(n, batch, 3, step) for step in range(steps)])
    assert (seen == order(n, 3, 0)[: steps * batch]).all()
    assert (batch_indices(n, batch, 3, steps) == order(n, 3, 1)[:batch]).all()


def test_a_late_step_needs_no_earlier_one():
    late = batch_indices(1000, 64, 1, 123_456)
    for step in range(5):
        batch_indices(1000, 64, 1, step)
    assert (late == batch_indices(1000, 64, 1, 123_456)).all()


def test_changing_what_came_back_changes_nothing():
    batch_indices(10, 5, 0, 0)[:] = 0
    assert (batch_indices(10, 5, 0, 0) == order(10, 0, 0)[:5]).all()


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: order(-1, 0, 0), "order: expected n of at least 0, got -1"),
        (lambda: order(5, -2, 0), "order: expected seed of at least 0, got -2"),
        (lambda: order(5, 0, -3), "order: expected epoch of at least 0, got -3"),
        (
            lambda: batch_indices(3, 64, 0, 0),
            "batch: expected 1..3 (there are 3 pictures), got 64",
        ),
        (lambda: batch_indices(3, 0, 0, 0), "batch: expected 1..3 (there are 3 pictures), got 0"),
        (lambda: batch_indices(3, 2, 0, -1), "order: expected epoch of at least 0, got -1"),
    ],
)
def test_errors(call, text):
    with pytest.raises(DataError) as error:
        call()
    assert str(error.value) == text
