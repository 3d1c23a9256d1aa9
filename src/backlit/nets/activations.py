"""Activation functions by name, for every network that takes `activation=`."""

from collections.abc import Callable

from torch import Tensor, nn

from backlit.registry import build


class Step(nn.Module):
    """Heaviside step: 1 where x > 0, else 0; its gradient is 0 everywhere.

    Source: Rosenblatt 1958, "The perceptron".
    """

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)


ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softmax": lambda dim=-1: nn.Softmax(dim),
    "softplus": nn.Softplus,
    "step": Step,
    "tanh": nn.Tanh,
}


def activation(name: str, **options: float) -> nn.Module:
    """Return a new activation module of that name, such as "relu" or "leaky_relu".

    Raises:
        RecipeError: an unknown name or option; the allowed ones are listed.
    """
    return build("activation", ACTIVATIONS, name, options)
