"""Probes: what a step tells of its own inside, computed in the step's graph as it runs.

A probe is some sums over one wire (of its values, their squares, their zeros). They leave the
graph as one more output, a single vector; means, norms and shares are made of them outside. So
watching a compiled step costs a reading of each watched wire, which the compiler does while it
computes the wire, and keeps none of them.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.graph.backprop import is_floating, output_wires, placeholders
from backlit.graph.origin import Origin, origin_of

Parts = Mapping[str, Mapping[str, tuple[int, int]]]
PHASE = "probes"
BOUND: dict[Any, tuple[float, float]] = {
    aten.tanh.default: (-1.0, 1.0),
    aten.sigmoid.default: (0.0, 1.0),
}
"""Gates that saturate, and between which bounds."""
SATURATED = 0.01
"""A value this near to a bound, as a share of the way between both, counts as saturated."""
_CHAIN = 4096
"""Longer sums than this the CPU's compiler guards against rounding, at several times the cost."""
_CHAINS = 4
"""Each addition of a sum waits for the one before it, so this many sums go side by side; of fewer
than 8 the compiler makes one loop without anything between them."""
_VIEWS = {
    aten.view.default,
    aten._unsafe_view.default,
    aten.reshape.default,
    aten.permute.default,
    aten.transpose.int,
    aten.t.default,
    aten.expand.default,
    aten.unsqueeze.default,
    aten.squeeze.dim,
    aten.slice.Tensor,
}


@dataclass(frozen=True)
class Probe:
    """What is read on one wire.

    Attributes:
        name: ``"D on real: discriminator.net.0"`` for a layer's output in a phase of the step;
            ``"discriminator/net.0.weight"`` for a parameter.
        kind: ``"layer"`` or ``"parameter"``.
        gate: the layer's last gate; for a parameter the wire it lies in.
        size: elements.
        sums: which sums the step's vector holds for it, in order, each with the number of parts
            it is in.

    A layer has ``mean``, ``std``, ``zeros`` (share of exact zeros, behind ReLU) or ``saturated``
    (share within 1 % of a bound of tanh or sigmoid), and ``grad_norm`` (‖dL/dx‖, where the step
    computes it). A parameter has ``norm`` (‖w‖ before the step), ``grad_norm`` (before any
    clipping) and ``update_ratio`` (‖w' - w‖ / ‖w‖ over the whole step; none where w is 0).
    """

    name: str
    kind: str
    gate: str
    size: int
    sums: tuple[tuple[str, int], ...]

    def read(self, sums: Sequence[float]) -> dict[str, float]:
        """The statistics, from this probe's sums."""
        s = dict(zip((name for name, _ in self.sums), sums, strict=True))
        n = max(self.size, 1)
        found: dict[str, float] = {}
        if "x" in s:
            mean = s["x"] / n
            # (one pass: Σx² - n mean² loses digits where |mean| is far above std)
            found = {"mean": mean, "std": _root(s["x²"] / n - mean * mean)}
        found |= {share: s[share] / n for share in ("zeros", "saturated") if share in s}
        if "w²" in s:
            found["norm"] = _root(s["w²"])
            if s["w²"] and "d²" in s:
                found["update_ratio"] = _root(s["d²"]) / found["norm"]
        if "g²" in s:
            found["grad_norm"] = _root(s["g²"])
        return found


def _root(x: float) -> float:
    return x if math.isnan(x) else math.sqrt(max(x, 0.0))


@dataclass(frozen=True)
class Readings:
    """What the probes of one step read.

    Attributes:
        probes: what was read, in the order of the sums.
        sums: one vector; it stays on the step's device until it is asked for.
    """

    probes: tuple[Probe, ...]
    sums: Tensor

    def rows(self) -> Iterator[tuple[str, str, float]]:
        """(probe, statistic, value), one after the other; one transfer for all of them."""
        counts = [count for probe in self.probes for _, count in probe.sums]
        starts = [0, *itertools.accumulate(counts)][:-1]
        parts = self.sums.double().cpu().numpy()
        sums = iter(np.add.reduceat(parts, starts).tolist() if counts else [])
        for probe in self.probes:
            own = list(itertools.islice(sums, len(probe.sums)))
            for statistic, value in probe.read(own).items():
                yield probe.name, statistic, value

    def table(self) -> dict[str, dict[str, float]]:
        """Statistics by probe."""
        found: dict[str, dict[str, float]] = {}
        for probe, statistic, value in self.rows():
            found.setdefault(probe, {})[statistic] = value
        return found


