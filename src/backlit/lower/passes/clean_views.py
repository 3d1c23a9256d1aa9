"""View cleaning: views that show what another wire shows already, and views of views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.passes.common import VIEWS, instead, pure_gates, replace, same_layout, value


def clean_views(gm: GraphModule) -> int:
    """Removes views without effect, transposes that cancel, and joins a view of a view.

    Views that begin at the same element and agree in shape and strides are the same tensor.

    Args:
        gm: the flat step graph; changed in place.
    Returns: gates removed; the inner view of a joined pair is left to `dead_gates`.
    """
    removed = 0
    for node in pure_gates(gm.graph):
        if node.target not in VIEWS:
            continue
        same = next((up for up in _upwards(node) if same_layout(value(up), value(node))), None)
        if same is not None:
            removed += replace(node, same)
        else:
            _join(node)
    return removed


def _upwards(node: Node) -> Iterator[Node]:
    """What a view looks at, what that looks at, and so on."""
    while node.op == "call_function" and node.target in VIEWS:
        source: Any = node.args[0]
        yield source
        node = source


def _join(node: Node) -> None:
    """Lets a `view` or `expand` of the same look past it, where the outcome is the same."""
    inner: Any = node.args[0]
    if node.target not in (aten.view.default, aten.expand.default):
        return
    if inner.op != "call_function" or inner.target is not node.target:
        return
    source, like = value(inner.args[0]), value(node)
    shape = list(like.shape)
    seen = torch.empty_strided(source.shape, source.stride(), device="meta")
    try:
        joined = seen.view(shape) if node.target is aten.view.default else seen.expand(shape)
    except (RuntimeError, ValueError):  # strides that only the two views together can show
        return
    if joined.stride() == like.stride():
        instead(node, node.target, inner.args[0], shape)
