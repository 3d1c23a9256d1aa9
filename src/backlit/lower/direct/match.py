"""Patterns of gates: written as functions of aten operations, found in a graph, put anew.

A pattern's arguments stand for wires or settings; those of its replacement go by the same names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch.fx import GraphModule, Node, symbolic_trace

from backlit.gates.base import aten
from backlit.lower.insert import insert
from backlit.lower.passes.common import pure_gates

Bound = dict[str, Any]
_COMMUTE = {aten.add.Tensor, aten.mul.Tensor}


class Rule:
    """One pattern and what stands for it.

    Args:
        pattern: gates written with `torch.ops.aten` overloads; returns the last one's value.
        instead: tensor code of some of the same arguments; returns one tensor. None keeps the
            gates as they are (it may look at the wires it is given).
    """

    def __init__(self, pattern: Callable[..., Any], instead: Callable[..., Any]):
        self._root: Any = symbolic_trace(pattern).graph.output_node().args[0]
        self._instead = instead
        self._given = list(inspect.signature(instead).parameters)

    @property
    def last(self) -> Any:
        """The operation of the pattern's last gate."""
        return self._root.target

    def match(self, node: Node) -> Bound | None:
        """What the pattern's arguments stand for where `node` is its last gate; None: it is not."""
        bound: Bound = {}
        return bound if _same(self._root, node, bound) else None

    def put(self, node: Node, bound: Bound) -> bool:
        """Puts the replacement in a matched gate's place; says whether it did."""
        new = insert(node, self._instead, [bound[name] for name in self._given])
        if new is None:
            return False
        node.replace_all_uses_with(new)
        node.graph.erase_node(node)
        return True


def apply_rules(gm: GraphModule, rules: tuple[Rule, ...]) -> int:
    """Every rule wherever it fits, the last gates first; returns how often one did."""
    found = 0
    for node in reversed(pure_gates(gm.graph)):
        for rule in rules:
            if node.target is rule.last:
                bound = rule.match(node)
                if bound is not None and rule.put(node, bound):
                    found += 1
                    break
    return found


def _same(pattern: Any, found: Any, bound: Bound) -> bool:
    """Whether a part of a graph is what a pattern says; `bound` takes what its wires are."""
    if isinstance(pattern, Node) and pattern.op == "placeholder":
        name = str(pattern.target)
        if name in bound:
            return bound[name] is found or (not isinstance(found, Node) and bound[name] == found)
        bound[name] = found
        return True
    if isinstance(pattern, Node):
        if not isinstance(found, Node) or found.op != "call_function":
            return False
        if found.target is not pattern.target or found.kwargs.keys() != pattern.kwargs.keys():
            return False
        named = [(pattern.kwargs[key], found.kwargs[key]) for key in pattern.kwargs]
        orders = [found.args]
        if pattern.target in _COMMUTE and len(found.args) == 2:
            orders.append(found.args[::-1])
        for args in orders:
            tried = dict(bound)
            if len(args) == len(pattern.args) and all(
                _same(p, f, tried) for p, f in [*zip(pattern.args, args, strict=True), *named]
            ):
                bound.update(tried)
                return True
        return False
    if isinstance(pattern, (list, tuple)):
        return (
            isinstance(found, (list, tuple))
            and len(pattern) == len(found)
            and all(_same(p, f, bound) for p, f in zip(pattern, found, strict=True))
        )
    return type(pattern) is type(found) and bool(pattern == found)
