"""Gates that look values up by index, and their adjoints, which put them back, summing repeats."""

from __future__ import annotations

import torch

from backlit.gates.base import Constant, Gate, aten, sum_to
from backlit.gates.samples import Draw, Sample


def zeros_like_input(dz, x):
    """Zeros of the input's shape, into which a gradient is put."""
    return aten.new_zeros.default(dz, list(x.shape))


class Index(Gate):
    """Looks elements up by one index tensor for each indexed axis (advanced indexing)."""

    formula = "z = x[i, j, …]"
    local = "dx = zeros with dz added at [i, j, …]"
    precision = "follow"
    forward = aten.index.Tensor
    overloads = (aten._unsafe_index.Tensor,)

    @staticmethod
    def backward(dz, z, x, indices):
        return (lambda: aten.index_put.default(zeros_like_input(dz, x), indices, dz, True),)

    @staticmethod
    def samples(r: Draw):
        for shape, pick in (
            ((4,), [r.indices(4, 3)]),
            ((4,), [r.indices(4)]),
            ((3, 4), [r.indices(3, 5)]),
            ((3, 4), [None, r.indices(4, 2, 2)]),
            ((3, 4), [r.indices(3, 5), r.indices(4, 5)]),
            ((2, 3, 4), [r.indices(2, 2, 1), None, r.indices(4, 3)]),
            ((3, 4), [torch.tensor([-1, 0])]),
            ((3, 4), [r.indices(3, 0)]),
            ((0, 4), [None, r.indices(4, 2)]),
        ):
            yield Sample((r(*shape), pick))
        yield Sample((r.strided(3, 4), [r.indices(3, 5)]))


class IndexPut(Gate):
    """Writes values at indices, or adds them there (functional x[i, j, …] = v)."""

    formula = "z = x with v put (or added) at [i, j, …]"
    local = "dx = dz where nothing was put, dv = dz[i, j, …]"
    broadcasts = True
    forward = aten.index_put.default
    overloads = (aten._unsafe_index_put.default,)

    @staticmethod
    def backward(dz, z, x, indices, values, accumulate=False):
        def to_values():
            if values.numel() == 1 and len(indices) == 1 and indices[0].dtype == torch.bool:
                # A mask picks a number of elements that only its values tell.
                mask = indices[0]
                mask = mask.reshape(*mask.shape, *[1] * (dz.dim() - mask.dim()))
                return (dz * mask).sum().reshape(values.shape)
            return sum_to(aten.index.Tensor(dz, indices), values.shape)

        zero = aten.new_zeros.default(dz, [])
        return (
            dz if accumulate else (lambda: aten.index_put.default(dz, indices, zero)),
            None,
            to_values,
        )

    @staticmethod
    def samples(r: Draw):
        for shape, pick, value, accumulate in (
            ((4,), [torch.tensor([2, 0])], (2,), False),
            ((4,), [torch.tensor([2, 2, 0])], (3,), True),
            ((3, 4), [torch.tensor([2, 0])], (2, 4), False),
            ((3, 4), [torch.tensor([1, 1])], (4,), True),
            ((3, 4), [None, torch.tensor([3, 1])], (), False),
            ((3, 4), [torch.tensor([2, 0]), torch.tensor([1, 3])], (2,), False),
            ((3, 4), [r.mask(3, 4)], (), False),
            ((3, 4), [r.mask(3)], (1,), True),
            ((0, 4), [None, torch.tensor([1])], (0, 1), False),
        ):
            yield Sample((r(*shape), pick, r(*value), accumulate))
        yield Sample((r.strided(3, 4), [torch.tensor([2, 0])], r.strided(2, 4)))


class IndexSelect(Gate):
    """Whole slices of an axis, by index."""

    formula = "z = x[…, i, …]"
    local = "dx = zeros with dz added at i"
    precision = "follow"
    forward = aten.index_select.default

    @staticmethod
    def backward(dz, z, x, dim, index):
        if x.dim() == 0:
            return (lambda: dz.reshape(x.shape) if z.numel() == 1 else dz.sum(),)
        return (lambda: aten.index_add.default(zeros_like_input(dz, x), dim, index, dz),)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in (
            ((), 0),
            ((4,), 0),
            ((3, 4), 0),
            ((3, 4), 1),
            ((3, 4), -1),
            ((2, 3, 4), 1),
            ((2, 0), 0),
        ):
            n = shape[dim] if shape else 1
            yield Sample((r(*shape), dim, r.indices(n, 3 if shape else 1)))
        yield Sample((r.strided(3, 4), 0, r.indices(3, 5)))


class IndexAdd(Gate):
    """Adds slices to an axis at the given indices."""

    formula = "z = x with α v added at i"
    local = "dx = dz, dv = α dz[i]"
    forward = aten.index_add.default

    @staticmethod
    def backward(dz, z, x, dim, index, source, *, alpha=1):
        def to_source():
            taken = aten.index_select.default(dz, dim, index).reshape(source.shape)
            return taken if alpha == 1 else taken * alpha

        return dz, None, None, to_source

    @staticmethod
    def samples(r: Draw):
        for shape, dim in (
            ((4,), 0),
            ((3, 4), 0),
            ((3, 4), 1),
            ((3, 4), -1),
            ((2, 3, 4), 1),
            ((3, 0), 0),
        ):
            source = list(shape)
            source[dim] = 5
            yield Sample((r(*shape), dim, r.indices(shape[dim], 5), r(*source)))
        yield Sample((r(3, 4), 0, r.indices(3, 2), r(2, 4)), {"alpha": 0.5})
        yield Sample((r.strided(3, 4), 0, r.indices(3, 5), r.strided(5, 4)))


class IndexFill(Gate):
    """One value written at the given indices of an axis; an index may come twice."""

    formula = "z = value at index, else x"
    local = "dx = dz, 0 at index, dvalue = Σ dz at index"
    forward = aten.index_fill.int_Tensor
    overloads = (aten.index_fill.int_Scalar,)

    @staticmethod
    def backward(dz, z, x, dim, index, value):
        def kept():
            return aten.index_fill.int_Scalar(dz, dim, index, 0)

        return kept, None, None, lambda: (dz - kept()).sum()

    @staticmethod
    def samples(r: Draw):
        for shape, dim, n in (
            ((), 0, 1),
            ((4,), 0, 2),
            ((3, 4), 1, 3),
            ((3, 4), 0, 5),
            ((2, 3, 4), -2, 2),
            ((0, 3), 1, 2),
            ((3, 4), 1, 0),
        ):
            yield Sample((r(*shape), dim, r.indices((shape or (1,))[dim], n), r()))
        yield Sample((r.strided(3, 4), 1, r.indices(4, 3), r()))


class Search(Constant):
    """Places among sorted boundaries: whole numbers, constant between jumps."""

    formula = "z = number of boundaries below x"
    forward = aten.searchsorted.Tensor
    overloads = (aten.searchsorted.Scalar, aten.bucketize.Tensor, aten.bucketize.Scalar)
