"""The four equations of backpropagation in matrix form, beside a real network's gradients."""

# Shapes: a, z, delta (n, units), a row a sample; W (units, inputs), b (units).
from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlit.errors import RecipeError
from backlit.graph import Graph, Watched, capture
from backlit.graph.backprop import placeholders

FORMULAS = {
    "B1": "δ(L) = ∇ₐC ⊙ s'(z(L))",
    "B2": "δ(l) = (W(l+1)ᵀ δ(l+1)) ⊙ s'(z(l))",
    "B3": "∂C/∂b(l) = δ(l)",
    "B4": "∂C/∂W(l) = δ(l) a(l−1)ᵀ",
}
COSTS = {
    "quadratic": "C = 1/(2n) Σ ‖y − a(L)‖², ∇ₐC = a(L) − y",
    "cross_entropy": "C = −1/n Σ [y ln a(L) + (1 − y) ln(1 − a(L))]",
    "softmax cross_entropy": "C = −1/n Σ y ln softmax(z(L)), δ(L) = softmax(z(L)) − y",
}
AGREE = 1e-9


@dataclass(frozen=True)
class Layer:
    """One layer by the equations.

    Attributes:
        weight, bias: W(l) and b(l), float64.
        z, a: weighted input and activation, (n, units).
        slope: s'(z), (n, units).
        delta: the error δ(l) of each sample, (n, units).
        grad_weight, grad_bias: ∂C/∂W and ∂C/∂b, the mean over the samples.
    """

    weight: Tensor
    bias: Tensor
    z: Tensor
    a: Tensor
    slope: Tensor
    delta: Tensor
    grad_weight: Tensor
    grad_bias: Tensor


@dataclass(frozen=True)
class Row:
    """One equation at one layer: size of what it gives, and difference from the graph's."""

    equation: str
    layer: int
    shape: tuple[int, ...]
    size: float
    difference: float


@dataclass(frozen=True)
class FourEquations:
    """The equations of a network on a batch.

    Attributes:
        cost: the cost C, mean over the samples.
        formula: the cost's formula.
        layers: first to last.
        rows: each equation at each layer against the graph's gradient.
        threshold: a neuron is saturated where its mean |s'| is below this.
    """

    cost: float
    formula: str
    layers: tuple[Layer, ...]
    rows: tuple[Row, ...]
    threshold: float

    @property
    def largest_difference(self) -> float:
        """Between matrix form and graph, relative to the largest element of the matrix form."""
        return max(row.difference for row in self.rows)

    @property
    def agree(self) -> bool:
        """Whether matrix form and graph are equal to rounding."""
        return self.largest_difference <= AGREE

    @property
    def saturated(self) -> tuple[list[int], ...]:
        """For each layer the neurons that have stopped learning: mean |s'| below the threshold."""
        return tuple(
            (layer.slope.abs().mean(0) < self.threshold).nonzero().flatten().tolist()
            for layer in self.layers
        )

    def descend(self, lr: float) -> list[tuple[Tensor, Tensor]]:
        """B5, one step of gradient descent: W − α ∂C/∂W and b − α ∂C/∂b of each layer."""
        return [
            (layer.weight - lr * layer.grad_weight, layer.bias - lr * layer.grad_bias)
            for layer in self.layers
        ]

    def __str__(self) -> str:
        lines = [f"{self.formula}; C = {self.cost:.6g}", ""]
        lines += [f"{name}  {formula}" for name, formula in FORMULAS.items()]
        lines += ["", "      layer  shape       largest     from the graph's"]
        lines += [
            f"{r.equation}    {r.layer:5d}  {'×'.join(map(str, r.shape)):10}  {r.size:<10.4g}  "
            f"{r.difference:.1e}"
            for r in self.rows
        ]
        lines += ["", f"layer  saturated (mean |s'| < {self.threshold:g})"]
        for number, (layer, dead) in enumerate(zip(self.layers, self.saturated, strict=True), 1):
            share = len(dead) / layer.z.shape[1]
            which = f": neurons {', '.join(map(str, dead[:8]))}" if dead else ""
            more = ", ..." if len(dead) > 8 else ""
            lines.append(f"{number:5d}  {share:4.0%}{which}{more}")
        verdict = "agree" if self.agree else "DISAGREE"
        lines += ["", f"matrix form and graph {verdict}: {self.largest_difference:.1e}"]
        return "\n".join(lines)


