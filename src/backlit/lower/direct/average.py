"""A moving average as one operation."""

from __future__ import annotations

from typing import Any

from torch.fx import GraphModule

from backlit.gates.base import aten
from backlit.lower.direct.match import Rule, apply_rules


def _toward(mean: Any, x: Any, weight: Any) -> Any:
    return aten.add.Tensor(mean, aten.mul.Tensor(aten.sub.Tensor(x, mean), weight))


def _lerp(mean: Any, x: Any, weight: Any) -> Any:
    if not isinstance(weight, float) or isinstance(mean, (int, float)):
        return None
    kinds = {wire.node.meta["val"].dtype for wire in (mean, x)}
    shapes = {wire.node.meta["val"].shape for wire in (mean, x)}
    return aten.lerp.Scalar(mean, x, weight) if len(kinds) == len(shapes) == 1 else None


_RULES = (Rule(_toward, _lerp),)


def fuse_averages(gm: GraphModule) -> int:
    """mean + (x - mean) w becomes one gate.

    Args:
        gm: the flat step graph; changed in place.
    Returns: averages fused.
    """
    return apply_rules(gm, _RULES)
