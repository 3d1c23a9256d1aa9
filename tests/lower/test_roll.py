"""Repeated stretches of a graph as calls of one: the same values, and compiled once."""

import copy

import pytest
import torch
from torch import nn

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available, prepare_graph
from backlit.lower.compiler import _compiled
from backlit.lower.direct.aliases import shares_memory
from backlit.lower.roll import roll
from backlit.nets import SequenceClassifier
from backlit.step import Optimiser
from backlit.supervised import Supervised

STEPS = 24


def calls(rolled):
    """How often each piece is called, in the order of the pieces."""
    called = [node.target for node in rolled.graph.nodes if node.op == "call_module"]
    return [called.count(name) for name, _ in rolled.named_children()]


def views_handed_on(rolled):
    """Names of the inputs of which one piece gives another a view."""
    found = set()
    for call in rolled.graph.nodes:
        if call.op == "call_module":
            part = getattr(rolled, call.target).graph
            names = dict(
                zip((n for n in part.nodes if n.op == "placeholder"), call.args, strict=True)
            )
            for node in next(iter(reversed(part.nodes))).args[0]:
                while node.op == "call_function" and shares_memory(node):
                    node = node.args[0]
                if node in names:
                    found.add(names[node].name)
    return found


def recurrent(x, w, v):
    """A net that also looks two steps back."""
    before = h = torch.zeros_like(x[0])
    total = h.sum()
    for t in range(STEPS):
        h, before = torch.tanh(h @ w + x[t] + before @ v), h
        total = total + h.square().sum()
    return total, h


def step_of(network, batch, precision=None):
    torch.manual_seed(0)
    learner = Supervised(
        network, "cross_entropy", optimiser=Optimiser("SGD", lr=0.1), classifier=False
    )
    learner.prepare(batch, "plain", precision=precision)
    (step,) = learner.steps.values()
    inputs = step._inputs(dict(zip(("x", "y"), batch, strict=True)), 0, 0)
    return prepare_graph(step._compilable, inputs, precision), inputs


def test_the_same_values_from_one_stretch_called_many_times():
    inputs = [torch.randn(STEPS, 3, 4), torch.randn(4, 4), torch.randn(4, 4)]
    gm, _ = trace(recurrent, inputs)
    rolled = roll(copy.deepcopy(gm), inputs)
    assert max(calls(rolled)) >= STEPS - 2
    pieces = [len(part.graph.nodes) for _, part in rolled.named_children()]
    assert sum(pieces) < len(gm.graph.nodes) / 2
    for got, expected in zip(rolled(*inputs), gm(*inputs), strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("precision", [None, "bfloat16"])
def test_forward_and_backward_of_a_training_step(kind, precision):
    torch.manual_seed(0)
    network = SequenceClassifier(3, 2, 8, kind=kind)
    gm, inputs = step_of(network, (torch.randn(2, STEPS, 3), torch.tensor([0, 1])), precision)
    rolled = roll(copy.deepcopy(gm), inputs)
    assert sum(count >= STEPS - 3 for count in calls(rolled)) == 2
    expected, got = [t.clone() for t in inputs], [t.clone() for t in inputs]
    written = {n.args[0].name for n in gm.graph.nodes if n.target is aten.copy_.default}
    assert written and not written & views_handed_on(rolled)
    losses = gm(*expected), rolled(*got)
    assert torch.equal(*(loss[0] for loss in losses))
    assert not torch.equal(expected[0], inputs[0])
    for a, b in zip(got, expected, strict=True):
        assert torch.equal(a, b)  # the state too is updated in place


class TwoWays(nn.Module):
    """Two layers in both directions, of one width: their steps look alike."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(8, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0].mean(1))


def test_loops_that_look_alike_are_all_found():
    torch.manual_seed(0)
    gm, inputs = step_of(TwoWays(), (torch.randn(2, STEPS, 8), torch.tensor([0, 1])))
    rolled = roll(copy.deepcopy(gm), inputs)
    # two layers, two directions, forward and backward
    assert sum(count >= STEPS - 4 for count in calls(rolled)) == 8
    expected, got = [t.clone() for t in inputs], [t.clone() for t in inputs]
    assert torch.equal(gm(*expected)[0], rolled(*got)[0])
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_what_repeats_less_often_or_not_at_all_stays():
    few = [torch.randn(3, 4), torch.randn(4, 4)]

    def short(x, w):
        for _ in range(15):
            x = torch.tanh(x @ w)
        return (x,)

    assert roll(trace(short, few)[0], few) is None
    sizes = range(2, 22)

    def widening(x, *weights):
        for w in weights:
            x = torch.tanh(x @ w)
        return (x,)

    weights = [torch.randn(3, 2), *(torch.randn(n, n + 1) for n in sizes)]
    assert roll(trace(widening, weights)[0], weights) is None


def test_a_different_step_parts_two_loops():
    def function(x, w):
        for t in range(40):
            x = torch.tanh(x @ w)
            if t == 19:
                x = x.flip(0).exp()
        return (x,)

    inputs = [torch.randn(3, 4), torch.randn(4, 4)]
    gm, _ = trace(function, inputs)
    rolled = roll(copy.deepcopy(gm), inputs)
    assert sorted(calls(rolled))[-1] >= 18
    assert torch.equal(rolled(*inputs)[0], gm(*inputs)[0])


@pytest.mark.skipif(not compiler_available(), reason="needs a C++ compiler")
def test_compiled_in_pieces(monkeypatch):
    network = SequenceClassifier(3, 2, 8)
    gm, inputs = step_of(network, (torch.randn(2, STEPS, 3), torch.tensor([0, 1])))
    sizes = []

    def counting(gm, inputs, say, repeated):
        sizes.append(len(gm.graph.nodes))
        return _compiled(gm, inputs, say, repeated)

    monkeypatch.setattr("backlit.lower.compiler._compiled", counting)
    call = compile_graph(gm, inputs)
    assert len(sizes) >= 4 and sum(sizes) < len(gm.graph.nodes)
    expected, got = [t.clone() for t in inputs], [t.clone() for t in inputs]
    torch.testing.assert_close(call(*got)[0], gm(*expected)[0])
    torch.testing.assert_close(got, expected)
