"""Gates that bound one wire by another, and maxima that ignore what is not a number."""

from __future__ import annotations

import torch

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample, binary


class FloatMaximum(Gate):
    """Larger of two wires, ignoring what is not a number; a tie goes to the first."""

    formula = "z = max(x, y)"
    local = "∂z/∂x = [x ≥ y], ∂z/∂y = [y > x]"
    broadcasts = True
    forward = aten.fmax.default

    @staticmethod
    def backward(dz, z, x, y):
        first = (x >= y) | y.isnan()
        return lambda: dz.masked_fill(~first, 0), lambda: dz.masked_fill(first, 0)

    @staticmethod
    def samples(r: Draw):
        for sample in binary(-2.0, -0.1, second=(0.1, 2.0))(r):
            yield sample
            yield Sample(sample.args[::-1])


class FloatMinimum(Gate):
    """Smaller of two wires, ignoring what is not a number; a tie goes to the first."""

    formula = "z = min(x, y)"
    local = "∂z/∂x = [x ≤ y], ∂z/∂y = [y < x]"
    broadcasts = True
    forward = aten.fmin.default

    @staticmethod
    def backward(dz, z, x, y):
        first = (x <= y) | y.isnan()
        return lambda: dz.masked_fill(~first, 0), lambda: dz.masked_fill(first, 0)

    samples = FloatMaximum.samples


class ClampTensor(Gate):
    """Bounds a wire by two others; an active bound receives the gradient instead."""

    formula = "z = min(max(x, low), high)"
    local = "∂z/∂x = [low ≤ x ≤ high], ∂z/∂low = [x < low], ∂z/∂high = [x > high]"
    broadcasts = True
    forward = aten.clamp.Tensor

    @staticmethod
    def backward(dz, z, x, low=None, high=None):
        never = torch.zeros_like(x, dtype=torch.bool)
        over = never if high is None else x > high
        under = never if low is None else x < low
        if low is not None and high is not None:
            crossed = low > high  # then the upper bound holds
            over, under = over | crossed, under & ~crossed
        return (
            lambda: dz.masked_fill(over | under, 0),
            None if low is None else (lambda: dz.masked_fill(~under, 0)),
            None if high is None else (lambda: dz.masked_fill(~over, 0)),
        )

    @staticmethod
    def samples(r: Draw):
        for shape, bound in (((), ()), ((3,), ()), ((3, 4), (4,)), ((2, 3), (2, 1)), ((0,), ())):
            low, high = r(*bound, low=-1.0, high=-0.5), r(*bound, low=0.5, high=1.0)
            yield Sample((r.apart(*shape), low, high))
            yield Sample((r.apart(*shape), low))
            yield Sample((r.apart(*shape), None, high))
        yield Sample((r.strided(3, 4), r(1) * 0 - 0.51, r(1) * 0 + 0.51))


class ClampMinTensor(Gate):
    """Bounds a wire from below by another."""

    formula = "z = max(x, low)"
    local = "∂z/∂x = [x ≥ low], ∂z/∂low = [x < low]"
    broadcasts = True
    forward = aten.clamp_min.Tensor

    @staticmethod
    def backward(dz, z, x, low):
        return lambda: dz.masked_fill(x < low, 0), lambda: dz.masked_fill(x >= low, 0)

    samples = FloatMaximum.samples


class ClampMaxTensor(Gate):
    """Bounds a wire from above by another."""

    formula = "z = min(x, high)"
    local = "∂z/∂x = [x ≤ high], ∂z/∂high = [x > high]"
    broadcasts = True
    forward = aten.clamp_max.Tensor

    @staticmethod
    def backward(dz, z, x, high):
        return lambda: dz.masked_fill(x > high, 0), lambda: dz.masked_fill(x <= high, 0)

    samples = FloatMaximum.samples
