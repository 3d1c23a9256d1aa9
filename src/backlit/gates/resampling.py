"""Resampling gates: nearest, linear and cubic in one to three dimensions, and their adjoints."""

# Shapes: x (N, C, *S), z (N, C, *output_size).
from __future__ import annotations

from typing import Any, ClassVar

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


def _scales(x, rest):
    """One scale an axis, None where the sizes decide: from a list (.vec) or single numbers."""
    d = x.dim() - 2
    if rest and isinstance(rest[0], (list, tuple)):
        return tuple(rest[0])
    return (*rest, *(None,) * d)[:d] if rest and rest[0] is not None else (None,) * d


class _Resample(Gate):
    """Values between the given ones; the same rule for an operator and its .vec form."""

    local = "dx = dz added where each value was read"
    adjoint: ClassVar[Any]
    axes: ClassVar[int]
    corners: ClassVar[bool] = True

    @classmethod
    def backward(cls, dz, z, x, output_size, *rest):
        flags, scales = (rest[:1], rest[1:]) if cls.corners else ((), rest)
        sizes = (list(z.shape[2:]), list(x.shape))
        return (lambda: cls.adjoint(dz, *sizes, *flags, *_scales(x, scales)),)

    @classmethod
    def samples(cls, r: Draw):
        for x, size, flags, scales in _sized(r, cls.axes, cls.corners):
            yield Sample((x, size, *flags, *scales))


def _sized(r: Draw, d: int, corners: bool):
    """Inputs, output sizes, align_corners where there is one, and scales.

    Nearest is tried neither on an empty batch, which PyTorch's shape rule refuses, nor on scales
    that do not divide the sizes, where PyTorch's own gradient is not that of its forward.
    """
    flags = ((False,), (True,)) if corners else ((),)
    for flag in flags:
        for lead, size, out in (
            ((2, 2), (3, 3, 2), (6, 6, 4)),
            ((1, 2), (5, 4, 3), (3, 2, 2)),
            ((2, 1), (3, 4, 2), (5, 7, 3)),
            ((1, 1), (2, 2, 2), (1, 1, 1)),
        ):
            yield r(*lead, *size[:d]), list(out[:d]), flag, ()
    flag = flags[0]
    yield r(1, 2, *(4, 4, 3)[:d]), [6, 6, 4][:d], flag, (1.5, 1.5, 1.5)[:d]
    if corners:
        yield r(2, 1, *(3, 2, 2)[:d]), [6, 5, 4][:d], flag, (2.1, 2.6, 2.0)[:d]
        yield r(0, 2, *(3, 3, 3)[:d]), [6, 6, 6][:d], flag, ()
    yield r(1, 1, *(1, 1, 1)[:d]), [2, 2, 2][:d], flag, ()
    yield r(3, 2, *(4, 4, 2)[:d]), [8, 8, 4][:d], flag, (2.0, 2.0, 2.0)[:d]
    yield r(1, 3, *(2, 3, 2)[:d]), [5, 5, 3][:d], flag, ()
    yield r.strided(2, 2, *(3, 4, 2)[:d]), [4, 4, 4][:d], flag, ()


class _ResampleBackward(Gate):
    """Adjoint of a resampling: adds each value where it was read."""

    formula = "z = x added where each value was read, by the same weights"
    local = "dx = dz resampled"
    resample: ClassVar[type[_Resample]]

    @classmethod
    def backward(cls, dz, z, x, output_size, input_size, *rest):
        return (lambda: cls.resample.forward(dz, output_size, *rest),)

    @classmethod
    def samples(cls, r: Draw):
        for x, size, flags, scales in _sized(r, cls.resample.axes, cls.resample.corners):
            dz = r(*x.shape[:2], *size)
            if not x.is_contiguous():
                dz = r.strided(*x.shape[:2], *size)
            yield Sample((dz, size, list(x.shape), *flags, *scales))


class Nearest1d(_Resample):
    """The nearest value, along one axis."""

    formula = "z = nearest x"
    precision = "follow"
    forward = aten.upsample_nearest1d.default
    overloads = (aten.upsample_nearest1d.vec,)
    adjoint = aten.upsample_nearest1d_backward.default
    axes, corners = 1, False


class Nearest2d(_Resample):
    """The nearest value, in a picture."""

    formula = "z = nearest x"
    precision = "follow"
    forward = aten.upsample_nearest2d.default
    overloads = (aten.upsample_nearest2d.vec,)
    adjoint = aten.upsample_nearest2d_backward.default
    axes, corners = 2, False


class Nearest3d(_Resample):
    """The nearest value, in a volume."""

    formula = "z = nearest x"
    precision = "follow"
    forward = aten.upsample_nearest3d.default
    overloads = (aten.upsample_nearest3d.vec,)
    adjoint = aten.upsample_nearest3d_backward.default
    axes, corners = 3, False


