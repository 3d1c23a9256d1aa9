"""Noise as an input: every random gate becomes a wire that is filled from (seed, step, site).

So a step is a pure function: it can be replayed, and it draws the same numbers whether it runs
watched, plain or compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from backlit.errors import CaptureError
from backlit.gates.base import aten
from backlit.graph.origin import origin_of

_MIX = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads neighbouring seeds apart


@dataclass(frozen=True)
class Noise:
    """One draw of a static shape.

    `kind` is normal, uniform, integer [low, high), permutation (of 0..high-1) or beta
    (Beta(alpha, alpha)).
    """

    kind: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: str = "cpu"
    low: int = 0
    high: int = 0
    alpha: float = 0.0

    def draw(self, generator: torch.Generator) -> Tensor:
        """A fresh tensor from the generator."""
        how: dict[str, Any] = dict(generator=generator, dtype=self.dtype, device=self.device)
        if self.kind == "normal":
            return torch.randn(self.shape, **how)
        if self.kind == "uniform":
            return torch.rand(self.shape, **how)
        if self.kind == "integer":
            return torch.randint(self.low, self.high, self.shape, **how)
        if self.kind == "beta":
            alpha = torch.full((*self.shape, 2), self.alpha, device=self.device)
            # (torch has no public draw from Beta that takes a generator)
            drawn = torch._sample_dirichlet(alpha, generator)
            return drawn[..., 0].to(self.dtype)
        return torch.randperm(self.high, **how)


def generator_for(seed: int, step: int, site: int, device: str = "cpu") -> torch.Generator:
    """A generator that is a function of its arguments alone (splitmix64 of the three)."""
    key = seed & (2**64 - 1)
    for part in (step, site):
        key = (key + (part + 1) * _MIX) & (2**64 - 1)
        key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        key ^= key >> 31
    return torch.Generator(device=device).manual_seed(key & (2**63 - 1))


def externalise(gm: GraphModule) -> list[tuple[Node, Noise]]:
    """Replaces the random gates of a captured graph by noise inputs, after the other inputs.

    Returns: the new placeholders with what fills them, in order.
    Raises: CaptureError for a random operation that has no such form.
    """
    graph = gm.graph
    found: list[tuple[Node, Noise]] = []
    last = [node for node in graph.nodes if node.op == "placeholder"][-1:]

    def wire(node: Node, kind: str, like: Tensor, low: int = 0, high: int = 0) -> Node:
        noise = Noise(kind, tuple(like.shape), like.dtype, str(like.device), low, high)
        anchor = found[-1][0] if found else (last[0] if last else None)
        place = graph.inserting_after(anchor) if anchor else graph.inserting_before()
        with place:
            new = graph.placeholder(f"noise_{node.name}")
        new.meta["val"] = like
        new.meta["origin"] = origin_of(node)
        found.append((new, noise))
        return new

    for node in list(graph.nodes):
        rewrite = _REWRITES.get(node.target) if node.op == "call_function" else None
        if rewrite is None:
            if _is_random(node):
                raise CaptureError(
                    f"expected a random operation that Backlit can replay, got {node.target} in "
                    f"{origin_of(node).where()}: draw the noise outside and pass it as an input"
                )
            continue

        def gate(target: Any, *args: Any, after: Node = node) -> Node:
            with graph.inserting_before(after):
                new = graph.call_function(target, args)
            new.meta["origin"] = origin_of(after)
            new.meta["val"] = target(*_values(args))
            return new

        result = rewrite(node, wire, gate)
        if isinstance(result, tuple):  # several outputs: their getitems take the parts
            for user in list(node.users):
                user.replace_all_uses_with(result[user.args[1]])
                graph.erase_node(user)
        else:
            node.replace_all_uses_with(result)
        graph.erase_node(node)
    gm.recompile()
    return found


def _values(args: Any) -> list[Any]:
    return [a.meta["val"] if isinstance(a, Node) else a for a in args]


def _is_random(node: Node) -> bool:
    tags = getattr(node.target, "tags", ())
    return node.op == "call_function" and torch.Tag.nondeterministic_seeded in tags


Rewrite = Callable[[Node, Callable[..., Node], Callable[..., Node]], Any]


def _dropout(node: Node, wire: Callable[..., Node], gate: Callable[..., Node]) -> Any:
    settings: list[Any] = [*node.args, True]
    x, p, train = settings[:3]
    if not train:
        return x, gate(aten.ones_like.default, x)
    mask = gate(aten.ge.Scalar, wire(node, "uniform", x.meta["val"]), p)
    kept = gate(aten.mul.Tensor, x, mask)
    return gate(aten.mul.Tensor, kept, 0.0 if p == 1 else 1 / (1 - p)), mask


def _plain(kind: str) -> Rewrite:
    return lambda node, wire, gate: wire(node, kind, node.meta["val"])


def _bernoulli(node: Node, wire: Callable[..., Node], gate: Callable[..., Node]) -> Node:
    settings: list[Any] = [*node.args, None]
    x, p = settings[:2]
    u = wire(node, "uniform", x.meta["val"])
    less = gate(aten.lt.Tensor, u, x) if p is None else gate(aten.lt.Scalar, u, p)
    return gate(aten.mul.Tensor, gate(aten.ones_like.default, x), less)


def _uniform(node: Node, wire: Callable[..., Node], gate: Callable[..., Node]) -> Node:
    settings: list[Any] = [*node.args, 0.0, 1.0]
    _, low, high = settings[:3]
    u = wire(node, "uniform", node.meta["val"])
    return gate(aten.add.Tensor, gate(aten.mul.Tensor, u, high - low), low)


def _normal(node: Node, wire: Callable[..., Node], gate: Callable[..., Node]) -> Node:
    settings: list[Any] = [*node.args, 0.0, 1.0]
    _, mean, std = settings[:3]
    u = wire(node, "normal", node.meta["val"])
    return gate(aten.add.Tensor, gate(aten.mul.Tensor, u, std), mean)


def _integers(node: Node, wire: Callable[..., Node], gate: Callable[..., Node]) -> Node:
    bounds: list[Any] = list(node.args)
    low, high = (0, bounds[0]) if len(bounds) == 2 else bounds[:2]
    return wire(node, "integer", node.meta["val"], low, high)


def _permutation(node: Node, wire: Callable[..., Node], gate: Callable[..., Node]) -> Node:
    return wire(node, "permutation", node.meta["val"], 0, node.args[0])


def _leaky(node: Node, wire: Callable[..., Node], gate: Callable[..., Node]) -> Any:
    given: Any = node.args
    x, _, lower, upper, training = (*given, *(0.125, 1 / 3, False)[len(given) - 2 :])[:5]
    if training:
        u = wire(node, "uniform", x.meta["val"])
        slope = gate(aten.add.Tensor, gate(aten.mul.Tensor, u, upper - lower), lower)
    else:
        slope = gate(aten.full_like.default, x, (lower + upper) / 2)
    positive = gate(aten.gt.Scalar, x, 0)
    slope = gate(aten.where.self, positive, gate(aten.ones_like.default, x), slope)
    return gate(aten.mul.Tensor, x, slope), slope


_REWRITES: dict[Any, Rewrite] = {
    aten.native_dropout.default: _dropout,
    aten.rrelu_with_noise_functional.default: _leaky,
    aten.randn_like.default: _plain("normal"),
    aten.randn.default: _plain("normal"),
    aten.rand_like.default: _plain("uniform"),
    aten.rand.default: _plain("uniform"),
    aten.bernoulli.default: _bernoulli,
    aten.bernoulli.p: _bernoulli,
    aten.uniform.default: _uniform,
    aten.normal_functional.default: _normal,
    aten.randint.default: _integers,
    aten.randint.low: _integers,
    aten.randperm.default: _permutation,
}
