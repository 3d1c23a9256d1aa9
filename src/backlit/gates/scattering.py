"""Gates that look up or write along one axis, an index for every place, and their adjoints."""

from __future__ import annotations

import torch

from backlit.gates.base import Gate, aten
from backlit.gates.indexing import zeros_like_input
from backlit.gates.samples import Draw, Sample


def _padded(t, shape):
    """Zeros behind t up to the asked shape: what an index did not reach has no gradient."""
    pad = [p for n, m in zip(reversed(shape), reversed(t.shape), strict=True) for p in (0, n - m)]
    return aten.constant_pad_nd.default(t, pad) if any(pad) else t


class Gather(Gate):
    """Looks up, at every place, one element of the same line along an axis."""

    formula = "zᵢ = x[indexᵢ] along an axis"
    local = "dx = zeros with dz added at index"
    forward = aten.gather.default

    @staticmethod
    def backward(dz, z, x, dim, index, *, sparse_grad=False):
        return (lambda: aten.scatter_add.default(zeros_like_input(dz, x), dim, index, dz),)

    @staticmethod
    def samples(r: Draw):
        for shape, dim, index in _LINES:
            yield Sample((r(*shape), dim, r.indices(max(shape[dim], 1) if shape else 1, *index)))
        yield Sample((r.strided(3, 4), 1, r.indices(4, 3, 2)))


_LINES = (
    ((), 0, ()),
    ((4,), 0, (3,)),
    ((3, 4), 0, (2, 4)),
    ((3, 4), 1, (3, 6)),
    ((3, 4), -1, (2, 2)),
    ((2, 3, 4), 1, (2, 5, 3)),
    ((0, 4), 1, (0, 2)),
    ((3, 4), 1, (3, 0)),
)


def _unique(r: Draw, shape, dim, index):
    """Indices that name each element of a line at most once."""
    if not index:
        return torch.tensor(0)
    others = [m for i, m in enumerate(index) if i != dim % len(index)]
    order = torch.rand((*others, shape[dim]), generator=r.generator).argsort(-1)
    return order[..., : index[dim]].movedim(-1, dim)


_ONCE = tuple((s, d, tuple(min(a, b) for a, b in zip(i, s, strict=True))) for s, d, i in _LINES)


class ScatterAdd(Gate):
    """Adds values along an axis at the given indices: the adjoint of gather."""

    formula = "z = x with v added at index"
    local = "dx = dz, dv = dz[index]"
    forward = aten.scatter_add.default

    @staticmethod
    def backward(dz, z, x, dim, index, source):
        return dz, None, None, lambda: _padded(aten.gather.default(dz, dim, index), source.shape)

    @staticmethod
    def samples(r: Draw):
        for shape, dim, index in _LINES:
            n = shape[dim] if shape else 1
            yield Sample((r(*shape), dim, r.indices(n, *index), r(*index)))
        yield Sample((r(3, 4), 0, r.indices(3, 2, 2), r(3, 3)))
        yield Sample((r.strided(3, 4), 1, r.indices(4, 3, 2), r.strided(3, 2)))


class Scatter(Gate):
    """Writes values along an axis at the given indices, each element at most once."""

    formula = "z = x with v at index"
    local = "dx = dz where nothing was put, dv = dz[index]"
    forward = aten.scatter.src

    @staticmethod
    def backward(dz, z, x, dim, index, source):
        return (
            lambda: aten.scatter.value(dz, dim, index, 0),
            None,
            None,
            lambda: _padded(aten.gather.default(dz, dim, index), source.shape),
        )

    @staticmethod
    def samples(r: Draw):
        for shape, dim, index in _ONCE:
            yield Sample((r(*shape), dim, _unique(r, shape, dim, index), r(*index)))
        yield Sample((r(3, 4), 0, torch.tensor([[2, 0]]), r(2, 3)))
        yield Sample((r.strided(3, 4), 1, torch.tensor([[3], [0]]), r.strided(2, 2)))


class ScatterValue(Gate):
    """Writes one constant along an axis at the given indices."""

    formula = "z = x with a at index"
    local = "dx = dz where nothing was put"
    forward = aten.scatter.value

    @staticmethod
    def backward(dz, z, x, dim, index, value):
        return (lambda: aten.scatter.value(dz, dim, index, 0),)

    @staticmethod
    def samples(r: Draw):
        for shape, dim, index in _LINES:
            n = shape[dim] if shape else 1
            yield Sample((r(*shape), dim, r.indices(n, *_clip(index, shape, dim)), 0.5))
        yield Sample((r.strided(3, 4), 1, r.indices(4, 3, 2), 0.5))


def _clip(index, shape, dim):
    return tuple(
        n if i == dim % len(shape) else min(n, m)
        for i, (n, m) in enumerate(zip(index, shape, strict=True))
    )


