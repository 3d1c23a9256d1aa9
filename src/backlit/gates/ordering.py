"""Gates that sort, rank or pick by order: their gradient goes back to where a value stood."""

from __future__ import annotations

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


def _put(dz, indices, x, dim):
    """Zeros of x's shape with dz added at the indices along an axis."""
    zeros = aten.new_zeros.default(dz, list(x.shape))
    return aten.scatter_add.default(zeros, dim, indices, dz)


def _reduced(dz, z, x, dim, keepdim):
    """The gradient of one picked element of each line."""
    if keepdim or x.dim() == 0:
        return _put(dz, z, x, dim)
    return _put(dz.unsqueeze(dim), z.unsqueeze(dim), x, dim)


_SHAPES = (((), 0), ((4,), 0), ((3, 4), 0), ((3, 4), 1), ((3, 4), -1), ((2, 3, 4), 1), ((0, 4), 1))


class Pick(Gate):
    """Largest, smallest, median or most frequent element of an axis, with its index."""

    formula = "z = max x (min, median, mode) along an axis, with its index"
    local = "dx = dz at the index"
    forward = aten.max.dim
    overloads = (aten.min.dim, aten.median.dim, aten.nanmedian.dim, aten.mode.default)

    @staticmethod
    def backward(dz, z, x, dim=-1, keepdim=False):
        return (lambda: _reduced(dz[0], z[1], x, dim, keepdim),)

    @staticmethod
    def samples(r: Draw):
        for i, (shape, dim) in enumerate(_SHAPES):
            yield Sample((r.apart(*shape), dim, i % 2 == 1))
        yield Sample((r.apart(4, 3).t(), 1))
        yield Sample((r(3) * 0, 0), smooth=False)


class PickKth(Gate):
    """k-th smallest element of an axis, with its index."""

    formula = "z = k-th smallest x along an axis, with its index"
    local = "dx = dz at the index"
    forward = aten.kthvalue.default

    @staticmethod
    def backward(dz, z, x, k, dim=-1, keepdim=False):
        return (lambda: _reduced(dz[0], z[1], x, dim, keepdim),)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in _SHAPES:
            k = 2 if shape else 1
            yield Sample((r.apart(*shape), k, dim, dim == 0))
        yield Sample((r.apart(4, 3).t(), 1, 1))


class PickOfAll(Gate):
    """Largest, smallest or median of all elements: ties share the gradient equally."""

    formula = "z = max x (min, median)"
    local = "∂z/∂xᵢ = [xᵢ = z] / number of ties"
    forward = aten.max.default
    overloads = (aten.min.default, aten.median.default, aten.nanmedian.default)

    @staticmethod
    def backward(dz, z, x):
        def rule():
            mask = (x == z).to(dz.dtype)
            return dz * (mask / mask.sum())

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for shape in ((), (1,), (5,), (3, 4), (2, 3, 4), (2, 1, 3, 2)):
            yield Sample((r.apart(*shape),))
        yield Sample((r.apart(4, 3).t(),))
        yield Sample((r(3) * 0,), smooth=False)


class TopK(Gate):
    """The k largest (or smallest) elements of an axis, with their indices."""

    formula = "z = k largest x along an axis, with their indices"
    local = "dx = dz at the indices"
    forward = aten.topk.default

    @staticmethod
    def backward(dz, z, x, k, dim=-1, largest=True, sorted=True):
        return (lambda: _put(dz[0], z[1], x, dim),)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in _SHAPES:
            yield Sample((r.apart(*shape), 2 if shape else 1, dim))
        yield Sample((r.apart(3, 4), 3, 1, False))
        yield Sample((r.apart(4, 3).t(), 2, 1, True, False))


class Sort(Gate):
    """An axis in order of size, with the indices it came from."""

    formula = "z = x sorted along an axis, with the indices"
    local = "dx = dz put back"
    forward = aten.sort.default

    @staticmethod
    def backward(dz, z, x, dim=-1, descending=False):
        return (lambda: _put(dz[0], z[1], x, dim),)

    @staticmethod
    def samples(r: Draw):
        for i, (shape, dim) in enumerate(_SHAPES):
            yield Sample((r.apart(*shape), dim, i % 2 == 1))
        yield Sample((r.apart(4, 3).t(), 1))


class StableSort(Gate):
    """An axis in order of size, equal elements keeping theirs, with the indices."""

    formula = "z = x sorted along an axis, with the indices"
    local = "dx = dz put back"
    forward = aten.sort.stable

    @staticmethod
    def backward(dz, z, x, *, stable=None, dim=-1, descending=False):
        return (lambda: _put(dz[0], z[1], x, dim),)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in _SHAPES:
            yield Sample((r.apart(*shape),), {"stable": True, "dim": dim})
        yield Sample((r.apart(3, 4),), {"stable": True, "dim": 0, "descending": True})
        yield Sample((r.apart(4, 3).t(),), {"stable": True})


class RunningExtreme(Gate):
    """Largest (or smallest) element so far along an axis, with its index."""

    formula = "zᵢ = max(x₁ … xᵢ), with its index"
    local = "dx = dz added at the indices"
    forward = aten.cummax.default
    overloads = (aten.cummin.default,)

    @staticmethod
    def backward(dz, z, x, dim):
        return (lambda: _put(dz[0], z[1], x, dim),)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in _SHAPES:
            yield Sample((r.apart(*shape), dim))
        yield Sample((r.apart(4, 3).t(), 1))
