"""Fully connected networks: logistic regression, two layers, and as deep as asked.

Each takes (N, ...) and flattens what follows the batch; scores are raw (logits), so that the
loss can be computed without overflow: `losses.BinaryCrossEntropy` and `losses.CrossEntropy`
apply sigmoid and softmax themselves.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from backlit.errors import RecipeError
from backlit.nets.activations import activation as make_activation
from backlit.registry import Count, Probability


class LogisticRegression(nn.Module):
    """One linear map: (N, features) to scores (N, classes); p = sigmoid(w x + w0).

    Args:
        features: length of a flattened sample.
        classes: 1 (default) for yes or no through a sigmoid; more for softmax regression.

    Source: Cox 1958, "The regression analysis of binary sequences".
    """

    def __init__(self, features: Count, classes: Count = 1) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))  # (N, classes)

    def probability(self, x: Tensor) -> Tensor:
        """Return probabilities: (N, 1) of "yes" for one class, else (N, classes) summing to 1."""
        scores = self(x)
        return torch.sigmoid(scores) if scores.shape[1] == 1 else torch.softmax(scores, 1)


class TwoLayer(nn.Module):
    """The two-layer network: H = X W1 + b1, Y = act(H) W2 + b2.

    Args:
        features: length of a flattened sample.
        classes: scores per sample, default 10.
        hidden: units of the hidden layer, default 64.
        activation: its name, default "relu".

    Raises:
        RecipeError: an unknown activation.

    Source: Cybenko 1989, "Approximation by superpositions of a sigmoidal function", equation 1.
    """

    def __init__(
        self, features: Count, classes: Count = 10, hidden: Count = 64, activation: str = "relu"
    ) -> None:
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.activation = make_activation(activation)
        self.second = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.activation(self.first(x.flatten(1))))  # (N, classes)


class MLP(nn.Module):
    """A multilayer perceptron: linear, [batch norm], activation, [dropout] per hidden layer.

    Args:
        features: length of a flattened sample.
        classes: scores per sample, default 10.
        hidden: units of each hidden layer, default (256, 128).
        activation: its name, default "relu".
        dropout: probability of dropping a hidden unit, default 0.
        batch_norm: normalise before each activation, default False.

    Raises:
        RecipeError: an unknown activation, or a hidden width below 1.

    Source: Rumelhart et al. 1986, "Learning representations by back-propagating errors".
    """

    def __init__(
        self,
        features: Count,
        classes: Count = 10,
        hidden: Sequence[Count] = (256, 128),
        activation: str = "relu",
        dropout: Probability = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if any(width < 1 for width in hidden):
            raise RecipeError(f"mlp: every hidden width must be at least 1, got {tuple(hidden)}")
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([features, *hidden]):
            layers.append(nn.Linear(inputs, outputs, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(outputs))
            layers.append(make_activation(activation))
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear([features, *hidden][-1], classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.flatten(1))  # (N, classes)
