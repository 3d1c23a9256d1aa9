"""Activations made of straight pieces, and the exponential ones that are straight above 0."""

from __future__ import annotations

from itertools import pairwise

import torch

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample, unary

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _pieces(*bounds: float, rest: tuple = (), kink: float = 0.0):
    """Samples within each piece, all shapes in the first one, and one at a kink."""

    def draw(r: Draw):
        for i, (low, high) in enumerate(pairwise(bounds)):
            gap = 0.05 * (high - low)
            inside = {"low": low + gap, "high": high - gap}
            if i == 0:
                yield from unary(*inside.values(), *rest)(r)
            else:
                yield Sample((r(5, **inside), *rest))
                yield Sample((r.strided(3, 4, **inside), *rest))
        yield Sample((r(3) * 0 + kink, *rest), smooth=False)

    return draw


def _elu_rule(dz, x, below, scale, inner):
    """scale above 0, else below · scale · inner · e^(inner x), from the capped input alone."""
    slope = (x.masked_fill(x >= 0, 0) * inner).exp() * (below * scale * inner)
    return dz * aten.where.self(x > 0, torch.full_like(x, scale), slope)


class ELU(Gate):
    """Exponential linear unit. Source: Clevert, Unterthiner and Hochreiter 2015, equation (15)."""

    formula = "z = s x if x > 0 else s α (e^(kx) − 1)"
    local = "∂z/∂x = s if x > 0 else s α k e^(kx)"
    precision = "follow"
    forward = aten.elu.default

    @staticmethod
    def backward(dz, z, x, alpha=1, scale=1, input_scale=1):
        return (lambda: _elu_rule(dz, x, alpha, scale, input_scale),)

    @staticmethod
    def samples(r: Draw):
        yield from _pieces(-2.0, 0.0, 2.0)(r)
        yield Sample((r(3, 4, high=-0.1), 0.7, 1.3, 0.5))


class SELU(Gate):
    """Self-normalising ELU. Source: Klambauer et al. 2017, equation (2)."""

    formula = "z = λ x if x > 0 else λ α (eˣ − 1)"
    local = "∂z/∂x = λ if x > 0 else λ α eˣ"
    precision = "follow"
    forward = aten.selu.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: _elu_rule(dz, x, _SELU_ALPHA, _SELU_SCALE, 1),)

    samples = _pieces(-2.0, 0.0, 2.0)


class CELU(Gate):
    """ELU with a continuous slope. Source: Barron 2017, equation (2)."""

    formula = "z = max(0, x) + min(0, α (e^(x/α) − 1))"
    local = "∂z/∂x = 1 if x > 0 else e^(x/α)"
    precision = "follow"
    forward = aten.celu.default

    @staticmethod
    def backward(dz, z, x, alpha=1.0):
        return (lambda: _elu_rule(dz, x, alpha, 1, 1 / alpha),)

    @staticmethod
    def samples(r: Draw):
        yield from _pieces(-2.0, 0.0, 2.0)(r)
        yield Sample((r(3, 4, high=-0.1), 0.5))


class PReLU(Gate):
    """Rectifier whose slope below 0 is learned. Source: He et al. 2015, equation (1)."""

    formula = "z = x if x > 0 else w x"
    local = "∂z/∂x = 1 if x > 0 else w, ∂z/∂w = min(0, x)"
    broadcasts = True
    precision = "follow"
    forward = aten._prelu_kernel.default

    @staticmethod
    def backward(dz, z, x, w):
        return lambda: aten.where.self(x > 0, dz, dz * w), lambda: dz * x.masked_fill(x >= 0, 0)

    @staticmethod
    def samples(r: Draw):
        for low, high in ((-2.0, -0.1), (0.1, 2.0)):
            for shape, weight in (((), ()), ((3,), (1,)), ((2, 3), (1, 3)), ((2, 3, 4), (1, 3, 1))):
                yield Sample((r(*shape, low=low, high=high), r(*weight)))
        yield Sample((r(0, 3), r(1, 3)))
        yield Sample((r.strided(2, 3, low=-2.0, high=-0.1), r(1, 1)))


class HardTanh(Gate):
    """Bounds a wire; at a bound the slope is 0 (ReLU6 is this between 0 and 6)."""

    formula = "z = min(max(x, low), high)"
    local = "∂z/∂x = [low < x < high]"
    precision = "follow"
    forward = aten.hardtanh.default

    @staticmethod
    def backward(dz, z, x, low=-1, high=1):
        return (lambda: dz.masked_fill((x <= low) | (x >= high), 0),)

    @staticmethod
    def samples(r: Draw):
        yield from _pieces(-3.0, -1.0, 1.0, 3.0, kink=1.0)(r)
        yield Sample((r(3, 4, low=0.3, high=5.7), 0.0, 6.0))


