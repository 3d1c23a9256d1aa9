"""The ways optimisers take over a loss surface of two parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backlit.errors import RecipeError
from backlit.step.optimiser import Optimiser


@dataclass(frozen=True)
class Surface:
    """A loss of two parameters.

    Attributes:
        value: (x, y) to the loss, elementwise.
        start: where the paths begin.
        minimum: where the loss is least.
        window: x from, to, y from, to: the part worth drawing.
    """

    value: Callable[[Tensor, Tensor], Tensor]
    start: tuple[float, float]
    minimum: tuple[float, float]
    window: tuple[float, float, float, float]


SURFACES = {
    # Source: Beale 1955, "On an iterative method for finding a local minimum".
    "beale": Surface(
        lambda x, y: (
            (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2
        ),
        (1.0, 1.5),
        (3.0, 0.5),
        (-1.0, 4.5, -2.5, 2.5),
    ),
    # Source: Rosenbrock 1960, "An automatic method for finding the greatest or least value".
    "rosenbrock": Surface(
        lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
        (-1.5, 2.0),
        (1.0, 1.0),
        (-2.0, 2.0, -1.0, 3.0),
    ),
}

OPTIMISER_CHOICE: dict[str, Optimiser] = {
    "SGD": Optimiser("SGD", lr=1e-3),
    "momentum": Optimiser("SGD", lr=1e-3, momentum=0.9),
    "Nesterov": Optimiser("SGD", lr=1e-3, momentum=0.9, nesterov=True),
    "AdaGrad": Optimiser("Adagrad", lr=0.3),
    "RMSProp": Optimiser("RMSprop", lr=0.02),
    "AdaDelta": Optimiser("Adadelta", lr=5.0),
    "Adam": Optimiser("Adam", lr=0.05),
}


def surface(given: str | Surface) -> Surface:
    """A surface by name ("beale", "rosenbrock"), or itself.

    Raises: RecipeError for an unknown name.
    """
    if isinstance(given, Surface):
        return given
    if given not in SURFACES:
        raise RecipeError(f"surface: expected one of {', '.join(SURFACES)}, got {given!r}")
    return SURFACES[given]


def optimiser_paths(
    on: str | Surface = "beale", optimisers: Mapping[str, Any] | None = None, steps: int = 300
) -> dict[str, Tensor]:
    """Each optimiser's way from the surface's start.

    Args:
        on: a surface or its name.
        optimisers: label -> optimiser (as `Optimiser.of` takes it); default seven of them.
        steps: updates, at least 1; default 300.
    Returns: label -> points, float64 (steps + 1, 2), the start first.
    Raises: RecipeError for an unknown surface or optimiser, or fewer than 1 step.
    """
    where = surface(on)
    if steps < 1:
        raise RecipeError(f"optimiser_paths: expected at least 1 step, got {steps}")
    chosen = OPTIMISER_CHOICE if optimisers is None else optimisers
    return {label: _path(where, Optimiser.of(one), steps) for label, one in chosen.items()}


def _path(where: Surface, optimiser: Optimiser, steps: int) -> Tensor:
    point = torch.tensor(where.start, dtype=torch.float64)
    lr = torch.tensor(optimiser.lr, dtype=torch.float64)
    slots, points = optimiser.init(point), [point]
    gradient = torch.func.grad(lambda p: where.value(p[0], p[1]))
    for _ in range(steps):
        (point,), (slots,) = optimiser.update([point], [gradient(point)], [slots], lr)
        points.append(point)
    return torch.stack(points)  # (steps + 1, 2)
