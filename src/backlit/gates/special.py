"""Further functions of one or two wires: logarithms of other bases, remainders, distances."""

from __future__ import annotations

import math

from backlit.gates.base import Constant, Gate, aten
from backlit.gates.samples import Draw, Sample, binary, unary


class LogarithmBaseTwo(Gate):
    """Logarithm to the base 2."""

    formula = "z = log₂ x"
    local = "∂z/∂x = 1/(x ln 2)"
    forward = aten.log2.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz / (x * math.log(2)),)

    samples = unary(0.3, 2.0)


class LogarithmBaseTen(Gate):
    """Logarithm to the base 10."""

    formula = "z = log₁₀ x"
    local = "∂z/∂x = 1/(x ln 10)"
    forward = aten.log10.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz / (x * math.log(10)),)

    samples = unary(0.3, 2.0)


class PowerOfTwo(Gate):
    """Two to the wire."""

    formula = "z = 2ˣ"
    local = "∂z/∂x = z ln 2"
    forward = aten.exp2.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * (z * math.log(2)),)

    samples = unary()


class ErrorFunctionComplement(Gate):
    """One minus the error function, exact for large inputs."""

    formula = "z = 1 − erf x"
    local = "∂z/∂x = −2/√π e^(−x²)"
    forward = aten.erfc.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * ((x * x).neg().exp() * -1.1283791670955126),)

    samples = unary()


class ErrorFunctionInverse(Gate):
    """Inverse of the error function."""

    formula = "z = erf⁻¹ x"
    local = "∂z/∂x = √π/2 e^(z²)"
    forward = aten.erfinv.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * ((z * z).exp() * 0.886226925452758),)

    samples = unary(-0.9, 0.9)


class ErrorFunctionScaled(Gate):
    """Complement of the error function times e^(x²)."""

    formula = "z = e^(x²) (1 − erf x)"
    local = "∂z/∂x = 2 x z − 2/√π"
    forward = aten.special_erfcx.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * (2 * x * z - 1.1283791670955126),)

    samples = unary()


class LogarithmOfNormal(Gate):
    """Logarithm of the normal distribution function, exact far below 0."""

    formula = "z = ln Φ(x)"
    local = "∂z/∂x = φ(x) / Φ(x)"
    forward = aten.special_log_ndtr.default

    @staticmethod
    def backward(dz, z, x):
        # φ/Φ by the scaled complement, which neither under- nor overflows where φ and Φ vanish;
        # that grows without bound above 0, where the plain quotient serves
        def rule():
            below, above = x.clamp_max(0), x.clamp_min(0)
            low = 0.7978845608028654 / aten.special_erfcx.default(below * -0.7071067811865476)
            phi = (above * above * -0.5).exp() * 0.7978845608028654
            high = phi / (1 + (above * 0.7071067811865476).erf())
            return dz * aten.where.self(x < 0, low, high)

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        yield from unary(-3.0, 3.0)(r)
        yield Sample((r(3, 4, low=-9.0, high=-3.0),))


class LogarithmOfGamma(Gate):
    """Logarithm of the gamma function."""

    formula = "z = ln Γ(x)"
    local = "∂z/∂x = ψ(x)"
    forward = aten.lgamma.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * x.digamma(),)

    samples = unary(0.3, 3.0)


class Digamma(Gate):
    """Derivative of the logarithm of the gamma function."""

    formula = "z = ψ(x)"
    local = "∂z/∂x = ψ⁽¹⁾(x)"
    forward = aten.digamma.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * aten.polygamma.default(1, x),)

    samples = unary(0.3, 3.0)


class Polygamma(Gate):
    """n-th derivative of the digamma function."""

    formula = "z = ψ⁽ⁿ⁾(x)"
    local = "∂z/∂x = ψ⁽ⁿ⁺¹⁾(x)"
    forward = aten.polygamma.default

    @staticmethod
    def backward(dz, z, n, x):
        return None, lambda: dz * aten.polygamma.default(n + 1, x)

    @staticmethod
    def samples(r: Draw):
        for sample in unary(0.5, 3.0)(r):
            yield Sample((1, *sample.args))


class Hypotenuse(Gate):
    """Length of the vector of two wires; at (0, 0) the slope is taken as 0."""

    formula = "z = √(x² + y²)"
    local = "∂z/∂x = x/z, ∂z/∂y = y/z"
    broadcasts = True
    forward = aten.hypot.default

    @staticmethod
    def backward(dz, z, x, y):
        share = (dz / z.masked_fill(z == 0, 1)).masked_fill(z == 0, 0)
        return lambda: share * x, lambda: share * y

    samples = binary(0.3, 2.0)


class Remainder(Gate):
    """What a division to whole numbers leaves: with the divisor's sign."""

    formula = "z = x − y ⌊x/y⌋"
    local = "∂z/∂x = 1, ∂z/∂y = −⌊x/y⌋"
    broadcasts = True
    forward = aten.remainder.Tensor
    overloads = (aten.remainder.Scalar,)

    @staticmethod
    def backward(dz, z, x, y):
        return dz, lambda: -(dz * (x / y).floor())

    samples = binary(2.1, 2.4, second=(0.8, 1.0))


class FloatRemainder(Gate):
    """What a division to whole numbers leaves: with the dividend's sign."""

    formula = "z = x − y trunc(x/y)"
    local = "∂z/∂x = 1, ∂z/∂y = −trunc(x/y)"
    broadcasts = True
    forward = aten.fmod.Tensor
    overloads = (aten.fmod.Scalar,)

    @staticmethod
    def backward(dz, z, x, y):
        return dz, lambda: -(dz * (x / y).trunc())

    samples = binary(2.1, 2.4, second=(0.8, 1.0))


class CopySign(Gate):
    """Magnitude of the first wire with the sign of the second."""

    formula = "z = |x| sign y"
    local = "∂z/∂x = sign x sign y"
    broadcasts = True
    forward = aten.copysign.Tensor
    overloads = (aten.copysign.Scalar,)

    @staticmethod
    def backward(dz, z, x, y):
        return lambda: dz * (x.sign() * z.sign()), None

    samples = binary(0.3, 2.0)


class Distance(Gate):
    """p-norm of the difference of two wires."""

    formula = "z = ‖x − y‖ₚ"
    local = "as the norm of x − y"
    broadcasts = True
    forward = aten.dist.default

    @staticmethod
    def backward(dz, z, x, y, p=2):
        from backlit.gates.reduction import VectorNorm

        difference = x - y
        (rule,) = VectorNorm.backward(dz, z, difference, p)
        return rule, lambda: -rule()

    @staticmethod
    def samples(r: Draw):
        for a, b in (((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (3,)), ((4,), (1,)), ((0,), (0,))):
            yield Sample((r.apart(*a), r.apart(*b) + 0.3))
        yield Sample((r.apart(3), r.apart(3) + 5, 1))
        yield Sample((r.apart(3), r.apart(3) + 5, 3))
        yield Sample((r.strided(2, 3), r(2, 3) + 5))


class WholeDivision(Constant):
    """Division to whole numbers: flat between its jumps."""

    formula = "z = ⌊x/y⌋ or trunc(x/y)"
    local = "∂z/∂x = 0"
    forward = aten.floor_divide.default
    overloads = (aten.floor_divide.Scalar,)
