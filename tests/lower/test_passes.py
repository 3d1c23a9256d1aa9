"""Each pass: equal results bit for bit, and the gates it removes, counted."""

import copy

import pytest
import torch
from torch import nn

from backlit.gan import Game, GradientPenalty
from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower.passes import (
    apply_passes,
    clean_identities,
    clean_parts,
    clean_views,
    common_subexpressions,
    dead_gates,
    fold_constants,
)
from backlit.nets import DCGANDiscriminator, DCGANGenerator


def gates(gm):
    return [node for node in gm.graph.nodes if node.op == "call_function"]


def add_write(gm, wire, result):
    """As the step does it: an output is copied into an input, before the output node."""
    output = next(iter(reversed(gm.graph.nodes)))
    inputs = [node for node in gm.graph.nodes if node.op == "placeholder"]
    results = list(output.args[0])
    with gm.graph.inserting_before(output):
        gm.graph.call_function(aten.copy_.default, (inputs[wire], results.pop(result)))
    output.args = (tuple(results),)
    gm.recompile()


def same_after(a_pass, function, *inputs, writes=()):
    """Traces, runs a pass, compares the results and the inputs after; gates removed."""
    gm, _ = trace(function, list(inputs))
    for wire, result in writes:
        add_write(gm, wire, result)
    changed = copy.deepcopy(gm)
    removed = a_pass(changed)
    changed.graph.lint()
    changed.recompile()
    a, b = [t.clone() for t in inputs], [t.clone() for t in inputs]
    outputs = [*gm(*a), *a], [*changed(*b), *b]
    for mine, theirs in zip(*outputs, strict=True):
        assert mine.dtype == theirs.dtype and torch.equal(mine, theirs)
    assert len(gates(gm)) - len(gates(changed)) == removed
    return removed


X = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_dead_gates():
    def unused(x):
        return x + 1, x.exp().sin()

    gm, _ = trace(unused, [X])
    output = next(iter(reversed(gm.graph.nodes)))
    output.args = (output.args[0][:1],)
    assert dead_gates(gm) == 2
    gm.recompile()
    assert torch.equal(gm(X)[0], X + 1)


def test_a_write_keeps_its_gates():
    removed = same_after(dead_gates, lambda x, s: (x + 1, s * 2 + x), X, X + 1, writes=[(1, 1)])
    assert removed == 0


def test_d_weight_gradients_are_absent_from_g_step():
    """D has 3 convolutions with bias: 3 weight and 3 bias gradients nobody uses in G's step."""
    d = DCGANDiscriminator(size=16, width=2, norm="none").double()
    game = Game(DCGANGenerator(latent=4, size=16, width=2).double(), d)
    game.prepare(torch.randn(2, 3, 16, 16, dtype=torch.float64))
    step = game.steps[True, False]
    for_weights = [
        gate.node
        for gate in step.gates
        if gate.node.target is aten.convolution_backward.default and gate.node.args[-1][1]
    ]
    by_phase = [node.meta["origin"] for node in for_weights]
    assert not [o for o in by_phase if o.phase.startswith("G: D")]
    assert len([o for o in by_phase if o.phase == "D on fake"]) == 3  # there they are used

    # The same step with D's gradients asked for as well, as autograd computes them.
    iteration = game._iteration(torch.empty(2, 3, 16, 16), (True, False))
    parameters = [name for name in game.state if name in dict(step_parameters(game))]
    noise = step.draw(0, 0)
    inner = {k.removeprefix("G/"): v for k, v in noise.items() if k.startswith("G/")}
    tensors = {**game.state, **inner, "real": torch.randn(2, 3, 16, 16, dtype=torch.float64)}
    names = list(tensors)

    def g_gradients(*flat):
        _, grads = iteration.loss_g.value_and_grad(dict(zip(names, flat, strict=True)), parameters)
        return grads

    gm, spec = trace(g_gradients, [t.detach() for t in tensors.values()])
    keys = list(spec.unflatten(range(spec.num_leaves)))
    output = next(iter(reversed(gm.graph.nodes)))
    pairs = zip(keys, output.args[0], strict=True)
    output.args = (tuple(node for key, node in pairs if key.startswith("generator/")),)
    before = len(conv_weight_gradients(gm))
    removed = dead_gates(gm)
    assert before - len(conv_weight_gradients(gm)) == 3
    assert removed == 9  # 3 weight gradients, their getitems, 3 sums for the bias


def step_parameters(game):
    for role, net in (("generator", game.generator), ("discriminator", game.discriminator)):
        yield from ((f"{role}/{name}", p) for name, p in net.named_parameters())


def conv_weight_gradients(gm):
    found = [n for n in gates(gm) if n.target is aten.convolution_backward.default]
    return [node for node in found if node.args[-1][1]]


def test_common_subexpressions():
    def twice(x):
        return x.exp() + x.exp(), (x * 2).sin() + (x * 2.0).sin()

    # exp once more; 2 and 2.0 are kept apart
    assert same_after(common_subexpressions, twice, X) == 1


def test_common_subexpressions_end_at_a_write():
    gm, _ = trace(lambda x: (x.exp(), x * 2), [X])
    add_write(gm, 0, 1)
    output = next(iter(reversed(gm.graph.nodes)))
    wire = next(iter(gm.graph.nodes))
    with gm.graph.inserting_before(output):  # reads the new value
        again = gm.graph.call_function(aten.exp.default, (wire,))
    output.args = ((*output.args[0], again),)
    assert common_subexpressions(gm) == 0
    gm.recompile()
    before, after = gm(X.clone())
    assert torch.equal(before, X.exp()) and torch.equal(after, (X * 2).exp())


