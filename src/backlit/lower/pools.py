"""Maximum pools whose windows lie side by side, as elementwise gates that a compiler fuses.

A compiler's own derivative of a pool is a scattering addition, element by element.
"""

# Shapes: x (N, C, H, W), z and place (N, C, h, w); windows kh x kw, H = h kh and W = w kw.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.graph.backprop import evaluate
from backlit.lower.layout import channels_last
from backlit.lower.lowerings.base import LIBRARY
from backlit.lower.passes.common import value
from backlit.lower.retrace import retrace

Values = dict[Node, Any]
Window = tuple[int, int]
_POOL = aten.max_pool2d_with_indices.default
_ADJOINT = aten.max_pool2d_with_indices_backward.default
_LARGEST = 16  # elements of a window: each has gates of its own


def open_pools(gm: GraphModule) -> GraphModule:
    """The same graph with its maximum pools in two dimensions and their derivatives opened.

    The results are equal, of equal elements the first wins; only where the gradient of a window
    with NaN goes may differ.

    Args:
        gm: a flat step graph, its wires' example values in ``meta["val"]``.
    Returns: a new graph, or the one given where it has no such pool.
    """
    windows = {n: w for n in gm.graph.nodes if n.target is _POOL and (w := _window(n))}
    return retrace(gm, _Opened(windows, channels_last(gm))) if windows else gm


class _Opened:
    """Runs the gates of a step, its pools in the open form."""

    def __init__(self, windows: dict[Node, Window], last: bool):
        self._windows, self._last = windows, last
        self._masked: dict[Node, Node] = {}  # a rectifier's derivative: the pool's before it

    def __call__(self, node: Node, values: Values) -> Any:
        args: Any = node.args
        if node in self._windows:
            return (_pool_last if self._last else _pool)(values[args[0]], self._windows[node])
        if node in self._masked:
            return values[self._masked[node]]
        pool = args[-1].args[0] if node.target is _ADJOINT else None
        if pool not in self._windows:
            return evaluate(node, values)
        dz, (z, place) = values[args[0]], values[pool]
        rectified = _rectified(node)
        if rectified is not None:
            # Where a window's largest element is not positive, none of it is.
            self._masked[rectified] = node
            dz = dz * (z > 0)
        return (_spread_last if self._last else _spread)(dz, place, self._windows[pool])


def _window(pool: Node) -> Window | None:
    """kh, kw where windows lie side by side, cover the picture, and only derivatives ask where."""
    args: Any = pool.args
    x, (kernel, stride, padding, dilation) = value(args[0]), (*args[1:], *(None,) * 3)[:4]
    kh, kw = kernel[0], kernel[-1]
    beside = (stride or kernel)[0] == kh and (stride or kernel)[-1] == kw
    plain = beside and not any(padding or ()) and all(d == 1 for d in dilation or ())
    covered = x.dim() == 4 and x.shape[2] % kh == 0 and x.shape[3] % kw == 0 and x.numel() > 0
    places = [user for user in pool.users if user.args[1] == 1]
    asked = all(user.target is _ADJOINT for place in places for user in place.users)
    serves = plain and covered and asked and x.is_floating_point() and kh * kw <= _LARGEST
    return (kh, kw) if serves else None


def _rectified(adjoint: Any) -> Node | None:
    """The gate x > 0 times the pool's gradient for x, if nothing else reads that."""
    user = next(iter(adjoint.users), None)
    if user is None or len(adjoint.users) > 1 or user.target is not aten.mul.Tensor:
        return None
    mask = user.args[1] if user.args[0] is adjoint else user.args[0]
    positive = isinstance(mask, Node) and mask.target is aten.gt.Scalar
    return user if positive and mask.args == (adjoint.args[1], 0) else None


def _largest(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Of tensors of one shape the largest elements, and the number of the first they stand in.

    The numbers are floats: a compiler's way from masks of floats to whole numbers is slow.
    """
    z, place = parts[0], torch.zeros_like(parts[0])
    for k, part in enumerate(parts[1:], 1):
        place = torch.where(part > z, float(k), place)
        z = torch.maximum(z, part)
    # The view that a compiler gives memory to look at, in this order: else it is computed again
    # for every element of the picture.
    place = place.contiguous()
    return z, place.as_strided(place.shape, place.stride())


def _pool(x: Tensor, window: Window) -> tuple[Tensor, Tensor]:
    return _largest(list(torch.ops.backlit_lower.windows(x, list(window)).unbind()))


def _spread(dz: Tensor, place: Tensor, window: Window) -> Tensor:
    kh, kw = window
    n, c, h, w = dz.shape
    here = torch.arange(kh * kw, dtype=dz.dtype, device=dz.device).view(kh, 1, kw)
    dz, place = dz[:, :, :, None, :, None], place[:, :, :, None, :, None]
    return torch.where(place == here, dz, 0.0).reshape(n, c, h * kh, w * kw)


def _pool_last(x: Tensor, window: Window) -> tuple[Tensor, Tensor]:
    """The same for pictures that lie channels last."""
    kh, kw = window
    n, c, height, width = x.shape
    cut = x.permute(0, 2, 3, 1).reshape(n, height // kh, kh, width // kw, kw, c)
    z, place = _largest([cut[:, :, i, :, j] for i in range(kh) for j in range(kw)])
    return z.permute(0, 3, 1, 2), place.permute(0, 3, 1, 2)


def _spread_last(dz: Tensor, place: Tensor, window: Window) -> Tensor:
    kh, kw = window
    n, c, h, w = dz.shape
    here = torch.arange(kh * kw, dtype=dz.dtype, device=dz.device).view(kh, 1, kw, 1)
    dz, place = (t.permute(0, 2, 3, 1)[:, :, None, :, None] for t in (dz, place))
    spread = torch.where(place == here, dz, 0.0)  # (N, h, kh, w, kw, C)
    return spread.reshape(n, h * kh, w * kw, c).permute(0, 3, 1, 2)


def _windows(x: Tensor, window: list[int]) -> Tensor:
    """The windows' first elements, their second ones, and so on: (kh kw, N, C, h, w).

    An operator into which no compiler looks: it would read the pictures at strides, one element
    at a time, in every gate that follows.
    """
    (n, c, height, width), (kh, kw) = x.shape, window
    cut = x.reshape(n, c, height // kh, kh, width // kw, kw).permute(3, 5, 0, 1, 2, 4)
    return cut.reshape(kh * kw, n, c, height // kh, width // kw)


def _like_windows(x: Tensor, window: list[int]) -> Tensor:
    (n, c, height, width), (kh, kw) = x.shape, window
    return x.new_empty(kh * kw, n, c, height // kh, width // kw)


LIBRARY.define("windows(Tensor x, int[] window) -> Tensor")
LIBRARY.impl("windows", _windows, "CompositeExplicitAutograd")
torch.library.register_fake("backlit_lower::windows", _like_windows, lib=LIBRARY)
