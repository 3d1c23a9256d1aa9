"""Activation gates, element by element."""

from __future__ import annotations

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample, unary


class ReLU(Gate):
    """Rectifier; the slope at 0 is taken as 0."""

    formula = "z = max(0, x)"
    local = "∂z/∂x = [x > 0]"
    precision = "follow"
    forward = aten.relu.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * (z > 0),)

    @staticmethod
    def expand(x):
        # not clamp_min, whose slope at 0 is 1
        return aten.where.self(x > 0, x, x.new_zeros(()))

    @staticmethod
    def samples(r: Draw):
        yield from unary(0.2, 2.0)(r)
        yield from unary(-2.0, -0.2)(r)
        yield Sample((r(3) * 0,), smooth=False)


class LeakyReLU(Gate):
    """Rectifier with a small slope below 0."""

    formula = "z = x if x > 0 else a x"
    local = "∂z/∂x = 1 if x > 0 else a"
    precision = "follow"
    forward = aten.leaky_relu.default

    @staticmethod
    def backward(dz, z, x, slope=0.01):
        return (lambda: aten.where.self(x > 0, dz, dz * slope),)

    @staticmethod
    def samples(r: Draw):
        yield from unary(0.2, 2.0)(r)
        yield from unary(-2.0, -0.2, 0.2)(r)
        yield Sample((r(3) * 0, 0.2), smooth=False)


class Sigmoid(Gate):
    """Logistic function; its local gradient is (1 − z) z."""

    formula = "z = 1 / (1 + e⁻ˣ)"
    local = "∂z/∂x = (1 − z) z"
    precision = "follow"
    forward = aten.sigmoid.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * ((1 - z) * z),)

    @staticmethod
    def expand(x):
        return ((-x).exp() + 1).reciprocal()

    samples = unary(-4.0, 4.0)


class Tanh(Gate):
    """Hyperbolic tangent."""

    formula = "z = tanh x"
    local = "∂z/∂x = 1 − z²"
    precision = "follow"
    forward = aten.tanh.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * (1 - z * z),)

    @staticmethod
    def expand(x):
        # 2 σ(2x) − 1 keeps to elementary gates and cannot overflow to NaN.
        return ((x * -2).exp() + 1).reciprocal() * 2 - 1

    samples = unary()


class Softplus(Gate):
    """Smooth rectifier; above the threshold it is the identity."""

    formula = "z = ln(1 + e^(βx)) / β"
    local = "∂z/∂x = σ(βx)"
    forward = aten.softplus.default

    @staticmethod
    def backward(dz, z, x, beta=1, threshold=20):
        return (lambda: aten.where.self(x * beta > threshold, dz, dz * (x * beta).sigmoid()),)

    @staticmethod
    def samples(r: Draw):
        yield from unary(-3.0, 3.0)(r)
        yield from unary(-3.0, 3.0, 2.0, 5.0)(r)


class LogSigmoid(Gate):
    """Logarithm of the logistic function, exact for large negative inputs."""

    formula = "z = ln σ(x)"
    local = "∂z/∂x = σ(−x)"
    forward = aten.log_sigmoid_forward.default

    @staticmethod
    def backward(dz, z, x):
        if dz[0] is None:  # the second output is scratch memory of the kernel
            return (None,)
        return (lambda: dz[0] * (-x).sigmoid(),)

    samples = unary(-4.0, 4.0)


class GELU(Gate):
    """Gaussian error linear unit, exact or by the tanh approximation.

    Source: Hendrycks and Gimpel 2016, equation (2) and the approximation below it.
    """

    formula = "z = x Φ(x)"
    local = "∂z/∂x = Φ(x) + x φ(x)"
    precision = "follow"
    forward = aten.gelu.default

    @staticmethod
    def backward(dz, z, x, approximate="none"):
        if approximate == "none":
            return (
                lambda: (
                    dz
                    * (
                        0.5 * (1 + (x * 0.7071067811865476).erf())
                        + x * (x * x * -0.5).exp() * 0.3989422804014327
                    )
                ),
            )

        def tanh_form():
            t = (0.7978845608028654 * (x + 0.044715 * (x * x * x))).tanh()
            slope = 0.7978845608028654 * (1 + 3 * 0.044715 * (x * x))
            return dz * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)

        return (tanh_form,)

    @staticmethod
    def samples(r: Draw):
        yield from unary(-3.0, 3.0)(r)
        yield from unary(-3.0, 3.0, approximate="tanh")(r)


class SiLU(Gate):
    """Sigmoid-weighted linear unit (swish)."""

    formula = "z = x σ(x)"
    local = "∂z/∂x = σ(x) (1 + x (1 − σ(x)))"
    precision = "follow"
    forward = aten.silu.default

    @staticmethod
    def backward(dz, z, x):
        def rule():
            s = x.sigmoid()
            return dz * (s * (1 + x * (1 - s)))

        return (rule,)

    samples = unary(-3.0, 3.0)


class Erf(Gate):
    """Error function."""

    formula = "z = erf x"
    local = "∂z/∂x = 2/√π e^(−x²)"
    forward = aten.erf.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz * ((x * x).neg().exp() * 1.1283791670955126),)

    samples = unary()
