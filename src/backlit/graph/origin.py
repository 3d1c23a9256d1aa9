"""Where a gate comes from: phase of the step, module path, source line, forward or backward.

Every node of a graph carries an `Origin` in ``node.meta["origin"]``. While a graph is traced,
`stamp` marks the nodes that a piece of code creates; inner marks win, outer ones fill in.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import get_proxy_mode, get_proxy_slot

_FRAME = re.compile(
    r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<where>.*)\n\s*(?P<code>.*)'
)
_TORCH = str(Path(torch.__file__).parent)
_CAPTURE = str(Path(__file__).parent)


@dataclass(frozen=True)
class Origin:
    """Where a gate comes from; empty strings where it does not apply.

    Attributes:
        module: dotted path of the module, e.g. ``"generator.net.3"``.
        module_type: its class, e.g. ``"ConvTranspose2d"``.
        source: ``"file.py:12"`` of the user's line that called it, with `code` its text.
        phase: the part of the step, e.g. ``"D real"``.
        role: ``"forward"``, ``"backward"`` or ``"update"``.
        of: for a backward gate, the name of the forward gate whose rule made it.
    """

    module: str = ""
    module_type: str = ""
    source: str = ""
    code: str = ""
    phase: str = ""
    role: str = "forward"
    of: str = ""

    def where(self) -> str:
        """One phrase for error messages: module path and source line, as far as known."""
        module = f"module '{self.module}'" if self.module else "the graph"
        return f"{module} ({self.source})" if self.source else module


def origin_of(node: Node) -> Origin:
    """The node's origin; an empty one for placeholders and unmarked nodes."""
    return node.meta.get("origin", Origin())


def from_export(node: Node) -> Origin:
    """Reads module path and user source line from what `torch.export` left on a node."""
    module, kind = "", ""
    stack = node.meta.get("nn_module_stack") or {}
    if stack:
        path, cls = list(stack.values())[-1]
        kind = cls if isinstance(cls, str) else f"{cls.__module__}.{cls.__qualname__}"
        module, kind = path, kind.rsplit(".", 1)[-1]
    file, line, code = "", "", ""
    for found in _FRAME.finditer(node.meta.get("stack_trace") or ""):
        inside = found["file"].startswith((_TORCH, _CAPTURE, "<"))
        if not inside:
            file, line, code = found["file"], found["line"], found["code"].strip()
    return Origin(module, kind, f"{Path(file).name}:{line}" if file else "", code)


def remember_gradient(value: Tensor, grad: Tensor) -> None:
    """While tracing, notes on the wire of `value` which wire holds its gradient."""
    mode = get_proxy_mode()
    if mode is None:
        return
    wires = [get_proxy_slot(t, mode.tracer, None) for t in (value, grad)]
    nodes = [wire.proxy.node for wire in wires if wire is not None]
    if len(nodes) == 2:
        nodes[0].meta["gradient"] = nodes[1].name


def traced_name(value: Any) -> str:
    """While tracing, the name of the gate whose output `value` is; else empty."""
    mode = get_proxy_mode()
    if isinstance(value, (tuple, list)):
        value = next((part for part in value if isinstance(part, Tensor)), None)
    if mode is None or not isinstance(value, Tensor):
        return ""
    wire = get_proxy_slot(value, mode.tracer, None)
    if wire is None:
        return ""
    node: Any = wire.proxy.node
    return node.args[0].name if node.target is operator.getitem else node.name


def _last_traced() -> Node | None:
    mode = get_proxy_mode()
    return None if mode is None else mode.tracer.graph._root.prev


class Renamed:
    """While a graph is traced again: which gate of the new graph stands for one of the old."""

    def __init__(self) -> None:
        self._now: dict[str, Node] = {}
        self._last: Node | None = None

    def note(self, node: Node, value: Any) -> None:
        """Told of each gate of the old graph as soon as it has run."""
        last = _last_traced()
        if node.target is operator.getitem:  # its gate's parts were traced together with it
            source: Any = node.args[0]
            many = self._now.get(source.name)
            parts = [] if many is None else list(many.users)
            last = next((part for part in parts if part.args[1:] == node.args[1:]), None)
            if last is not None:
                self._now[node.name] = last
        elif last is not None and last is not self._last and last.op == "call_function":
            self._last = last
            whole: Any = last.args[0] if last.target is operator.getitem else last
            self._now[node.name] = whole

    def carry_over(self, old: GraphModule) -> None:
        """Gives the new gates what the old ones knew of each other by name."""
        for node in old.graph.nodes:
            new = self._now.get(node.name)
            if new is None:
                continue
            gradient = self._now.get(node.meta.get("gradient", ""))
            if gradient is not None:
                new.meta["gradient"] = gradient.name
        for new in next(iter(self._now.values())).graph.nodes if self._now else ():
            origin = origin_of(new)
            of = self._now.get(origin.of)
            if of is not None:
                new.meta["origin"] = replace(origin, of=of.name)


@contextmanager
def stamp(origin: Origin | None = None, **fill: str) -> Iterator[None]:
    """Marks the nodes traced inside.

    Args:
        origin: given to nodes that have none yet.
        fill: fields set on nodes inside where they are still empty (or unmarked).
    """
    before = _last_traced()
    yield
    if before is None:
        return
    node: Any = before.next
    root = before.graph._root
    while node is not root:
        mine = node.meta.get("origin")
        if mine is None and origin is not None:
            mine = origin
        if fill:
            have = mine or Origin(role=fill.get("role", "forward"))
            mine = replace(have, **{k: v for k, v in fill.items() if not getattr(have, k)})
        if mine is not None:
            node.meta["origin"] = mine
        node = node.next