def test_common_subexpressions_leave_noise():
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    draws = [graph.call_function(aten.rand_like.default, (x,)) for _ in range(2)]
    graph.output(tuple(draws))
    assert common_subexpressions(torch.fx.GraphModule({}, graph)) == 0


def test_fold_constants():
    def adam_like(x, g):
        weight = torch.full((), 0.1, dtype=x.dtype)
        far = weight.abs() >= 0.5
        return torch.where(far, g, x) + torch.where(far, weight - 1, weight) * (g - x)

    # abs, >=, -1, both where: one `full` of 0.1 stays
    assert same_after(fold_constants, lambda *a: (adam_like(*a),), X, X + 1) == 5


def test_fold_constants_of_an_expanded_constant():
    def seed(x):
        dz = torch.ones_like(x.sum()) / 4
        return dz.expand(3, 4) * x

    assert same_after(fold_constants, lambda x: (seed(x),), X) == 2  # the ones and the sum


@pytest.mark.parametrize(
    ("views", "removed"),
    [
        (lambda x: x.t().t() + 1, 2),
        (lambda x: x.view(2, 6).view(3, 4) + 1, 2),
        (lambda x: x.view(2, 6).view(4, 3) + 1, 1),
        (lambda x: x.expand(3, 4) + 1, 1),
        (lambda x: x.unsqueeze(0).expand(2, 3, 4).expand(5, 2, 3, 4) + 1, 1),
        (lambda x: x.t().reshape(2, 6) + 1, 0),
    ],
)
def test_clean_views(views, removed):
    def both(gm):
        return clean_views(gm) + dead_gates(gm)

    assert same_after(both, lambda x: (views(x),), X) == removed


@pytest.mark.parametrize(
    ("identity", "removed"),
    [
        (lambda x: x * 1, 1),
        (lambda x: x / 1.0 - 0, 2),
        (lambda x: x + 0.0, 0),
        (lambda x: x - -0.0, 0),
        (lambda x: x.clone(), 1),
        (lambda x: x.float().double().float(), 2),
        (lambda x: x.float().double(), 0),
        (lambda x: x.t().contiguous(), 0),
    ],
)
def test_clean_identities(identity, removed):
    def both(gm):
        return clean_identities(gm) + dead_gates(gm)

    x = torch.where(X > 0, X, -0.0)
    assert same_after(both, lambda x: (identity(x).reciprocal(),), x) == removed


@pytest.mark.parametrize(
    ("take", "removed"),
    [
        (lambda x, y: torch.stack([x, y])[1], 1),
        (lambda x, y: torch.stack([x, y])[-2], 1),
        (lambda x, y: torch.stack([x, y]).transpose(0, 1)[:, -1], 1),
        (lambda x, y: torch.stack([x, y], 1).select(1, 1), 0),  # lies in memory otherwise
        (lambda x, y: torch.stack([x, y]).transpose(0, 2).select(-1, 0), 0),  # the part turned
        (lambda x, y: torch.stack([x, y]).select(1, 0), 0),  # of every part a row
        (lambda x, y: torch.stack([x, y]).transpose(0, 1).select(0, 1), 0),
        (lambda x, y: torch.cat([x, y]).select(0, 1), 0),
    ],
)
def test_clean_parts(take, removed):
    square = torch.randn(4, 4, dtype=torch.float64)

    def function(x, y):
        return take(x.sin(), y.cos()) * 2

    assert same_after(clean_parts, function, square, square + 1) == removed


def test_a_copy_that_a_write_separates_stays():
    """The first input's old value goes into the second after the first was overwritten."""
    removed = same_after(
        clean_identities, lambda a, b: (a * 2 + b, a.clone()), X, X + 1, writes=[(0, 0), (1, 0)]
    )
    assert removed == 0


def make(name):
    torch.manual_seed(0)
    g = DCGANGenerator(latent=8, size=16, width=2).double()
    d = DCGANDiscriminator(size=16, width=2).double()
    if name == "DCGAN":
        return Game(g, d)
    d = DCGANDiscriminator(size=16, width=2, norm="none").double()
    penalty = GradientPenalty(weight=10.0)
    return Game(g, d, loss="wasserstein", penalty=penalty)


@pytest.mark.parametrize("name", ["DCGAN", "WGAN-GP"])
def test_a_whole_step(name):
    """Three steps are equal in every metric and state tensor, bit for bit.

    DCGAN-16 goes from 1022 gates to 821, WGAN-GP from 953 to 767 (torch 2.13).
    """
    batch = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    game = make(name)
    game.prepare(batch)
    (step,) = game.steps.values()
    short = copy.deepcopy(step.gm)
    removed = apply_passes(short)
    fewer = len(gates(step.gm)) - len(gates(short))
    assert fewer == sum(removed.values())
    assert fewer > 0.15 * len(gates(step.gm))
    start = {key: t.detach().clone() for key, t in game.state.items()}
    seen = []
    for gm in (step.gm, short):
        game.load(start)
        step._call, metrics = gm, []
        for index in range(3):
            metrics += step.run({"real": batch}, 0, index).values()
        seen.append(metrics + [t.detach().clone() for t in game.state.values()])
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


def test_passes_leave_a_clean_graph_alone():
    net = nn.Linear(4, 3).double()
    gm, _ = trace(lambda x, w: (x.mm(w).relu(),), [X, net.weight.detach().t().contiguous()])
    assert not any(apply_passes(gm).values())
