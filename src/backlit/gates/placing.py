"""Gates that reverse, roll, take apart or overwrite parts of a tensor."""

from __future__ import annotations

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


class Flip(Gate):
    """Axes in reverse order."""

    formula = "z = x reversed"
    local = "dx = dz reversed"
    precision = "follow"
    forward = aten.flip.default

    @staticmethod
    def backward(dz, z, x, dims):
        return (lambda: dz.flip(dims),)

    @staticmethod
    def samples(r: Draw):
        for shape, dims in (
            ((), []),
            ((4,), [0]),
            ((3, 4), [0]),
            ((3, 4), [0, 1]),
            ((2, 3, 4), [-1]),
            ((2, 3, 4), [0, 2]),
            ((0, 3), [1]),
        ):
            yield Sample((r(*shape), dims))
        yield Sample((r.strided(3, 4), [1]))


class Roll(Gate):
    """Axes shifted, what leaves at one end coming in at the other."""

    formula = "z = x shifted around"
    local = "dx = dz shifted back"
    precision = "follow"
    forward = aten.roll.default

    @staticmethod
    def backward(dz, z, x, shifts, dims=()):
        return (lambda: aten.roll.default(dz, [-s for s in shifts], dims),)

    @staticmethod
    def samples(r: Draw):
        for shape, shifts, dims in (
            ((4,), [1], [0]),
            ((4,), [-2], [0]),
            ((3, 4), [5], []),
            ((3, 4), [1, 2], [0, 1]),
            ((2, 3, 4), [-1], [-1]),
            ((2, 3, 4), [1, 1], [0, 2]),
            ((0, 3), [1], [1]),
        ):
            yield Sample((r(*shape), shifts, dims))
        yield Sample((r.strided(3, 4), [1], [1]))


class Unbind(Gate):
    """An axis taken apart into its slices: their gradients are stacked again."""

    formula = "z₁, z₂, … = slices of x along an axis"
    local = "dx = stack(dz₁, dz₂, …)"
    precision = "follow"
    forward = aten.unbind.int

    @staticmethod
    def backward(dz, z, x, dim=0):
        def rule():
            if all(part is None for part in dz):
                return None
            parts = [
                aten.zeros_like.default(out) if part is None else part
                for part, out in zip(dz, z, strict=True)
            ]
            return aten.stack.default(parts, dim)

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in (
            ((4,), 0),
            ((1,), 0),
            ((3, 4), 0),
            ((3, 4), 1),
            ((2, 3, 4), -1),
            ((2, 3, 4), 1),
            ((3, 0), 0),
        ):
            yield Sample((r(*shape), dim))
        yield Sample((r.strided(3, 4), 1))


_DIAGONALS = (
    ((3, 3), 0, 0, 1),
    ((3, 4), 1, 0, 1),
    ((3, 4), -1, 0, 1),
    ((4, 3), 0, 1, 0),
    ((2, 3, 4), 0, 0, 2),
    ((2, 3, 4), 1, -2, -1),
    ((0, 3), 0, 0, 1),
)


class Diagonal(Gate):
    """The diagonal of two axes, as a new last axis."""

    formula = "z = diagonal of x"
    local = "dx = zeros with dz on the diagonal"
    forward = aten.diagonal.default

    @staticmethod
    def backward(dz, z, x, offset=0, dim1=0, dim2=1):
        shape = list(x.shape)
        return (lambda: aten.diagonal_backward.default(dz, shape, offset, dim1, dim2),)

    @staticmethod
    def samples(r: Draw):
        for shape, *where in _DIAGONALS:
            yield Sample((r(*shape), *where))
        yield Sample((r.strided(3, 4),))


class DiagonalBackward(Gate):
    """Adjoint of the diagonal: puts values on it, zeros elsewhere."""

    formula = "z = zeros with x on the diagonal"
    local = "dx = diagonal of dz"
    forward = aten.diagonal_backward.default

    @staticmethod
    def backward(dz, z, x, sizes, offset, dim1, dim2):
        return (lambda: aten.diagonal.default(dz, offset, dim1, dim2),)

    @staticmethod
    def samples(r: Draw):
        for shape, *where in _DIAGONALS:
            line = aten.diagonal.default(r(*shape), *where).shape
            yield Sample((r(*line), list(shape), *where))
        yield Sample((r.strided(3), [3, 4], 0, 0, 1))