class ScatterReduce(Gate):
    """Combines values that meet at an index by sum, mean, product, maximum or minimum."""

    formula = "z = x combined with v at index"
    local = "sum: dv = dz[index]; mean: dz[index] / n; max, min: shared by the winners"
    forward = aten.scatter_reduce.two

    @staticmethod
    def backward(dz, z, x, dim, index, source, reduce, *, include_self=True):
        if source.shape != index.shape:
            source = source[tuple(slice(0, n) for n in index.shape)]
        ones = torch.ones_like(source)

        def take(t):
            return aten.gather.default(t, dim, index)

        def untouched(t):  # without x's own share, x counts only where no index points
            return t if include_self else aten.scatter.value(t, dim, index, 0)

        def fit(t):
            return _padded(t, original)

        original = source.shape
        if reduce == "sum":
            return lambda: untouched(dz), None, None, lambda: fit(take(dz))
        if reduce == "mean":
            own = untouched(torch.ones_like(z))
            n = aten.scatter_add.default(own, dim, index, ones).clamp_min(1)
            return lambda: untouched(dz / n), None, None, lambda: fit(take(dz / n))
        if reduce in ("amax", "amin"):
            mine = (x == z).to(dz.dtype)
            won = (source == take(z)).to(dz.dtype)
            share = dz / aten.scatter_add.default(untouched(mine), dim, index, won).clamp_min(1)
            return lambda: untouched(mine * share), None, None, lambda: fit(won * take(share))
        # The product without one factor: a factor that is 0 is replaced by 1 instead of divided
        # out; behind two zeros nothing is left.
        how = {"include_self": include_self}
        filled = x.masked_fill(x == 0, 1)
        zero = source == 0
        zeros = aten.new_zeros.default(dz, list(x.shape))
        alone = zero & (take(aten.scatter_add.default(zeros, dim, index, zero.to(dz.dtype))) == 1)

        def to_x():
            others = aten.scatter_reduce.two(filled, dim, index, source, "prod", **how)
            return untouched(dz * (others / filled))

        def to_source():
            without = source.masked_fill(alone, 1)
            at_zero = aten.scatter_reduce.two(x, dim, index, without, "prod", **how)
            divided = take(dz * z) / source.masked_fill(zero, 1)
            return fit(aten.where.self(alone, take(dz * at_zero), divided))

        return to_x, None, None, to_source

    @staticmethod
    def samples(r: Draw):
        for reduce in ("sum", "mean", "amax", "amin", "prod"):
            lines = _LINES[1:7] if reduce == "sum" else _LINES[2:5:2]
            for n, (shape, dim, index) in enumerate(lines):
                x, i = r.apart(*shape), r.indices(shape[dim], *_clip(index, shape, dim))
                v = r.apart(*i.shape) + 0.013
                yield Sample((x, dim, i, v, reduce), {"include_self": n % 2 == 0})
        yield Sample((r.strided(3, 4), 1, r.indices(4, 3, 2), r.strided(3, 2), "sum"))
        one_zero = torch.tensor([0.0, 2.0, 0.0]).to(r.dtype)
        yield Sample((r(3), 0, torch.tensor([0, 0, 2]), one_zero, "prod"), smooth=False)
        yield Sample((one_zero, 0, torch.tensor([0, 1, 1]), r(3), "prod"), smooth=False)


class MaskedScatter(Gate):
    """Writes the values of the second wire, in order, where the mask holds."""

    formula = "z = next v if mask else x"
    local = "dx = dz where nothing was put, dv = dz where it was"
    broadcasts = True
    forward = aten.masked_scatter.default

    @staticmethod
    def backward(dz, z, x, mask, source):
        def to_source():
            put = mask.expand(dz.shape).reshape(-1)
            order = (put.to(torch.int64).cumsum(0) - 1).clamp_min(0)
            zeros = aten.new_zeros.default(dz, [source.numel()])
            taken = aten.where.self(put, dz.reshape(-1), aten.new_zeros.default(dz, []))
            return aten.index_add.default(zeros, 0, order, taken).reshape(source.shape)

        return lambda: dz.masked_fill(mask, 0), None, to_source

    @staticmethod
    def samples(r: Draw):
        for shape, mask, source in (
            ((4,), (4,), (4,)),
            ((4,), (4,), (2, 3)),
            ((3, 4), (3, 4), (3, 4)),
            ((3, 4), (4,), (3, 5)),
            ((3, 4), (3, 1), (12,)),
            ((2, 3, 4), (2, 3, 4), (30,)),
            ((0, 4), (0, 4), (3,)),
        ):
            yield Sample((r(*shape), r.mask(*mask), r(*source)))
        yield Sample((r.strided(3, 4), r.mask(3, 4), r.strided(3, 4)))
