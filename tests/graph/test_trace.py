"""Tracing: in-place code becomes a graph of gates without side effects."""

from __future__ import annotations

import torch

from backlit.gates import gate_of
from backlit.graph.backprop import value_and_grad
from backlit.graph.trace import trace


def test_in_place_code_becomes_functional_gates():
    def loss(x, w):
        y = x.matmul(w)  # a vector: PyTorch's own kernel ends in squeeze_
        y.mul_(2)
        part = y[1:]
        part.add_(1)  # written through the view
        padded = torch.nn.functional.pad(y[None, None], (1, 2), mode="circular")
        return (padded * padded).sum()

    x, w = torch.randn(3).double(), torch.randn(3, 4).double()
    graph, _ = trace(loss, (x, w))
    calls = [node for node in graph.graph.nodes if node.op == "call_function"]
    assert all(gate_of(node.target) for node in calls)
    assert not any(node.target._schema.is_mutable for node in calls)
    value, grads = value_and_grad(graph, (x, w), (0, 1))
    leaves = x.clone().requires_grad_(), w.clone().requires_grad_()
    expected = loss(*leaves)
    torch.testing.assert_close(value[0], expected.detach())
    torch.testing.assert_close(tuple(grads), torch.autograd.grad(expected, leaves))


def test_what_an_update_leaves_in_its_state_becomes_the_last_gates():
    def step(x, state):
        def move(x, state):
            state.mul_(0.9).add_(x)
            return state * 2

        first = torch.func.functionalize(move)(x, state)
        return torch.func.functionalize(move)(x, first) + 1  # writes what is no input

    x, state = torch.randn(3), torch.randn(3)
    graph, _ = trace(step, (x, state))
    targets = [node.target for node in graph.graph.nodes if node.op == "call_function"]
    assert targets.count(torch.ops.aten.copy_.default) == 1
    assert targets[-1] is torch.ops.aten.copy_.default
    mine, theirs = state.clone(), state.clone()
    assert torch.equal(graph(x, mine)[0], step(x, theirs))
    assert torch.equal(mine, theirs)


def test_a_write_that_is_read_through_a_view_stays_before_its_reader():
    def function(x):
        view = x[1:]
        x.copy_(x * 2)
        return view + 1

    x = torch.randn(3)
    graph, _ = trace(function, (x,))
    mine, theirs = x.clone(), x.clone()
    assert torch.equal(graph(mine)[0], function(theirs))
    assert torch.equal(mine, theirs)
