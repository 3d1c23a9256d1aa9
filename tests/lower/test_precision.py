"""bfloat16 steps: gradients against float64 as near as autocast's, dtypes kept, losses alike."""

import pytest
import torch
from torch import nn

from backlit.errors import BacklitError, GateError
from backlit.gan import Game
from backlit.gates.base import aten
from backlit.graph import capture
from backlit.graph.trace import trace
from backlit.lower.machine import fast_bfloat16
from backlit.lower.passes import apply_passes
from backlit.lower.precision import lower_precision
from backlit.nets import DCGANDiscriminator, DCGANGenerator


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        return self.inside(x, x, x, need_weights=False)[0]


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.LSTMCell(12, 16)

    def forward(self, x):
        h, c = self.inside(x)
        h, c = self.inside(x, (h, c))
        return h * c


def after_linear(layer, n=16):
    return nn.Sequential(nn.Linear(12, n), layer)


LAYERS = {
    "linear": lambda: (nn.Linear(12, 16), (8, 12)),
    "conv": lambda: (nn.Conv2d(3, 8, 4, 2, 1), (8, 3, 8, 8)),
    "transposed conv": lambda: (nn.ConvTranspose2d(8, 4, 4, 2, 1), (8, 8, 4, 4)),
    "batch norm": lambda: (
        nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        (8, 3, 8, 8),
    ),
    "layer norm": lambda: (after_linear(nn.LayerNorm(16)), (8, 12)),
    "group norm": lambda: (after_linear(nn.GroupNorm(4, 16)), (8, 12)),
    "tanh": lambda: (after_linear(nn.Tanh()), (8, 12)),
    "GELU": lambda: (after_linear(nn.GELU()), (8, 12)),
    "softmax": lambda: (after_linear(nn.Softmax(1)), (8, 12)),
    "max pool": lambda: (
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(2), nn.LeakyReLU(0.2)),
        (8, 3, 8, 8),
    ),
    "LSTM cell": lambda: (Cell(), (8, 12)),
    "attention": lambda: (Attention(), (4, 6, 16)),
}


class Loss(nn.Module):
    """Squared distance of a layer's output from a target, outside autocast as usual."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, target):
        return (self.layer(x).to(target.dtype) - target).square().mean()


def gradients(layer, x, target):
    return torch.autograd.grad(Loss(layer)(x, target), [x, *layer.parameters()])


def lowered_gradients(layer, x, target):
    graph = capture(Loss(layer), x, target).gradient_graph()
    low = lower_precision(graph.gm)
    assert any(n.meta["val"].dtype == torch.bfloat16 for n in low.graph.nodes if tensor(n))
    inputs = graph.flat_inputs((), {}, 0)
    outputs = low(*inputs)
    _, at = graph.out_spec.unflatten(range(graph.out_spec.num_leaves))
    return [outputs[at[name]] for name in ["x", *(n for n, _ in Loss(layer).named_parameters())]]


def tensor(node):
    return isinstance(node.meta.get("val"), torch.Tensor)


def error(found, exact):
    """Largest relative error of a gradient, each by its norm."""
    return max(
        float((a.detach().double() - b).norm() / b.norm())
        for a, b in zip(found, exact, strict=True)
    )


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_are_as_near_to_float64_as_autocasts(kind):
    """The root mean square over 5 draws is at most 1.1 times autocast's."""
    ours, theirs = 0.0, 0.0
    for seed in range(5):
        torch.manual_seed(seed)
        layer, shape = LAYERS[kind]()
        x = torch.randn(shape)
        with torch.no_grad():
            target = torch.randn(layer(x).shape, dtype=torch.float64)
        mine = lowered_gradients(layer, x, target)
        with torch.autocast("cpu", torch.bfloat16):
            cast = gradients(layer, x.clone().requires_grad_(), target.float())
        exact = gradients(layer.double(), x.double().requires_grad_(), target)
        ours += error(mine, exact) ** 2
        theirs += error(cast, exact) ** 2
    assert 0 < ours <= 1.1**2 * theirs


def small_game():
    torch.manual_seed(0)
    g = DCGANGenerator(latent=16, size=16, width=8)
    return Game(g, DCGANDiscriminator(size=16, width=8), ema=None)


def pictures(index):
    generator = torch.Generator().manual_seed(index)
    return torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=generator)


def autocast_losses(game, step, steps):
    """The loop everybody writes, both networks under autocast, on the noise of the step."""
    g, d = game.generator, game.discriminator
    low = torch.autocast("cpu", torch.bfloat16)
    adam = [torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (d, g)]
    softplus, losses = nn.functional.softplus, []
    for index in range(steps):
        noise, real = step.draw(game.seed, index), pictures(index).float() / 127.5 - 1
        with low, torch.no_grad():
            fake = g(noise["D0/z"])
        with low:
            scores = d(real), d(fake)
        loss_d = softplus(-scores[0].float()).mean() + softplus(scores[1].float()).mean()
        adam[0].zero_grad()
        loss_d.backward()
        adam[0].step()
        with low:
            score = d(g(noise["G/z"]))
        loss_g = softplus(-score.float()).mean()
        adam[1].zero_grad()
        loss_g.backward()
        adam[1].step()
        losses.append(torch.stack([loss_d, loss_g]).detach())
    return torch.stack(losses)


