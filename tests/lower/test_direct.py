"""The form that is run directly: each pass gives equal results, and the gates it removes."""

import copy
import gc
import weakref

import pytest
import torch

from backlit.gan import Game
from backlit.gates.base import aten
from backlit.graph.backprop import value_and_grad
from backlit.graph.trace import trace
from backlit.lower import apply_passes, kept_buffers, prepare_graph
from backlit.lower.direct import (
    add_products,
    direct,
    direct_call,
    fuse,
    fuse_activations,
    fuse_averages,
    fuse_batch_norm,
    join_gradients,
    turn_products,
    write_in_place,
)
from backlit.lower.passes import common_subexpressions, dead_gates, dead_writes
from backlit.nets import DCGANDiscriminator, DCGANGenerator
from backlit.step import Optimiser


def gates(gm):
    return [node for node in gm.graph.nodes if node.op == "call_function"]


def targets(gm):
    return [node.target for node in gates(gm)]


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def gradients(function, *inputs):
    """The traced gradients of the summed result, weighted, with respect to every input."""
    inner, _ = trace(lambda *x: ((function(*x) * random(4, 3, 5, 5)).sum(),), list(inputs))

    def whole(*x):
        return value_and_grad(inner, x, range(len(x)))[1]

    gm, _ = trace(whole, list(inputs))
    apply_passes(gm)
    return gm


def changed(gm, *passes):
    """A copy after the passes."""
    new = copy.deepcopy(gm)
    for each in passes:
        each(new)
    dead_gates(new)
    new.graph.lint()
    new.recompile()
    return new


def assert_same(gm, new, *inputs):
    for mine, theirs in zip(direct_call(new)(*inputs), gm(*inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("activation", "fused", "removed"),
    [
        (torch.relu, aten.threshold_backward.default, 1),
        (lambda x: aten.leaky_relu.default(x, 0.2), aten.leaky_relu_backward.default, 2),
        (torch.tanh, aten.tanh_backward.default, 2),
        (torch.sigmoid, aten.sigmoid_backward.default, 2),
        (torch.nn.functional.softplus, aten.softplus_backward.default, 3),
    ],
)
def test_activations(activation, fused, removed):
    x = random(4, 3, 5, 5, seed=1)
    gm = gradients(activation, x)
    new = changed(gm, fuse_activations)
    assert fused in targets(new)
    assert len(gates(gm)) - len(gates(new)) == removed
    assert_same(gm, new, x)


def test_batch_norm():
    """The dozen gates of its derivative become one call and three parts of it."""

    def norm(x, weight, bias):
        mean, var = torch.zeros(3, dtype=x.dtype), torch.ones(3, dtype=x.dtype)
        settings = (mean, var, True, 0.1, 1e-5)
        return aten._native_batch_norm_legit_functional.default(x, weight, bias, *settings)[0]

    inputs = random(4, 3, 5, 5, seed=1), random(3, seed=2), random(3, seed=3)
    gm = gradients(norm, *inputs)
    new = changed(gm, fuse_batch_norm, dead_gates, common_subexpressions, join_gradients)
    fused = [n for n in gates(new) if n.target is aten.native_batch_norm_backward.default]
    assert [n.args[-1] for n in fused] == [[True, True, True]]
    assert len(gates(gm)) - len(gates(new)) == 13
    assert_same(gm, new, *inputs)
    for node in gates(gm):
        if node.target is aten.div.Tensor and node.args[1] == 100:  # not the mean of all any more
            node.update_arg(1, 99)
    gm.recompile()
    new = changed(gm, fuse_batch_norm)
    masks = [n.args[-1] for n in gates(new) if n.target is aten.native_batch_norm_backward.default]
    assert masks == [[False, True, False]]  # the weight's alone
    assert_same(gm, new, *inputs)


def test_gradients_of_a_convolution_are_one_call():
    def convolution(x, w, b):
        return torch.conv2d(x, w, b, padding=1)

    inputs = random(4, 2, 5, 5, seed=1), random(3, 2, 3, 3, seed=2), random(3, seed=3)
    gm = gradients(convolution, *inputs)
    assert targets(gm).count(aten.convolution_backward.default) == 2
    new = changed(gm, join_gradients)
    (fused,) = [n for n in gates(new) if n.target is aten.convolution_backward.default]
    assert fused.args[3] == [3] and fused.args[-1] == [True, True, True]
    assert_same(gm, new, *inputs)


def test_products_lie_flat():
    a, b, c = random(4, 3), random(4, 5, seed=1), random(5, 3, seed=2)
    gm, _ = trace(lambda a, b, c: (c + a.t().mm(b).t(),), [a, b, c])
    new = changed(gm, turn_products, add_products)
    assert targets(new) == [aten.t.default, aten.addmm.default]
    assert_same(gm, new, a, b, c)


def test_average():
    a, b = random(4, 3), random(4, 3, seed=1)
    gm, _ = trace(lambda a, b: (a + (b - a) * 0.001,), [a, b])
    new = changed(gm, fuse_averages)
    assert targets(new) == [aten.lerp.Scalar]
    assert_same(gm, new, a, b)


def step_of(function, *inputs, writes):
    """As a step does it: results are copied into inputs at the end."""
    gm, _ = trace(function, list(inputs))
    output = next(iter(reversed(gm.graph.nodes)))
    wires = [node for node in gm.graph.nodes if node.op == "placeholder"]
    results = list(output.args[0])
    with gm.graph.inserting_before(output):
        for wire, result in writes:
            gm.graph.call_function(aten.copy_.default, (wires[wire], results[result]))
    output.args = (tuple(results[len(writes) :]),)
    gm.recompile()
    return gm


def assert_same_step(gm, new, *inputs):
    a, b = [t.clone() for t in inputs], [t.clone() for t in inputs]
    run = direct_call(new, range(len(inputs)))
    for _ in range(2):
        outputs = [*gm(*a), *a], [*run(*b), *b]
        for mine, theirs in zip(*outputs, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


X, Y = random(4, 3), random(4, 3, seed=1)


def test_in_place_where_the_input_dies():
    gm = step_of(lambda x, s: (s + x, (x * 2).relu().sum()), X, Y, writes=[(1, 0)])
    new = changed(gm, write_in_place)
    assert targets(new)[:3] == [aten.add_.Tensor, aten.mul.Tensor, aten.relu_.default]
    assert aten.copy_.default not in targets(new)
    assert_same_step(gm, new, X, Y)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, s: (s + x, s.t().sum()),  # the old state is read later, through a view
        lambda x, s: (s + 1, s * 2),
        lambda x, s: ((x * 2).relu(), (x * 2).t() + 1),
        lambda x, s: (s + s.t()[:1, :1], x),
    ],
)
def test_not_in_place_where_it_is_read_again(function):
    gm = step_of(function, X, Y, writes=[(1, 0)])
    apply_passes(gm)
    assert_same_step(gm, changed(gm, write_in_place), X, Y)


