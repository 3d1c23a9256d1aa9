"""PyTorch's compiler with needless costs taken out writes the same code."""

import contextlib
import warnings

import pytest
import sympy
import torch
from torch import nn

from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler, compiler_available
from backlit.lower.quick_compile import quick_compile, stride_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what PyTorch deprecates in its own files
    import torch._inductor.lowering  # has the rules registered
    from torch._inductor import scheduler
    from torch._inductor.codegen import cpp
    from torch._inductor.dtype_propagation import DtypePropagationOpsHandler
    from torch._inductor.sizevars import stride_at_vec_range
    from torch.utils._sympy.functions import FloorDiv, ModularIndexing

X, Y, S = (sympy.Symbol(name, integer=True, nonnegative=True) for name in "xys")


@pytest.mark.parametrize(
    ("index", "affine"),
    [
        (sympy.Integer(7), True),
        (X, True),
        (3 * X + 64 * Y + 5, True),
        (Y - X, True),
        (2 * (X + 3) + X, True),
        (4 * X + ModularIndexing(Y, 4, 8) + FloorDiv(Y, 3), True),
        (sympy.Mul(2, X + Y, evaluate=False), False),
        (S * X + Y, False),
        (X + FloorDiv(X, 16), False),
        (16 * ModularIndexing(X, 1, 32) + Y, False),
        (ModularIndexing(X, 2, 8) + FloorDiv(X, 3), False),
        (X * X, False),
    ],
)
@pytest.mark.parametrize("width", [None, 16])
def test_stride_is_what_pytorch_finds(index, affine, width):
    asked = []

    def general(*given):
        asked.append(given)
        return stride_at_vec_range(*given)

    assert stride_of(general)(index, X, width) == stride_at_vec_range(index, X, width)
    assert affine == (not asked)


def test_all_are_replaced_and_put_back():
    """Each is there in this PyTorch, so none is left out unseen."""
    places = [
        (cpp, "stride_at_vec_range"),
        (cpp.CppVecOverrides, "__new__"),
        (DtypePropagationOpsHandler, "__init__"),
        (scheduler, "get_scheduler_node_symbol_uses"),
    ]
    before = [vars(owner)[name] for owner, name in places]
    with quick_compile():
        within = [vars(owner)[name] for owner, name in places]
        assert not any(a is b for a, b in zip(before, within, strict=True))
        assert cpp.CppVecOverrides() is cpp.CppVecOverrides()
        assert cpp.CppTile2DOverrides() is not cpp.CppVecOverrides()
        rules = DtypePropagationOpsHandler()
        del rules.add
        assert not hasattr(DtypePropagationOpsHandler(), "add")
    after = [vars(owner)[name] for owner, name in places]
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert cpp.CppVecOverrides() is not cpp.CppVecOverrides()
    assert hasattr(DtypePropagationOpsHandler(), "add")


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_code_is_the_same(tmp_path, monkeypatch):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1),
        nn.BatchNorm2d(8, track_running_stats=False),
        nn.LeakyReLU(0.2),
        nn.PixelShuffle(2),
    )
    weights = [p.detach() for p in net.parameters()]
    names = [name for name, _ in net.named_parameters()]

    def step(x, *values):
        scores = torch.func.functional_call(net, dict(zip(names, values, strict=True)), x)
        turned = scores.softmax(1).transpose(1, 3).cumsum(2)
        return scores.bfloat16(), scores.mean((0, 2, 3)), turned

    inputs = [torch.randn(4, 3, 16, 16), *weights]
    gm, _ = trace(step, inputs)
    texts = []
    for name, context in (("quick", quick_compile), ("as it is", contextlib.nullcontext)):
        monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / name))
        monkeypatch.setattr(compiler, "quick_compile", context)
        compile_graph(gm, inputs)
        (text,) = (tmp_path / name).glob("compiled/*/step.py")
        texts.append(text.read_text().partition("\n")[2])  # less the count of graphs so far
    assert texts[0] == texts[1] and "cpp_fused" in texts[0]
