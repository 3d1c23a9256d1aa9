"""The gates: one small class each, its forward operation and directly beneath it its backward.

A file holds one family. The rules are ordinary tensor code over the same set of gates, so the
set is closed under differentiation. Iterating over this package gives every gate::

    for gate in backlit.gates:
        print(gate.__name__, gate.aten_names(), gate.formula)
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator

from backlit.gates.base import REGISTRY, Constant, Gate, aten, gate_of, sum_to
from backlit.gates.user import forget, gate

FAMILIES = (
    "arithmetic",
    "activations",
    "select",
    "linear",
    "convolution",
    "normalisation",
    "softmax",
    "reduction",
    "shape",
    "cutting",
    "random",
    "pooling",
    "adaptive_pooling",
    "indexing",
    "scattering",
    "embedding",
    "ordering",
    "cumulative",
    "padding",
    "windows",
    "placing",
    "resampling",
    "grid_sampling",
    "rectifiers",
    "smooth_activations",
    "trigonometric",
    "special",
    "bounds",
    "solving",
)

for _family in FAMILIES:
    importlib.import_module(f"{__name__}.{_family}")


class _Library(types.ModuleType):
    """The package itself, iterable: every gate in the order of the families."""

    def __iter__(self) -> Iterator[type[Gate]]:
        return iter(dict.fromkeys(REGISTRY.values()))

    def __len__(self) -> int:
        return len(set(REGISTRY.values()))

    def __repr__(self) -> str:
        lines = [f"{len(self)} gates"]
        for each in self:
            names = ", ".join(each.aten_names())
            lines.append(f"{each.__name__:28} {each.formula:40} {names}")
        return "\n".join(lines)


sys.modules[__name__].__class__ = _Library

__all__ = [
    "FAMILIES",
    "REGISTRY",
    "Constant",
    "Gate",
    "aten",
    "forget",
    "gate",
    "gate_of",
    "sum_to",
]
