"""MISSION A2, A3, A4, A5, A8: the worked examples of the computation graph, with their numbers."""

import pytest
import torch
from torch import nn

from backlit.graph import capture, check
from backlit.losses import MulticlassHinge, l2_regularisation


def numbers(found):
    return {name: round(value.item(), 4) for name, value in found.items()}


def test_a2_the_worked_example():
    graph = capture(lambda x, y, z: (x + y) * z, x=-2.0, y=5.0, z=-4.0)
    watched = graph.backward()
    assert numbers(watched.value) == {"x": -2, "y": 5, "z": -4, "add": 3, "mul": -12}
    assert numbers(watched.gradient) == {"mul": 1, "z": 3, "add": -4, "x": -4, "y": -4}
    assert check(graph).worst.error < 1e-10


def neuron(w0, x0, w1, x1, w2):
    return torch.sigmoid(w0 * x0 + w1 * x1 + w2)


EXAMPLE = dict(w0=2.0, x0=-1.0, w1=-3.0, x1=-2.0, w2=-3.0)


def test_a3_the_sigmoid_neuron_on_every_wire():
    graph = capture(neuron, **EXAMPLE, level="gates")
    assert [gate.operation.split(".")[1] for gate in graph] == [
        *("mul", "mul", "add", "add"),
        *("neg", "exp", "add", "reciprocal"),  # the sigmoid
    ]
    watched = graph.backward()
    value = {name: round(v.item(), 2) for name, v in watched.value.items()}
    gradient = {name: round(v.item(), 2) for name, v in watched.gradient.items()}
    wires = ("mul", "mul_1", "add", "add_1", "neg", "exp", "add_2", "reciprocal")
    assert [value[w] for w in wires] == [-2, 6, 4, 1, -1, 0.37, 1.37, 0.73]
    # (the text rounds on its way: -0.53 at both 1.37 and 0.37, 0.20 from there on)
    assert [gradient[w] for w in wires] == [0.2, 0.2, 0.2, 0.2, -0.2, -0.53, -0.53, 1]
    inputs = {"w0": -0.20, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.20}
    assert {name: gradient[name] for name in inputs} == inputs


def test_a4_add_distributes():
    watched = capture(lambda x, y: 2 * (x + y), x=3.0, y=-1.0).backward()
    assert numbers(watched.gradient)["x"] == numbers(watched.gradient)["y"] == 2


def test_a4_max_routes_to_the_larger():
    watched = capture(lambda z, w: 2 * torch.maximum(z, w), z=2.0, w=-1.0).backward()
    assert numbers(watched.gradient)["z"] == 2 and numbers(watched.gradient)["w"] == 0


def test_a4_multiply_switches_the_inputs():
    watched = capture(lambda x, y: 2 * (x * y), x=3.0, y=-4.0).backward()
    assert numbers(watched.gradient)["x"] == -8 and numbers(watched.gradient)["y"] == 6


def test_a4_gradients_sum_where_a_wire_forks():
    watched = capture(lambda x: x * x * x + 5 * x, x=2.0).backward()
    assert numbers(watched.gradient)["x"] == 3 * 2**2 + 5


def networks():
    torch.manual_seed(0)
    for activation in (nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.SiLU(), nn.GELU()):
        for dtype, limit in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
            net = nn.Sequential(
                nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), activation, nn.Dropout(0.4), nn.Flatten(),
                nn.Linear(12, 4), nn.LogSoftmax(1),
            )  # fmt: skip
            yield pytest.param(net.to(dtype), dtype, limit, id=f"{activation} {dtype}")


@pytest.mark.parametrize(("net", "dtype", "limit"), list(networks()))
def test_a5_same_value_and_gradient_at_every_level(net, dtype, limit):
    x = torch.randn(4, 2, 4, 4, dtype=dtype)
    graphs = {
        level: capture(lambda x: net(x)[:, 0].mean(), x, level=level)
        for level in ("gates", "composite", "module")
    }
    assert len(graphs["gates"]) > len(graphs["composite"])
    kinds = {gate.operation for gate in graphs["module"]}
    assert {"module.BatchNorm2d", "module.Dropout"} <= kinds
    assert not any(gate.gate and gate.gate.expand for gate in graphs["gates"])
    value, grads = graphs["composite"].value_and_grad(seed=3)
    for level in ("gates", "module"):
        other, others = graphs[level].value_and_grad(seed=3)
        torch.testing.assert_close(other, value, rtol=limit, atol=limit)
        assert others.keys() == grads.keys()
        for name, grad in grads.items():
            torch.testing.assert_close(others[name], grad, rtol=limit, atol=limit)
        assert graphs[level].gradient_graph()()[1].keys() == grads.keys()


def test_a5_the_composite_sigmoid_has_its_own_local_gradient():
    graph = capture(neuron, **EXAMPLE)
    last = graph.gates[-1]
    assert last.operation == "aten.sigmoid.default" and last.gate.local == "∂z/∂x = (1 − z) z"
    s = graph().item()
    assert graph.backward().gradient["w2"].item() == pytest.approx((1 - s) * s)


def test_a5_an_unknown_level():
    with pytest.raises(Exception, match="level: expected one of gates, composite, module, got 'x'"):
        capture(neuron, **EXAMPLE, level="x")


def test_a8_svm():
    """Total loss = hinge data loss + λ R(W); dL/dW by the textbook formula."""
    torch.manual_seed(0)
    x, y = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 2, 1, 1, 0, 2])
    weight = torch.randn(4, 3, dtype=torch.float64)
    hinge, strength = MulticlassHinge(), 0.1

    graph = capture(lambda W: hinge(x @ W, y) + strength * l2_regularisation([W]), W=weight)
    value, grads = graph.value_and_grad()

    scores = x @ weight
    margins = scores - scores[torch.arange(6), y][:, None] + 1
    margins[torch.arange(6), y] = 0
    data_loss = margins.clamp(min=0).sum(1).mean()
    routed = (margins > 0).double()  # each violated margin: +x to its class, -x to the right one
    routed[torch.arange(6), y] = -routed.sum(1)
    by_hand = x.T @ routed / 6 + 2 * strength * weight
    assert value.item() == pytest.approx((data_loss + strength * weight.square().sum()).item())
    torch.testing.assert_close(grads["W"], by_hand, rtol=1e-12, atol=1e-12)
    assert check(graph).passed
