"""Sample inputs for the gate tests: what shapes, layouts and values each gate is tried on.

Every family yields at least eight samples, among them 0-d, empty, non-contiguous and (for gates
of two inputs) broadcast ones. A sample's floating tensors are what gets differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """One call of a gate: positional and keyword arguments; `smooth` is False at a kink."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True


class Draw:
    """Draws test tensors of one dtype from one seed."""

    def __init__(self, dtype: torch.dtype = torch.float64, seed: int = 0):
        self.dtype = dtype
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int, low: float = -2.0, high: float = 2.0) -> Tensor:
        """Uniform in [low, high), shape as given."""
        u = torch.rand(shape, generator=self.generator, dtype=torch.float64)
        return (low + (high - low) * u).to(self.dtype)

    def strided(self, *shape: int, low: float = -2.0, high: float = 2.0) -> Tensor:
        """The same values' range, laid out with gaps and reversed axis order."""
        wide = self(*shape[::-1], 2, low=low, high=high)[..., 0]
        return wide.permute(*range(len(shape))[::-1])

    def apart(self, *shape: int, scale: float = 4.0) -> Tensor:
        """Distinct values no nearer than scale / count, in random order: no ties, no kinks."""
        n = torch.Size(shape).numel()
        ranks = torch.randperm(n, generator=self.generator).double()
        return ((ranks - n / 2 + 0.25) * (scale / max(n, 1))).reshape(shape).to(self.dtype)

    def indices(self, high: int, *shape: int) -> Tensor:
        """Whole numbers in [0, high), int64."""
        return torch.randint(high, shape, generator=self.generator)

    def mask(self, *shape: int) -> Tensor:
        """Booleans."""
        return torch.rand(shape, generator=self.generator) < 0.5


Samples = Callable[[Draw], Iterator[Sample]]


def unary(low: float = -2.0, high: float = 2.0, *rest: Any, **kwargs: Any) -> Samples:
    """One tensor in [low, high), then the constant arguments `rest`."""

    def draw(r: Draw) -> Iterator[Sample]:
        for shape in ((), (1,), (5,), (3, 4), (2, 3, 4), (2, 1, 3, 2), (0,), (2, 0, 3)):
            yield Sample((r(*shape, low=low, high=high), *rest), dict(kwargs))
        yield Sample((r.strided(3, 4, low=low, high=high), *rest), dict(kwargs))
        yield Sample((r(4, 1, low=low, high=high).expand(4, 3), *rest), dict(kwargs))

    return draw


def binary(
    low: float = -2.0, high: float = 2.0, second: tuple[float, float] | None = None, **kwargs: Any
) -> Samples:
    """Two tensors that broadcast against each other; the second's range may differ."""
    low2, high2 = second or (low, high)

    def draw(r: Draw) -> Iterator[Sample]:
        for a, b in (
            ((), ()),
            ((3,), (3,)),
            ((2, 3), (2, 3)),
            ((2, 3), (3,)),
            ((3,), (2, 3)),
            ((2, 1, 4), (3, 1)),
            ((), (2, 2)),
            ((2, 2), ()),
            ((0,), (0,)),
            ((0, 3), (1, 3)),
        ):
            yield Sample((r(*a, low=low, high=high), r(*b, low=low2, high=high2)), dict(kwargs))
        yield Sample(
            (r.strided(3, 4, low=low, high=high), r(3, 1, low=low2, high=high2)), dict(kwargs)
        )

    return draw
