"""The moves of Adam as PyTorch's own single operation, in place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.graph.origin import origin_of
from backlit.lower.direct.aliases import Aliases
from backlit.lower.direct.match import Rule
from backlit.lower.passes.common import pure_gates, value

# What `backlit.step.Optimiser` traces for Adam, after the passes.


def _near(g: Any, m: Any, w: Any, kind: Any, place: Any) -> Any:
    weight = aten.full.default([], w, dtype=kind, device=place)
    return aten.add.Tensor(aten.mul.Tensor(weight, aten.sub.Tensor(g, m)), m)


def _far(g: Any, m: Any, w: Any, kind: Any, place: Any) -> Any:
    weight = aten.full.default([], w, dtype=kind, device=place)
    return aten.add.Tensor(aten.mul.Tensor(weight, aten.sub.Tensor(g, m)), g)


def _square(g: Any, v: Any, beta2: Any, w: Any) -> Any:
    return aten.add.Tensor(aten.mul.Tensor(v, beta2), aten.mul.Tensor(aten.mul.Tensor(g, w), g))


def _move(p: Any, lr: Any, m: Any, v: Any, step: Any, g: Any, b1: Any, b2: Any, eps: Any) -> Any:
    one = aten.rsub.Scalar(aten.pow.Scalar(b1, step), 1)
    two = aten.sqrt.default(aten.rsub.Scalar(aten.pow.Scalar(b2, step), 1))
    rate = aten.neg.default(aten.reciprocal.default(one))
    root = aten.div.Tensor(aten.sqrt.default(v), aten.mul.Tensor(two, rate))
    below = aten.add.Tensor(root, aten.mul.Tensor(aten.reciprocal.default(rate), eps))
    zeros = aten.zeros_like.default(g, pin_memory=False)
    moved = aten.add.Tensor(zeros, aten.div.Tensor(m, below))
    return aten.add.Tensor(p, aten.mul.Tensor(lr, moved))


_NEAR, _FAR, _SQUARE, _MOVE = (Rule(part, lambda g: g) for part in (_near, _far, _square, _move))


@dataclass
class _Update:
    """One update: the old wires and the new ones of parameter and moments."""

    last: Node
    old: list[Node]
    new: list[Node]
    grad: Node
    step: Node
    how: tuple[Node, float, float, float]  # learning rate, betas, epsilon


def fuse_adam(gm: GraphModule) -> int:
    """Adam's twenty gates become one, which writes parameter and moments where they lie.

    Args:
        gm: the flat step graph that ends in copies into its inputs; changed in place.
    Returns: updates fused; what they no longer need is left to `dead_gates`.
    """
    found = [update for node in pure_gates(gm.graph) if (update := _found(node)) is not None]
    if not found:
        return 0
    aliases = Aliases(gm)
    now: dict[Node, Node] = {}
    for group in _together(found, aliases):
        _fuse(gm, group, aliases, now)
    return len(found)


def _found(node: Node) -> _Update | None:
    move = _MOVE.match(node) if node.target is _MOVE.last else None
    if move is None:
        return None
    g, b1, b2 = move["g"], move["b1"], move["b2"]
    square = _SQUARE.match(move["v"])
    near, far = _NEAR.match(move["m"]), _FAR.match(move["m"])
    # Near: m + (1 - beta1)(g - m); far, where 1 - beta1 >= 1/2: g - beta1 (g - m).
    moment = near if near and math.isclose(near["w"], 1 - b1, rel_tol=1e-6) else far
    if square is None or moment is None or not (square["g"] is moment["g"] is g):
        return None
    if moment is far and not math.isclose(far["w"], -b1, rel_tol=1e-6):  # type: ignore[index]
        return None
    if square["beta2"] != b2 or not math.isclose(square["w"], 1 - b2, rel_tol=1e-6):
        return None
    old = [move["p"], moment["m"], square["v"]]
    kinds = {value(wire).dtype for wire in (*old, g)}
    on_cpu = value(node).device.type == "cpu"
    if len(kinds) > 1 or not on_cpu or any(value(w).shape != value(g).shape for w in old):
        return None
    new = [node, move["m"], move["v"]]
    return _Update(node, old, new, g, move["step"], (move["lr"], b1, b2, move["eps"]))


def _together(found: list[_Update], aliases: Aliases) -> list[list[_Update]]:
    """Updates of one rate whose results nobody reads before the last of them: one call each."""
    groups: list[list[_Update]] = []
    for update in found:
        place = aliases.order[update.last]
        if groups and groups[-1][0].how == update.how:
            readers = [user for one in groups[-1] for user in one.last.users]
            if all(aliases.order[reader] > place for reader in readers):
                groups[-1].append(update)
                continue
        groups.append([update])
    return groups


def _fuse(gm: GraphModule, group: list[_Update], aliases: Aliases, now: dict[Node, Node]) -> None:
    """Puts one call behind the group's last gate; `now` tells where earlier results lie."""
    last = group[-1].last
    graph, place = gm.graph, aliases.order[last]
    lists: list[list[Node]] = [[], [], []]
    after = last.next
    with graph.inserting_before(after):
        for update in group:
            for kind, (old, new) in enumerate(zip(update.old, update.new, strict=True)):
                lists[kind].append(_buffer(graph, old, new, place, aliases, now))
        (lr, beta1, beta2, eps), steps = group[0].how, [update.step for update in group]
        how: dict[str, Any] = {
            "lr": lr,
            "beta1": beta1,
            "beta2": beta2,
            "weight_decay": 0.0,
            "eps": eps,
        }
        how |= {"amsgrad": False, "maximize": False}
        parameters, means, squares = lists
        grads = [update.grad for update in group]
        args: Any = (parameters, grads, means, squares, [], steps)
        call = graph.call_function(aten._fused_adam_.tensor_lr, args, how)
        call.meta["origin"] = origin_of(last)
    for buffers, kind in zip(lists, range(3), strict=True):
        for update, buffer in zip(group, buffers, strict=True):
            new = update.new[kind]
            now[new] = buffer
            for user in [u for u in new.users if aliases.order.get(u, -1) > place]:
                user.replace_input_with(new, buffer)
    for copies in aliases.written.values():
        for copy in [c for c in copies if c.args[0] is c.args[1]]:
            graph.erase_node(copy)
            copies.remove(copy)


def _buffer(
    graph: Any, old: Node, new: Node, place: int, aliases: Aliases, now: dict[Node, Node]
) -> Node:
    """Where the new value is made: the old one's memory if nobody needs that any more."""
    copies = aliases.written.get(old)
    free = aliases.roots[old] == {old} and aliases.last.get(old, -1) <= place
    lies, free = now.get(old, old), free and old.op != "get_attr"
    if free and (copies is None or [c.args[1] for c in copies] == [new]):
        return lies
    clone: Node = graph.call_function(aten.clone.default, (lies,))
    clone.meta = {"val": value(old), "origin": origin_of(new)}
    return clone