def add_probes(
    gm: GraphModule, names: Sequence[str], parameters: Sequence[str], parts: Parts
) -> tuple[GraphModule, tuple[Probe, ...]]:
    """A step's graph with one more output, the sums of all probes; the one given stays as it is.

    Args:
        gm: a flat step graph that ends in copies into its placeholders.
        names: of its placeholders, in order.
        parameters: which of them are trained.
        parts: where several parameters lie in one of them: wire -> name -> (start, length).
    Returns: the new graph, and what stands in its last output.
    """
    gm = copy.deepcopy(gm)
    nodes = list(gm.graph.nodes)
    output = nodes[-1]
    writes = [n for n in nodes if n.target is aten.copy_.default and n.args[0].op == "placeholder"]
    build = _Builder(gm, writes[0] if writes else output)
    by_name = {node.name: node for node in nodes}

    def gradient(node: Node) -> Node | None:
        return by_name.get(node.meta.get("gradient", ""))

    for name, node in _layers(nodes).items():
        build.layer(name, node, gradient(node))
    wires = dict(zip(names, placeholders(gm), strict=True))
    new = {write.args[0]: write.args[1] for write in writes}
    for name in parameters:
        wire = wires[name]
        # A vector's gradients hang on the views that hand its parts to the network
        # (further views behind those have the gradient of one pass alone)
        found: dict[int, Node] = {}
        for node in nodes:
            grad = gradient(node)
            if grad is not None and _source(node) is wire:
                found.setdefault(_start(node), grad)
        for part, (start, length) in parts.get(name, {name: (0, -1)}).items():
            build.parameter(part, wire, start, length, found.get(start), new.get(wire))
    results = [*output_wires(gm), build.vector()]
    output.args = (tuple(results),)
    gm.graph.eliminate_dead_code()
    gm.graph.lint()
    gm.recompile()
    return gm, tuple(build.probes)


