"""Trigonometric and hyperbolic gates and their inverses, element by element."""

from __future__ import annotations

from backlit.gates.base import Gate, aten
from backlit.gates.samples import binary, unary


class Sine(Gate):
    """Sine."""

    formula = "z = sin x"
    local = "∂z/∂x = cos x"
    forward = aten.sin.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * x.cos(),)

    samples = unary()


class Cosine(Gate):
    """Cosine."""

    formula = "z = cos x"
    local = "∂z/∂x = −sin x"
    forward = aten.cos.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: -(dz * x.sin()),)

    samples = unary()


class Tangent(Gate):
    """Tangent."""

    formula = "z = tan x"
    local = "∂z/∂x = 1 + z²"
    forward = aten.tan.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * (1 + z * z),)

    samples = unary(-1.2, 1.2)


class ArcSine(Gate):
    """Inverse of the sine."""

    formula = "z = arcsin x"
    local = "∂z/∂x = 1/√(1 − x²)"
    forward = aten.asin.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * (1 - x * x).rsqrt(),)

    samples = unary(-0.9, 0.9)


class ArcCosine(Gate):
    """Inverse of the cosine."""

    formula = "z = arccos x"
    local = "∂z/∂x = −1/√(1 − x²)"
    forward = aten.acos.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: -(dz * (1 - x * x).rsqrt()),)

    samples = unary(-0.9, 0.9)


class ArcTangent(Gate):
    """Inverse of the tangent."""

    formula = "z = arctan x"
    local = "∂z/∂x = 1/(1 + x²)"
    forward = aten.atan.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz / (1 + x * x),)

    samples = unary()


class ArcTangentOfTwo(Gate):
    """Angle of the point (x, y) from the first axis."""

    formula = "z = angle of (x, y)"
    local = "∂z/∂y = x/(x² + y²), ∂z/∂x = −y/(x² + y²)"
    broadcasts = True
    forward = aten.atan2.default

    @staticmethod
    def backward(dz, z, y, x):
        # The angle of (0, 0) has no slope; 0 is handed on, as PyTorch does.
        square = x * x + y * y
        share = (dz / square.masked_fill(square == 0, 1)).masked_fill(square == 0, 0)
        return lambda: share * x, lambda: -(share * y)

    samples = binary(0.3, 2.0, second=(-2.0, 2.0))


class HyperbolicSine(Gate):
    """Hyperbolic sine."""

    formula = "z = sinh x"
    local = "∂z/∂x = cosh x"
    forward = aten.sinh.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * x.cosh(),)

    samples = unary()


class HyperbolicCosine(Gate):
    """Hyperbolic cosine."""

    formula = "z = cosh x"
    local = "∂z/∂x = sinh x"
    forward = aten.cosh.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * x.sinh(),)

    samples = unary()


class InverseHyperbolicSine(Gate):
    """Inverse of the hyperbolic sine."""

    formula = "z = arsinh x"
    local = "∂z/∂x = 1/√(x² + 1)"
    forward = aten.asinh.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * (x * x + 1).rsqrt(),)

    samples = unary()


class InverseHyperbolicCosine(Gate):
    """Inverse of the hyperbolic cosine."""

    formula = "z = arcosh x"
    local = "∂z/∂x = 1/√(x² − 1)"
    forward = aten.acosh.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * (x * x - 1).rsqrt(),)

    samples = unary(1.3, 3.0)


class InverseHyperbolicTangent(Gate):
    """Inverse of the hyperbolic tangent."""

    formula = "z = artanh x"
    local = "∂z/∂x = 1/(1 − x²)"
    forward = aten.atanh.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz / (1 - x * x),)

    samples = unary(-0.9, 0.9)
