"""How tensors lie in memory, and how a compiled graph's convolutions want their pictures to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.flops import flops

# A vector of floats: with fewer channels, channels last leaves most of each vector empty. LeNet,
# of 1, 6 and 16 channels, takes 1.3 times as long that way.
WIDE = 16
# Where gates have the weight among their arguments.
WEIGHT = {aten.convolution.default: 1, aten.convolution_backward.default: 2}


def channels_last(gm: GraphModule) -> bool:
    """Whether most of the work of a flat graph's convolutions is in wide ones.

    Args:
        gm: convolutions whose wires do not know their value's shape (``meta["val"]``) do not count.
    """
    work = {node: flops(node) for node in gm.graph.nodes if _counts(node)}
    wide = sum(n for node, n in work.items() if min(_channels(node)) >= WIDE)
    return 2 * wide >= sum(work.values())


def convolves(gm: GraphModule) -> bool:
    """Whether a flat graph has convolutions, or their gradients, that are PyTorch's own."""
    return any(node.target in WEIGHT for node in gm.graph.nodes)


def _counts(node: Node) -> bool:
    return node.target in WEIGHT and all("val" in w.meta for w in (node, *node.all_input_nodes))


def _channels(node: Node) -> torch.Size:
    weight: Node = node.args[WEIGHT[node.target]]  # type: ignore[assignment, index]
    return weight.meta["val"].shape[:2]


def span(shape: Sequence[int], stride: Sequence[int]) -> int:
    """Elements from the first to the last of a tensor that lies so; none of its sizes is 0."""
    return 1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