class _Builder:
    """Puts sums into a graph, in front of what is written."""

    def __init__(self, gm: GraphModule, before: Node):
        self.graph, self.before = gm.graph, before
        self.probes: list[Probe] = []
        self._sums: list[Node] = []
        self._squares: dict[tuple[Node, Node | None], Node] = {}

    def gate(self, target: Any, *args: Any, **kwargs: Any) -> Node:
        with self.graph.inserting_before(self.before):
            new = self.graph.call_function(target, args, kwargs)
        new.meta["origin"] = Origin(phase=PHASE, role="update")
        plain = torch.fx.node.map_arg(args, lambda node: node.meta["val"])
        new.meta["val"] = target(*plain, **kwargs)
        return new

    def layer(self, name: str, node: Node, gradient: Node | None) -> None:
        x = self._wide(node)
        sums = {"x": x, "x²": self._square(x)}
        bounds = BOUND.get(node.target)
        if node.target is aten.relu.default:
            sums["zeros"] = self.gate(aten.eq.Scalar, x, 0)
        elif bounds is not None:
            low, high = bounds
            margin = SATURATED * (high - low)
            away = self.gate(aten.abs.default, self.gate(aten.sub.Tensor, x, (low + high) / 2))
            sums["saturated"] = self.gate(aten.gt.Scalar, away, (high - low) / 2 - margin)
        if gradient is not None:
            sums["g²"] = self._square(self._wide(gradient))
        counts = self._add(sums)
        self.probes.append(Probe(name, "layer", node.name, x.meta["val"].numel(), counts))

    def parameter(
        self, name: str, wire: Node, start: int, length: int, grad: Node | None, new: Node | None
    ) -> None:
        """A whole wire, or the part of it that begins at `start`."""

        def squares(minus: Node | None) -> Node:
            # Of the whole vector, once for all its parts.
            if (wire, minus) not in self._squares:
                x = wire if minus is None else self.gate(aten.sub.Tensor, minus, wire)
                self._squares[wire, minus] = self._square(self._wide(x))
            whole = self._squares[wire, minus]
            end = start + length
            return self.gate(aten.slice.Tensor, whole, 0, start, end) if length >= 0 else whole

        terms = {"w²": squares(None)}
        if new is not None:
            terms["d²"] = squares(new)
        if grad is not None:
            terms["g²"] = self._square(self._wide(grad))
        size = wire.meta["val"].numel() if length < 0 else length
        self.probes.append(Probe(name, "parameter", wire.name, size, self._add(terms)))

    def _add(self, terms: Mapping[str, Node]) -> tuple[tuple[str, int], ...]:
        """Sums terms up; returns their names with the number of parts of each sum."""
        sums = {name: self._sum(node) for name, node in terms.items()}
        self._sums += sums.values()
        return tuple((name, len(node.meta["val"])) for name, node in sums.items())

    def _sum(self, terms: Node) -> Node:
        """The sum of all elements as a vector of parts."""
        x = terms.meta["val"]
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        if x.dim() > 3 or not x.is_contiguous():  # its layout is the compiler's choice
            whole = self.gate(aten.sum.default, terms, dtype=wide)
            return self.gate(aten.reshape.default, whole, [1])
        chains = _CHAINS if x.numel() % _CHAINS == 0 else 1
        rows = self.gate(aten.reshape.default, terms, [-1, chains, _length(x.numel() // chains)])
        row = self.gate(aten.sum.dim_IntList, rows, [1], dtype=wide)
        return self.gate(aten.sum.dim_IntList, row, [1], dtype=wide)

    def _square(self, x: Node) -> Node:
        return self.gate(aten.mul.Tensor, x, x)

    def _wide(self, x: Node) -> Node:
        """Half precision is summed up in float32."""
        low = x.meta["val"].element_size() < 4
        return self.gate(aten._to_copy.default, x, dtype=torch.float32) if low else x

    def vector(self) -> Node:
        return self.gate(aten.cat.default, self._sums)


def _length(n: int) -> int:
    """How many of n elements go into one sum: a divisor, and sums are few."""
    parts = next((k for k in range(-(-n // _CHAIN), 257) if k and n % k == 0), 1)
    return max(n // parts, 1)


def _layers(nodes: Sequence[Node]) -> dict[str, Node]:
    """Each layer's output in each phase; where a phase runs a layer again, the last time.

    A layer is a module, or a line of one that works on tensors itself.
    """
    found: dict[tuple[str, str, str], Node] = {}
    for node in nodes:
        origin = origin_of(node)
        if node.op != "call_function" or origin.role != "forward" or not origin.module:
            continue
        value: Any = node.meta.get("val")
        if not is_floating(value) or not value.dim() or not _leaves(node, origin):
            continue
        while node.target in _VIEWS:
            node = node.args[0]  # type: ignore[assignment]
        source = origin_of(node)
        if node.op == "call_function" and _place(source) == _place(origin):
            found[_place(origin)] = node
    counts: dict[tuple[str, str], int] = {}
    for phase, module, _ in found:
        counts[phase, module] = counts.get((phase, module), 0) + 1
    return {
        f"{phase}: {module}" + (f" ({line})" if counts[phase, module] > 1 else ""): node
        for (phase, module, line), node in found.items()
    }


def _place(origin: Origin) -> tuple[str, str, str]:
    return origin.phase, origin.module, origin.source


def _leaves(node: Node, mine: Origin) -> bool:
    """Whether another layer, or the loss, reads the wire."""
    others = [origin_of(user) for user in node.users if user.op == "call_function"]
    return any(
        other.role == "forward" and (other.module, other.source) != (mine.module, mine.source)
        for other in others
    )


def _source(node: Node) -> Node:
    """The wire a view is a view of."""
    while node.target in _VIEWS:
        node = node.args[0]  # type: ignore[assignment]
    return node


def _start(node: Node) -> int:
    """Where a part begins in the vector it is a view of."""
    while node.target in _VIEWS:
        if node.target is aten.slice.Tensor:
            return int(node.args[2]) if len(node.args) > 2 else 0  # type: ignore[arg-type]
        node = node.args[0]  # type: ignore[assignment]
    return 0
