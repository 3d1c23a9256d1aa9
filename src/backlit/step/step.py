"""One whole training step as one flat graph, run watched, plain or compiled.

State, batch, noise and learning rates come in; metrics come out and the state is updated in
place. Watched, every gate runs; plain, PyTorch's fused operations take the place of some of them;
compiled, generated code of all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.nn import Parameter

from backlit.devices import on_cpu
from backlit.errors import BacklitError
from backlit.gates.base import aten
from backlit.graph import backprop
from backlit.graph.graph import GateCall, Input, Watched
from backlit.graph.inline import inline
from backlit.graph.noise import Noise, generator_for
from backlit.graph.origin import origin_of
from backlit.graph.show import Shown, Times
from backlit.graph.show.timing import time_forward
from backlit.graph.trace import trace
from backlit.lower import (
    compile_graph,
    compiler_available,
    flops,
    lower_gates,
    open_pools,
    open_thin_products,
    open_whole_pictures,
    prepare_graph,
)
from backlit.lower.direct import direct
from backlit.lower.passes import dead_writes
from backlit.lower.remembered import name_of, recall, remember
from backlit.step.cuda_graph import recorded
from backlit.step.probes import Parts, Probe, Readings, add_probes
from backlit.step.unroll import unroll

Tensors = dict[str, Tensor]
StepFunction = Callable[[Tensors, Tensors, Tensors, Tensors], tuple[Tensors, Tensors]]
Kernels = Literal["auto"] | Mapping[str, str] | None
MODES = ("watched", "plain", "compiled")
HANDED_ON = "parameters"
"""Phase of the gates that only take the state's tensors out of the vectors they lie in."""


