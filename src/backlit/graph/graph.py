"""The graph: gates joined by wires in topological order, with what goes in and what comes out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from backlit.errors import BacklitError, CaptureError, GateError
from backlit.gates import Gate, gate_of
from backlit.graph import backprop
from backlit.graph.noise import Noise, generator_for
from backlit.graph.origin import Origin, origin_of
from backlit.graph.show.shown import Shown
from backlit.graph.trace import real_like, trace


@dataclass(frozen=True)
class Input:
    """One input wire.

    Attributes:
        name: parameter or buffer name (``"net.0.weight"``), or the argument's name.
        kind: ``"parameter"``, ``"buffer"``, ``"constant"``, ``"noise"`` or ``"input"``.
        noise: what fills it, for noise.
    """

    name: str
    kind: str
    noise: Noise | None = None


@dataclass(frozen=True)
class GateCall:
    """One gate of a graph, as a reader sees it: a view on a node of the graph."""

    node: Node

    @property
    def name(self) -> str:
        """The gate's unique name in its graph, which is also its output wire's."""
        return self.node.name

    @property
    def gate(self) -> type[Gate] | None:
        """The gate's class, None for an operation without one."""
        return gate_of(self.node.target)

    @property
    def operation(self) -> str:
        """The operator's qualified name, e.g. ``aten.mul.Tensor``."""
        return str(self.node.target)

    @property
    def origin(self) -> Origin:
        """Module path, source line, phase and role."""
        return origin_of(self.node)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the wires that come in."""
        return tuple(node.name for node in self.node.all_input_nodes)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The output's shape; None for several outputs."""
        value = self.node.meta.get("val")
        return tuple(value.shape) if isinstance(value, Tensor) else None

    @property
    def dtype(self) -> torch.dtype | None:
        """The output's dtype; None for several outputs."""
        value = self.node.meta.get("val")
        return value.dtype if isinstance(value, Tensor) else None


@dataclass
class Watched:
    """What a watched pass saw: the value and the gradient on every wire, by wire name."""

    value: dict[str, Any] = field(default_factory=dict)
    gradient: dict[str, Any] = field(default_factory=dict)


