"""Pools whose windows follow from the size asked for: adaptive average and maximum, fractional."""

# Shapes: x (N, C, *S) or (C, *S); windows cover the last 2 or 3 axes.
from __future__ import annotations

from typing import Any, ClassVar

from backlit.gates.base import Gate, aten
from backlit.gates.pooling import _Scatter
from backlit.gates.samples import Draw, Sample


def _sized(r: Draw, d: int):
    """Inputs and output sizes in d dimensions; no two values tie."""
    for lead, size, out in (
        ((2, 3), (4, 4, 4), (2, 2, 2)),
        ((2, 2), (5, 4, 3), (3, 2, 2)),
        ((1, 2), (5, 3, 4), (1, 1, 1)),
        ((3,), (4, 5, 3), (2, 3, 2)),
        ((2, 1), (3, 2, 2), (4, 3, 2)),
        ((1, 1), (4, 3, 3), (4, 3, 3)),
        ((0, 2), (4, 4, 4), (2, 2, 2)),
    ):
        yield r.apart(*lead, *size[:d]), list(out[:d])
    yield r.apart(2, *(4, 5, 3)[:d], 2).movedim(-1, 1), [2] * d


class _AdaptiveAverage(Gate):
    """Mean over windows that cut each axis into the asked number of parts."""

    formula = "z = mean of x over each window"
    local = "dx = dz / n spread over its window"
    adjoint: ClassVar[Any]
    axes: ClassVar[int]

    @classmethod
    def backward(cls, dz, z, x, output_size):
        return (lambda: cls.adjoint(dz, x),)

    @classmethod
    def samples(cls, r: Draw):
        for x, size in _sized(r, cls.axes):
            yield Sample((x, size))


class AdaptiveAveragePool2d(_AdaptiveAverage):
    """Mean of a picture over a grid of windows of the asked size."""

    forward = aten._adaptive_avg_pool2d.default
    adjoint = aten._adaptive_avg_pool2d_backward.default
    axes = 2


class AdaptiveAveragePool3d(_AdaptiveAverage):
    """Mean of a volume over a grid of windows of the asked size."""

    forward = aten._adaptive_avg_pool3d.default
    adjoint = aten._adaptive_avg_pool3d_backward.default
    axes = 3


class _AdaptiveAverageBackward(Gate):
    """Adjoint of the adaptive average: spreads each value evenly over its window."""

    formula = "z = x / n spread over each window"
    local = "dx = mean of dz over each window"
    pool: ClassVar[type[_AdaptiveAverage]]

    @classmethod
    def backward(cls, dz, z, x, source):
        return (lambda: cls.pool.forward(dz, list(x.shape[-cls.pool.axes :])),)

    @classmethod
    def samples(cls, r: Draw):
        for x, size in _sized(r, cls.pool.axes):
            yield Sample((r(*x.shape[: x.dim() - cls.pool.axes], *size), x.detach()))


class AdaptiveAveragePool2dBackward(_AdaptiveAverageBackward):
    """Adjoint of the adaptive average in two dimensions."""

    forward = aten._adaptive_avg_pool2d_backward.default
    pool = AdaptiveAveragePool2d


class AdaptiveAveragePool3dBackward(_AdaptiveAverageBackward):
    """Adjoint of the adaptive average in three dimensions."""

    forward = aten._adaptive_avg_pool3d_backward.default
    pool = AdaptiveAveragePool3d


class _AdaptiveMax(Gate):
    """Largest element of each window, and where it stood."""

    formula = "z = max x over each window, with its index"
    local = "dx = dz at the winners, 0 elsewhere"
    adjoint: ClassVar[Any]
    axes: ClassVar[int]

    @classmethod
    def backward(cls, dz, z, x, output_size):
        return (lambda: cls.adjoint(dz[0], x, z[1]),)

    @classmethod
    def samples(cls, r: Draw):
        for x, size in _sized(r, cls.axes):
            yield Sample((x, size))


