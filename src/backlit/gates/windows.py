"""Sliding windows laid out as columns, and their adjoints, which add overlapping windows up."""

from __future__ import annotations

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample

# (N, C, H, W), then kernel, dilation, padding, stride
_SETTINGS = (
    ((2, 2, 4, 5), [2, 2], [1, 1], [0, 0], [1, 1]),
    ((1, 3, 4, 4), [2, 2], [1, 1], [0, 0], [2, 2]),
    ((2, 1, 5, 5), [3, 2], [1, 2], [1, 0], [2, 1]),
    ((1, 2, 3, 3), [3, 3], [1, 1], [1, 1], [1, 1]),
    ((1, 1, 5, 4), [2, 2], [2, 2], [1, 1], [1, 2]),
    ((1, 1, 2, 2), [1, 1], [1, 1], [0, 0], [1, 1]),
    ((2, 3, 3), [2, 2], [1, 1], [0, 0], [1, 1]),
    ((0, 2, 3, 3), [2, 2], [1, 1], [0, 0], [1, 1]),
)


class WindowsToColumns(Gate):
    """Each window of a picture as one column (torch.nn.Unfold)."""

    formula = "z = windows of x as columns"
    local = "dx = columns of dz added up as windows"
    forward = aten.im2col.default

    @staticmethod
    def backward(dz, z, x, kernel, dilation, padding, stride):
        size = list(x.shape[-2:])
        return (lambda: aten.col2im.default(dz, size, kernel, dilation, padding, stride),)

    @staticmethod
    def samples(r: Draw):
        for shape, *settings in _SETTINGS:
            yield Sample((r(*shape), *settings))
        yield Sample((r.strided(2, 2, 4, 4), [2, 2], [1, 1], [0, 0], [1, 1]))


class ColumnsToWindows(Gate):
    """Adds columns up as the windows of a picture (torch.nn.Fold)."""

    formula = "z = columns of x added up as windows"
    local = "dx = windows of dz as columns"
    forward = aten.col2im.default

    @staticmethod
    def backward(dz, z, x, output_size, kernel, dilation, padding, stride):
        return (lambda: aten.im2col.default(dz, kernel, dilation, padding, stride),)

    @staticmethod
    def samples(r: Draw):
        for shape, *settings in _SETTINGS:
            columns = aten.im2col.default(r(*shape).double(), *settings).shape
            if columns.numel():
                yield Sample((r(*columns), list(shape[-2:]), *settings))
        yield Sample((r.strided(2, 8, 9), [4, 4], [2, 2], [1, 1], [0, 0], [1, 1]))
        yield Sample((r(0, 8, 9), [4, 4], [2, 2], [1, 1], [0, 0], [1, 1]))


_SLICES = (
    ((4,), 0, 2, 1),
    ((5,), 0, 2, 2),
    ((3, 4), 1, 2, 1),
    ((3, 4), 0, 3, 1),
    ((2, 3, 5), -1, 3, 2),
    ((2, 5), 1, 5, 1),
    ((0, 4), 1, 2, 1),
)


class Windows(Gate):
    """Sliding windows along one axis, as a new last axis (Tensor.unfold)."""

    formula = "z = windows of x along an axis"
    local = "dx = windows of dz added up"
    forward = aten.unfold.default

    @staticmethod
    def backward(dz, z, x, dim, size, step):
        return (lambda: aten.unfold_backward.default(dz, list(x.shape), dim, size, step),)

    @staticmethod
    def samples(r: Draw):
        for shape, *settings in _SLICES:
            yield Sample((r(*shape), *settings))
        yield Sample((r.strided(3, 4), 1, 2, 1))


class WindowsBackward(Gate):
    """Adjoint of sliding windows: adds them up where they overlap."""

    formula = "z = windows of x added up"
    local = "dx = windows of dz"
    forward = aten.unfold_backward.default

    @staticmethod
    def backward(dz, z, x, sizes, dim, size, step):
        return (lambda: aten.unfold.default(dz, dim, size, step),)

    @staticmethod
    def samples(r: Draw):
        for shape, dim, size, step in _SLICES:
            z = r(*shape).unfold(dim, size, step)
            yield Sample((r(*z.shape), list(shape), dim, size, step))
        yield Sample((r.strided(3, 3, 2), [3, 4], 1, 2, 1))
