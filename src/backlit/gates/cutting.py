"""Gates that cut wires into parts or lay them together; each one's adjoint undoes it."""

from __future__ import annotations

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


class Slice(Gate):
    """A range of an axis: the gradient of what was cut away is 0."""

    formula = "z = x[start:end:step]"
    local = "dx = dz in its place, 0 elsewhere"
    precision = "follow"
    forward = aten.slice.Tensor

    @staticmethod
    def backward(dz, z, x, dim=0, start=None, end=None, step=1):
        n = x.shape[dim]
        start, end, _ = slice(start, end, step).indices(n)
        return (lambda: aten.slice_backward.default(dz, list(x.shape), dim, start, end, step),)

    @staticmethod
    def samples(r: Draw):
        for shape, rest in (
            ((5,), (0, 1, 4)),
            ((5,), (0, 0, 5, 2)),
            ((3, 4), (1, 1, 3)),
            ((3, 4), (0, -2, 9223372036854775807)),
            ((2, 3, 4), (-1, 1, 4, 2)),
            ((3, 4), (0, 2, 2)),
            ((0, 4), (1, 0, 2)),
        ):
            yield Sample((r(*shape), *rest))
        yield Sample((r.strided(3, 4), 1, 1, 3))


class SliceBackward(Gate):
    """Adjoint of slice: puts a range into zeros."""

    formula = "z = zeros with x at [start:end:step]"
    local = "dx = dz[start:end:step]"
    precision = "follow"
    forward = aten.slice_backward.default

    @staticmethod
    def backward(dz, z, x, sizes, dim, start, end, step):
        return (lambda: aten.slice.Tensor(dz, dim, start, end, step),)

    @staticmethod
    def samples(r: Draw):
        for shape, rest in (
            ((3,), ([5], 0, 1, 4, 1)),
            ((3,), ([5], 0, 0, 5, 2)),
            ((3, 2), ([3, 4], 1, 1, 3, 1)),
            ((2, 4), ([3, 4], 0, 1, 3, 1)),
            ((2, 3, 2), ([2, 3, 4], 2, 1, 4, 2)),
            ((0, 4), ([3, 4], 0, 2, 2, 1)),
            ((0, 2), ([0, 4], 1, 0, 2, 1)),
        ):
            yield Sample((r(*shape), *rest))
        yield Sample((r.strided(3, 2), [3, 4], 1, 1, 3, 1))


class Select(Gate):
    """One index of an axis."""

    formula = "z = x[index]"
    local = "dx = dz in its place, 0 elsewhere"
    precision = "follow"
    forward = aten.select.int

    @staticmethod
    def backward(dz, z, x, dim, index):
        return (lambda: aten.select_backward.default(dz, list(x.shape), dim, index),)

    @staticmethod
    def samples(r: Draw):
        for shape, rest in (
            ((5,), (0, 1)),
            ((5,), (0, -1)),
            ((3, 4), (1, 2)),
            ((3, 4), (0, 0)),
            ((2, 3, 4), (-1, 3)),
            ((2, 3, 4), (1, -2)),
            ((0, 4), (1, 0)),
        ):
            yield Sample((r(*shape), *rest))
        yield Sample((r.strided(3, 4), 1, 1))


class SelectBackward(Gate):
    """Adjoint of select: puts one index into zeros."""

    formula = "z = zeros with x at [index]"
    local = "dx = dz[index]"
    precision = "follow"
    forward = aten.select_backward.default

    @staticmethod
    def backward(dz, z, x, sizes, dim, index):
        return (lambda: dz.select(dim, index),)

    @staticmethod
    def samples(r: Draw):
        for shape, rest in (
            ((), ([5], 0, 1)),
            ((), ([5], 0, -1)),
            ((3,), ([3, 4], 1, 2)),
            ((4,), ([3, 4], 0, 0)),
            ((2, 3), ([2, 3, 4], -1, 3)),
            ((2, 4), ([2, 3, 4], 1, -2)),
            ((0,), ([0, 4], 1, 0)),
        ):
            yield Sample((r(*shape), *rest))
        yield Sample((r.strided(3), [3, 4], 1, 1))


