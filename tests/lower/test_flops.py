"""Our count of a graph's gates against PyTorch's counter of what it ran."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from backlit.graph import capture
from backlit.graph.trace import trace
from backlit.lower import flops


@pytest.mark.parametrize(
    "net, x",
    [
        (nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3, bias=False)), (4, 7)),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Tanh(), nn.Conv2d(4, 6, 3, groups=2)),
            (2, 3, 9, 9),
        ),
        (nn.Sequential(nn.ConvTranspose2d(3, 4, 4, 2, 1), nn.Conv2d(4, 2, 1)), (2, 3, 4, 4)),
        (nn.Sequential(nn.Conv1d(2, 3, 3), nn.Conv1d(3, 2, 2)), (2, 2, 8)),
    ],
    ids=["mlp", "convolutions", "transposed", "one dimension"],
)
def test_forward_and_backward(net, x):
    x = torch.randn(x, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        net(x).sum().backward()
    graph = capture(net, x)
    inputs = graph.flat_inputs((), {}, 0)

    def whole(*tensors):
        from backlit.graph import backprop

        outputs, values = backprop.forward(graph.gm, tensors)
        wires = backprop.placeholders(graph.gm)
        (out,) = [n for n in backprop.output_wires(graph.gm)]
        seeds = {out: torch.ones_like(values[out])}
        grads = backprop.backward(graph.gm, values, seeds, wires)
        return outputs, [grads[w] for w in wires if w in grads]

    gm, _ = trace(whole, inputs)
    assert sum(map(flops, gm.graph.nodes)) == counter.get_total_flops()


def test_batched_and_free_gates():
    def function(a, b, c):
        return torch.baddbmm(c, a, b).relu(), F.softmax(a @ b, -1)

    a, b, c = torch.randn(2, 3, 4), torch.randn(2, 4, 5), torch.randn(2, 3, 5)
    with FlopCounterMode(display=False) as counter:
        function(a, b, c)
    gm, _ = trace(function, (a, b, c))
    counted = [flops(node) for node in gm.graph.nodes]
    assert sum(counted) == counter.get_total_flops() == 2 * 2 * 2 * 3 * 4 * 5
    assert counted.count(0) == len(counted) - 2
