"""Gates that choose between wires, bound them, or only compare."""

from __future__ import annotations

from backlit.gates.base import Constant, Gate, aten
from backlit.gates.samples import Draw, Sample, binary, unary


class Where(Gate):
    """Takes the first wire where the condition holds, else the second."""

    formula = "z = x if c else y"
    local = "∂z/∂x = [c], ∂z/∂y = [not c]"
    broadcasts = True
    precision = "follow"
    forward = aten.where.self

    @staticmethod
    def backward(dz, z, condition, x, y):
        return (
            None,
            lambda: aten.where.self(condition, dz, dz.new_zeros(())),
            lambda: aten.where.self(condition, dz.new_zeros(()), dz),
        )

    @staticmethod
    def samples(r: Draw):
        for sample in binary()(r):
            x, y = sample.args
            yield Sample((r.mask(*x.shape), x, y))


class MaskedFill(Gate):
    """A constant where the mask holds, else the wire."""

    formula = "z = value if mask else x"
    local = "∂z/∂x = [not mask]"
    precision = "follow"
    forward = aten.masked_fill.Scalar
    broadcasts = True

    @staticmethod
    def backward(dz, z, x, mask, value):
        return lambda: dz.masked_fill(mask, 0), None, None

    @staticmethod
    def samples(r: Draw):
        for sample in unary()(r):
            (x,) = sample.args
            yield Sample((x, r.mask(*x.shape), 0.5))
        yield Sample((r(1, 3), r.mask(2, 1), 0.5))


class Maximum(Gate):
    """Larger of two wires: the gradient is routed to it, halved between both at a tie."""

    formula = "z = max(x, y)"
    local = "∂z/∂x = [x > y], ∂z/∂y = [y > x]; ½ each at a tie"
    broadcasts = True
    precision = "follow"
    forward = aten.maximum.default

    @staticmethod
    def backward(dz, z, x, y):
        half = aten.where.self(x == y, dz / 2, dz)
        return lambda: half.masked_fill(x < y, 0), lambda: half.masked_fill(x > y, 0)

    @staticmethod
    def samples(r: Draw):
        for sample in binary(-2.0, -0.1, second=(0.1, 2.0))(r):
            yield sample
            yield Sample(sample.args[::-1])
        x = r(3)
        yield Sample((x, x.clone()), smooth=False)


class Minimum(Gate):
    """Smaller of two wires: the gradient is routed to it, halved between both at a tie."""

    formula = "z = min(x, y)"
    local = "∂z/∂x = [x < y], ∂z/∂y = [y < x]; ½ each at a tie"
    broadcasts = True
    precision = "follow"
    forward = aten.minimum.default

    @staticmethod
    def backward(dz, z, x, y):
        half = aten.where.self(x == y, dz / 2, dz)
        return lambda: half.masked_fill(x > y, 0), lambda: half.masked_fill(x < y, 0)

    samples = Maximum.samples


def _inside(x, low, high):
    """1 where low <= x <= high (bounds pass), None where there is no bound at all."""
    inside = None
    if low is not None:
        inside = x >= low
    if high is not None:
        inside = (x <= high) if inside is None else inside & (x <= high)
    return inside


class Clamp(Gate):
    """Bounds a wire; the gradient passes where the bound is not active (and on it)."""

    formula = "z = min(max(x, low), high)"
    local = "∂z/∂x = [low ≤ x ≤ high]"
    precision = "follow"
    forward = aten.clamp.default

    @staticmethod
    def backward(dz, z, x, low=None, high=None):
        inside = _inside(x, low, high)
        return (dz if inside is None else lambda: dz * inside,)

    @staticmethod
    def samples(r: Draw):
        for shape in ((), (5,), (3, 4), (2, 3, 4), (0,)):
            yield Sample((r.apart(*shape), -0.93))
            yield Sample((r.apart(*shape), None, 0.91))
            yield Sample((r.apart(*shape), -0.93, 0.91))
        yield Sample((r.strided(3, 4, low=-0.9, high=0.9), -0.93, 0.91))
        yield Sample((r(3) * 0, 0.0), smooth=False)


class ClampMin(Gate):
    """Bounds a wire from below."""

    formula = "z = max(x, low)"
    local = "∂z/∂x = [x ≥ low]"
    precision = "follow"
    forward = aten.clamp_min.default

    @staticmethod
    def backward(dz, z, x, low):
        return (lambda: dz * (x >= low),)

    samples = unary(-0.9, 2.0, -1.0)


class ClampMax(Gate):
    """Bounds a wire from above."""

    formula = "z = min(x, high)"
    local = "∂z/∂x = [x ≤ high]"
    precision = "follow"
    forward = aten.clamp_max.default

    @staticmethod
    def backward(dz, z, x, high):
        return (lambda: dz * (x <= high),)

    samples = unary(-2.0, 0.9, 1.0)


class Compare(Constant):
    """Comparisons, logic and rounding: their output is constant between jumps."""

    formula = "z = compare(x, y)"
    forward = aten.gt.Scalar
    overloads = (
        aten.gt.Tensor,
        aten.lt.Scalar,
        aten.lt.Tensor,
        aten.ge.Scalar,
        aten.ge.Tensor,
        aten.le.Scalar,
        aten.le.Tensor,
        aten.eq.Scalar,
        aten.eq.Tensor,
        aten.ne.Scalar,
        aten.ne.Tensor,
        aten.logical_not.default,
        aten.logical_and.default,
        aten.logical_or.default,
        aten.logical_xor.default,
        aten.bitwise_not.default,
        aten.bitwise_and.Tensor,
        aten.bitwise_or.Tensor,
        aten.bitwise_xor.Tensor,
        aten.isnan.default,
        aten.isinf.default,
        aten.any.default,
        aten.any.dim,
        aten.any.dims,
        aten.all.default,
        aten.all.dim,
        aten.argmax.default,
        aten.argmin.default,
    )


class Step(Constant):
    """Sign and rounding: flat between their jumps."""

    formula = "z = sign x, ⌊x⌋, ⌈x⌉, round x"
    local = "∂z/∂x = 0"
    forward = aten.sign.default
    overloads = (
        aten.floor.default,
        aten.ceil.default,
        aten.round.default,
        aten.trunc.default,
    )


class Fill(Constant):
    """Constants made inside the graph."""

    formula = "z = constant"
    forward = aten.full.default
    overloads = (
        aten.full_like.default,
        aten.new_full.default,
        aten.new_zeros.default,
        aten.new_ones.default,
        aten.zeros.default,
        aten.ones.default,
        aten.zeros_like.default,
        aten.ones_like.default,
        aten.empty.memory_format,
        aten.empty_like.default,
        aten.scalar_tensor.default,
        aten.arange.default,
        aten.arange.start,
        aten.arange.start_step,
        aten.eye.default,
        aten.eye.m,
        aten.lift_fresh_copy.default,
    )
