"""Softmax gates."""

from __future__ import annotations

import math

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


def _samples(r: Draw):
    for shape, dim in (
        ((), 0),
        ((4,), 0),
        ((3, 4), 1),
        ((3, 4), 0),
        ((2, 3, 4), -1),
        ((2, 3, 4), 1),
        ((0, 3), 1),
    ):
        yield Sample((r(*shape), dim, False))
    yield Sample((r.strided(3, 4), 1, False))


class Softmax(Gate):
    """Turns scores along an axis into positive numbers that sum to one."""

    formula = "zᵢ = e^xᵢ / Σ e^xⱼ"
    local = "dx = z (dz − Σ dz z)"
    forward = aten._softmax.default

    @staticmethod
    def backward(dz, z, x, dim, half_to_float):
        return (lambda: z * (dz - (dz * z).sum(dim, keepdim=True)),)

    @staticmethod
    def expand(x, dim, half_to_float):
        e = (x - x.detach().amax(dim, keepdim=True)).exp()
        return e / e.sum(dim, keepdim=True)

    samples = _samples


class SafeSoftmax(Gate):
    """Softmax that gives zeros where every score is -∞ (a fully masked row of attention)."""

    formula = "zᵢ = e^xᵢ / Σ e^xⱼ, 0 if all xⱼ = −∞"
    local = "dx = z (dz − Σ dz z)"
    forward = aten._safe_softmax.default

    @staticmethod
    def backward(dz, z, x, dim, dtype=None):
        return (lambda: z * (dz - (dz * z).sum(dim, keepdim=True)),)

    @staticmethod
    def samples(r: Draw):
        for sample in _samples(r):
            yield Sample(sample.args[:2])
        masked = r(3, 4).masked_fill(r.mask(3, 4), -math.inf)
        masked[1] = -math.inf
        yield Sample((masked, 1), smooth=False)


class LogSoftmax(Gate):
    """Logarithm of softmax, exact for large scores."""

    formula = "zᵢ = xᵢ − ln Σ e^xⱼ"
    local = "dx = dz − e^z Σ dz"
    forward = aten._log_softmax.default

    @staticmethod
    def backward(dz, z, x, dim, half_to_float):
        return (lambda: dz - z.exp() * dz.sum(dim, keepdim=True),)

    @staticmethod
    def expand(x, dim, half_to_float):
        shifted = x - x.detach().amax(dim, keepdim=True)
        return shifted - shifted.exp().sum(dim, keepdim=True).log()

    samples = _samples
