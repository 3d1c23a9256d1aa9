"""Gates that move, repeat or cut values without changing them; each one's adjoint undoes it."""

from __future__ import annotations

from backlit.gates.base import Constant, Gate, aten
from backlit.gates.samples import Draw, Sample, unary


class View(Gate):
    """The same values in another shape."""

    formula = "z = x reshaped"
    local = "dx = dz reshaped"
    precision = "follow"
    forward = aten.view.default
    overloads = (aten._unsafe_view.default, aten.reshape.default)

    @staticmethod
    def backward(dz, z, x, size):
        return (lambda: dz.reshape(x.shape),)

    @staticmethod
    def samples(r: Draw):
        for a, b in (
            ((), [1]),
            ((4,), [2, 2]),
            ((2, 3), [6]),
            ((2, 3), [3, -1]),
            ((2, 3, 4), [6, 4]),
            ((0, 3), [0]),
            ((1,), []),
        ):
            yield Sample((r(*a), b))
        yield Sample((r(4, 2, 2)[:, :, 0], [2, 2, 2]))


class Permute(Gate):
    """Axes in another order."""

    formula = "z = x with axes permuted"
    local = "dx = dz permuted back"
    precision = "follow"
    forward = aten.permute.default

    @staticmethod
    def backward(dz, z, x, dims):
        inverse = [0] * len(dims)
        for to, source in enumerate(dims):
            inverse[source % len(dims)] = to
        return (lambda: dz.permute(inverse),)

    @staticmethod
    def samples(r: Draw):
        for shape, dims in (
            ((), []),
            ((4,), [0]),
            ((2, 3), [1, 0]),
            ((2, 3, 4), [2, 0, 1]),
            ((2, 3, 4), [0, -1, 1]),
            ((2, 1, 3, 2), [3, 1, 0, 2]),
            ((0, 3), [1, 0]),
        ):
            yield Sample((r(*shape), dims))
        yield Sample((r.strided(2, 3), [1, 0]))


class Transpose(Gate):
    """Two axes exchanged."""

    formula = "z = xᵀ"
    local = "dx = dzᵀ"
    precision = "follow"
    forward = aten.transpose.int

    @staticmethod
    def backward(dz, z, x, dim0, dim1):
        return (lambda: dz.transpose(dim0, dim1),)

    @staticmethod
    def samples(r: Draw):
        for shape, a, b in (
            ((), 0, 0),
            ((4,), 0, 0),
            ((2, 3), 0, 1),
            ((2, 3, 4), 0, 2),
            ((2, 3, 4), -1, -2),
            ((2, 1, 3, 2), 1, 3),
            ((0, 3), 1, 0),
        ):
            yield Sample((r(*shape), a, b))
        yield Sample((r.strided(2, 3), 0, 1))


class MatrixTranspose(Gate):
    """Transpose of a matrix (a vector or scalar stays as it is)."""

    formula = "z = xᵀ"
    local = "dx = dzᵀ"
    precision = "follow"
    forward = aten.t.default

    @staticmethod
    def backward(dz, z, x):
        return (lambda: dz.t(),)

    @staticmethod
    def samples(r: Draw):
        for shape in ((), (4,), (2, 3), (3, 3), (1, 4), (0, 3), (0,)):
            yield Sample((r(*shape),))
        yield Sample((r.strided(2, 3),))


class Unsqueeze(Gate):
    """A new axis of size 1."""

    formula = "z = x with an axis of size 1"
    local = "dx = dz without it"
    precision = "follow"
    forward = aten.unsqueeze.default

    @staticmethod
    def backward(dz, z, x, dim):
        return (lambda: dz.squeeze(dim),)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in (
            ((), 0),
            ((4,), 0),
            ((4,), 1),
            ((2, 3), -1),
            ((2, 3), 1),
            ((2, 3, 4), -2),
            ((0, 3), 0),
        ):
            yield Sample((r(*shape), dim))
        yield Sample((r.strided(2, 3), 2))


