"""Running sums and products along an axis, and whole products."""

from __future__ import annotations

import torch

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


def _from_the_end(t, dim):
    """Running sum from the other end of the axis: the adjoint of the running sum."""
    return t.flip([dim]).cumsum(dim).flip([dim])


def _axes(r: Draw, **bounds: float):
    for shape, dim in (
        ((), 0),
        ((4,), 0),
        ((3, 4), 0),
        ((3, 4), 1),
        ((2, 3, 4), -2),
        ((2, 1, 3), 1),
        ((0, 4), 1),
        ((3, 0), 1),
    ):
        yield r(*shape, **bounds), dim
    yield r.strided(3, 4, **bounds), 1


class CumulativeSum(Gate):
    """Running sum along an axis."""

    formula = "zᵢ = x₁ + … + xᵢ"
    local = "dxᵢ = dzᵢ + … + dzₙ"
    forward = aten.cumsum.default

    @staticmethod
    def backward(dz, z, x, dim, dtype=None):
        return (lambda: _from_the_end(dz, dim) if x.dim() else dz,)

    @staticmethod
    def samples(r: Draw):
        for x, dim in _axes(r):
            yield Sample((x, dim))


class CumulativeProduct(Gate):
    """Running product along an axis.

    Where a factor is 0 the gradient is exact; its own gradient misses the terms of that factor.
    """

    formula = "zᵢ = x₁ ⋯ xᵢ"
    local = "dxⱼ = Σ dzᵢ zᵢ / xⱼ over i ≥ j"
    forward = aten.cumprod.default

    @staticmethod
    def backward(dz, z, x, dim, dtype=None):
        def rule():
            if x.dim() == 0:
                return dz
            # Behind the first 0 of a line nothing matters; at it, the product is taken without it.
            zeros = (x == 0).to(torch.int64).cumsum(dim)
            first = (x == 0) & (zeros == 1)
            without = x.masked_fill(first, 1).cumprod(dim)
            before = _from_the_end(dz * z, dim) / x.masked_fill(zeros > 0, 1)
            at = _from_the_end(dz * without, dim)
            return before.masked_fill(zeros > 0, 0) + at.masked_fill(~first, 0)

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for x, dim in _axes(r, low=0.3):
            yield Sample((x, dim))
            yield Sample((-x, dim))


class LogCumulativeSumExp(Gate):
    """Running log-sum-exp along an axis."""

    formula = "zᵢ = ln(e^x₁ + … + e^xᵢ)"
    local = "dxⱼ = Σ dzᵢ e^(xⱼ − zᵢ) over i ≥ j"
    forward = aten.logcumsumexp.default

    @staticmethod
    def backward(dz, z, x, dim):
        def rule():
            if x.dim() == 0:
                return dz
            n = x.shape[dim]
            lines = [t.movedim(dim, -1) for t in (x, z, dz)]
            xj, zi, gi = lines[0].unsqueeze(-1), lines[1].unsqueeze(-2), lines[2].unsqueeze(-2)
            # Pairs cost n² but every exponent is at most 0, so none overflows.
            later = torch.ones(n, n, dtype=torch.bool, device=x.device).triu()  # (j, i)
            share = (xj - zi).masked_fill(~later, -torch.inf).exp()
            return (gi * share).sum(-1).movedim(-1, dim)

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for x, dim in _axes(r):
            yield Sample((x, dim))


def _others(x, dim):
    """Product of all other elements of the line, for each element; exact also at zeros."""
    n = x.shape[dim]
    if n == 0:
        return x
    ones = torch.ones_like(x.narrow(dim, 0, 1))
    before = torch.cat([ones, x.narrow(dim, 0, n - 1)], dim).cumprod(dim)
    behind = torch.cat([x.narrow(dim, 1, n - 1), ones], dim).flip([dim]).cumprod(dim).flip([dim])
    return before * behind


class ProductAll(Gate):
    """Product of all elements."""

    formula = "z = Π x"
    local = "∂z/∂xᵢ = product of the others"
    forward = aten.prod.default

    @staticmethod
    def backward(dz, z, x, dtype=None):
        return (lambda: dz * _others(x.reshape(-1), 0).reshape(x.shape),)

    @staticmethod
    def samples(r: Draw):
        for x, _ in _axes(r, low=0.3):
            yield Sample((x,))
        yield Sample((torch.tensor([1.5, 0.0, 2.0]).to(r.dtype),), smooth=False)
        yield Sample((torch.tensor([0.0, 1.5, 0.0]).to(r.dtype),), smooth=False)


class Product(Gate):
    """Product along an axis."""

    formula = "z = Π x along an axis"
    local = "∂z/∂xᵢ = product of the others"
    forward = aten.prod.dim_int

    @staticmethod
    def backward(dz, z, x, dim, keepdim=False, dtype=None):
        def rule():
            if x.dim() == 0:
                return dz
            return (dz if keepdim else dz.unsqueeze(dim)) * _others(x, dim)

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for x, dim in _axes(r, low=0.3):
            yield Sample((x, dim))
            yield Sample((x, dim, True))
        yield Sample((torch.tensor([[1.5, 0.0], [2.0, 1.0]]).to(r.dtype), 1), smooth=False)
