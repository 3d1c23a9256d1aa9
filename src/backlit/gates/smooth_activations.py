"""Smooth activations beside those of `activations`: mish and the gated linear unit."""

from __future__ import annotations

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample, unary


class Mish(Gate):
    """Self-gated activation. Source: Misra 2019, equation (1)."""

    formula = "z = x tanh(ln(1 + eˣ))"
    local = "∂z/∂x = t + x (1 − t²) σ(x), t = tanh(ln(1 + eˣ))"
    precision = "follow"
    forward = aten.mish.default

    @staticmethod
    def backward(dz, z, x):
        def rule():
            t = aten.softplus.default(x).tanh()
            return dz * (t + x * (1 - t * t) * x.sigmoid())

        return (rule,)

    samples = unary(-3.0, 3.0)


class GLU(Gate):
    """Gated linear unit: one half of an axis, weighted by the sigmoid of the other.

    Source: Dauphin et al. 2017, equation (1).
    """

    formula = "z = a σ(b), x = [a, b]"
    local = "da = dz σ(b), db = dz a σ(b) (1 − σ(b))"
    precision = "follow"
    forward = aten.glu.default

    @staticmethod
    def backward(dz, z, x, dim=-1):
        def rule():
            n = x.shape[dim] // 2
            a, gate = x.narrow(dim, 0, n), x.narrow(dim, n, n).sigmoid()
            part = dz * gate
            return aten.cat.default([part, part * a * (1 - gate)], dim)

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in (
            ((4,), 0),
            ((2,), -1),
            ((3, 4), 1),
            ((4, 3), 0),
            ((2, 4, 3), 1),
            ((2, 3, 6), -1),
            ((0, 4), 1),
        ):
            yield Sample((r(*shape), dim))
        yield Sample((r.strided(3, 4), 1))
