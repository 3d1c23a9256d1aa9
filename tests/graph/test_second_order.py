"""Gradients of gradients: the gradient graph is a graph like any other."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian

from backlit.errors import BacklitError, RecipeError
from backlit.graph import capture, hvp
from backlit.step import clip_by_norm


def critic():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, 2, 1), nn.SiLU(), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(16, 1)
    ).double()


def close(mine, theirs, limit=1e-10):
    theirs = torch.zeros_like(mine) if theirs is None else theirs
    scale = max(theirs.abs().max().item(), 1e-12)
    assert (mine - theirs).abs().max().item() <= limit * scale


def r1(grad):
    return grad.square().flatten(1).sum(1).mean() * 5


def wgan_gp(grad):
    return ((grad.flatten(1).norm(dim=1) - 1) ** 2).mean() * 10


@pytest.mark.parametrize("penalty", [r1, wgan_gp])
def test_penalty_on_the_input_gradient(penalty):
    net, x = critic(), torch.randn(3, 2, 4, 4, dtype=torch.float64)
    graph = capture(lambda x: net(x).sum(), x)
    value, grads = graph.gradient_graph().then(lambda _, d: penalty(d["x"])).value_and_grad()

    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(net(leaf).sum(), leaf, create_graph=True)
    theirs = penalty(slope)
    names = dict(net.named_parameters())
    found = torch.autograd.grad(theirs, [*names.values(), leaf], allow_unused=True)
    close(value, theirs.detach())
    for (name, _), grad in zip([*names.items(), ("x", None)], found, strict=True):
        mine = grads["x" if name == "x" else f"net.{name}"]
        if mine is None:
            assert grad is None or not grad.any()
        else:
            close(mine, grad)


def test_third_order():
    graph = capture(lambda x: (x**4).sum(), torch.tensor([1.0, 2.0], dtype=torch.float64))
    second = graph.gradient_graph().then(lambda _, d: d["x"].sum())
    third = second.gradient_graph().then(lambda _, d: d["x"].sum())
    assert third.value_and_grad()[1]["x"].tolist() == [24.0, 48.0]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # forward mode's own
@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid, nn.Softplus, nn.GELU, nn.SiLU])
def test_hvp_equals_the_hessian(activation):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 4), activation(), nn.Linear(4, 2), nn.LogSoftmax(1)).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    graph = capture(lambda x: net(x)[:, 0].mean(), x)
    state = {k: p.detach() for k, p in net.named_parameters()}
    full = hessian(lambda s: functional_call(net, s, (x,))[:, 0].mean())(state)
    for name, parameter in state.items():
        for i in range(0, parameter.numel(), 3):
            v = torch.zeros_like(parameter).flatten()
            v[i] = 1
            products = hvp(graph, {f"net.{name}": v.reshape(parameter.shape)})
            for other in state:
                column = full[other][name].reshape(*state[other].shape, -1)[..., i]
                close(products[f"net.{other}"], column)


def test_hvp_of_something_linear_is_zero():
    graph = capture(lambda x, y: (2 * x).sum() + (y * y).sum(), torch.ones(2), torch.ones(3))
    products = hvp(graph, {"x": torch.ones(2), "y": torch.ones(3)})
    assert products["x"].tolist() == [0, 0] and products["y"].tolist() == [2, 2, 2]


def test_hvp_errors():
    graph = capture(lambda x: (x * x).sum(), torch.ones(2))
    with pytest.raises(BacklitError, match="expected names among x, got a vector for 'w'"):
        hvp(graph, {"w": torch.ones(2)})
    with pytest.raises(BacklitError, match=r"'x': expected shape \(2,\), got \(3,\)"):
        hvp(graph, {"x": torch.ones(3)})


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_equals_torch(norm_type, max_norm):
    torch.manual_seed(2)
    parameters = [nn.Parameter(torch.zeros(s)) for s in ((3, 2), (4,), ())]
    grads = [torch.randn(p.shape) for p in parameters]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = grad.clone()
    total = nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)
    mine, norm = clip_by_norm(grads, max_norm, norm_type)
    torch.testing.assert_close(norm, total)
    for parameter, grad in zip(parameters, mine, strict=True):
        torch.testing.assert_close(grad, parameter.grad)


def test_clipped_gradients_are_gates():
    net, x = critic(), torch.randn(3, 2, 4, 4, dtype=torch.float64)
    gradients = capture(lambda x: net(x).square().sum(), x).gradient_graph()
    clipped = gradients.then(lambda _, d: clip_by_norm([d[k] for k in d if k != "x"], 1.0))
    parts, norm = clipped()
    assert norm > 1
    together = torch.cat([p.flatten() for p in parts]).norm().item()
    assert together == pytest.approx(1, abs=1e-6)
    loss = gradients.then(lambda _, d: clip_by_norm([d["x"]], 1.0)[0][0].pow(3).sum())
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(net(leaf).square().sum(), leaf, create_graph=True)
    theirs = (slope * (1 / (slope.norm() + 1e-6)).clamp(max=1)).pow(3).sum()
    (grad,) = torch.autograd.grad(theirs, leaf)
    close(loss.value_and_grad()[1]["x"], grad)


def test_clip_error():
    with pytest.raises(RecipeError, match="expected a max_norm of at least 0, got -1"):
        clip_by_norm([torch.ones(1)], -1)
