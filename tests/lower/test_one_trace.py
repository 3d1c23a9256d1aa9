"""A plain graph is traced once for PyTorch's compiler, which writes the same code."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from backlit.gates.base import aten
from backlit.graph.backprop import placeholders
from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available
from backlit.lower.one_trace import is_plain


def traced(function, *inputs):
    gm, _ = trace(function, inputs)
    return gm


def writing(function, *inputs, into=0):
    """A graph that ends in writing its first result to an input."""
    gm = traced(function, *inputs)
    end, wires = gm.graph.output_node(), placeholders(gm)
    with gm.graph.inserting_before(end):
        first, *others = end.args[0]
        copy = gm.graph.call_function(aten.copy_.default, (wires[into], first))
        copy.meta["val"] = first.meta["val"]
    end.args = (others,)
    gm.recompile()
    return gm


X, Y = torch.arange(6.0).view(2, 3), torch.ones(2, 3)


@pytest.mark.parametrize(
    ("gm", "plain"),
    [
        (traced(lambda x, y: (x + y,), X, Y), True),
        (traced(lambda x, y: (x.t(), x + y), X, Y), False),  # a view of an input
        (traced(lambda x, y: ((z := x + y), z.t()), X, Y), False),  # two of one memory
        (traced(lambda x, y: ((x + y).t(),), X, Y), True),
        (writing(lambda x, y: (x + y, x * 2), X, Y), True),
        (writing(lambda x, y: (x + y, x.t() * 2), X, Y), True),
        (writing(lambda x, y: (x + y, y.t()), X, Y), False),
    ],
)
def test_what_is_plain(gm, plain):
    assert is_plain(gm, [X, Y]) == plain


def test_an_input_read_after_it_is_written_is_not_plain():
    gm = writing(lambda x, y: (x + y, x.t() * 2), X, Y)
    copy = next(node for node in gm.graph.nodes if node.target is aten.copy_.default)
    first = next(node for node in gm.graph.nodes if node.target is aten.add.Tensor)
    assert is_plain(gm, [X, Y])
    first.append(copy)
    assert not is_plain(gm, [X, Y])


def test_an_input_that_is_written_shares_no_memory():
    both = torch.ones(2, 2, 3)
    assert not is_plain(writing(lambda x, y: (x + y, x * 2), X, Y), [both[0], both[1]])
    assert is_plain(traced(lambda x, y: (x + y,), X, Y), [X, X])  # none is written


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_code_is_the_same_but_for_names(tmp_path, monkeypatch):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1), nn.BatchNorm2d(16, track_running_stats=False), nn.LeakyReLU(0.2)
    )
    weights = [p.detach() for p in net.parameters()]
    names = [name for name, _ in net.named_parameters()]

    def step(x, *values):
        y = torch.func.functional_call(net, dict(zip(names, values, strict=True)), x)
        return values[0] - y.mean(), F.softplus(y).sum((0, 2, 3)), y.bfloat16()

    inputs = [torch.randn(4, 3, 16, 16), *weights]
    texts, results = [], []
    for once in (True, False):
        gm = writing(step, *inputs, into=1)
        assert is_plain(gm, inputs)
        if not once:
            monkeypatch.setattr("backlit.lower.one_trace.is_plain", lambda gm, inputs: False)
        monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / str(once)))
        given = [tensor.clone() for tensor in inputs]
        results.append([*compile_graph(gm, given)(*given), *given])
        (text,) = (tmp_path / str(once)).glob("compiled/*/step.py")
        kept = [line for line in text.read_text().splitlines() if not line.lstrip().startswith("#")]
        texts.append(re.sub(r"cpp_fused_\w*?(\d+)\b", r"kernel_\1", "\n".join(kept)))
    assert texts[0] == texts[1] and "kernel_0" in texts[0]
    for got, expected in zip(*results, strict=True):
        assert torch.equal(got, expected)
    assert not torch.equal(results[0][-4], weights[0])  # it was written
