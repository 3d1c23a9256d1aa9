"""Arithmetic gates, element by element."""

from __future__ import annotations

import math

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample, binary, unary


def _with_alpha(r: Draw):
    yield from binary()(r)
    yield Sample((r(2, 3), r(3)), {"alpha": -1.5})
    yield Sample((r(3), r(2, 1)), {"alpha": 2})


class Add(Gate):
    """Sum of two wires: the gradient is handed on unchanged to both (the add gate distributes)."""

    formula = "z = x + α y"
    local = "∂z/∂x = 1, ∂z/∂y = α"
    broadcasts = True
    precision = "follow"
    forward = aten.add.Tensor
    overloads = (aten.add.Scalar,)

    @staticmethod
    def backward(dz, z, x, y, alpha=1):
        return dz, dz if alpha == 1 else (lambda: dz * alpha)

    samples = _with_alpha


class Subtract(Gate):
    """Difference of two wires."""

    formula = "z = x − α y"
    local = "∂z/∂x = 1, ∂z/∂y = −α"
    broadcasts = True
    precision = "follow"
    forward = aten.sub.Tensor
    overloads = (aten.sub.Scalar,)

    @staticmethod
    def backward(dz, z, x, y, alpha=1):
        return dz, lambda: -dz if alpha == 1 else dz * -alpha

    samples = _with_alpha


class ReverseSubtract(Gate):
    """Difference with the second wire first: z = y − x."""

    formula = "z = y − α x"
    local = "∂z/∂x = −α, ∂z/∂y = 1"
    broadcasts = True
    precision = "follow"
    forward = aten.rsub.Tensor
    overloads = (aten.rsub.Scalar,)

    @staticmethod
    def backward(dz, z, x, y, alpha=1):
        return (lambda: -dz if alpha == 1 else dz * -alpha), dz

    samples = _with_alpha


class Multiply(Gate):
    """Product of two wires: each input's gradient is the *other* input times dz."""

    formula = "z = x y"
    local = "∂z/∂x = y, ∂z/∂y = x"
    broadcasts = True
    precision = "follow"
    forward = aten.mul.Tensor
    overloads = (aten.mul.Scalar,)

    @staticmethod
    def backward(dz, z, x, y):
        return lambda: y * dz, lambda: x * dz

    samples = binary()


class Divide(Gate):
    """Quotient of two wires."""

    formula = "z = x / y"
    local = "∂z/∂x = 1/y, ∂z/∂y = −x/y²"
    broadcasts = True
    precision = "follow"
    forward = aten.div.Tensor
    overloads = (aten.div.Scalar,)

    @staticmethod
    def backward(dz, z, x, y):
        return lambda: dz / y, lambda: -dz * ((x / y) / y)

    samples = binary(-2.0, 2.0, second=(0.5, 2.0))


class Negate(Gate):
    """Sign change."""

    formula = "z = −x"
    local = "∂z/∂x = −1"
    precision = "follow"
    forward = aten.neg.default

    @staticmethod
    def backward(dz, z, x):
        return (-dz,)

    samples = unary()


class Absolute(Gate):
    """Absolute value; the slope at 0 is taken as 0."""

    formula = "z = |x|"
    local = "∂z/∂x = sign x"
    precision = "follow"
    forward = aten.abs.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * x.sign(),)

    @staticmethod
    def samples(r: Draw):
        yield from unary(0.2, 2.0)(r)
        yield from unary(-2.0, -0.2)(r)
        yield Sample((r(3) * 0,), smooth=False)


class Power(Gate):
    """A wire to a constant power."""

    formula = "z = xᵖ"
    local = "∂z/∂x = p xᵖ⁻¹"
    forward = aten.pow.Tensor_Scalar

    @staticmethod
    def backward(dz, z, x, p):
        if p == 0:
            return (dz * 0,)
        if p == 1:
            return (dz,)
        if p == 2:
            return (lambda: 2 * x * dz,)
        return (lambda: dz * (p * x.pow(p - 1)),)

    @staticmethod
    def samples(r: Draw):
        yield from unary(-2.0, 2.0, 2)(r)
        for p in (3, -1.5, 0.5, 1, 0):
            low = -2.0 if p == 3 else 0.3
            yield Sample((r(3, 4, low=low), p))
            yield Sample((r(low=low), p))


class PowerOfTensor(Gate):
    """A wire to the power of another: z = x^y, for x > 0 where y needs a gradient."""

    formula = "z = xʸ"
    local = "∂z/∂x = y xʸ⁻¹, ∂z/∂y = xʸ ln x"
    broadcasts = True
    forward = aten.pow.Tensor_Tensor

    @staticmethod
    def backward(dz, z, x, y):
        # y = 0 has slope 0 everywhere, also at x = 0, where y x^(y-1) would be 0 · ∞;
        # x = 0 with y >= 0 has no slope in y, where x^y ln x would be 0 · -∞.
        at_zero = (x == 0) & (y >= 0)
        return (
            lambda: dz * (y * x.pow((y - 1).masked_fill(y == 0, 0))),
            lambda: dz * (z * x.masked_fill(at_zero, 1).log()).masked_fill(at_zero, 0),
        )

    samples = binary(0.3, 2.0, second=(-2.0, 2.0))


class PowerOfScalar(Gate):
    """A constant to the power of a wire: z = a^y."""

    formula = "z = aʸ"
    local = "∂z/∂y = aʸ ln a"
    forward = aten.pow.Scalar

    @staticmethod
    def backward(dz, z, a, y):
        return None, (lambda: dz * (z * math.log(a))) if a > 0 else (lambda: dz * 0)

    @staticmethod
    def samples(r: Draw):
        for sample in unary()(r):
            yield Sample((0.9, *sample.args))


class SquareRoot(Gate):
    """Square root."""

    formula = "z = √x"
    local = "∂z/∂x = 1 / (2 z)"
    forward = aten.sqrt.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz / (2 * z),)

    samples = unary(0.3, 2.0)


class ReciprocalSquareRoot(Gate):
    """One over the square root."""

    formula = "z = 1/√x"
    local = "∂z/∂x = −z³/2"
    forward = aten.rsqrt.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * (z * z * z * -0.5),)

    samples = unary(0.3, 2.0)


class Reciprocal(Gate):
    """One over the wire."""

    formula = "z = 1/x"
    local = "∂z/∂x = −1/x²"
    forward = aten.reciprocal.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: -dz * (z * z),)

    samples = unary(0.3, 2.0)


class Exponential(Gate):
    """e to the wire; the output is its own local gradient."""

    formula = "z = eˣ"
    local = "∂z/∂x = z"
    forward = aten.exp.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * z,)

    samples = unary()


class ExponentialMinusOne(Gate):
    """e to the wire, less one, exact near 0."""

    formula = "z = eˣ − 1"
    local = "∂z/∂x = z + 1"
    forward = aten.expm1.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * (z + 1),)

    samples = unary()


class Logarithm(Gate):
    """Natural logarithm."""

    formula = "z = ln x"
    local = "∂z/∂x = 1/x"
    forward = aten.log.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz / x,)

    samples = unary(0.3, 2.0)


class LogarithmOnePlus(Gate):
    """Natural logarithm of one plus the wire, exact near 0."""

    formula = "z = ln(1 + x)"
    local = "∂z/∂x = 1/(1 + x)"
    forward = aten.log1p.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz / (x + 1),)

    samples = unary(-0.6, 2.0)


class Square(Gate):
    """Square."""

    formula = "z = x²"
    local = "∂z/∂x = 2x"
    forward = aten.square.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: 2 * x * dz,)

    samples = unary()
