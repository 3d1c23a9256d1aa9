"""The derivatives of activations as PyTorch's own single operations."""

from __future__ import annotations

from typing import Any

from torch.fx import GraphModule

from backlit.gates.base import aten
from backlit.lower.direct.match import Rule, apply_rules


def _relu(dz: Any, y: Any) -> Any:
    return aten.mul.Tensor(dz, aten.gt.Scalar(y, 0))


def _leaky_relu(dz: Any, x: Any, slope: Any) -> Any:
    return aten.where.self(aten.gt.Scalar(x, 0), dz, aten.mul.Tensor(dz, slope))


def _leaky_relu_backward(dz: Any, x: Any, slope: Any) -> Any:
    """From the result where it is at hand: then nobody needs the input, and memory is freed.

    None for a slope that is a wire: PReLU's, which is learned.
    """
    if not isinstance(slope, int | float):
        return None
    for user in x.node.users:
        if user.target is aten.leaky_relu.default and user.args[1:] == (slope,) and slope > 0:
            y = type(x)(user, x.tracer)
            return aten.leaky_relu_backward.default(dz, y, slope, True)
    return aten.leaky_relu_backward.default(dz, x, slope, False)


def _softplus(dz: Any, x: Any, threshold: Any) -> Any:
    rising = aten.mul.Tensor(dz, aten.sigmoid.default(x))
    return aten.where.self(aten.gt.Scalar(x, threshold), dz, rising)


def _tanh(dz: Any, y: Any) -> Any:
    return aten.mul.Tensor(dz, aten.rsub.Scalar(aten.mul.Tensor(y, y), 1))


def _sigmoid(dz: Any, y: Any) -> Any:
    return aten.mul.Tensor(dz, aten.mul.Tensor(aten.rsub.Scalar(y, 1), y))


_RULES = (
    Rule(_leaky_relu, _leaky_relu_backward),
    Rule(_softplus, lambda dz, x, threshold: aten.softplus_backward.default(dz, x, 1, threshold)),
    Rule(_tanh, lambda dz, y: aten.tanh_backward.default(dz, y)),
    Rule(_sigmoid, lambda dz, y: aten.sigmoid_backward.default(dz, y)),
    Rule(_relu, lambda dz, y: aten.threshold_backward.default(dz, y, 0)),
)


def fuse_activations(gm: GraphModule) -> int:
    """Joins the gates of an activation's derivative: relu, leaky relu, softplus, tanh, sigmoid.

    Args:
        gm: the flat step graph; changed in place.
    Returns: derivatives joined; what they no longer need is left to `dead_gates`.
    """
    return apply_rules(gm, _RULES)