def step_losses(game, step, gm, steps):
    step._call, losses = gm, []
    for index in range(steps):
        metrics = step.run({"real": pictures(index)}, game.seed, index)
        losses.append(torch.stack([metrics["loss_d"], metrics["loss_g"]]))
    return torch.stack(losses)


def test_losses_of_20_steps_are_as_near_to_float32_as_autocasts():
    game = small_game()
    game.prepare(pictures(0))
    (step,) = game.steps.values()
    start = {name: t.detach().clone() for name, t in game.state.items()}
    exact = step_losses(game, step, step.gm, 20)
    game.load(start)
    low = lower_precision(step.gm)
    ours = step_losses(game, step, low, 20)
    assert all(t.dtype == start[name].dtype for name, t in game.state.items())
    game.load(start)
    theirs = autocast_losses(game, step, 20)
    error_ours, error_theirs = (float((x - exact).abs().mean()) for x in (ours, theirs))
    assert 0 < error_ours < 1.2 * error_theirs
    assert error_ours < 0.02


def is_view(node):
    return node.op == "call_function" and node.target.is_view


def test_what_runs_in_bfloat16_and_what_does_not():
    game = small_game()
    game.prepare(pictures(0))
    (step,) = game.steps.values()
    low = lower_precision(step.gm)
    for node in low.graph.nodes:
        if node.op != "call_function" or not tensor(node):
            continue
        origin, dtype = node.meta["origin"], node.meta["val"].dtype
        if origin.role == "update" or (origin.phase and not origin.module):
            assert dtype != torch.bfloat16 or node.target is aten._to_copy.default, node
        if node.target in (aten.convolution.default, aten.mm.default):
            assert dtype == torch.bfloat16
        if node.target in (aten.sum.dim_IntList, aten.mean.dim, aten.softplus.default):
            assert dtype == torch.float32
    apply_passes(low)
    wires = {n.name: n for n in low.graph.nodes if n.op == "placeholder"}
    weights = next(n for name, n in wires.items() if name == "generator_float32")
    low_reads, views = 0, [weights]
    for view in views:  # a parameter is a slice of the vector, then a view in its shape
        casts = [user for user in view.users if user.target is aten._to_copy.default]
        assert len(casts) <= 1  # however many gates read it
        low_reads += len(casts)
        views += [user for user in view.users if is_view(user)]
    assert low_reads >= 2


def test_a_view_is_cast_once_with_its_source():
    def twice(x, w):
        return x.mm(w.t()), x.mm(w.t()).mm(w)

    gm, _ = trace(twice, [torch.randn(2, 3), torch.randn(4, 3)])
    low = lower_precision(gm)
    casts = [
        node
        for node in low.graph.nodes
        if node.target is aten._to_copy.default and node.meta["val"].dtype == torch.bfloat16
    ]
    assert len(casts) == 2  # x and w
    assert all(result.dtype == torch.float32 for result in low(torch.ones(2, 3), torch.ones(4, 3)))


def test_float64_stays():
    gm, _ = trace(lambda x: (x.mm(x).exp(),), [torch.randn(3, 3, dtype=torch.float64)])
    x = torch.randn(3, 3, dtype=torch.float64)
    assert torch.equal(lower_precision(gm)(x)[0], gm(x)[0])


def test_another_precision_is_refused():
    gm, _ = trace(lambda x: (x + 1,), [torch.ones(2)])
    with pytest.raises(BacklitError, match=r"expected torch.bfloat16, got torch.float16"):
        lower_precision(gm, torch.float16)


def test_a_gate_behind_a_write_is_refused():
    gm, _ = trace(lambda x: (x + 1,), [torch.ones(2)])
    x, add, output = gm.graph.nodes
    with gm.graph.inserting_before(output):
        copy = gm.graph.call_function(aten.copy_.default, (x, add))
        output.args = ((gm.graph.call_function(aten.exp.default, (copy,)),),)
    with pytest.raises(GateError, match=r"ends in copies into its inputs, got aten.exp.default"):
        lower_precision(gm)


def test_fast_bfloat16_is_asked_of_the_machine(monkeypatch):
    for bf16, amx in ((True, False), (False, True), (False, False)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda bf16=bf16: bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        assert fast_bfloat16() is (bf16 or amx)


def test_a_part_of_a_vector_is_cast_in_its_own_shape():
    """Once for all that read it, turned or not."""

    def function(x, vector):
        w = vector[3:15].view(3, 4)
        return x.mm(w).mm(w.t())

    gm, _ = trace(function, [torch.randn(2, 3), torch.randn(20)])
    casts = [n for n in lower_precision(gm).graph.nodes if n.kwargs.get("dtype") == torch.bfloat16]
    assert sorted(tuple(n.meta["val"].shape) for n in casts) == [(2, 3), (3, 4)]
