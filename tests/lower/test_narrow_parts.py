"""Parts are cast before they are joined: the same numbers, and no wide whole."""

import torch

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower.narrow_parts import narrow_parts


def _inputs():
    torch.manual_seed(0)
    return [torch.randn(4, 3), torch.randn(4, 5)]


def test_cast_first():
    given = _inputs()
    gm, _ = trace(lambda a, b: (torch.cat([a * 2, b], 1).to(torch.bfloat16), a), given)
    expected = gm(*given)
    assert narrow_parts(gm) == 1
    (join,) = [node for node in gm.graph.nodes if node.target is aten.cat.default]
    assert join.meta["val"].dtype == torch.bfloat16 and join.args[1] == 1
    assert all(part.target is aten._to_copy.default for part in join.args[0])
    for found, wanted in zip(gm(*given), expected, strict=True):
        assert found.dtype == wanted.dtype and torch.equal(found, wanted)


def test_left_alone():
    """Wide as a whole for another, cast to a wider type, not cast, of several types."""

    def read_twice(a, b):
        whole = torch.cat([a, b], 1)
        return whole.to(torch.bfloat16), whole

    def widened(a, b):
        return (torch.cat([a, b], 1).to(torch.float64),)

    def mixed(a, b):
        return (torch.cat([a, b.long()], 1).to(torch.bfloat16),)

    for function in (read_twice, widened, mixed, lambda a, b: (torch.cat([a, b], 1),)):
        gm, _ = trace(function, _inputs())
        before = gm.code
        assert narrow_parts(gm) == 0 and gm.code == before
