"""Tensor code by name: traced once, then run or differentiated inside a larger trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_unflatten

from backlit.graph import backprop
from backlit.graph.check import Point
from backlit.graph.trace import trace


class Function:
    """A traced function of named tensors that returns a dictionary (which may nest).

    Args:
        function: takes a dictionary of tensors, returns a dictionary.
        examples: tensors of the shapes it will be called with, by name.
    """

    def __init__(self, function: Callable[..., Any], examples: Mapping[str, Tensor]):
        self.names = list(examples)
        tensors = [t.detach() for t in examples.values()]
        self.gm, self.spec = trace(
            lambda *flat: function(dict(zip(self.names, flat, strict=True))), tensors, self.names
        )
        self.positions = tree_unflatten(list(range(self.spec.num_leaves)), self.spec)

    def value_and_grad(
        self, tensors: Mapping[str, Tensor], wanted: Iterable[str], of: str = "loss"
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The function's result and the gradients of its entry `of` (0-d).

        Args:
            tensors: at least the names it was traced with.
            wanted: the names whose gradient is asked for.
        Returns: ``(result, {name: gradient})``; a disconnected name is left out.
        """
        result, grads = self.value_and_grads(tensors, {of: wanted})
        return result, grads[of]

    def value_and_grads(
        self, tensors: Mapping[str, Tensor], wanted: Mapping[str, Iterable[str]]
    ) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
        """The same for several entries, all from one pass forward.

        Args:
            wanted: for each entry the names whose gradient is asked for. Where two entries'
                gradients pass one wire, the wire remembers the later one's.
        Returns: ``(result, {entry: {name: gradient}})``.
        """
        flat = [tensors[name] for name in self.names]
        outputs, values = backprop.forward(self.gm, flat)
        grads: dict[str, dict[str, Tensor]] = {}
        for of, names in wanted.items():
            places = {name: self.names.index(name) for name in names}
            found = backprop.gradients(self.gm, values, list(places.values()), self.positions[of])
            grads[of] = {n: g for n, g in zip(places, found, strict=True) if g is not None}
        return tree_unflatten(list(outputs), self.spec), grads

    def point(
        self, name: str, tensors: Mapping[str, Tensor], wanted: Iterable[str], of: str = "loss"
    ) -> Point:
        """The function at given values, as `backlit.check` takes it.

        Args:
            tensors: at least the names it was traced with.
            wanted: the names whose gradient is checked.
        """
        flat = [tensors[n] for n in self.names]
        places = {n: self.names.index(n) for n in wanted}
        return Point(name, self.gm, flat, places, [self.positions[of]])