def test_a_write_that_is_overwritten_goes():
    gm = step_of(lambda x, s: (s + x, s * x), X, Y, writes=[(1, 0), (1, 1)])
    new = changed(gm, dead_writes)
    assert len(gates(gm)) - len(gates(new)) == 2  # the copy and what it took
    assert_same_step(gm, new, X, Y)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("beta1", [0.5, 0.9])
def test_adam_is_one_gate(dtype, beta1):
    adam = Optimiser("Adam", betas=(beta1, 0.999), lr=0.1)
    p, g = X.to(dtype), Y.to(dtype)
    state = adam.init(p)
    step = torch.zeros((), dtype=torch.float64)
    rate = torch.tensor(0.1, dtype=torch.float64)

    def update(p, m, v, step, g, lr):
        (new,), (slots,) = adam.update([p], [g], [dict(step=step, exp_avg=m, exp_avg_sq=v)], lr)
        return new, slots["exp_avg"], slots["exp_avg_sq"], slots["step"], new.sum()

    inputs = [p, state["exp_avg"], state["exp_avg_sq"], step, g, rate]
    gm = step_of(update, *inputs, writes=[(i, i) for i in range(4)])
    apply_passes(gm)
    new = copy.deepcopy(gm)
    assert fuse(new)["fuse_adam"] == 1
    # The count, its copy, the update and the sum after it: every buffer is written in place.
    assert len(gates(new)) == 4
    a, b = [t.clone() for t in inputs], [t.clone() for t in inputs]
    run = direct_call(new, range(4))
    for _ in range(3):
        for mine, theirs in zip([*run(*a), *a], [*gm(*b), *b], strict=True):
            tolerance = 1e-12 if dtype == torch.float64 else 1e-5
            torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)


def game():
    torch.manual_seed(0)
    g = DCGANGenerator(latent=8, size=16, width=2).double()
    return Game(g, DCGANDiscriminator(size=16, width=2).double(), d_steps=2)


def test_a_whole_step():
    """Equal to the gates in every metric and tensor; the graph that is looked at stays."""
    batch = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    mine = game()
    mine.prepare(batch)
    (step,) = mine.steps.values()
    before = targets(step.gm)
    inputs = step._inputs({"real": batch}, 0, 0)
    short = prepare_graph(step._compilable, inputs)
    n = len(gates(short))
    run = direct(short, range(len(step.state)))
    assert len(gates(short)) < 0.7 * n
    assert targets(step.gm) == before
    seen = []
    start = {key: t.detach().clone() for key, t in mine.state.items()}
    for call in (step.gm, run):
        mine.load(start)
        step._call, metrics = call, []
        for index in range(3):
            metrics += step.run({"real": batch}, 0, index).values()
        seen.append(metrics + [t.detach().clone() for t in mine.state.values()])
    for theirs, ours in zip(*seen, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_state_may_be_moved():
    """Views of the state are made anew where it lies elsewhere."""
    gm, _ = trace(lambda x: (x[:2].t() + 1,), [X])
    run = direct_call(gm, [0])
    for x in (X, Y, X):
        assert torch.equal(run(x)[0], x[:2].t() + 1)


def test_memory_that_lowerings_ask_for_is_kept_as_long_as_the_step(monkeypatch):
    monkeypatch.setattr(kept_buffers, "_SHARED", weakref.WeakValueDictionary())  # no other's
    gm, _ = trace(lambda x: x + 1, [torch.ones(3)])
    call = direct_call(gm)
    kept = weakref.ref(kept_buffers.shared_buffers())
    assert call(torch.ones(3))[0].tolist() == [2, 2, 2] and kept() is not None
    del call
    gc.collect()
    assert kept() is None
