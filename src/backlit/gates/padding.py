"""Padding gates: constant, reflected and repeated borders, and their adjoints."""

# Shapes: x (N, C, *S) or (C, *S); pad lists (left, right) of the last axis first.
from __future__ import annotations

from typing import Any, ClassVar

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


class ConstantPad(Gate):
    """A border of one constant; negative widths crop."""

    formula = "z = x with a border of a constant"
    local = "dx = dz without the border"
    precision = "follow"
    forward = aten.constant_pad_nd.default

    @staticmethod
    def backward(dz, z, x, pad, value=0):
        return (lambda: aten.constant_pad_nd.default(dz, [-p for p in pad]),)

    @staticmethod
    def samples(r: Draw):
        for shape, pad in (
            ((4,), [1, 2]),
            ((3, 4), [1, 0]),
            ((3, 4), [0, 1, 2, 1]),
            ((3, 4), [-1, 1]),
            ((2, 3, 4), [1, 1, 0, 2]),
            ((2, 2, 3, 4), [1, -1, 0, 1]),
            ((0, 4), [1, 1]),
            ((4,), [0, 0]),
        ):
            yield Sample((r(*shape), pad))
        yield Sample((r.strided(3, 4), [1, 1], 0.5))


class _Pad(Gate):
    """A border taken from the input itself."""

    precision = "follow"
    local = "dx = dz, the border's added where it was taken"
    adjoint: ClassVar[Any]
    axes: ClassVar[int]

    @classmethod
    def backward(cls, dz, z, x, padding):
        return (lambda: cls.adjoint(dz, x, padding),)

    @classmethod
    def samples(cls, r: Draw):
        for x, padding in _padded(r, cls.axes):
            yield Sample((x, padding))


def _padded(r: Draw, d: int):
    for lead, size, padding in (
        ((2, 3), (4, 3, 3), (1, 1, 1, 1, 1, 1)),
        ((1, 2), (4, 5, 3), (2, 1, 0, 2, 1, 0)),
        ((2, 1), (3, 3, 3), (0, 1, 0, 0, 1, 1)),
        ((2, 2), (5, 4, 3), (0, 0, 1, 2, 0, 1)),
        ((3,), (4, 3, 3), (1, 2, 1, 0, 0, 1)),
        ((1,), (3, 4, 3), (2, 2, 1, 1, 1, 1)),
        ((0, 2), (3, 3, 3), (1, 1, 1, 1, 1, 1)),
    ):
        yield r(*lead, *size[:d]), list(padding[: 2 * d])
    yield r(2, *(4, 3, 3)[:d], 2).movedim(-1, 1), [1, 1] * d


class _PadBackward(Gate):
    """Adjoint of a border: adds it back to where it was taken."""

    precision = "follow"
    formula = "z = x without the border, the border added where it was taken"
    local = "dx = dz with the border"
    pad: ClassVar[type[_Pad]]

    @classmethod
    def backward(cls, dz, z, x, source, padding):
        return (lambda: cls.pad.forward(dz, padding),)

    @classmethod
    def samples(cls, r: Draw):
        for x, padding in _padded(r, cls.pad.axes):
            z = cls.pad.forward(x, padding)
            yield Sample((r(*z.shape), x.detach(), padding))


class ReflectionPad1d(_Pad):
    """Border mirrored at the edge, in one dimension."""

    formula = "z = x mirrored at its edges"
    forward = aten.reflection_pad1d.default
    adjoint = aten.reflection_pad1d_backward.default
    axes = 1


class ReflectionPad2d(_Pad):
    """Border mirrored at the edge, in two dimensions."""

    formula = "z = x mirrored at its edges"
    forward = aten.reflection_pad2d.default
    adjoint = aten.reflection_pad2d_backward.default
    axes = 2


class ReflectionPad3d(_Pad):
    """Border mirrored at the edge, in three dimensions."""

    formula = "z = x mirrored at its edges"
    forward = aten.reflection_pad3d.default
    adjoint = aten.reflection_pad3d_backward.default
    axes = 3


class ReplicationPad1d(_Pad):
    """Border that repeats the edge, in one dimension."""

    formula = "z = x with its edge repeated"
    forward = aten.replication_pad1d.default
    adjoint = aten.replication_pad1d_backward.default
    axes = 1


class ReplicationPad2d(_Pad):
    """Border that repeats the edge, in two dimensions."""

    formula = "z = x with its edge repeated"
    forward = aten.replication_pad2d.default
    adjoint = aten.replication_pad2d_backward.default
    axes = 2


class ReplicationPad3d(_Pad):
    """Border that repeats the edge, in three dimensions."""

    formula = "z = x with its edge repeated"
    forward = aten.replication_pad3d.default
    adjoint = aten.replication_pad3d_backward.default
    axes = 3


class ReflectionPad1dBackward(_PadBackward):
    """Adjoint of the mirrored border in one dimension."""

    forward = aten.reflection_pad1d_backward.default
    pad = ReflectionPad1d


class ReflectionPad2dBackward(_PadBackward):
    """Adjoint of the mirrored border in two dimensions."""

    forward = aten.reflection_pad2d_backward.default
    pad = ReflectionPad2d


class ReflectionPad3dBackward(_PadBackward):
    """Adjoint of the mirrored border in three dimensions."""

    forward = aten.reflection_pad3d_backward.default
    pad = ReflectionPad3d


class ReplicationPad1dBackward(_PadBackward):
    """Adjoint of the repeated edge in one dimension."""

    forward = aten.replication_pad1d_backward.default
    pad = ReplicationPad1d


class ReplicationPad2dBackward(_PadBackward):
    """Adjoint of the repeated edge in two dimensions."""

    forward = aten.replication_pad2d_backward.default
    pad = ReplicationPad2d


class ReplicationPad3dBackward(_PadBackward):
    """Adjoint of the repeated edge in three dimensions."""

    forward = aten.replication_pad3d_backward.default
    pad = ReplicationPad3d
