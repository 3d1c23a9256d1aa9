"""Pictures as matrices: what the matrix forms of convolution share."""

# Shapes: rows are pixels, P = N h w; channels stand last inside, as matrices want them.
from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from backlit.lower.lowerings.scratch import bordered, kept_empty


def channels_inner(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H, W, C), without a copy where the layout is channels last."""
    return x.permute(0, 2, 3, 1).contiguous()


def channels_outer(x: Tensor) -> Tensor:
    """(N, H, W, C) -> (N, C, H, W) in channels-last layout."""
    return x.permute(0, 3, 1, 2)


def add_to_channels(x: Tensor, bias: Tensor) -> Tensor:
    """x (N, C, H, W) in channels-last layout, to each channel its bias (C,) added in place."""
    lines = x.permute(0, 2, 3, 1).view(-1, x.shape[3] * x.shape[1])
    lines += bias.repeat(x.shape[3])  # many numbers side by side, however few the channels
    return x


def rows_of(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N H W, C)."""
    return channels_inner(x).view(-1, x.shape[1])


def columns(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    size: Sequence[int],
) -> Tensor:
    """What the kernel sees at each place: (N, C, H, W) -> (N h w, kh kw C), "im2col".

    Args:
        size: h, w: how many places.
    """
    x = x.permute(0, 2, 3, 1)
    x = bordered(x, padding) if any(padding) else x.contiguous()
    n, _, _, c = x.shape
    of_n, of_h, of_w, _ = x.stride()
    # One row of the kernel is one run of kw C neighbours in memory.
    seen = x.as_strided(
        (n, *size, kernel[0], kernel[1] * c), (of_n, stride[0] * of_h, stride[1] * of_w, of_h, 1)
    )
    if not seen.is_contiguous():
        seen = kept_empty(*seen.shape, like=x).copy_(seen)
    return seen.view(n * size[0] * size[1], -1)


def matrix_of(w: Tensor) -> Tensor:
    """Kernels (K, C, kh, kw) -> (K, kh kw C), in the order of `columns`."""
    return w.permute(0, 2, 3, 1).reshape(w.shape[0], -1)


def empty_pictures(a: Tensor, channels: int, size: Sequence[int]) -> Tensor:
    """An empty (N, channels, *size) in channels-last layout, N and dtype as `a`'s."""
    return channels_outer(a.new_empty(a.shape[0], *size, channels))


def taps_a_phase(kernel: Sequence[int], stride: Sequence[int]) -> list[int]:
    """t = ceil(k / s): how many taps of a kernel fall on a phase of the stride."""
    return [-(-k // s) for k, s in zip(kernel, stride, strict=True)]


def filled(w: Tensor, stride: Sequence[int]) -> Tensor:
    """Kernels (K, C, kh, kw), filled up with zeros to a multiple of the stride."""
    missing = [-k % s for k, s in zip(w.shape[2:], stride, strict=True)]
    return F.pad(w, (0, missing[1], 0, missing[0])) if any(missing) else w


def phases(w: Tensor, stride: Sequence[int]) -> Tensor:
    """The kernel cut into one small kernel for each phase of the stride, filled up with zeros.

    (K, C, kh, kw) -> (K, C, th, sh, tw, sw) with t = ceil(k / s).
    """
    th, tw = taps_a_phase(w.shape[2:], stride)
    return filled(w, stride).reshape(*w.shape[:2], th, stride[0], tw, stride[1])


def interleave(y: Tensor, padding: Sequence[int], size: Sequence[int]) -> Tensor:
    """Puts the phases of the stride beside each other and cuts the border off.

    (N, A, B, sh, sw, C) -> (N, C, H, W): pixel i of the result is phase (i + p) mod s of place
    (i + p) // s.
    """
    n, _, _, sh, sw, c = y.shape
    out = y.new_empty(n, *size, c)
    for i in range(min(sh, size[0])):
        a, row = divmod(i + padding[0], sh)
        for j in range(min(sw, size[1])):
            b, column = divmod(j + padding[1], sw)
            part = out[:, i::sh, j::sw]
            part.copy_(y[:, a : a + part.shape[1], b : b + part.shape[2], row, column])
    return channels_outer(out)
