"""Digits and wine."""

import sys

import pytest

from backlit.data import digits, wine
from backlit.errors import DataError


def test_digits():
    data = digits()
    assert data.inputs.shape == (1797, 1, 8, 8) and data.classes == tuple("0123456789")
    assert (len(data.train), len(data.validation), len(data.test)) == (1258, 180, 359)
    pixels = (data.inputs * data.std + data.mean) * 16
    assert pixels[0, 0, 0].round().tolist() == [0, 0, 5, 13, 9, 1, 0, 0] and data.targets[0] == 0
    assert sum(data.class_counts.values()) == 1797
    assert digits(seed=1).test.tolist() != data.test.tolist() == digits().test.tolist()


def test_wine():
    data = wine()
    assert data.inputs.shape == (178, 13) and data.columns[0] == "alcohol"
    assert data.class_counts == {"grower 1": 59, "grower 2": 71, "grower 3": 48}
    seen = data.inputs[data.train]
    assert seen.mean(0).abs().max() < 1e-5 and (seen.std(0, correction=0) - 1).abs().max() < 1e-5
    assert float(data.inputs[0, 0] * data.std[0] + data.mean[0]) == pytest.approx(14.23)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError) as error:
        digits()
    assert str(error.value) == (
        "digits: expected scikit-learn, which holds this set; install it with "
        "`pip install scikit-learn`"
    )
