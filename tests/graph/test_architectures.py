"""Capture and own backpropagation against plain PyTorch, over networks as people publish them."""

from functools import cache

import pytest
import torch

from backlit.graph import capture
from tests.architectures import ALL, CRITICS

LIMITS = {torch.float32: 1e-5, torch.float64: 1e-10}
DTYPES = sorted(LIMITS, key=str)
ERRORS: dict[str, dict[str, float]] = {}


def made(name, dtype):
    torch.manual_seed(0)
    net, inputs = ALL[name]()
    inputs = tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
    return net.to(dtype).train(), inputs


def relative(mine, theirs):
    """Largest error of a gradient, relative to its largest element.

    A gradient that vanishes by construction (a bias before a normalisation) is rounding alone: it
    is compared with the largest gradient of the network.
    """
    largest = max(g.abs().max().item() for g in theirs.values() if g is not None)
    worst = 0.0
    for name, want in theirs.items():
        have = mine[name]
        if want is None or have is None:
            assert (want is None or not want.any()) and (have is None or not have.any()), name
            continue
        own = want.abs().max().item()
        scale = own if own > 1e-5 * largest else largest
        worst = max(worst, (have - want).abs().max().item() / max(scale, 1e-30))
    return worst


def note(name, column, error):
    ERRORS.setdefault(name, {})[column] = error


def short(dtype):
    return str(dtype).removeprefix("torch.")


def eager(net, inputs, function):
    """Value and gradients of function(net, *inputs) by autograd, named as the graph names them."""
    leaves = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    value = function(net, *leaves)
    named = {f"net.{k}": p for k, p in net.named_parameters()}
    named |= {f"x_{i}": x for i, x in enumerate(leaves) if x.requires_grad}
    grads = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    return value.detach(), dict(zip(named, grads, strict=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=short)
@pytest.mark.parametrize("name", ALL)
def test_gradients_equal_eager(name, dtype):
    net, inputs = made(name, dtype)
    shape = net(*inputs).shape
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    graph = capture(lambda *x: (net(*x) * weights).sum(), *inputs)
    value, grads = graph.value_and_grad()
    want, theirs = eager(net, inputs, lambda net, *x: (net(*x) * weights).sum())
    torch.testing.assert_close(value, want, rtol=LIMITS[dtype], atol=LIMITS[dtype])
    error = relative(grads, theirs)
    note(name, short(dtype), error)
    assert error <= LIMITS[dtype]


@cache
def scored(name, dtype):
    net, inputs = made(name, dtype)
    return net, inputs, capture(lambda *x: net(*x).sum(), *inputs)


def r1(slope):
    return slope.square().flatten(1).sum(1).mean() * 5


def wgan_gp(slope):
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean() * 10


@pytest.mark.parametrize("penalty", [r1, wgan_gp])
@pytest.mark.parametrize("dtype", DTYPES, ids=short)
@pytest.mark.parametrize("name", CRITICS)
def test_penalty_steps_equal_eager(name, penalty, dtype):
    """The critic's whole loss: its mean score plus the penalty on its slope."""
    net, inputs, graph = scored(name, dtype)
    loss = graph.gradient_graph().then(lambda score, d: score + penalty(d["x_0"]))
    value, grads = loss.value_and_grad()

    def plain(net, *x):
        score = net(*x).sum()
        (slope,) = torch.autograd.grad(score, x[0], create_graph=True)
        return score + penalty(slope)

    want, theirs = eager(net, inputs, plain)
    torch.testing.assert_close(value, want, rtol=LIMITS[dtype], atol=LIMITS[dtype])
    error = relative(grads, theirs)
    note(name, f"{penalty.__name__} {short(dtype)}", error)
    assert error <= LIMITS[dtype]


@pytest.fixture(scope="module", autouse=True)
def table(request):
    """Prints all errors at the end (pytest -s, or where a test failed)."""
    yield
    columns = sorted({column for row in ERRORS.values() for column in row})
    print("\n" + " " * 22 + "".join(f"{column:>17}" for column in columns))
    for name, row in ERRORS.items():
        cells = (f"{row[c]:17.1e}" if c in row else " " * 17 for c in columns)
        print(f"{name:22}" + "".join(cells))