class AdaptiveMaxPool2d(_AdaptiveMax):
    """Largest element of a picture over a grid of windows of the asked size."""

    forward = aten.adaptive_max_pool2d.default
    adjoint = aten.adaptive_max_pool2d_backward.default
    axes = 2


class AdaptiveMaxPool3d(_AdaptiveMax):
    """Largest element of a volume over a grid of windows of the asked size."""

    forward = aten.adaptive_max_pool3d.default
    adjoint = aten.adaptive_max_pool3d_backward.default
    axes = 3


class _AdaptiveMaxBackward(_Scatter):
    pool: ClassVar[type[_AdaptiveMax]]

    @classmethod
    def samples(cls, r: Draw):
        for x, size in _sized(r, cls.axes):
            z, indices = cls.pool.forward(x.double(), size)
            yield Sample((r(*z.shape), x.detach(), indices))


class AdaptiveMaxPool2dBackward(_AdaptiveMaxBackward):
    """Adjoint of the adaptive maximum in two dimensions."""

    forward = aten.adaptive_max_pool2d_backward.default
    pool, axes = AdaptiveMaxPool2d, 2


class AdaptiveMaxPool3dBackward(_AdaptiveMaxBackward):
    """Adjoint of the adaptive maximum in three dimensions."""

    forward = aten.adaptive_max_pool3d_backward.default
    pool, axes = AdaptiveMaxPool3d, 3


class _FractionalMax(Gate):
    """Largest element of windows whose places are drawn at random.

    Source: Graham 2014, "Fractional max-pooling", section 2.
    """

    formula = "z = max x over each random window, with its index"
    local = "dx = dz at the winners, 0 elsewhere"
    adjoint: ClassVar[Any]
    axes: ClassVar[int]

    @classmethod
    def backward(cls, dz, z, x, kernel, output_size, random_samples):
        return (lambda: cls.adjoint(dz[0], x, kernel, output_size, z[1]),)

    @classmethod
    def samples(cls, r: Draw):
        d = cls.axes
        for lead in ((1, 1), (2, 3), (0, 2)):
            places = r(*lead, d, low=0.0, high=1.0).detach()
            for size in ([2] * d, [3, 2, 2][:d], [1] * d):
                yield Sample((r.apart(*lead, *(5, 6, 4)[:d]), [2] * d, size, places))
        x = r.apart(2, *(5, 6, 4)[:d], 2).movedim(-1, 1)
        yield Sample((x, [2] * d, [2] * d, r(2, 2, d, low=0.0, high=1.0).detach()))


class FractionalMaxPool2d(_FractionalMax):
    """Largest element of a picture over windows whose places are drawn at random."""

    forward = aten.fractional_max_pool2d.default
    adjoint = aten.fractional_max_pool2d_backward.default
    axes = 2


class FractionalMaxPool3d(_FractionalMax):
    """Largest element of a volume over windows whose places are drawn at random."""

    forward = aten.fractional_max_pool3d.default
    adjoint = aten.fractional_max_pool3d_backward.default
    axes = 3


class _FractionalMaxBackward(_Scatter):
    pool: ClassVar[type[_FractionalMax]]

    @classmethod
    def samples(cls, r: Draw):
        for sample in cls.pool.samples(r):
            x, kernel, size, _ = sample.args
            z, indices = cls.pool.forward(x.double(), kernel, size, sample.args[3].double())
            yield Sample((r(*z.shape), x.detach(), kernel, size, indices))


class FractionalMaxPool2dBackward(_FractionalMaxBackward):
    """Adjoint of the fractional maximum in two dimensions."""

    forward = aten.fractional_max_pool2d_backward.default
    pool, axes = FractionalMaxPool2d, 2


class FractionalMaxPool3dBackward(_FractionalMaxBackward):
    """Adjoint of the fractional maximum in three dimensions."""

    forward = aten.fractional_max_pool3d_backward.default
    pool, axes = FractionalMaxPool3d, 3
