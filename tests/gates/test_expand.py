"""Granularity: a composite gate and the elementary gates it stands for give the same numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import backlit.gates
from backlit.gates.samples import Draw
from backlit.graph.backprop import value_and_grad
from backlit.graph.trace import trace
from tests.gates.helper import compare, describe, differentiable_inputs, one_gate

COMPOSITE = [gate for gate in backlit.gates if gate.expand is not None]


@pytest.mark.parametrize("gate", COMPOSITE, ids=lambda gate: gate.__name__)
def test_expansion_equals_the_gate(gate):
    for sample in gate.samples(Draw()):
        whole = one_gate(gate.operators()[0], sample)
        fine = one_gate(gate.expand, sample)
        wanted, count = differentiable_inputs(whole), len(whole.tensors)

        def elementary(*values: Tensor, call=fine, n=count) -> Tensor:
            outputs = call.call(values[:n])
            terms = [(out * c).sum() for out, c in zip(outputs, values[n:], strict=True)]
            return torch.stack(terms).sum()

        graph, _ = trace(elementary, whole.values)
        assert not {node.target for node in graph.graph.nodes} & set(gate.operators())
        value, grads = value_and_grad(whole.gm, whole.values, wanted)
        fine_value, fine_grads = value_and_grad(graph, whole.values, wanted)
        compare(fine_value, [value[0]], 1e-12, f"{gate.__name__} {describe(sample)}: value")
        compare(fine_grads, grads, 1e-12, f"{gate.__name__} {describe(sample)}: gradient")
