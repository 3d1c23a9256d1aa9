"""Supervised steps in bfloat16: each layer's gradient as near to float64 as autocast's."""

import pytest
import torch
import torch.nn.functional as F

from backlit.gates.base import aten
from backlit.lower import lower_precision
from backlit.nets import MLP, LeNet, SequenceClassifier
from backlit.step import Optimiser
from backlit.supervised import Supervised

CASES = {
    "mlp": (lambda: MLP(32, 5, (64, 64)), (32,), 5),
    "lenet": (LeNet, (1, 28, 28), 10),
    "lstm": (lambda: SequenceClassifier(8, 4, 24), (12, 8), 4),
}


def problem(case, seed, n=16):
    make, shape, classes = CASES[case]
    torch.manual_seed(seed)
    network, x = make(), torch.randn(n, *shape)
    return network.train(), x, torch.randint(classes, (n,))


def eager(network, x, y, low):
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        scores = network(x)
    loss = F.cross_entropy(scores.to(torch.promote_types(scores.dtype, torch.float32)), y)
    return torch.autograd.grad(loss, list(network.parameters()))


def step(network, x, y):
    """The gradients by what a step of plain descent at rate 1 takes off."""
    before = [p.detach().clone() for p in network.parameters()]
    it = Supervised(network, optimiser=Optimiser("SGD", lr=1.0))
    it.prepare((x, y), precision="bfloat16")
    it.step((x, y), 0)
    return [a - b.detach() for a, b in zip(before, network.parameters(), strict=True)]


@pytest.mark.parametrize("case", CASES)
def test_each_layers_gradient_is_as_near_to_float64_as_autocasts(case):
    """The root mean square over 5 draws is at most 1.1 times autocast's."""
    # Autocast's LSTM kernel sums a gate's two products before it rounds; ours rounds each.
    limit = 1.3 if case == "lstm" else 1.1
    ours, theirs = 0.0, 0.0
    for seed in range(5):
        network, x, y = problem(case, seed)
        cast = eager(network, x, y, low=True)
        exact = eager(problem(case, seed)[0].double(), x.double(), y, low=False)
        mine = step(network, x, y)
        norms = torch.stack([g.norm() for g in exact])
        errors = [
            torch.stack([(a.double() - b).norm() for a, b in zip(found, exact, strict=True)])
            for found in (mine, cast)
        ]
        ours = ours + (errors[0] / norms) ** 2
        theirs = theirs + (errors[1] / norms) ** 2
    assert (ours > 0).all() and (ours <= limit**2 * theirs).all()


def test_what_runs_in_bfloat16_and_what_does_not():
    network, x, y = problem("lenet", 0)
    it = Supervised(network)
    it.prepare((x, y))
    (step,) = it.steps.values()
    products = {aten.convolution.default, aten.convolution_backward.default}
    products |= {aten.mm.default, aten.addmm.default}
    found = 0
    for node in lower_precision(step.gm).graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, (tuple, list)):
            value = value[0]
        if node.op != "call_function" or not isinstance(value, torch.Tensor):
            continue
        low = value.dtype == torch.bfloat16
        origin = node.meta["origin"]
        if node.target in products:
            found += 1
            assert low, node
        elif origin.role == "update" or origin.phase == "loss":
            assert not low or node.target is aten._to_copy.default or origin.module, node
    assert found >= 5 + 5  # forward and backward of five layers
    assert all(t.dtype != torch.bfloat16 for t in it.state.values())