class DiagonalScatter(Gate):
    """A copy of the first wire with the second on its diagonal."""

    formula = "z = x with v on its diagonal"
    local = "dx = dz with 0 there, dv = diagonal of dz"
    forward = aten.diagonal_scatter.default

    @staticmethod
    def backward(dz, z, x, source, offset=0, dim1=0, dim2=1):
        where = (offset, dim1, dim2)
        return (
            lambda: aten.diagonal_scatter.default(dz, aten.zeros_like.default(source), *where),
            lambda: aten.diagonal.default(dz, *where),
        )

    @staticmethod
    def samples(r: Draw):
        for shape, *where in _DIAGONALS:
            line = aten.diagonal.default(r(*shape), *where).shape
            yield Sample((r(*shape), r(*line), *where))
        yield Sample((r.strided(3, 4), r.strided(3)))


class SliceScatter(Gate):
    """A copy of the first wire with the second in a range of an axis."""

    formula = "z = x with v at [start:end:step]"
    local = "dx = dz with 0 there, dv = dz[start:end:step]"
    forward = aten.slice_scatter.default

    @staticmethod
    def backward(dz, z, x, source, dim=0, start=None, end=None, step=1):
        where = (dim, start, end, step)
        return (
            lambda: aten.slice_scatter.default(dz, aten.zeros_like.default(source), *where),
            lambda: aten.slice.Tensor(dz, *where),
        )

    @staticmethod
    def samples(r: Draw):
        for shape, source, where in (
            ((5,), (3,), (0, 1, 4)),
            ((5,), (3,), (0, 0, 5, 2)),
            ((3, 4), (3, 2), (1, 1, 3)),
            ((3, 4), (2, 4), (0, -2, 9223372036854775807)),
            ((2, 3, 4), (2, 3, 2), (-1, 1, 4, 2)),
            ((3, 4), (0, 4), (0, 2, 2)),
            ((0, 4), (0, 2), (1, 0, 2)),
        ):
            yield Sample((r(*shape), r(*source), *where))
        yield Sample((r.strided(3, 4), r.strided(3, 2), 1, 1, 3))


class SelectScatter(Gate):
    """A copy of the first wire with the second at one index of an axis."""

    formula = "z = x with v at [index]"
    local = "dx = dz with 0 there, dv = dz[index]"
    forward = aten.select_scatter.default

    @staticmethod
    def backward(dz, z, x, source, dim, index):
        return (
            lambda: aten.select_scatter.default(dz, aten.zeros_like.default(source), dim, index),
            lambda: dz.select(dim, index),
        )

    @staticmethod
    def samples(r: Draw):
        for shape, source, dim, index in (
            ((5,), (), 0, 1),
            ((5,), (), 0, -1),
            ((3, 4), (3,), 1, 2),
            ((3, 4), (4,), 0, 0),
            ((2, 3, 4), (2, 3), -1, 3),
            ((2, 3, 4), (2, 4), 1, -2),
            ((0, 4), (0,), 1, 0),
        ):
            yield Sample((r(*shape), r(*source), dim, index))
        yield Sample((r.strided(3, 4), r.strided(3), 1, 1))


class LowerTriangle(Gate):
    """The lower triangle of the last two axes, zeros elsewhere."""

    formula = "z = lower triangle of x"
    local = "dx = lower triangle of dz"
    precision = "follow"
    forward = aten.tril.default

    @staticmethod
    def backward(dz, z, x, diagonal=0):
        return (lambda: dz.tril(diagonal),)

    @staticmethod
    def samples(r: Draw):
        for shape, diagonal in _TRIANGLES:
            yield Sample((r(*shape), diagonal))
        yield Sample((r.strided(3, 4),))


class UpperTriangle(Gate):
    """The upper triangle of the last two axes, zeros elsewhere."""

    formula = "z = upper triangle of x"
    local = "dx = upper triangle of dz"
    precision = "follow"
    forward = aten.triu.default

    @staticmethod
    def backward(dz, z, x, diagonal=0):
        return (lambda: dz.triu(diagonal),)

    samples = LowerTriangle.samples


_TRIANGLES = (
    ((3, 3), 0),
    ((3, 4), 1),
    ((3, 4), -1),
    ((4, 3), 0),
    ((2, 3, 4), 0),
    ((1, 1), 0),
    ((0, 3), 0),
    ((2, 0, 3), 1),
)
