"""Normalisation gates: batch, instance, group and layer norm.

The rules are written with the saved mean and reciprocal deviation, and those outputs have
gradients of their own, so a second differentiation is exact.
"""

# Shapes: x (N, C, *S); mean, rstd (C) for batch norm, (N, groups) for group norm.
from __future__ import annotations

import math

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


def _grad_x(dxhat, xhat, rstd, dmean, drstd, n, mean, scale=None):
    """Gradient through x̂ = (x − mean) rstd with both taken over n numbers.

    dx = rstd γ (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) + dmean / n − drstd rstd² x̂ / n.
    Source: Ioffe and Szegedy 2015, section 3, simplified.

    Args:
        mean: takes a mean over the same numbers, in a shape that goes with x̂'s.
        scale: rstd γ, where γ is one for all of the n numbers and not yet in dx̂; default rstd.
    """
    total = None
    if dxhat is not None:
        total = (rstd if scale is None else scale) * (
            dxhat - mean(dxhat) - xhat * mean(dxhat * xhat)
        )
    if dmean is not None:
        term = dmean / n
        total = term if total is None else total + term
    if drstd is not None:
        term = drstd * (rstd * rstd) * xhat / -n
        total = term if total is None else total + term
    return None if total is None else total.expand(xhat.shape)


def _batch_norm_rule(dz, z, x, weight, bias, training, running_mean, running_var, eps):
    """Rule shared by the batch-norm overloads; gradients for x, weight and bias."""
    dout, dmean, drstd = dz[:3]
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)

    def column(t):
        return None if t is None else t.reshape(shape)

    if training:
        mean, rstd = column(z[1]), column(z[2])
    else:
        mean, rstd = column(running_mean), column((running_var + eps).rsqrt())
        dmean = drstd = None
    xhat = (x - mean) * rstd
    n = math.prod(x.shape) // max(x.shape[1], 1)

    def mean_of(t):  # by way of the sum, which is the gradient of weight or bias, too
        return column(t.sum(axes)) / n

    def grad_x():
        scale = rstd if weight is None else rstd * column(weight)
        if training:
            return _grad_x(dout, xhat, rstd, column(dmean), column(drstd), n, mean_of, scale)
        return None if dout is None else dout * scale

    if dout is None:
        return grad_x, None, None
    return (
        grad_x,
        None if weight is None else (lambda: (dout * xhat).sum(axes)),
        None if bias is None else (lambda: dout.sum(axes)),
    )


class BatchNorm(Gate):
    """Normalises each channel over the batch; returns also new running mean and variance.

    Arguments: x, weight, bias, running_mean, running_var, training, momentum, eps.
    Source: Ioffe and Szegedy 2015, algorithm 1.
    """

    formula = "z = γ (x − μ) / √(σ² + ε) + β"
    local = "dx = γ/σ (dz − mean dz − x̂ mean(dz x̂)), dγ = Σ dz x̂, dβ = Σ dz"
    constants = (3, 4)
    precision = "mixed"
    forward = aten._native_batch_norm_legit_functional.default

    @staticmethod
    def backward(dz, z, x, weight, bias, running_mean, running_var, training, momentum, eps):
        return _batch_norm_rule(dz, z, x, weight, bias, training, running_mean, running_var, eps)

    @staticmethod
    def samples(r: Draw):
        def case(x, affine=True, training=True):
            c = x.shape[1]
            weight, bias = (r(c), r(c)) if affine else (None, None)
            stats = (r(c).detach(), r(c, low=0.5, high=1.5))
            return Sample((x, weight, bias, *stats, training, 0.1, 1e-5))

        for shape in ((4, 3), (4, 2, 3), (3, 2, 4, 4), (2, 1, 2, 3, 2), (2, 3, 1, 2)):
            yield case(r(*shape))
            yield case(r(*shape), affine=False)
            yield case(r(*shape), training=False)
        yield case(r.strided(4, 3, 2))


class BatchNormNoTraining(Gate):
    """Batch norm with fixed statistics, as in evaluation."""

    formula = "z = γ (x − μ) / √(σ² + ε) + β"
    local = "dx = γ dz / √(σ² + ε), dγ = Σ dz x̂, dβ = Σ dz"
    constants = (3, 4)
    precision = "mixed"
    forward = aten._native_batch_norm_legit_no_training.default

    @staticmethod
    def backward(dz, z, x, weight, bias, running_mean, running_var, momentum, eps):
        return _batch_norm_rule(dz, z, x, weight, bias, False, running_mean, running_var, eps)

    @staticmethod
    def samples(r: Draw):
        for shape in ((4, 3), (4, 2, 3), (3, 2, 4, 4), (1, 2, 2), (0, 3), (2, 1, 2, 3, 2)):
            c = shape[1]
            stats = (r(c), r(c, low=0.5, high=1.5), 0.1, 1e-5)
            yield Sample((r(*shape), r(c), r(c), *stats))
        yield Sample((r(4, 3), None, None, r(3), r(3, low=0.5, high=1.5), 0.1, 1e-5))
        yield Sample((r.strided(4, 3, 2), r(3), r(3), r(3), r(3, low=0.5, high=1.5), 0.1, 1e-5))


