"""Random gates: where a graph draws noise. The draw has no gradient; what it multiplies has."""

from __future__ import annotations

from backlit.gates.base import Constant, Gate, aten
from backlit.gates.samples import Draw, Sample, unary


class Dropout(Gate):
    """Zeroes elements with probability p and scales the rest; the rule uses the saved mask.

    Source: Srivastava et al. 2014, section 4 (inverted scaling).
    """

    formula = "z = x mask / (1 − p)"
    local = "∂z/∂x = mask / (1 − p)"
    forward = aten.native_dropout.default

    @staticmethod
    def backward(dz, z, x, p, train):
        if not train or dz[0] is None:
            return (dz[0],)
        scale = 0.0 if p == 1 else 1 / (1 - p)
        return (lambda: dz[0] * z[1] * scale,)

    @staticmethod
    def samples(r: Draw):
        for sample in unary()(r):
            yield Sample((*sample.args, 0.5, True))
        yield Sample((r(3, 4), 0.25, True))
        yield Sample((r(3, 4), 0.25, False))
        yield Sample((r(3, 4), 1.0, True))


class RandomLike(Constant):
    """Noise of a wire's shape."""

    formula = "z ~ N(0, 1) or U(0, 1)"
    forward = aten.randn_like.default
    overloads = (
        aten.rand_like.default,
        aten.randn.default,
        aten.rand.default,
        aten.bernoulli.default,
        aten.bernoulli.p,
        aten.randint.default,
        aten.randint.low,
        aten.randperm.default,
        aten.normal.Tensor_float,
    )
