"""The one description of a graph that every drawing is made from: frozen, plain, JSON-able."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from backlit.graph.show.numbers import Stats


@dataclass(frozen=True)
class GateInfo:
    """One gate.

    Attributes:
        name: unique in the graph, also its output wire's.
        kind: the gate's class, ``"Multiply"``; the operator's short name where it has none.
        symbol: what stands in its circle in a figure, ``"×"``.
        operator: ``"aten.mul.Tensor"``.
        formula, local: forward formula and local gradients as its class states them.
        arguments: what goes in, in order: wires by their labels, settings as ``name=value``.
        inputs: the wires that come in, ``"relu"`` or ``"batch_norm[0]"``.
        shape, dtype: of the (first) output.
        outputs: how many outputs.
        role: ``"forward"``, ``"backward"``, ``"update"``, or ``"state"`` for writing it back.
        of: the forward gate whose rule made a backward gate.
        value, gradient: numbers of a watched pass.
        local_values: for scalars in a watched pass, the local gradient of each input wire.
        forward_s, backward_s: measured seconds.
    """

    name: str
    kind: str
    symbol: str
    operator: str
    formula: str
    local: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    shape: tuple[int, ...] | None
    dtype: str
    outputs: int
    module: str
    module_type: str
    source: str
    code: str
    phase: str
    role: str
    of: str
    value: Stats | None = None
    gradient: Stats | None = None
    local_values: tuple[float, ...] | None = None
    forward_s: float | None = None
    backward_s: float | None = None


@dataclass(frozen=True)
class InputWire:
    """A wire that comes from outside: parameter, buffer, noise, input, constant."""

    name: str
    label: str
    kind: str
    shape: tuple[int, ...] | None
    dtype: str
    value: Stats | None = None
    gradient: Stats | None = None


@dataclass(frozen=True)
class OutputWire:
    """A wire that leaves the graph, from a gate or an input; kind ``"output"`` or ``"buffer"``."""

    label: str
    source: str
    kind: str


@dataclass(frozen=True)
class Wire:
    """From output `part` of `source` (a gate or an input wire) to input `port` of gate `target`."""

    source: str
    part: int
    target: str
    port: int


@dataclass(frozen=True)
class Group:
    """A phase, a module, a run of equal blocks, one such block, or a part of a long list.

    Attributes:
        name: unique, ``"#0"`` is the whole graph.
        items: gates and groups in it, in order, by name.
        repeats: for kind ``"repeat"``, how many equal blocks it holds.
        gates, parameters: in it at any depth; parameters are those its forward gates read.
    """

    name: str
    label: str
    kind: str
    type: str
    path: str
    items: tuple[str, ...]
    repeats: int
    gates: int
    parameters: int


@dataclass(frozen=True)
class DepthCell:
    """One cell of the strip over depth: the gradient of a module's last gate.

    Attributes:
        group: the module's group, gate: the gate, strip: the phase it is drawn in.
        log10: of the gradient's norm; None for 0, NaN or infinity.
        norm: the norm itself.
    """

    strip: str
    label: str
    group: str
    gate: str
    norm: float
    log10: float | None


@dataclass(frozen=True)
class Description:
    """A whole graph, described."""

    title: str
    gates: tuple[GateInfo, ...]
    inputs: tuple[InputWire, ...]
    outputs: tuple[OutputWire, ...]
    wires: tuple[Wire, ...]
    groups: tuple[Group, ...]
    depth: tuple[DepthCell, ...]

    @property
    def parameters(self) -> int:
        """How many numbers the parameters hold."""
        return self.groups[0].parameters

    @property
    def watched(self) -> bool:
        """Whether it carries the numbers of a watched pass."""
        return any(gate.value is not None for gate in self.gates)

    @property
    def timed(self) -> bool:
        """Whether it carries measured times."""
        return any(gate.forward_s is not None for gate in self.gates)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers."""
        return asdict(self)
