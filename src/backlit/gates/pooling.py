"""Pooling gates: average and maximum over windows, fixed or adaptive, and their adjoints.

A maximum pool remembers which element of each window won; its adjoint puts the gradient there,
and the adjoint of that reads the same places again.
"""

# Shapes: x (N, C, *S) or (C, *S); windows slide over the last 2 or 3 axes.
from __future__ import annotations

import math
from typing import Any, ClassVar

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


def _pooled(r: Draw, d: int):
    """Inputs and window settings (kernel, stride, padding) in d dimensions; no two values tie."""
    size = (5, 4, 3)[:d]
    for lead in ((), (2,), (1, 3), (2, 2)):
        if len(lead) == 2 or lead == (2,):
            yield r.apart(*lead, *size), [2] * d, [2] * d, [0] * d
            yield r.apart(*lead, *size), [3, 2, 2][:d], [1] * d, [1] * d
    yield r.apart(2, 1, *size), [2] * d, [], [1] * d
    yield r.apart(0, 2, *size), [2] * d, [2] * d, [0] * d
    yield r.apart(2, *size, 2).movedim(-1, 1), [2] * d, [1] * d, [0] * d


class _MaxPool(Gate):
    """Largest element of each window, and where it stood."""

    precision = "follow"
    formula = "z = max x over each window, with its index"
    local = "dx = dz at the winners, 0 elsewhere"
    adjoint: ClassVar[Any]
    axes: ClassVar[int]

    @classmethod
    def backward(cls, dz, z, x, kernel, stride=(), padding=0, dilation=1, ceil_mode=False):
        padding = [padding] * cls.axes if isinstance(padding, int) else padding
        dilation = [dilation] * cls.axes if isinstance(dilation, int) else dilation
        stride = list(stride) or kernel
        return (lambda: cls.adjoint(dz[0], x, kernel, stride, padding, dilation, ceil_mode, z[1]),)

    @classmethod
    def samples(cls, r: Draw):
        d = cls.axes
        for x, kernel, stride, padding in _pooled(r, d):
            yield Sample((x, kernel, stride, padding))
        yield Sample((r.apart(2, 2, *(5, 6, 5)[:d]), [2] * d, [2] * d, [0] * d, [2] * d, True))
        yield Sample((r(1, 1, *(4,) * d) * 0, [2] * d), smooth=False)


class MaxPool2d(_MaxPool):
    """Largest element of each window of a picture, and where it stood."""

    forward = aten.max_pool2d_with_indices.default
    adjoint = aten.max_pool2d_with_indices_backward.default
    axes = 2


class MaxPool3d(_MaxPool):
    """Largest element of each window of a volume, and where it stood."""

    forward = aten.max_pool3d_with_indices.default
    adjoint = aten.max_pool3d_with_indices_backward.default
    axes = 3


def read_winners(grad, indices, axes):
    """The elements of `grad` at the windows' winners: indices count over the last `axes` axes."""
    lead = grad.shape[: grad.dim() - axes]
    count = math.prod(indices.shape[-axes:])
    flat = grad.reshape(*lead, math.prod(grad.shape[-axes:]))
    return flat.gather(-1, indices.reshape(*lead, count)).reshape(indices.shape)


class _Scatter(Gate):
    """Adjoint of a maximum pool: puts values where the winners stood, summing overlaps."""

    precision = "follow"
    formula = "z = zeros with x added at the winners"
    local = "dx = dz at the winners"
    axes: ClassVar[int]

    @classmethod
    def backward(cls, dz, z, x, source, *settings):
        return (lambda: read_winners(dz, settings[-1], cls.axes),)


class _MaxPoolBackward(_Scatter):
    pool: ClassVar[type[_MaxPool]]

    @classmethod
    def samples(cls, r: Draw):
        pool = cls.pool
        for sample in pool.samples(r):
            x, kernel, stride, *rest = (*sample.args, [])[: max(len(sample.args), 3)]
            d = pool.axes
            padding = rest[0] if rest else [0] * d
            dilation = rest[1] if len(rest) > 1 else [1] * d
            ceil_mode = len(rest) > 2
            stride = stride or kernel
            x = x.detach()
            z, indices = pool.forward(x.double(), kernel, stride, padding, dilation, ceil_mode)
            yield Sample((r(*z.shape), x, kernel, stride, padding, dilation, ceil_mode, indices))


class MaxPool2dBackward(_MaxPoolBackward):
    """Adjoint of the maximum pool in two dimensions."""

    forward = aten.max_pool2d_with_indices_backward.default
    pool, axes = MaxPool2d, 2


class MaxPool3dBackward(_MaxPoolBackward):
    """Adjoint of the maximum pool in three dimensions."""

    forward = aten.max_pool3d_with_indices_backward.default
    pool, axes = MaxPool3d, 3


class _AveragePool(Gate):
    """Mean of each window."""

    formula = "z = mean of x over each window"
    local = "dx = dz / n spread over its window"
    adjoint: ClassVar[Any]
    axes: ClassVar[int]

    @classmethod
    def backward(
        cls,
        dz,
        z,
        x,
        kernel,
        stride=(),
        padding=0,
        ceil_mode=False,
        count_include_pad=True,
        divisor_override=None,
    ):
        padding = [padding] * cls.axes if isinstance(padding, int) else padding
        settings = (kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)
        return (lambda: cls.adjoint(dz, x, *settings),)

    @classmethod
    def samples(cls, r: Draw):
        d = cls.axes
        for x, kernel, stride, padding in _pooled(r, d):
            yield Sample((x, kernel, stride, padding))
        x = r(2, 2, *(5, 4, 5)[:d])
        yield Sample((x, [2] * d, [2] * d, [1] * d, True, False))
        yield Sample((x, [2] * d, [1] * d, [0] * d, False, True, 3))


class AveragePool2d(_AveragePool):
    """Mean of each window of a picture."""

    forward = aten.avg_pool2d.default
    adjoint = aten.avg_pool2d_backward.default
    axes = 2


class AveragePool3d(_AveragePool):
    """Mean of each window of a volume."""

    forward = aten.avg_pool3d.default
    adjoint = aten.avg_pool3d_backward.default
    axes = 3


class _AveragePoolBackward(Gate):
    """Adjoint of an average pool: spreads each value evenly over its window."""

    formula = "z = x / n spread over each window"
    local = "dx = mean of dz over each window"
    pool: ClassVar[type[_AveragePool]]

    @classmethod
    def backward(cls, dz, z, x, source, *settings):
        return (lambda: cls.pool.forward(dz, *settings),)

    @classmethod
    def samples(cls, r: Draw):
        for sample in cls.pool.samples(r):
            x, *rest = sample.args
            settings = (*rest, *(False, True, None)[len(rest) - 3 :])
            z = cls.pool.forward(x.double(), *settings)
            yield Sample((r(*z.shape), x.detach(), *settings))


class AveragePool2dBackward(_AveragePoolBackward):
    """Adjoint of the average pool in two dimensions."""

    forward = aten.avg_pool2d_backward.default
    pool = AveragePool2d


class AveragePool3dBackward(_AveragePoolBackward):
    """Adjoint of the average pool in three dimensions."""

    forward = aten.avg_pool3d_backward.default
    pool = AveragePool3d
