"""Fully connected networks, activations, and a linear layer seen as a convolution."""

import pytest
import torch
from torch import nn

from backlit.errors import RecipeError
from backlit.nets import (
    ACTIVATIONS,
    MLP,
    LogisticRegression,
    TwoLayer,
    activation,
    linear_as_convolution,
)


def test_activation_vectors() -> None:
    """Mission C4."""
    x = torch.tensor([1.0, -2, 3, -4, 7])
    assert activation("step")(x).tolist() == [1, 0, 1, 0, 1]
    assert activation("relu")(x).tolist() == [1, 0, 3, 0, 7]
    softmax = activation("softmax")(x)
    torch.testing.assert_close(softmax, x.exp() / x.exp().sum())
    torch.testing.assert_close(activation("sigmoid")(x), 1 / (1 + (-x).exp()))
    torch.testing.assert_close(activation("leaky_relu", negative_slope=0.5)(x), x.clamp(min=x / 2))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_keeps_the_shape(name: str) -> None:
    assert activation(name)(torch.randn(2, 3)).shape == (2, 3)


def test_logistic_regression() -> None:
    net = LogisticRegression(12)
    x = torch.randn(5, 3, 2, 2)
    weight, bias = net.linear.weight, net.linear.bias
    expected = 1 / (1 + torch.exp(-(x.flatten(1) @ weight.T + bias)))
    torch.testing.assert_close(net.probability(x), expected)
    assert net(x).shape == (5, 1)
    total = LogisticRegression(12, classes=4).probability(x).sum(1)
    torch.testing.assert_close(total, torch.ones(5))


def test_two_layer_is_its_formula() -> None:
    net = TwoLayer(6, classes=3, hidden=4, activation="tanh")
    x = torch.randn(5, 6)
    w1, b1, w2, b2 = net.parameters()
    torch.testing.assert_close(net(x), torch.tanh(x @ w1.T + b1) @ w2.T + b2)


def test_mlp_layers() -> None:
    net = MLP(8, classes=3, hidden=(6, 5), activation="prelu", dropout=0.4, batch_norm=True)
    kinds = [type(layer).__name__ for layer in net.layers]
    assert kinds == ["Linear", "BatchNorm1d", "PReLU", "Dropout"] * 2 + ["Linear"]
    assert net(torch.randn(4, 2, 2, 2)).shape == (4, 3)
    assert [tuple(p.shape) for p in MLP(8, 3, hidden=()).parameters()] == [(3, 8), (3,)]


def test_linear_as_convolution() -> None:
    """Mission D5: a fully connected layer equals a convolution as large as its input."""
    torch.manual_seed(0)
    linear = nn.Linear(8 * 7 * 7, 20).double()
    x = torch.randn(3, 8, 7, 7, dtype=torch.float64)
    convolution = linear_as_convolution(linear, 8, 7, 7)
    assert convolution.weight.shape == (20, 8, 7, 7)
    torch.testing.assert_close(convolution(x).flatten(1), linear(x.flatten(1)), rtol=1e-12, atol=0)
    assert convolution(torch.randn(1, 8, 9, 10).double()).shape == (1, 20, 3, 4)
    bare = linear_as_convolution(nn.Linear(4, 2, bias=False), 1, 2, 2)
    assert bare.bias is None


def test_vgg_first_dense_layer_as_convolution_has_4096_kernels() -> None:
    with torch.device("meta"):
        convolution = linear_as_convolution(nn.Linear(512 * 49, 4096), 512, 7, 7)
    assert convolution.weight.shape == (4096, 512, 7, 7)


def test_convolution_output_size() -> None:
    """Mission D2: 32x32x3 with six 5x5x3 kernels gives 28x28x6."""
    assert nn.Conv2d(3, 6, 5)(torch.zeros(1, 3, 32, 32)).shape == (1, 6, 28, 28)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: activation("rleu"), r"unknown activation 'rleu' \(did you mean 'relu'\?\); .*"),
        (lambda: MLP(3, hidden=(4, 0)), r"mlp: every hidden width must be .* got \(4, 0\)"),
        (
            lambda: linear_as_convolution(nn.Linear(10, 2), 2, 2, 2),
            r"a linear layer of 10 inputs is not 2x2x2 = 8; give the shape .*",
        ),
    ],
)
def test_errors(make, text: str) -> None:
    with pytest.raises(RecipeError, match=f"^{text}$"):
        make()
