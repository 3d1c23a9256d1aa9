"""Labelled: what it refuses; splits: right counts, disjoint, every class in proportion."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backlit.data import Labelled, split
from backlit.data.labelled import standardise
from backlit.errors import DataError


def labelled(**changes) -> Labelled:
    numbers = torch.arange(6)
    values = {
        "name": "six",
        "inputs": numbers[:, None].float(),
        "targets": numbers % 2,
        "classes": ("even", "odd"),
        "train": torch.tensor([0, 1, 2, 3]),
        "validation": torch.tensor([4]),
        "test": torch.tensor([5]),
        **changes,
    }
    return Labelled(**values)


def test_what_it_says_of_itself():
    data = labelled(lengths=torch.tensor([1, 0, 1, 1, 1, 1]))
    assert repr(data) == "Labelled(six: 6 of 1, 2 classes; 4 train, 1 validation, 1 test)"
    assert len(data) == 6 and data.class_counts == {"even": 3, "odd": 3}
    inputs, targets = data.batch([5, 0])
    assert inputs.tolist() == [[5], [0]] and targets.tolist() == [1, 0]
    assert data.mask.tolist() == [[True], [False], [True], [True], [True], [True]]
    assert labelled().mask is None
    assert labelled(classes=(), targets=torch.zeros(6, 1)).class_counts == {}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"targets": torch.zeros(5).long()},
            "six: expected one target for each of the 6 inputs, got 5 targets",
        ),
        (
            {"test": torch.tensor([6])},
            "six: expected indices of 0..5 in train, validation and test, got 0..6",
        ),
        (
            {"test": torch.tensor([4])},
            "six: expected each sample in one of train, validation and test, 1 are in two; "
            "give parts that share none",
        ),
        (
            {"train": torch.empty(0).long()},
            "six: expected at least 1 sample to train on, got 0 of 6",
        ),
        (
            {"targets": torch.arange(6)},
            "six: expected targets of 0..1 (there are 2 classes), got 0..5",
        ),
    ],
)
def test_refused(changes, text):
    with pytest.raises(DataError) as error:
        labelled(**changes)
    assert str(error.value) == text


def test_an_unknown_part():
    with pytest.raises(DataError, match="part: expected one of train, validation, test; got 'dev'"):
        labelled().part("dev")


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=200),
    st.floats(0, 0.25),
    st.floats(0, 0.25),
    st.integers(0, 99),
)
def test_parts_share_none_and_hold_every_class_in_proportion(labels, validation, test, seed):
    targets = torch.tensor(labels)
    n = len(targets)
    parts = split(n, validation, test, seed, targets)
    assert torch.cat(parts).sort().values.tolist() == list(range(n))
    assert len(parts[2]) == round(n * test) and len(parts[1]) == round(n * validation)
    for kind in set(labels):
        members = int((targets == kind).sum())
        found = int((targets[parts[2]] == kind).sum())
        assert abs(found - members * len(parts[2]) / n) <= 1.5
        assert (targets[parts[0]] == kind).any() or len(set(labels)) > len(parts[0])


def test_the_seed_decides():
    one, again, other = (split(50, 0.1, 0.2, seed)[2].tolist() for seed in (3, 3, 4))
    assert one == again != other and len(one) == 10


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.1), (0.1, -0.1), (0.3, 0.3)])
def test_shares_refused(validation, test):
    text = (
        f"expected shares of at least 0, together at most 0.5, for validation and test; "
        f"got {validation} and {test}"
    )
    with pytest.raises(DataError) as error:
        split(10, validation, test, 0)
    assert str(error.value) == text


def test_standardised_with_the_training_part_alone():
    inputs = torch.tensor([[1.0, 7], [3, 7], [100, 9]], dtype=torch.float64)
    scaled, mean, std = standardise(inputs, torch.tensor([0, 1]), (0,))
    assert mean.tolist() == [2, 7] and std.tolist() == [1, 1]
    assert scaled.tolist() == [[-1, 0], [1, 0], [98, 2]] and scaled.dtype == torch.float32
