"""From a graph, a step or a list of gates to its description."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.fx import Node

from backlit.gates import aten, gate_of
from backlit.graph.origin import Origin, origin_of
from backlit.graph.show.model import (
    DepthCell,
    Description,
    GateInfo,
    Group,
    InputWire,
    OutputWire,
    Wire,
)
from backlit.graph.show.pass_numbers import PassNumbers
from backlit.graph.show.symbols import symbol
from backlit.graph.show.timing import Times
from backlit.graph.show.tree import tree

# Above this many gates a small picture each would make the page slow to send.
PICTURES_UP_TO = 4000


def describe(
    target: Any,
    *,
    title: str = "",
    watched: Any = None,
    times: Times | None = None,
    pictures: bool | None = None,
) -> Description:
    """Describes a graph in plain values.

    Args:
        target: a `Graph`, a `Step`, or a list of gates (`GateCall`).
        title: what to call it; default ``"graph"``.
        watched: a watched pass (`Watched`); default the graph's own last one.
        times: measured times, see `time_pass`.
        pictures: make small pictures of arrays; default up to 4,000 gates.
    """
    nodes = _nodes(target)
    if watched is None:
        watched = getattr(target, "watched", None)
    by_name = {node.name: node for node in nodes}
    calls = [n for n in nodes if n.op == "call_function" and n.target is not operator.getitem]
    outside = [n for n in nodes if n.op in ("placeholder", "get_attr")]
    outside += dict.fromkeys(
        source
        for node in calls
        for source in map(_source, node.all_input_nodes)
        if source.name not in by_name
    )
    names = [(wire.name, wire.kind) for wire in getattr(target, "inputs", ())]
    labels: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for i, node in enumerate(outside):
        given = i < len(names) and node.op == "placeholder"
        labels[node.name] = names[i][0] if given else node.name
        kinds[node.name] = names[i][1] if given else _KINDS.get(node.op, "wire")
    pictures = len(calls) <= PICTURES_UP_TO if pictures is None else pictures
    numbers = PassNumbers(watched, pictures)
    gates = tuple(_gate(node, by_name, labels, numbers, times) for node in calls)
    inputs = tuple(
        InputWire(
            node.name,
            labels[node.name],
            kinds[node.name],
            *_form(node.meta.get("val")),
            numbers.value(node),
            numbers.gradient(node),
        )
        for node in outside
    )
    sizes = {wire.name: math.prod(wire.shape or ()) for wire in inputs if wire.kind == "parameter"}
    read = {
        node.name: {n.name: sizes[n.name] for n in node.all_input_nodes if n.name in sizes}
        for node, gate in zip(calls, gates, strict=True)
        if gate.role == "forward"
    }
    groups = tree(gates, title or _title(target), read)
    return Description(
        title=groups[0].label,
        gates=gates,
        inputs=inputs,
        outputs=_outputs(target, nodes),
        wires=tuple(_wires(calls)),
        groups=groups,
        depth=tuple(_depth(gates, groups)),
    )


_KINDS = {"placeholder": "input", "get_attr": "constant"}


def _nodes(target: Any) -> list[Node]:
    if hasattr(target, "gm"):
        return list(target.gm.graph.nodes)
    return [call.node for call in target]


def _title(target: Any) -> str:
    return "graph" if hasattr(target, "out_spec") else type(target).__name__.lower()


def _source(node: Node) -> Node:
    """The gate behind a wire: a getitem is a wire of the gate with several outputs."""
    while node.op == "call_function" and node.target is operator.getitem:
        node = node.args[0]  # type: ignore[assignment]
    return node


def _part(node: Node) -> int:
    return node.args[1] if node.target is operator.getitem else 0  # type: ignore[return-value]


def _wire_name(node: Node) -> str:
    return f"{node.args[0]}[{_part(node)}]" if node.target is operator.getitem else node.name


def _form(value: Any) -> tuple[tuple[int, ...] | None, str]:
    if isinstance(value, (tuple, list)):
        value = next((part for part in value if isinstance(part, Tensor)), None)
    if not isinstance(value, Tensor):
        return None, ""
    return tuple(value.shape), str(value.dtype).removeprefix("torch.")


def _gate(
    node: Node,
    by_name: Mapping[str, Node],
    labels: Mapping[str, str],
    numbers: PassNumbers,
    times: Times | None,
) -> GateInfo:
    gate = gate_of(node.target)
    origin = origin_of(node)
    op = str(node.target) if not callable(node.target) or "." in str(node.target) else node.name
    kind = gate.__name__ if gate else op.split(".")[1] if op.count(".") else op
    arguments, plain = _arguments(node, labels, gate is not None and gate.broadcasts)
    value = node.meta.get("val")
    shape, dtype = _form(value)
    wrapped = not origin.module and origin.module_type == "Function"
    return GateInfo(
        name=node.name,
        kind=kind,
        symbol=symbol(kind, plain),
        operator=str(node.target),
        formula=_plain_signs(gate.formula if gate else "", node),
        local=_plain_signs(gate.local if gate else "", node),
        arguments=arguments,
        inputs=tuple(_wire_name(n) for n in node.all_input_nodes),
        shape=shape,
        dtype=dtype,
        outputs=len(value) if isinstance(value, (tuple, list)) else 1,
        module=origin.module,
        # a captured function is wrapped in a module of this name
        module_type="" if wrapped else origin.module_type,
        source=origin.source,
        code=origin.code,
        phase=origin.phase,
        role="state" if _writes_state(node) else origin.role,
        # the name of a gate of an inner trace may be another gate's here
        of=origin.of if _same_place(by_name.get(origin.of), origin) else "",
        value=numbers.value(node),
        gradient=numbers.gradient(node),
        local_values=numbers.local(node),
        forward_s=times.forward.get(node.name) if times else None,
        backward_s=times.backward.get(node.name) if times else None,
    )


def _same_place(node: Node | None, origin: Origin) -> bool:
    there = None if node is None else origin_of(node)
    return there is not None and (there.phase, there.module) == (origin.phase, origin.module)


def _writes_state(node: Node) -> bool:
    """Whether a gate ends the step by writing a result back into its input wire."""
    target = node.args[0] if node.target is aten.copy_.default else None
    return isinstance(target, Node) and target.op == "placeholder"


def _plain_signs(formula: str, node: Node) -> str:
    """A formula without the scale factors α and β where the gate leaves them at 1."""
    for sign, name in (("α", "alpha"), ("β", "beta")):
        schema: Any = getattr(node.target, "_schema", None)
        takes = schema and any(a.name == name and a.kwarg_only for a in schema.arguments)
        if takes and name not in node.kwargs:
            formula = formula.replace(f"{sign} ", "").replace(sign, "1")
    return formula


def _arguments(
    node: Node, labels: Mapping[str, str], bare: bool
) -> tuple[tuple[str, ...], list[str]]:
    """The arguments as text, and the plain numbers among the operands."""
    schema = getattr(node.target, "_schema", None)
    known = list(schema.arguments) if schema else []
    texts: list[str] = []
    plain: list[str] = []

    def text(value: Any) -> str:
        if isinstance(value, Node):
            source = _source(value).name
            return labels.get(source, source) + _wire_name(value)[len(source) :]
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(text(v) for v in value) + "]"
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    for i, value in enumerate(node.args):
        argument = known[i] if i < len(known) else None
        operand = isinstance(value, Node) or (
            isinstance(value, (list, tuple)) and any(isinstance(v, Node) for v in value)
        )
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if (bare and i < 2) or (argument and argument.name == "exponent"):
                plain.append(text(value))
                texts.append(text(value))
                continue
        if operand or argument is None:
            texts.append(text(value))
        elif value is not None and not (
            argument.has_default_value() and argument.default_value == value
        ):
            texts.append(f"{argument.name}={text(value)}")
    texts += [f"{k}={text(v)}" for k, v in node.kwargs.items() if v is not None]
    return tuple(texts), plain


def _wires(calls: Iterable[Node]) -> Iterable[Wire]:
    for node in calls:
        for port, wire in enumerate(node.all_input_nodes):
            yield Wire(_source(wire).name, _part(wire), node.name, port)


def _outputs(target: Any, nodes: Sequence[Node]) -> tuple[OutputWire, ...]:
    wires: list[Any] = [n for node in nodes if node.op == "output" for n in node.args[0]]  # type: ignore[union-attr]
    buffers = list(getattr(target, "new_buffers", ()))
    own = list(getattr(target, "metrics", ()))
    left = len(wires) - len(buffers) - len(own)
    own += ["output"] if left == 1 else [f"output {i + 1}" for i in range(left)]
    labels = [(name, "buffer") for name in buffers] + [(name, "output") for name in own]
    return tuple(
        OutputWire(label, _wire_name(wire), kind)
        for (label, kind), wire in zip(labels, wires, strict=True)
        if isinstance(wire, Node)
    )


def _depth(gates: Sequence[GateInfo], groups: Sequence[Group]) -> Iterable[DepthCell]:
    """The gradient of each module's last gate, in the order of the forward pass."""
    by_name = {gate.name: gate for gate in gates}
    by_group = {group.name: group for group in groups}

    def visit(group: Group, strip: str, path: str) -> Iterable[DepthCell]:
        strip = group.label if group.kind == "phase" else strip
        last: GateInfo | None = None
        for item in group.items:
            if item in by_group:
                yield from visit(by_group[item], strip, by_group[item].path or path)
            elif by_name[item].role == "forward" and by_name[item].gradient is not None:
                last = by_name[item]
        if last is not None and last.gradient is not None:
            norm = last.gradient.norm
            log = math.log10(norm) if norm > 0 and not last.gradient.nonfinite else None
            yield DepthCell(strip, path or last.kind, group.name, last.name, norm, log)

    return visit(groups[0], groups[0].label, "")