@dataclass
class Graph(Shown):
    """A computation as gates in topological order.

    Attributes:
        gm: the flat graph: placeholders in the order of `inputs`, a flat tuple out.
        inputs: what each placeholder is.
        out_spec: how the captured function nested its own outputs.
        in_spec: how it nested its arguments.
        new_buffers: for each flat output before the captured function's own, the buffer whose
            new value it is.
        bindings: the live tensors behind parameters, buffers and constants, by name.
        example: the values it was captured with, by input name.
        signature: the captured function's, for calling the graph by keyword.
    """

    gm: GraphModule
    inputs: tuple[Input, ...]
    out_spec: TreeSpec
    in_spec: TreeSpec
    new_buffers: tuple[str, ...] = ()
    bindings: dict[str, Tensor] = field(default_factory=dict)
    example: dict[str, Tensor] = field(default_factory=dict)
    signature: inspect.Signature | None = None
    watched: Watched | None = None
    _gradient_graph: Graph | None = field(default=None, repr=False)

    @property
    def gates(self) -> list[GateCall]:
        """Every gate in topological order."""
        return [GateCall(node) for node in self.gm.graph.nodes if node.op == "call_function"]

    def gate(self, name: str) -> GateCall:
        """The gate of that name; raises GateError naming the nearest ones."""
        for call in self.gates:
            if call.name == name:
                return call
        import difflib

        near = difflib.get_close_matches(name, [call.name for call in self.gates], 3, 0.4)
        raise GateError(f"expected a gate of this graph, got '{name}'; nearest: {', '.join(near)}")

    def of_kind(self, *kinds: str) -> list[str]:
        """The names of the inputs of those kinds, in order."""
        return [i.name for i in self.inputs if i.kind in kinds]

    def flat_inputs(self, args: Sequence[Any], kwargs: Mapping[str, Any], seed: int) -> list[Any]:
        """Values for every placeholder: bindings, noise from the seed, and the arguments."""
        given = self._arguments(args, kwargs)
        values: list[Any] = []
        for site, wire in enumerate(self.inputs):
            if wire.kind == "input":
                values.append(given[wire.name])
            elif wire.noise is not None:
                device = wire.noise.device
                values.append(wire.noise.draw(generator_for(seed, 0, site, device)))
            else:
                values.append(self.bindings[wire.name])
        return values

    def _arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Tensor]:
        names = self.of_kind("input")
        if not args and not kwargs:
            return self.example
        if self.signature is not None and kwargs:
            bound = self.signature.bind(*args, **kwargs)
            args, kwargs = bound.args, bound.kwargs
        leaves = [leaf for leaf in tree_flatten((tuple(args), dict(kwargs)))[0]]
        leaves = [leaf for leaf in leaves if isinstance(leaf, (Tensor, float))]
        if len(leaves) != len(names):
            raise BacklitError(
                f"expected {len(names)} inputs ({', '.join(names)}), got {len(leaves)}"
            )
        given = {}
        for name, leaf in zip(names, leaves, strict=True):
            like = self.example[name]
            value = torch.as_tensor(leaf, dtype=None if isinstance(leaf, Tensor) else like.dtype)
            if value.shape != like.shape:
                raise BacklitError(
                    f"input '{name}': expected shape {tuple(like.shape)}, with which the graph "
                    f"was captured, got {tuple(value.shape)}; capture again for another shape"
                )
            given[name] = value
        return given

    @torch.no_grad()
    def __call__(self, *args: Any, seed: int = 0, **kwargs: Any) -> Any:
        """Runs the gates forward; without arguments on the values it was captured with.

        Args:
            seed: of the noise, where the graph draws any.
        Returns: what the captured function returns. Buffers are left as they are.
        """
        flat, _ = backprop.forward(self.gm, self.flat_inputs(args, kwargs, seed))
        return tree_unflatten(list(flat[len(self.new_buffers) :]), self.out_spec)

    def differentiable_inputs(self) -> list[int]:
        """Positions of the parameters and floating inputs: what gradients are asked for."""
        return [
            position
            for position, (wire, node) in enumerate(
                zip(self.inputs, backprop.placeholders(self.gm), strict=True)
            )
            if wire.kind in ("parameter", "input") and backprop.is_floating(node.meta.get("val"))
        ]

    def _scalar_output(self) -> int:
        outputs = backprop.output_wires(self.gm)[len(self.new_buffers) :]
        first = outputs[0] if outputs else None
        value = first.meta.get("val") if isinstance(first, Node) else None
        if len(outputs) != 1 or not isinstance(value, Tensor) or value.numel() != 1:
            came = f"{len(outputs)} outputs" if len(outputs) != 1 else f"shape {_shape(value)}"
            raise BacklitError(
                f"expected a graph with one scalar output (a loss), got {came}; "
                "capture a function that ends in a loss, e.g. lambda x: net(x).sum()"
            )
        return len(self.new_buffers)

    def value_and_grad(
        self, *args: Any, seed: int = 0, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Tensor | None]]:
        """The scalar output and its gradient with respect to every parameter and floating input.

        Returns: ``(output, {name: gradient})``; a gradient is None where the output does not
            depend on that input at all (disconnected), zeros where it does with slope 0.
        Raises: BacklitError if the graph has no single scalar output; GateError for a gate
            without a rule.
        """
        wanted = self.differentiable_inputs()
        output = self._scalar_output()
        flat, grads = backprop.value_and_grad(
            self.gm, self.flat_inputs(args, kwargs, seed), wanted, output
        )
        names = [self.inputs[position].name for position in wanted]
        return flat[output], dict(zip(names, grads, strict=True))

    @torch.no_grad()
    def backward(self, *args: Any, seed: int = 0, **kwargs: Any) -> Watched:
        """A watched pass: runs forward and backward and keeps every value and gradient.

        Returns: the values and gradients by wire; also kept as `watched`, so that printing the
            graph shows them.
        """
        output = self._scalar_output()
        inputs = self.flat_inputs(args, kwargs, seed)
        _, values = backprop.forward(self.gm, inputs)
        loss = backprop.output_wires(self.gm)[output]
        wires = backprop.placeholders(self.gm)
        wanted = [wires[position] for position in self.differentiable_inputs()]
        grads = backprop.backward(self.gm, values, {loss: torch.ones_like(values[loss])}, wanted)
        self.watched = Watched(
            {node.name: value for node, value in values.items()},
            {node.name: grad for node, grad in grads.items() if grad is not None},
        )
        return self.watched

    def gradient_graph(self) -> Graph:
        """The graph of gates that computes the output and all gradients, itself a Graph.

        It takes the same inputs and returns ``(output, {name: gradient})``; a disconnected
        gradient is left out. It can be differentiated again: `then` makes a penalty of it, `hvp`
        the Hessian's products. It is traced once and kept.
        """
        if self._gradient_graph is None:
            self._gradient_graph = self._traced_gradient_graph()
        return self._gradient_graph

    def then(self, function: Callable[..., Any]) -> Graph:
        """The graph followed by more tensor code: what it returns goes into `function`.

        Args:
            function: of the graph's output, or of each of its outputs. Of a gradient graph:
                ``(output, {name: gradient})``, so that R1 is
                ``gradients.then(lambda _, d: d["x"].square().sum((1, 2, 3)).mean())``.
        Returns: a graph of the same inputs, differentiable with respect to all of them.
        """
        n = len(self.new_buffers)

        def whole(*flat: Tensor) -> Any:
            outputs, _ = backprop.forward(self.gm, flat)
            result = tree_unflatten(list(outputs[n:]), self.out_spec)
            return function(*result) if isinstance(result, tuple) else function(result)

        return self._retraced(whole)

    def _traced_gradient_graph(self) -> Graph:
        wanted = self.differentiable_inputs()
        output = self._scalar_output()
        names = [self.inputs[position].name for position in wanted]

        def both(*flat: Tensor) -> Any:
            outputs, grads = backprop.value_and_grad(self.gm, flat, wanted, output)
            named = {n: g for n, g in zip(names, grads, strict=True) if g is not None}
            return outputs[output], named

        return self._retraced(both)

    def _retraced(self, function: Callable[..., Any]) -> Graph:
        """A graph of the same inputs that computes a function of their flat values."""
        examples = [node.meta["val"] for node in backprop.placeholders(self.gm)]
        gm, spec = trace(function, real_like(examples), [wire.name for wire in self.inputs])
        return Graph(
            gm,
            self.inputs,
            spec,
            self.in_spec,
            (),
            self.bindings,
            self.example,
            self.signature,
        )

    def train(self, mode: bool = True) -> Graph:
        """Not a graph's to change: raises CaptureError that says to capture again."""
        raise CaptureError(
            "expected the mode to be set before capture, got train() or eval() on a graph, in "
            "which dropout and batch norm are fixed; call module.train() or module.eval() and "
            "capture it again (one graph for each mode)"
        )

    def eval(self) -> Graph:
        """As `train`."""
        return self.train(False)

    def __iter__(self) -> Iterator[GateCall]:
        return iter(self.gates)

    def __len__(self) -> int:
        return len(self.gates)


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else "no tensor"