class InstanceNorm(Gate):
    """Batch statistics without running ones; instance norm folds the batch into the channels.

    Source: Ulyanov, Vedaldi and Lempitsky 2016, equation (1).
    """

    formula = "z = γ (x − μ) / √(σ² + ε) + β"
    local = "dx = γ/σ (dz − mean dz − x̂ mean(dz x̂)), dγ = Σ dz x̂, dβ = Σ dz"
    precision = "mixed"
    forward = aten._native_batch_norm_legit.no_stats

    @staticmethod
    def backward(dz, z, x, weight, bias, training, momentum, eps):
        return _batch_norm_rule(dz, z, x, weight, bias, True, None, None, eps)

    @staticmethod
    def samples(r: Draw):
        for shape in ((4, 3), (1, 6, 3), (3, 2, 4, 4), (1, 4, 2, 2), (2, 1, 2, 3, 2), (2, 2, 5)):
            c = shape[1]
            yield Sample((r(*shape), r(c), r(c), True, 0.1, 1e-5))
        yield Sample((r(1, 6, 3), None, None, True, 0.0, 1e-5))
        yield Sample((r.strided(4, 3, 2), r(3), r(3), True, 0.1, 1e-5))


class LayerNorm(Gate):
    """Normalises each sample over its last axes.

    Arguments: x, normalized_shape, weight, bias, eps. Source: Ba, Kiros and Hinton 2016, eq. (3).
    """

    formula = "z = γ (x − μ) / √(σ² + ε) + β"
    local = "dx = (γdz − mean γdz − x̂ mean(γdz x̂))/σ, dγ = Σ dz x̂, dβ = Σ dz"
    precision = "mixed"
    forward = aten.native_layer_norm.default

    @staticmethod
    def backward(dz, z, x, normalized_shape, weight, bias, eps):
        dout, dmean, drstd = dz
        k = len(normalized_shape)
        axes = list(range(x.dim() - k, x.dim()))
        outer = list(range(x.dim() - k))
        mean, rstd = z[1], z[2]
        xhat = (x - mean) * rstd

        def mean_of(t):
            return t.mean(axes, keepdim=True)

        def grad_x():
            dxhat = dout if dout is None or weight is None else dout * weight
            n = math.prod(normalized_shape)
            return _grad_x(dxhat, xhat, rstd, dmean, drstd, n, mean_of)

        def over_samples(t):
            return t.sum(outer) if outer else t

        if dout is None:
            return grad_x, None, None, None
        return (
            grad_x,
            None,
            None if weight is None else (lambda: over_samples(dout * xhat)),
            None if bias is None else (lambda: over_samples(dout)),
        )

    @staticmethod
    def samples(r: Draw):
        for shape, norm in (
            ((3, 4), [4]),
            ((2, 3, 4), [4]),
            ((2, 3, 4), [3, 4]),
            ((4,), [4]),
            ((2, 1, 5), [5]),
            ((0, 4), [4]),
        ):
            yield Sample((r(*shape), norm, r(*norm), r(*norm), 1e-5))
        yield Sample((r(3, 4), [4], None, None, 1e-5))
        yield Sample((r.strided(3, 4), [4], r(4), r(4), 1e-5))


class GroupNorm(Gate):
    """Normalises each sample over groups of channels.

    Arguments: x, weight, bias, N, C, H·W, groups, eps. Source: Wu and He 2018, equation (7).
    """

    formula = "z = γ (x − μ) / √(σ² + ε) + β"
    local = "dx = (γdz − mean γdz − x̂ mean(γdz x̂))/σ, dγ = Σ dz x̂, dβ = Σ dz"
    precision = "mixed"
    forward = aten.native_group_norm.default

    @staticmethod
    def backward(dz, z, x, weight, bias, n, c, hw, groups, eps):
        dout, dmean, drstd = dz
        size = (c // groups) * hw

        def grouped(t):  # (N, groups, C/groups · H·W)
            return t.reshape(n, groups, size)

        def column(t):
            return None if t is None else t.reshape(n, groups, 1)

        def mean_of(t):
            return t.mean(2, keepdim=True)

        mean, rstd = column(z[1]), column(z[2])
        xhat = (grouped(x) - mean) * rstd

        def grad_x():
            dxhat = None
            if dout is not None:
                scaled = (
                    dout if weight is None else dout.reshape(n, c, hw) * weight.reshape(1, c, 1)
                )
                dxhat = grouped(scaled)
            statistics = rstd, column(dmean), column(drstd)
            grad = _grad_x(dxhat, xhat, *statistics, size, mean_of)
            return None if grad is None else grad.reshape(x.shape)

        if dout is None:
            return grad_x, None, None
        flat = dout.reshape(n, c, hw)
        return (
            grad_x,
            None if weight is None else (lambda: (flat * xhat.reshape(n, c, hw)).sum([0, 2])),
            None if bias is None else (lambda: flat.sum([0, 2])),
        )

    @staticmethod
    def samples(r: Draw):
        for n, c, hw, groups in (
            (2, 4, (3,), 2),
            (2, 4, (2, 3), 1),
            (1, 6, (2, 2), 3),
            (3, 4, (2, 2), 4),
            (2, 2, (5,), 1),
            (2, 3, (2, 2, 2), 3),
        ):
            yield Sample((r(n, c, *hw), r(c), r(c), n, c, math.prod(hw), groups, 1e-5))
        yield Sample((r(2, 4, 3), None, None, 2, 4, 3, 2, 1e-5))
        yield Sample((r(2, 6), r(6), None, 2, 6, 1, 2, 1e-5))
        yield Sample((r(0, 4, 3), r(4), r(4), 0, 4, 3, 2, 1e-5))