class Step(Shown):
    """A training step, traced once for fixed shapes.

    Args:
        function: ``(state, batch, noise, rates) -> (new state, metrics)``, pure tensor code over
            dictionaries by name; the new state may hold only what changes.
        state: the live tensors; `run` updates them in place.
        batch: example tensors.
        noise: what each noise wire draws.
        rates: learning rates, 0-d float64.
        parts: of a state tensor that holds several parameters: name -> (start, length).
    """

    def __init__(
        self,
        function: StepFunction,
        state: Tensors,
        batch: Tensors,
        noise: Mapping[str, Noise],
        rates: Tensors,
        parts: Parts | None = None,
    ):
        self._parts = parts or {}
        self.state = state
        self.noise = dict(noise)
        self._rates = rates
        groups = (list(state), list(batch), list(noise), list(rates))
        self.names = [name for group in groups for name in group]
        drawn = self.draw(0, 0).values()
        examples = [*state.values(), *batch.values(), *drawn, *rates.values()]

        def flat(*tensors: Tensor) -> tuple[Tensors, Tensors]:
            feed = iter(tensors)
            state_, batch_, noise_, rates_ = (
                {name: next(feed) for name in group} for group in groups
            )
            return function(state_, batch_, noise_, rates_)

        self.gm, spec = trace(flat, [t.detach() for t in examples], self.names)
        changed, metrics = spec.unflatten(range(spec.num_leaves))
        self.metrics: list[str] = list(metrics)
        # What a compiler is given: the same graph, users' gates opened so that it sees inside.
        self._compilable = inline(self.gm)
        self._update_in_place(self.gm, list(changed))
        if self._compilable is not self.gm:
            self._update_in_place(self._compilable, list(changed))
        self._ready: Callable[[], GraphModule] = lambda: self._compilable  # what was compiled last
        self._call: Callable[..., Any] = self.gm
        self._calls: dict[int, Callable[..., Any]] = {}
        self._probed: tuple[Callable[..., Any], tuple[Probe, ...]] | None = None
        self.mode = "plain"
        self.precision: str | None = None
        self.kernels: dict[str, str] = {}
        self._prepared: tuple[str, str | None, Kernels] | None = None

    def _update_in_place(self, gm: GraphModule, changed: list[str]) -> None:
        """Ends a graph in copies into the state's wires instead of returning the new state."""
        graph = gm.graph
        output = graph.output_node()
        wires = dict(zip(self.names, backprop.placeholders(gm), strict=True))
        results = list(backprop.output_wires(gm))
        with graph.inserting_before(output):
            for name, new in zip(changed, results[: len(changed)], strict=True):
                if new is not wires[name]:
                    copy = graph.call_function(aten.copy_.default, (wires[name], new))
                    copy.meta["origin"] = origin_of(new)
        output.args = (tuple(results[len(changed) :]),)
        dead_writes(gm)  # the optimisers' own forms write into their state too
        graph.lint()
        gm.recompile()

    @property
    def gates(self) -> list[GateCall]:
        """Every gate of the step in topological order."""
        return [GateCall(node) for node in self.gm.graph.nodes if node.op == "call_function"]

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What each placeholder of `gm` is, in order: state, batch, noise, rates."""

        def kind(name: str) -> str:
            if name in self.state:
                return "parameter" if isinstance(self.state[name], Parameter) else "state"
            return "noise" if name in self.noise else "rate" if name in self._rates else "input"

        return tuple(Input(name, kind(name), self.noise.get(name)) for name in self.names)

    @torch.no_grad()
    def prepare(
        self,
        mode: str,
        batch: Tensors,
        precision: str | None = None,
        say: Callable[[str], None] | None = None,
        kernels: Kernels = None,
    ) -> str:
        """Chooses how `run` runs; returns the mode really used.

        ``"compiled"`` falls back to ``"plain"`` where no C++ compiler is found. Where the state
        lies on a GPU, a plain or compiled step becomes one CUDA graph.

        Args:
            precision: ``"bfloat16"`` lowers plain and compiled steps, see
                `backlit.lower.lower_precision`; watched ones keep the tensors' own.
            say: told, a line each, what is worth knowing on the way.
            kernels: of a compiled step: ``"auto"`` measures those of its largest gates, once on
                a machine; a table says which lowering a gate gets, as `kernels` told before;
                None, the default: PyTorch's own.
        """
        if mode not in MODES:
            raise BacklitError(f"mode: expected one of {', '.join(MODES)}, got '{mode}'")
        if mode == "compiled" and on_cpu(self.state.values()) and not compiler_available():
            mode = "plain"
        asked = (mode, precision, kernels)
        if asked != self._prepared:
            self._calls, self._probed = {}, None
            self.mode, self.precision, self._prepared = mode, precision, None
            self.kernels = {}
            self._ready, self._call = self._made(self._compilable, batch, say, kernels)
            self._prepared = asked
        return mode

    def _made(
        self, gm: GraphModule, batch: Tensors, say: Callable[[str], None] | None, kernels: Kernels
    ) -> tuple[Callable[[], GraphModule], Callable[..., Any]]:
        """What makes a graph of this step's wires as the mode wants it, and what calls it.

        Sets `kernels`. A compiled step that is remembered is called without being lowered.
        """
        if self.mode == "watched":
            return lambda: gm, gm
        inputs = self._inputs(batch, 0, 0)
        if self.mode == "plain":
            ready = prepare_graph(gm, inputs, self.precision)
            call: Callable[..., Any] = direct(ready, range(len(self.state)))
            return lambda: ready, self._recorded(call, inputs, say)
        known = recall(name_of(gm, inputs, self.precision, kernels), say)
        if known is not None:
            call, self.kernels = known
            return cache(lambda: self._lowered(gm, inputs, self.kernels, say)), call
        ready = self._lowered(gm, inputs, kernels, say)
        call = compile_graph(ready, inputs, say)
        # Named after lowering, which may have begun the file of measured kernels.
        remember(name_of(gm, inputs, self.precision, kernels), call, self.kernels)
        return lambda: ready, self._recorded(call, inputs, say)

    def _lowered(
        self,
        gm: GraphModule,
        inputs: list[Tensor],
        kernels: Kernels,
        say: Callable[[str], None] | None,
    ) -> GraphModule:
        """The graph as it goes to the compiler; sets `kernels`."""
        ready = prepare_graph(gm, inputs, self.precision)
        if not on_cpu(self.state.values()):
            return ready
        ready = open_pools(ready)
        open_whole_pictures(ready)
        open_thin_products(ready)
        return self._with_kernels(ready, inputs, kernels, say)

    def _with_kernels(
        self,
        gm: GraphModule,
        inputs: list[Tensor],
        asked: Kernels,
        say: Callable[[str], None] | None,
    ) -> GraphModule:
        if asked is None:
            return gm
        chosen = None if asked == "auto" else asked
        gm, self.kernels = lower_gates(gm, inputs, chosen, say)
        if say is not None and asked == "auto":
            say(f"compiling, with kernels chosen for {len(self.kernels)} kinds of gate")
        return gm

    @torch.no_grad()
    def prepare_probes(self, batch: Tensors, say: Callable[[str], None] | None = None) -> None:
        """Makes the step with probes ready for `probe`, the way `run` was prepared."""
        if self._probed is not None:
            return
        trained = [wire.name for wire in self.inputs if wire.kind == "parameter"]
        gm, probes = add_probes(self._compilable, self.names, trained, self._parts)
        if say is not None and self.mode == "compiled":
            say(f"compiling the step with probes, {len(probes)} of them")
        _, call = self._made(gm, batch, say, self.kernels)
        self._probed = call, probes

    @torch.no_grad()
    def probe(self, batch: Tensors, seed: int, index: int) -> tuple[Tensors, Readings]:
        """Runs step `index` as `run` does, and reads the probes in the same pass.

        The first call prepares the step with probes, see `prepare_probes`.

        Args:
            batch, seed, index: as in `run`.
        Returns: the metrics, and what the probes read.
        """
        if self._probed is None:
            self.prepare_probes(batch)
        assert self._probed is not None
        call, probes = self._probed
        *found, sums = call(*self._inputs(batch, seed, index))
        return dict(zip(self.metrics, found, strict=True)), Readings(probes, sums)

    @torch.no_grad()
    def prepare_several(
        self, batches: Sequence[Tensors], say: Callable[[str], None] | None = None
    ) -> None:
        """Compiles as many steps as there are batches into one function, for `run_several`."""
        k = len(batches)
        if self.mode == "compiled" and k not in self._calls:
            kept = [wire.name for wire in self._shared()]
            several = unroll(self._ready(), k, kept)
            inputs = self._inputs_of(batches, 0, 0)
            self._calls[k] = self._recorded(compile_graph(several, inputs, say), inputs, say)

    def _shared(self) -> list[Any]:
        wires = zip(self.names, backprop.placeholders(self._ready()), strict=True)
        return [wire for name, wire in wires if name in self.state or name in self._rates]

    def _inputs_of(self, batches: Sequence[Tensors], seed: int, index: int) -> list[Tensor]:
        found = [*(t.detach() for t in self.state.values()), *self._rates.values()]
        for i, batch in enumerate(batches):
            found += [*batch.values(), *self.draw(seed, index + i).values()]
        return found

    @torch.no_grad()
    def run_several(self, batches: Sequence[Tensors], seed: int, index: int) -> list[Tensors]:
        """Runs the steps from `index` on, one for each batch, in one call where prepared so.

        Returns: each step's metrics.
        """
        call = self._calls.get(len(batches)) if self.mode == "compiled" else None
        if call is None:
            return [self.run(batch, seed, index + i) for i, batch in enumerate(batches)]
        found, n = call(*self._inputs_of(batches, seed, index)), len(self.metrics)
        return [
            dict(zip(self.metrics, found[i * n : (i + 1) * n], strict=True))
            for i in range(len(batches))
        ]

    def _recorded(
        self, call: Callable[..., Any], inputs: list[Tensor], say: Callable[[str], None] | None
    ) -> Callable[..., Any]:
        return recorded(call, inputs, [*self.state.values(), *self._rates.values()], say)

    def draw(self, seed: int, index: int) -> Tensors:
        """All noise of step `index` by name: a function of (seed, index) alone."""
        return {
            name: noise.draw(generator_for(seed, index, site, noise.device))
            for site, (name, noise) in enumerate(self.noise.items())
        }

    def _inputs(self, batch: Tensors, seed: int, index: int) -> list[Tensor]:
        state = [t.detach() for t in self.state.values()]
        noise = self.draw(seed, index).values()
        return [*state, *batch.values(), *noise, *self._rates.values()]

    @torch.no_grad()
    def run(self, batch: Tensors, seed: int, index: int) -> Tensors:
        """Runs step `index`, updates the state in place and returns the metrics, 0-d tensors.

        Args:
            batch: tensors of the shapes it was traced with.
            seed, index: all noise is a function of these two.
        """
        if self.mode == "watched":
            return self.watch(batch, seed, index)[0]
        return dict(zip(self.metrics, self._call(*self._inputs(batch, seed, index)), strict=True))

    @torch.no_grad()
    def watch(
        self, batch: Tensors, seed: int, index: int, keep: Callable[..., None] | None = None
    ) -> tuple[Tensors, Watched]:
        """Runs step `index` gate by gate and keeps the value and gradient on every wire.

        Args:
            keep: called with each node and its value as soon as it is known.
        """
        outputs, values = backprop.forward(self.gm, self._inputs(batch, seed, index), keep)
        by_name = {node.name: value for node, value in values.items()}
        gradients = {
            node.name: by_name[node.meta["gradient"]]
            for node in self.gm.graph.nodes
            if node.meta.get("gradient") in by_name
        }
        return dict(zip(self.metrics, outputs, strict=True)), Watched(by_name, gradients)

    @torch.no_grad()
    def first_nonfinite(self, batch: Tensors, seed: int, index: int) -> str | None:
        """Replays step `index` on the present state; names the first gate that gave NaN or ∞.

        The state is left as it was. Returns None where every gate stays finite.
        """
        found: list[str] = []

        def look(node: Any, value: Any) -> None:
            if found or origin_of(node).phase == HANDED_ON:
                return
            for part in value if isinstance(value, (tuple, list)) else (value,):
                if isinstance(part, Tensor) and part.is_floating_point():
                    if not bool(torch.isfinite(part).all()):
                        origin = origin_of(node)
                        phase = f", {origin.phase} {origin.role}" if origin.phase else ""
                        found.append(f"gate '{node.name}' of {origin.where()}{phase}")
                        return

        with self._state_kept():
            self.watch(batch, seed, index, look)
        return found[0] if found else None

    @torch.no_grad()
    def times(self, batch: Tensors, seed: int = 0, index: int = 0, repeats: int = 3) -> Times:
        """Measures the step gate by gate, the state left as it was.

        Returns: each gate's seconds; a forward gate's backward time is that of the gates its
            rule made.
        """
        with self._state_kept():
            inputs = self._inputs(batch, seed, index)
            forward = time_forward(self.gm, inputs, repeats)
        backward: dict[str, float] = {}
        for gate in self.gates:
            if gate.origin.role == "backward" and gate.origin.of:
                of = gate.origin.of
                backward[of] = backward.get(of, 0.0) + forward[gate.name]
        return Times(forward, backward)

    @torch.no_grad()
    def seconds(self, batch: Tensors, budget_s: float = 0.2) -> float:
        """The least time of one step as it was prepared, the state left as it was.

        Args:
            batch: as `run` takes it.
            budget_s: steps are timed for so long; one at least.
        """
        least, start_s = float("inf"), time.perf_counter()
        with self._state_kept():
            while time.perf_counter() - start_s < budget_s:
                before_s = time.perf_counter()
                for value in self.run(batch, 0, 0).values():
                    float(value)  # waits for a device
                least = min(least, time.perf_counter() - before_s)
        return least

    @property
    def work(self) -> tuple[int, int]:
        """How many gates it has, and the operations of the costly ones."""
        nodes = self.gm.graph.nodes
        return len(nodes), sum(map(flops, nodes))

    @contextmanager
    def _state_kept(self) -> Iterator[None]:
        before = {name: tensor.detach().clone() for name, tensor in self.state.items()}
        try:
            yield
        finally:
            for name, tensor in self.state.items():
                tensor.detach().copy_(before[name])
