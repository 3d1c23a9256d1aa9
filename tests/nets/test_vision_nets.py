"""The detector and the embedding: shapes, boxes never inside out, the initial scores."""

import pytest
import torch

from backlit.errors import RecipeError
from backlit.nets import network


def test_detector() -> None:
    torch.manual_seed(0)
    net = network("detector", width=4, classes=3)
    out = net(torch.randn(2, 3, 32, 48))
    assert out.shape == (2, 4, 6, 7)
    assert (out[..., 2:4] > out[..., :2]).all()
    middle = (out[..., :2] + out[..., 2:4])[0, 1, 2] / 2
    torch.testing.assert_close(middle, torch.tensor([2.5 / 6, 1.5 / 4]), atol=0.05, rtol=0)
    assert out[..., 4:].sigmoid().mean().item() == pytest.approx(0.01, abs=0.005)


def test_embedding() -> None:
    net = network("embedding", size=16, dimensions=5, width=4, channels=1)
    assert net(torch.randn(2, 1, 16, 16)).shape == (2, 5)
    with pytest.raises(RecipeError, match="size must be a multiple of 8 pixels, got 20"):
        network("embedding", size=20)
