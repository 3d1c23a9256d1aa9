"""The derivative of batch norm as PyTorch's own single operation."""

from __future__ import annotations

from operator import getitem
from typing import Any

from torch.fx import GraphModule

from backlit.gates.base import aten
from backlit.lower.direct.match import Rule, apply_rules
from backlit.lower.passes.common import value

_FORWARD = {
    aten._native_batch_norm_legit_functional.default,
    aten._native_batch_norm_legit.no_stats,
}


def _normalised(x: Any, z: Any, shape: Any) -> tuple[Any, Any]:
    """x̂ = (x - μ) / σ and 1/σ; z is what the forward gate returned."""
    rstd = aten.view.default(getitem(z, 2), shape)
    return aten.mul.Tensor(aten.sub.Tensor(x, aten.view.default(getitem(z, 1), shape)), rstd), rstd


def _grad_x(dz: Any, xhat: Any, scale: Any, shape: Any, axes: Any, n: Any) -> Any:
    def mean(t: Any) -> Any:
        return aten.div.Tensor(aten.view.default(aten.sum.dim_IntList(t, axes), shape), n)

    slope = mean(aten.mul.Tensor(dz, xhat))
    inner = aten.sub.Tensor(dz, mean(dz))
    return aten.mul.Tensor(scale, aten.sub.Tensor(inner, aten.mul.Tensor(xhat, slope)))


def _with_weight(dz: Any, x: Any, z: Any, weight: Any, shape: Any, axes: Any, n: Any) -> Any:
    xhat, rstd = _normalised(x, z, shape)
    scale = aten.mul.Tensor(rstd, aten.view.default(weight, shape))
    return _grad_x(dz, xhat, scale, shape, axes, n)


def _without_weight(dz: Any, x: Any, z: Any, shape: Any, axes: Any, n: Any) -> Any:
    return _grad_x(dz, *_normalised(x, z, shape), shape, axes, n)


def _for_weight(dz: Any, x: Any, z: Any, shape: Any, axes: Any) -> Any:
    return aten.sum.dim_IntList(aten.mul.Tensor(dz, _normalised(x, z, shape)[0]), axes)


def _fused(dz: Any, x: Any, z: Any, part: int, n: Any = None) -> Any:
    """The gradient for x (0) or the weight (1); None where z is no batch norm of x in training.

    Args:
        n: of how many numbers the means were taken, where there were means.
    """
    node = z.node
    if node.target not in _FORWARD or node.args[0] is not x.node or node.args[-3] is not True:
        return None
    shape = value(x.node).shape
    if n is not None and n * shape[1] != shape.numel():
        return None
    weight, eps = node.args[1], node.args[-1]
    weight = None if weight is None else type(x)(weight, x.tracer)
    mask = [part == 0, part == 1, False]
    mean, rstd = getitem(z, 1), getitem(z, 2)
    fused = aten.native_batch_norm_backward.default
    return fused(dz, x, weight, None, None, mean, rstd, True, eps, mask)[part]


_RULES = (
    Rule(_with_weight, lambda dz, x, z, n: _fused(dz, x, z, 0, n)),
    Rule(_without_weight, lambda dz, x, z, n: _fused(dz, x, z, 0, n)),
    Rule(_for_weight, lambda dz, x, z: _fused(dz, x, z, 1)),
)


def fuse_batch_norm(gm: GraphModule) -> int:
    """Joins the dozen gates of batch norm's derivative in training.

    Args:
        gm: the flat step graph; changed in place.
    Returns: gradients joined; those of one gate are left to `join_gradients`.
    """
    return apply_rules(gm, _RULES)
