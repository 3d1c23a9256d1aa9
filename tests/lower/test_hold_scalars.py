"""Numbers computed once: the graph's values stay, the powers leave the compiler's loops."""

import torch

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower.hold_scalars import hold_scalars
from backlit.step import Optimiser


def adam(p, g, step, m, v, lr):
    states = [{"step": step, "exp_avg": m, "exp_avg_sq": v}]
    (new,), (state,) = Optimiser("Adam").update([p], [g], states, lr)
    return new, state["step"]


def test_adams_bias_corrections_are_held_and_the_numbers_stay():
    def vector():
        return torch.rand(8)

    def number(value):
        return torch.tensor(value, dtype=torch.float64)

    inputs = [vector(), vector(), number(3.0), vector(), vector(), number(0.1)]
    gm, _ = trace(lambda *x: adam(*x)[0], inputs)
    gm.graph.eliminate_dead_code()
    expected = gm(*[x.clone() for x in inputs])[0]
    assert hold_scalars(gm) >= 2
    gm.graph.lint()
    assert torch.equal(gm(*[x.clone() for x in inputs])[0], expected)
    for node in gm.graph.nodes:
        if node.target in (aten.mul.Tensor, aten.div.Tensor) and node.meta["val"].dim():
            for wire in node.all_input_nodes:
                number_ = wire.meta["val"].dim() == 0 and wire.op == "call_function"
                constant = wire.target is aten.full.default
                assert not number_ or constant or wire.target is aten.as_strided.default
    assert hold_scalars(gm) == 0