class HardSigmoid(Gate):
    """Sigmoid in three straight pieces."""

    formula = "z = min(max(x/6 + 1/2, 0), 1)"
    local = "∂z/∂x = [−3 < x < 3] / 6"
    precision = "follow"
    forward = aten.hardsigmoid.default

    @staticmethod
    def backward(dz, z, x):
        # PyTorch's own kernel, which rounds 1/6 to float32, so that both agree also in float64.
        return (lambda: aten.hardsigmoid_backward.default(dz, x),)

    samples = _pieces(-5.0, -3.0, 3.0, 5.0, kink=3.0)


class HardSigmoidBackward(Gate):
    """Gradient through the hard sigmoid: linear in its first wire."""

    formula = "z = dz [−3 < x < 3] / 6"
    local = "as itself"
    precision = "follow"
    forward = aten.hardsigmoid_backward.default

    @staticmethod
    def backward(dz, z, grad, x):
        return (lambda: aten.hardsigmoid_backward.default(dz, x),)

    @staticmethod
    def samples(r: Draw):
        for sample in _pieces(-5.0, -3.0, 3.0, 5.0, kink=3.0)(r):
            (x,) = sample.args
            yield Sample((r(*x.shape), x), smooth=sample.smooth)


class HardSwish(Gate):
    """Swish with the hard sigmoid. Source: Howard et al. 2019, section 5.2."""

    formula = "z = x min(max(x/6 + 1/2, 0), 1)"
    local = "∂z/∂x = 0 below −3, x/3 + 1/2 between, 1 above 3"
    precision = "follow"
    forward = aten.hardswish.default

    @staticmethod
    def backward(dz, z, x):
        def rule():
            middle = aten.where.self(x < 3, dz * (x / 3 + 0.5), dz)
            return middle.masked_fill(x <= -3, 0)

        return (rule,)

    samples = _pieces(-5.0, -3.0, 3.0, 5.0, kink=3.0)


class HardShrink(Gate):
    """The wire, or 0 where it is small."""

    formula = "z = x if |x| > λ else 0"
    local = "∂z/∂x = [|x| > λ]"
    precision = "follow"
    forward = aten.hardshrink.default

    @staticmethod
    def backward(dz, z, x, lambd=0.5):
        return (lambda: dz.masked_fill(x.abs() <= lambd, 0),)

    samples = _pieces(-2.0, -0.5, 0.5, 2.0, kink=0.5)


class SoftShrink(Gate):
    """The wire drawn towards 0 by λ."""

    formula = "z = x − λ sign x if |x| > λ else 0"
    local = "∂z/∂x = [|x| > λ]"
    precision = "follow"
    forward = aten.softshrink.default

    @staticmethod
    def backward(dz, z, x, lambd=0.5):
        return (lambda: dz.masked_fill(x.abs() <= lambd, 0),)

    samples = _pieces(-2.0, -0.5, 0.5, 2.0, kink=0.5)


class Threshold(Gate):
    """The wire where it exceeds a threshold, else a constant."""

    formula = "z = x if x > threshold else value"
    local = "∂z/∂x = [x > threshold]"
    precision = "follow"
    forward = aten.threshold.default

    @staticmethod
    def backward(dz, z, x, threshold, value):
        return (lambda: dz.masked_fill(x <= threshold, 0),)

    samples = _pieces(-2.0, 0.5, 2.0, rest=(0.5, 3.0), kink=0.5)


class RandomLeakyReLU(Gate):
    """Rectifier whose slope below 0 is drawn at random; returns also the slopes.

    Source: Xu et al. 2015, section 2.4.
    """

    formula = "z = x if x > 0 else a x, a ~ U(low, high)"
    local = "∂z/∂x = 1 if x > 0 else a"
    constants = (1,)  # scratch memory
    precision = "follow"
    forward = aten.rrelu_with_noise_functional.default

    @staticmethod
    def backward(dz, z, x, noise, lower=0.125, upper=1 / 3, training=False, generator=None):
        if dz[0] is None:
            return (None,)
        if not training:
            return (lambda: aten.where.self(x > 0, dz[0], dz[0] * ((lower + upper) / 2)),)
        return (lambda: dz[0] * z[1],)

    @staticmethod
    def samples(r: Draw):
        for training in (False, True):
            for sample in _pieces(-2.0, 0.0, 2.0)(r):
                x = sample.args[0]
                # PyTorch fills a strided noise in the wrong order.
                noise = torch.empty(x.shape, dtype=x.dtype)
                yield Sample((x, noise, 0.1, 0.3, training), smooth=sample.smooth)