def four_equations(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    cost: str = "quadratic",
    saturation: float = 0.01,
) -> FourEquations:
    """Evaluates δ(L), δ(l), ∂C/∂b and ∂C/∂W in matrix form and compares with the graph's.

    Args:
        network: linear layers, each followed by an activation or none: an `nn.Sequential`, or one
            of `backlit.nets` with its `layers`. It is left as it is; all is done in float64.
        x: inputs (n, features), or (n, ...) flattened.
        y: targets (n, outputs), or class numbers (n,).
        cost: ``"quadratic"``: 1/(2n) Σ ‖y − a(L)‖²; ``"cross_entropy"``: of sigmoid outputs, or
            of softmax where the network ends in a linear layer.
        saturation: mean |s'| under which a neuron counts as saturated.
    Raises: RecipeError for another network or cost, or targets that do not fit.

    Source: Nielsen 2015, "Neural Networks and Deep Learning", equations (BP1) to (BP4).
    """
    if cost not in ("quadratic", "cross_entropy"):
        raise RecipeError(f"cost: expected quadratic or cross_entropy, got '{cost}'")
    pairs = list(_layers(network))
    x = x.detach().double().flatten(1)
    n, outputs = x.shape[0], pairs[-1][0].out_features
    target = F.one_hot(y, outputs) if not y.is_floating_point() and y.dim() == 1 else y
    target = target.detach().double()
    if target.shape != (n, outputs):
        raise RecipeError(
            f"y: expected targets of shape {(n, outputs)} or class numbers ({n},), "
            f"got {tuple(y.shape)}"
        )
    sigmoid = isinstance(pairs[-1][1], nn.Sigmoid)
    if cost == "cross_entropy" and not sigmoid and not isinstance(pairs[-1][1], nn.Identity):
        raise RecipeError(
            "cross_entropy: expected a network that ends in a sigmoid or a linear layer, "
            f"got {type(pairs[-1][1]).__name__}"
        )
    net = nn.Sequential(*(part for pair in pairs for part in pair)).double()

    def loss(x: Tensor) -> Tensor:
        a = net(x)
        if cost == "quadratic":
            return (target - a).square().sum() / (2 * n)
        if sigmoid:
            return F.binary_cross_entropy(a, target, reduction="sum") / n
        return -(target * a.log_softmax(1)).sum() / n

    with torch.no_grad():
        layers = _by_the_equations(pairs, x, target, cost, sigmoid)
    graph = capture(loss, x)
    watched = graph.backward()
    wires = [gate.name for gate in graph if gate.operation == "aten.linear.default"]
    rows = []
    for number, (layer, wire) in enumerate(zip(layers, wires, strict=True)):
        theirs = {
            "B1" if layer is layers[-1] else "B2": (layer.delta, watched.gradient[wire] * n),
            "B3": (layer.grad_bias, _gradient(graph, watched, f"net.{2 * number}.bias")),
            "B4": (layer.grad_weight, _gradient(graph, watched, f"net.{2 * number}.weight")),
        }
        for name, (mine, other) in theirs.items():
            if other is None:
                continue  # a layer without a bias
            size = mine.abs().max().item()
            gap = (mine - other).abs().max().item() / max(size, 1e-300)
            rows.append(Row(name, number + 1, tuple(mine.shape), size, gap if size or gap else 0.0))
    rows.sort(key=lambda row: (row.equation, -row.layer))
    name = "softmax cross_entropy" if cost == "cross_entropy" and not sigmoid else cost
    return FourEquations(float(graph()), COSTS[name], tuple(layers), tuple(rows), saturation)


def _by_the_equations(
    pairs: list[tuple[nn.Linear, nn.Module]], x: Tensor, y: Tensor, cost: str, sigmoid: bool
) -> list[Layer]:
    """Forward through the layers, then B1 to B4 from the last to the first."""
    seen = []
    a = x
    for linear, activation in pairs:
        weight = linear.weight.double()
        bias = weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.double()
        z = a @ weight.T + bias
        seen.append((weight, bias, a, z, activation(z), _slope(activation, z)))
        a = seen[-1][4]
    n = x.shape[0]
    layers: list[Layer] = []
    for weight, bias, before, z, a, slope in reversed(seen):
        if layers:
            delta = (layers[-1].delta @ layers[-1].weight) * slope  # B2
        elif cost == "quadratic":
            delta = (a - y) * slope  # B1
        elif sigmoid:
            delta = (a - y) / (a * (1 - a)) * slope  # B1
        else:
            delta = a.softmax(1) * y.sum(1, keepdim=True) - y
        layers.append(Layer(weight, bias, z, a, slope, delta, delta.T @ before / n, delta.mean(0)))
    return layers[::-1]


def _slope(activation: nn.Module, z: Tensor) -> Tensor:
    """s'(z) of an element-wise activation."""
    grad = capture(lambda z: activation(z).sum(), z).value_and_grad()[1]["z"]
    return torch.zeros_like(z) if grad is None else grad


def _gradient(graph: Graph, watched: Watched, name: str) -> Tensor | None:
    """The graph's gradient of a parameter; None where there is no such parameter."""
    for wire, node in zip(graph.inputs, placeholders(graph.gm), strict=True):
        if wire.name == name:
            return watched.gradient[node.name]
    return None


def _layers(network: nn.Module) -> Iterator[tuple[nn.Linear, nn.Module]]:
    """The network as (linear, activation), a copy; an activation of nothing is an identity."""
    parts = [copy.deepcopy(part) for part in _parts(network)]
    for part, after in pairwise([*parts, nn.Identity()]):
        if isinstance(part, nn.Linear):
            yield part, nn.Identity() if isinstance(after, nn.Linear) else after
    linear = [isinstance(part, nn.Linear) for part in parts]
    if not any(linear) or any(not a and not b for a, b in pairwise([False, *linear])):
        names = ", ".join(type(part).__name__ for part in parts)
        raise RecipeError(
            "expected a fully connected network: linear layers, each followed by at most one "
            f"activation, got {names}"
        )


def _parts(network: nn.Module) -> Iterator[nn.Module]:
    children = list(network.children())
    if not children:
        skipped = isinstance(network, (nn.Flatten, nn.Identity))
        if not skipped and not (isinstance(network, nn.Dropout) and not network.training):
            yield network
    for child in children:
        yield from _parts(child)
