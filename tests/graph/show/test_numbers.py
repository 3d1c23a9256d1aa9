"""Statistics and small pictures of arrays, at their edges."""

import base64

import pytest
import torch

from backlit.graph.show import stats_of
from backlit.graph.show.numbers import picture_of

NAN, INF = float("nan"), float("inf")


def test_plain_numbers():
    s = stats_of(torch.tensor([[0.0, 3.0], [-4.0, 0.0]]))
    assert (s.count, s.minimum, s.maximum, s.mean, s.norm) == (4, -4, 3, -0.25, 5)
    assert (s.zeros, s.nonfinite, s.saturated, s.scalar) == (0.5, 0, None, None)
    assert len(s.histogram) == 16 and max(s.histogram) == 99


def test_scalar_and_constant():
    assert stats_of(torch.tensor(2.5)).scalar == 2.5
    s = stats_of(torch.ones(7))
    assert s.histogram == () and s.scalar is None and s.norm == pytest.approx(7**0.5)


def test_nan_and_infinity_are_counted_apart():
    s = stats_of(torch.tensor([NAN, INF, 1.0, -1.0]))
    assert s.nonfinite == 0.5 and s.norm == pytest.approx(2**0.5) and s.maximum == 1
    assert stats_of(torch.full((3,), NAN)).nonfinite == 1


@pytest.mark.parametrize("x", [None, 3, torch.empty(0), torch.empty(2, 0)])
def test_nothing_to_say(x):
    assert stats_of(x) is None


def test_whole_numbers_and_booleans():
    assert stats_of(torch.arange(5)).mean == 2
    assert stats_of(torch.tensor([True, False])).zeros == 0.5


def test_saturation():
    z = torch.sigmoid(torch.tensor([0.0, 10.0, -10.0, 1.0]))
    assert stats_of(z, 4 * z * (1 - z)).saturated == 0.5


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ((5,), 1, 5),
        ((100,), 1, 64),
        ((3, 4), 3, 4),
        ((100, 7), 24, 7),
        ((9, 30, 30), 24, 24),
        ((2, 1, 28, 28), 24, 24),
        ((2, 64, 8, 8), 24, 24),
        ((8, 4, 1, 1), 8, 4),
        ((2, 3, 4, 4, 4), 8, 8),
    ],
)
def test_pictures_are_small(shape, rows, columns):
    p = picture_of(torch.randn(shape, dtype=torch.float64))
    assert (p.rows, p.columns, p.channels) == (rows, columns, 1)
    assert len(base64.b64decode(p.pixels)) == rows * columns


def test_colour_picture():
    p = picture_of(torch.rand(2, 3, 32, 32, dtype=torch.float64), colour=True)
    assert (p.rows, p.columns, p.channels) == (32, 32, 3)
    assert len(base64.b64decode(p.pixels)) == 32 * 32 * 3


def test_a_picture_shows_the_numbers():
    p = picture_of(torch.tensor([[0.0, 1.0], [2.0, 4.0]], dtype=torch.float64))
    assert list(base64.b64decode(p.pixels)) == [0, 64, 128, 255] and (p.low, p.high) == (0, 4)
