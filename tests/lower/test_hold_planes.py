"""A softmax over a few channels works on planes: the same numbers."""

import pytest
import torch
from torch.nn import functional as F

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available
from backlit.lower.hold_planes import hold_planes


def step(x, w, target):
    scores = F.conv2d(x, w)
    loss = aten.nll_loss2d_forward(F.log_softmax(scores, 1), target, None, 1, -100)[0]
    return loss, scores.softmax(1)


def inputs(classes):
    torch.manual_seed(0)
    x = torch.randn(2, 32, 5, 5).contiguous(memory_format=torch.channels_last)
    return [x, torch.randn(classes, 32, 1, 1), torch.randint(classes, (2, 5, 5))]


@pytest.mark.parametrize(("classes", "held"), [(2, 2), (8, 2), (9, 0)])
def test_equal(classes, held):
    given = inputs(classes)
    gm, _ = trace(step, given)
    expected = gm(*given)
    assert hold_planes(gm) == held
    torch.testing.assert_close(gm(*given), expected)
    for node in gm.graph.nodes:
        if held and node.target in (aten._softmax.default, aten._log_softmax.default):
            assert [user.target for user in node.users] == [aten.clone.default]
            assert node.args[0].meta["val"].is_contiguous()


def test_over_other_axes():
    gm, _ = trace(lambda x: (x.softmax(-1), x[0].softmax(0)), [torch.randn(2, 3, 4, 4)])
    before = gm.code
    assert hold_planes(gm) == 0 and gm.code == before


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    given = inputs(2)
    gm, _ = trace(step, given)
    torch.testing.assert_close(tuple(compile_graph(gm, given)(*given)), tuple(gm(*given)))