class Squeeze(Gate):
    """Axes of size 1 removed."""

    formula = "z = x without axes of size 1"
    local = "dx = dz with them"
    precision = "follow"
    forward = aten.squeeze.dims
    overloads = (aten.squeeze.dim, aten.squeeze.default)

    @staticmethod
    def backward(dz, z, x, dim=None):
        return (lambda: dz.reshape(x.shape),)

    @staticmethod
    def samples(r: Draw):
        for shape, dim in (
            ((1,), [0]),
            ((4, 1), [1]),
            ((1, 3), [0]),
            ((1, 3, 1), [0, 2]),
            ((2, 1, 3), [-2]),
            ((2, 3), [0]),
            ((0, 1), [1]),
        ):
            yield Sample((r(*shape), dim))
        yield Sample((r.strided(2, 1), [1]))


class Expand(Gate):
    """Repeats axes of size 1 without copying: the gradients of the copies are summed."""

    formula = "z = x repeated"
    local = "dx = Σ dz over the copies"
    broadcasts = True
    precision = "follow"
    forward = aten.expand.default

    @staticmethod
    def backward(dz, z, x, size, implicit=False):
        return (dz,)

    @staticmethod
    def samples(r: Draw):
        for shape, size in (
            ((), [3]),
            ((), []),
            ((1,), [4]),
            ((3,), [2, 3]),
            ((2, 1), [2, 3]),
            ((2, 1, 4), [2, 3, 4]),
            ((1, 3), [-1, 3]),
            ((1, 0), [2, 0]),
        ):
            yield Sample((r(*shape), size))
        yield Sample((r.strided(2, 1), [2, 3]))


class Repeat(Gate):
    """Tiles a tensor: the gradients of the copies are summed."""

    formula = "z = x tiled"
    local = "dx = Σ dz over the copies"
    precision = "follow"
    forward = aten.repeat.default

    @staticmethod
    def backward(dz, z, x, repeats):
        def rule():
            lead = len(repeats) - x.dim()
            shape = list(repeats[:lead])
            for count, n in zip(repeats[lead:], x.shape, strict=True):
                shape += [count, n]
            axes = list(range(lead)) + [lead + 2 * i for i in range(x.dim())]
            return dz.reshape(shape).sum(axes) if axes else dz

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for shape, repeats in (
            ((), [3]),
            ((2,), [3]),
            ((2,), [2, 1]),
            ((2, 3), [1, 2]),
            ((2, 3), [2, 2]),
            ((2, 3), [2, 1, 3]),
            ((0, 3), [2, 1]),
        ):
            yield Sample((r(*shape), repeats))
        yield Sample((r.strided(2, 3), [2, 1]))


class Copy(Gate):
    """A copy of the values."""

    formula = "z = x"
    local = "∂z/∂x = 1"
    precision = "follow"
    forward = aten.clone.default
    overloads = (aten.alias.default, aten.contiguous.default, aten.positive.default)

    @staticmethod
    def backward(dz, z, x, memory_format=None):
        return (dz,)

    samples = unary()


class Convert(Gate):
    """The values in another dtype; the gradient is converted back."""

    formula = "z = x as another dtype"
    local = "dx = dz as x's dtype"
    precision = "follow"
    forward = aten._to_copy.default

    @staticmethod
    def backward(dz, z, x, **kwargs):
        return (lambda: dz.to(x.dtype) if x.is_floating_point() else None,)

    samples = unary()


class Overwrite(Gate):
    """The second wire's values in the first one's place (a functional copy_)."""

    formula = "z = source"
    local = "∂z/∂source = 1"
    broadcasts = True
    precision = "follow"
    forward = aten.copy.default

    @staticmethod
    def backward(dz, z, x, source, non_blocking=False):
        return None, dz

    @staticmethod
    def samples(r: Draw):
        for a, b in (
            ((), ()),
            ((3,), (3,)),
            ((2, 3), (2, 3)),
            ((2, 3), (3,)),
            ((2, 3), ()),
            ((2, 3), (2, 1)),
            ((0,), (0,)),
        ):
            yield Sample((r(*a), r(*b)))
        yield Sample((r(2, 3), r.strided(2, 3)))


class Detach(Constant):
    """Stop-gradient: the values pass, the gradient does not."""

    formula = "z = x"
    local = "∂z/∂x = 0 by decree"
    forward = aten.detach.default