class NearestExact1d(_Resample):
    """The value nearest to the centre, along one axis."""

    formula = "z = x nearest to the centre"
    precision = "follow"
    forward = aten._upsample_nearest_exact1d.default
    overloads = (aten._upsample_nearest_exact1d.vec,)
    adjoint = aten._upsample_nearest_exact1d_backward.default
    axes, corners = 1, False


class NearestExact2d(_Resample):
    """The value nearest to the centre, in a picture."""

    formula = "z = x nearest to the centre"
    precision = "follow"
    forward = aten._upsample_nearest_exact2d.default
    overloads = (aten._upsample_nearest_exact2d.vec,)
    adjoint = aten._upsample_nearest_exact2d_backward.default
    axes, corners = 2, False


class NearestExact3d(_Resample):
    """The value nearest to the centre, in a volume."""

    formula = "z = x nearest to the centre"
    precision = "follow"
    forward = aten._upsample_nearest_exact3d.default
    overloads = (aten._upsample_nearest_exact3d.vec,)
    adjoint = aten._upsample_nearest_exact3d_backward.default
    axes, corners = 3, False


class Linear1d(_Resample):
    """Straight lines between neighbouring values."""

    formula = "z = Σ (1 − |distance|) x over 2 neighbours"
    forward = aten.upsample_linear1d.default
    overloads = (aten.upsample_linear1d.vec,)
    adjoint = aten.upsample_linear1d_backward.default
    axes = 1


class Bilinear2d(_Resample):
    """Straight lines between neighbouring values, along both axes of a picture."""

    formula = "z = Σ Π (1 − |distance|) x over 4 neighbours"
    forward = aten.upsample_bilinear2d.default
    overloads = (aten.upsample_bilinear2d.vec,)
    adjoint = aten.upsample_bilinear2d_backward.default
    axes = 2


class Trilinear3d(_Resample):
    """Straight lines between neighbouring values, along the three axes of a volume."""

    formula = "z = Σ Π (1 − |distance|) x over 8 neighbours"
    forward = aten.upsample_trilinear3d.default
    overloads = (aten.upsample_trilinear3d.vec,)
    adjoint = aten.upsample_trilinear3d_backward.default
    axes = 3


class Bicubic2d(_Resample):
    """Cubic curves through neighbouring values, along both axes of a picture.

    Source: Keys 1981, equation (15), with a = -0.75.
    """

    formula = "z = Σ Π k(distance) x over 16 neighbours"
    forward = aten.upsample_bicubic2d.default
    overloads = (aten.upsample_bicubic2d.vec,)
    adjoint = aten.upsample_bicubic2d_backward.default
    axes = 2


class SmoothBilinear2d(_Resample):
    """Bilinear with a filter as wide as the reduction, which avoids aliasing."""

    formula = "z = Σ k(distance) x over a neighbourhood"
    forward = aten._upsample_bilinear2d_aa.default
    adjoint = aten._upsample_bilinear2d_aa_backward.default
    axes = 2


class SmoothBicubic2d(_Resample):
    """Bicubic with a filter as wide as the reduction, which avoids aliasing."""

    formula = "z = Σ k(distance) x over a neighbourhood"
    forward = aten._upsample_bicubic2d_aa.default
    adjoint = aten._upsample_bicubic2d_aa_backward.default
    axes = 2


def _adjoint_of(gate: type[_Resample]) -> type[_ResampleBackward]:
    """The adjoint gate of a resampling gate, named after it."""
    body = {
        "__doc__": f"Adjoint of {gate.__name__}: adds each value where it was read.",
        "__module__": __name__,
        "forward": gate.adjoint,
        "resample": gate,
    }
    return type(f"{gate.__name__}Backward", (_ResampleBackward,), body)


Nearest1dBackward = _adjoint_of(Nearest1d)
Nearest2dBackward = _adjoint_of(Nearest2d)
Nearest3dBackward = _adjoint_of(Nearest3d)
NearestExact1dBackward = _adjoint_of(NearestExact1d)
NearestExact2dBackward = _adjoint_of(NearestExact2d)
NearestExact3dBackward = _adjoint_of(NearestExact3d)
Linear1dBackward = _adjoint_of(Linear1d)
Bilinear2dBackward = _adjoint_of(Bilinear2d)
Trilinear3dBackward = _adjoint_of(Trilinear3d)
Bicubic2dBackward = _adjoint_of(Bicubic2d)
SmoothBilinear2dBackward = _adjoint_of(SmoothBilinear2d)
SmoothBicubic2dBackward = _adjoint_of(SmoothBicubic2d)