class Concatenate(Gate):
    """Wires laid end to end along an axis: each gets its part of the gradient."""

    formula = "z = [x₁, x₂, …]"
    local = "dxᵢ = its part of dz"
    precision = "follow"
    forward = aten.cat.default

    @staticmethod
    def backward(dz, z, tensors, dim=0):
        grads, start = [], 0
        for t in tensors:
            # PyTorch lets a tensor of shape (0,) stand in a cat of any rank.
            if t.dim() == 1 and t.shape[0] == 0 and z.dim() != 1:
                grads.append(t * 0)
                continue
            end = start + t.shape[dim]
            grads.append(lambda start=start, end=end: aten.slice.Tensor(dz, dim, start, end))
            start = end
        return (grads,)

    @staticmethod
    def samples(r: Draw):
        for shapes, dim in (
            (((2,), (3,)), 0),
            (((2, 3), (1, 3)), 0),
            (((2, 3), (2, 1)), 1),
            (((2, 3), (2, 4)), -1),
            (((1,), (1,), (1,)), 0),
            (((0, 3), (2, 3)), 0),
            (((2, 3, 4), (2, 1, 4)), 1),
        ):
            yield Sample(([r(*shape) for shape in shapes], dim))
        yield Sample(([r.strided(2, 3), r(2, 3)], 1))


class Stack(Gate):
    """Wires laid along a new axis."""

    formula = "z = stack(x₁, x₂, …)"
    local = "dxᵢ = dz[i]"
    precision = "follow"
    forward = aten.stack.default

    @staticmethod
    def backward(dz, z, tensors, dim=0):
        return ([lambda i=i: dz.select(dim, i) for i in range(len(tensors))],)

    @staticmethod
    def samples(r: Draw):
        for shape, n, dim in (
            ((), 2, 0),
            ((3,), 2, 0),
            ((3,), 2, 1),
            ((2, 3), 3, -1),
            ((2, 3), 1, 1),
            ((0,), 2, 0),
            ((2, 1, 2), 2, 2),
        ):
            yield Sample(([r(*shape) for _ in range(n)], dim))
        yield Sample(([r.strided(2, 3), r(2, 3)], 1))


class Split(Gate):
    """An axis cut into parts of given sizes."""

    formula = "z₁, z₂, … = parts of x"
    local = "dx = [dz₁, dz₂, …]"
    precision = "follow"
    forward = aten.split_with_sizes.default

    @staticmethod
    def backward(dz, z, x, sizes, dim=0):
        def rule():
            if all(part is None for part in dz):
                return None
            return aten.cat.default(
                [
                    part if part is not None else aten.zeros_like.default(out)
                    for part, out in zip(dz, z, strict=True)
                ],
                dim,
            )

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for shape, sizes, dim in (
            ((5,), [2, 3], 0),
            ((4,), [1, 1, 2], 0),
            ((3, 4), [2, 2], 1),
            ((3, 4), [1, 2], 0),
            ((2, 3, 4), [1, 3], -1),
            ((0, 4), [2, 2], 1),
            ((4,), [0, 4], 0),
        ):
            yield Sample((r(*shape), sizes, dim))
        yield Sample((r.strided(3, 4), [2, 2], 1))


class SplitEqual(Gate):
    """An axis cut into parts of one size (the last may be smaller)."""

    formula = "z₁, z₂, … = parts of x"
    local = "dx = [dz₁, dz₂, …]"
    precision = "follow"
    forward = aten.split.Tensor

    @staticmethod
    def backward(dz, z, x, size, dim=0):
        return Split.backward(dz, z, x, None, dim)

    @staticmethod
    def samples(r: Draw):
        for shape, size, dim in (
            ((5,), 2, 0),
            ((4,), 4, 0),
            ((3, 4), 2, 1),
            ((3, 4), 1, 0),
            ((2, 3, 4), 3, -1),
            ((0, 4), 2, 1),
            ((4,), 1, 0),
        ):
            yield Sample((r(*shape), size, dim))
        yield Sample((r.strided(3, 4), 2, 1))
