"""Gates that reduce axes: sums, means, extremes, norms."""

from __future__ import annotations

import math

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample, unary


def _axes(x, dim):
    """The reduced axes, non-negative; all of them for None or an empty list."""
    if dim is None or dim == []:
        return list(range(x.dim()))
    dims = [dim] if isinstance(dim, int) else dim
    return [d % max(x.dim(), 1) for d in dims] if x.dim() else []


def _restore(t, x, dim, keepdim):
    """Gives a reduced tensor its axes of size 1 back, so that it broadcasts against x."""
    if keepdim or x.dim() == 0:
        return t
    for axis in sorted(_axes(x, dim)):
        t = t.unsqueeze(axis)
    return t


def _over_axes(r: Draw):
    """Samples (x, dims, keepdim) over one, several and all axes."""
    for shape, dim in (
        ((), []),
        ((4,), [0]),
        ((3, 4), [1]),
        ((3, 4), [0, 1]),
        ((2, 3, 4), [-1]),
        ((2, 3, 4), [0, 2]),
        ((2, 0, 3), [0]),
    ):
        yield Sample((r.apart(*shape), dim))
        yield Sample((r.apart(*shape), dim, True))
    yield Sample((r.strided(3, 4), [0]))


class SumAll(Gate):
    """Sum of all elements: each receives the whole gradient."""

    formula = "z = Σ x"
    local = "∂z/∂xᵢ = 1"
    forward = aten.sum.default

    @staticmethod
    def backward(dz, z, x, dtype=None):
        return (lambda: dz.expand(x.shape),)

    samples = unary()


class Sum(Gate):
    """Sum over axes."""

    formula = "z = Σ x over axes"
    local = "∂z/∂xᵢ = 1"
    forward = aten.sum.dim_IntList

    @staticmethod
    def backward(dz, z, x, dim=None, keepdim=False, dtype=None):
        return (lambda: _restore(dz, x, dim, keepdim).expand(x.shape),)

    samples = _over_axes


class MeanAll(Gate):
    """Mean of all elements."""

    formula = "z = (1/n) Σ x"
    local = "∂z/∂xᵢ = 1/n"
    forward = aten.mean.default

    @staticmethod
    def backward(dz, z, x, dtype=None):
        return (lambda: (dz / max(x.numel(), 1)).expand(x.shape),)

    @staticmethod
    def expand(x, dtype=None):
        return x.sum() / x.numel()

    @staticmethod
    def samples(r: Draw):
        for shape in ((), (1,), (5,), (3, 4), (2, 3, 4), (2, 1, 3, 2)):
            yield Sample((r(*shape),))
        yield Sample((r(2, 0),), smooth=False)  # the mean of nothing is NaN
        yield Sample((r.strided(3, 4),))
        yield Sample((r(4, 1).expand(4, 3),))


class Mean(Gate):
    """Mean over axes."""

    formula = "z = (1/n) Σ x over axes"
    local = "∂z/∂xᵢ = 1/n"
    forward = aten.mean.dim

    @staticmethod
    def backward(dz, z, x, dim=None, keepdim=False, dtype=None):
        n = math.prod(x.shape[axis] for axis in _axes(x, dim)) or 1
        return (lambda: (_restore(dz, x, dim, keepdim) / n).expand(x.shape),)

    samples = _over_axes


class ExtremeOverAxes(Gate):
    """Largest or smallest element over axes: a tie shares the gradient equally."""

    formula = "z = max x (or min x) over axes"
    local = "∂z/∂xᵢ = [xᵢ = z] / number of ties"
    forward = aten.amax.default
    overloads = (aten.amin.default,)

    @staticmethod
    def backward(dz, z, x, dim=(), keepdim=False):
        dim = list(dim)

        def rule():
            mask = (x == _restore(z, x, dim, keepdim)).to(dz.dtype)
            share = mask / mask.sum(_axes(x, dim), keepdim=True) if x.dim() else mask
            return _restore(dz, x, dim, keepdim) * share

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for sample in _over_axes(r):
            if sample.args[0].numel() or sample.args[1] != [1]:
                yield sample
        yield Sample((r(3) * 0, [0]), smooth=False)


class Variance(Gate):
    """Variance over axes, with Bessel's or any other correction."""

    formula = "z = Σ (x − μ)² / (n − correction)"
    local = "∂z/∂xᵢ = 2 (xᵢ − μ) / (n − correction)"
    forward = aten.var.correction

    @staticmethod
    def backward(dz, z, x, dim=None, correction=None, keepdim=False):
        n = math.prod(x.shape[axis] for axis in _axes(x, dim))
        free = n - (1 if correction is None else correction)

        def rule():
            centred = x - x.mean(_axes(x, dim), keepdim=True) if x.dim() else x - x
            return _restore(dz, x, dim, keepdim) * (centred * (2 / free))

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in (
            ((4,), [0]),
            ((3, 4), [1]),
            ((3, 4), None),
            ((2, 3, 4), [-1]),
            ((2, 3, 4), [0, 2]),
            ((0, 3), [1]),
        ):
            yield Sample((r(*shape), dim))
            yield Sample((r(*shape), dim), {"correction": 0, "keepdim": True})
        yield Sample((r.strided(3, 4), [0]))


class VectorNorm(Gate):
    """p-norm over axes; at a zero vector the gradient is taken as 0 (a subgradient)."""

    formula = "z = (Σ |x|ᵖ)^(1/p)"
    local = "∂z/∂xᵢ = xᵢ |xᵢ|ᵖ⁻² / zᵖ⁻¹"
    forward = aten.linalg_vector_norm.default

    @staticmethod
    def backward(dz, z, x, p=2, dim=None, keepdim=False, dtype=None):
        def rule():
            norm, grad = _restore(z, x, dim, keepdim), _restore(dz, x, dim, keepdim)
            if dim is None and x.dim() and not keepdim:
                norm, grad = z.reshape([1] * x.dim()), dz.reshape([1] * x.dim())
            if p == 1:
                return grad * x.sign()
            if p == 0:
                return (grad * 0).expand(x.shape)
            if p in (math.inf, -math.inf):
                mask = (x.abs() == norm).to(grad.dtype)
                return grad * x.sign() * mask / mask.sum(_axes(x, dim), keepdim=True)
            zero = norm == 0
            safe = norm.masked_fill(zero, 1)
            if p == 2:
                return (grad * (x / safe)).masked_fill(zero, 0)
            power = x.sign() * x.abs().pow(p - 1) / safe.pow(p - 1)
            return (grad * power).masked_fill(zero, 0)

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in (
            ((4,), None),
            ((3, 4), [1]),
            ((3, 4), None),
            ((2, 3, 4), [1, 2]),
            ((2, 3, 4), [-1]),
            ((0, 3), [1]),
            ((), None),
        ):
            yield Sample((r(*shape, low=0.3), 2, dim))
        yield Sample((r(3, 4, low=0.3), 2, [1], True))
        yield Sample((r.apart(3, 4), 3, [1]))
        yield Sample((r.apart(3, 4), 1, [1]))
        yield Sample((r.apart(3, 4), math.inf, [1]))
        yield Sample((r.strided(3, 4, low=0.3), 2, [0]))
        yield Sample((r(3) * 0, 2, [0]), smooth=False)
