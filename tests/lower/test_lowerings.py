"""Every lowering against the gate it stands for."""

import pytest
import torch

from backlit.gates.base import aten
from backlit.lower.lowerings import KINDS, LOWERINGS, call_of

# (x, w, stride, padding, output padding, groups); transposed where w's first axis is x's channels.
PLAIN = [
    ((2, 3, 8, 8), (5, 3, 4, 4), 2, 1, 1),
    ((2, 3, 9, 7), (4, 3, 3, 3), 1, 1, 1),
    ((2, 3, 9, 8), (4, 3, 3, 3), 2, 1, 1),
    ((2, 3, 5, 6), (4, 3, 1, 1), 1, 0, 1),
    ((2, 3, 8, 8), (4, 3, 1, 1), 2, 0, 1),
    ((1, 1, 6, 6), (2, 1, 5, 5), 1, 2, 1),
    ((3, 2, 4, 4), (1, 2, 4, 4), 1, 0, 1),
    ((2, 4, 6, 6), (6, 2, 3, 3), 1, 1, 2),
]
TRANSPOSED = [
    ((2, 5, 4, 4), (5, 3, 4, 4), 2, 1, 0, 1),
    ((2, 5, 4, 3), (5, 3, 3, 3), 2, 1, 1, 1),
    ((2, 3, 1, 1), (3, 4, 4, 4), 1, 0, 0, 1),
    ((2, 3, 5, 5), (3, 2, 3, 3), 1, 1, 0, 1),
    ((2, 4, 3, 3), (4, 2, 4, 4), 2, 1, 0, 2),
]
# Largest difference relative to the largest value.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 2e-2}


def calls(dtype):
    """The three gates of each convolution, and the products, as calls on random tensors."""
    r = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=r, dtype=torch.float64).to(dtype)

    both = [(*c[:4], False, 0, c[4]) for c in PLAIN]
    both += [(*c[:4], True, c[4], c[5]) for c in TRANSPOSED]
    for shape, kernels, s, p, transposed, extra, groups in both:
        x, w = draw(*shape), draw(*kernels)
        settings = ([s, s], [p, p], [1, 1], transposed, [extra] * 2, groups)
        z = aten.convolution.default(x, w, None, *settings)
        bias = draw(z.shape[1])
        yield aten.convolution.default, (x, w, bias, *settings)
        dz = draw(*z.shape).contiguous(memory_format=torch.channels_last)
        for mask in ([True, False, False], [False, True, False]):
            yield aten.convolution_backward.default, (dz, x, w, None, *settings, mask)
    yield aten.mm.default, (draw(4, 5), draw(5, 3))
    yield aten.mm.default, (draw(5, 4).t(), draw(3, 5).t())
    yield aten.addmm.default, (draw(3), draw(4, 5), draw(5, 3))
    yield aten.bmm.default, (draw(2, 4, 5), draw(2, 3, 5).transpose(1, 2))
    yield aten.linear.default, (draw(2, 4, 5), draw(3, 5), draw(3))
    yield aten.linear.default, (draw(4, 5), draw(3, 5))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_equal(dtype):
    used = set()
    for operator, args in calls(dtype):
        out = operator(*args)
        call = call_of(operator, args, {}, out)
        expected = out if call.output is None else out[call.output]
        exact = expected.double()
        for name, lowering in LOWERINGS[call.kind].items():
            if not lowering.accepts(call):
                continue
            used.add((call.kind, name))
            got = lowering.run(call)
            assert got.shape == expected.shape and got.dtype == dtype
            error = (got.double() - exact).abs().max() / exact.abs().max()
            assert error <= TOLERANCE[dtype], (call.kind, name, call.shapes, float(error))
    half = dtype == torch.bfloat16
    every = {(kind, name) for kind in KINDS for name in LOWERINGS[kind]}
    assert used == {(kind, name) for kind, name in every if half or name != "float32"}


def test_what_the_matrix_forms_leave_to_pytorch():
    x, w = torch.randn(2, 4, 6, 6), torch.randn(6, 2, 3, 3)
    for settings in (([1, 1], [0, 0], [2, 2], 1), ([1, 1], [1, 1], [1, 1], 2)):
        stride, padding, dilation, groups = settings
        weight = w if groups == 2 else torch.randn(6, 4, 3, 3)
        args = (x, weight, None, stride, padding, dilation, False, [0, 0], groups)
        call = call_of(aten.convolution.default, args, {}, aten.convolution.default(*args))
        served = {n for n, low in LOWERINGS["correlate"].items() if low.accepts(call)}
        assert served == {"aten", "channels-last"}
    assert call_of(aten.relu.default, (x,), {}, x) is None


def test_fake_results_lie_as_the_real_ones():
    """A compiler trusts the shape and layout that an operator promises."""
    from torch._subclasses import FakeTensorMode

    for operator, args in calls(torch.float32):
        call = call_of(operator, args, {}, operator(*args))
        for name, lowering in LOWERINGS[call.kind].items():
            if name == "aten" or not lowering.accepts(call):
                continue
            real = lowering.run(call)
            with FakeTensorMode() as mode:
                fake_args = [mode.from_tensor(a) if torch.is_tensor(a) else a for a in args]
                fake = lowering.run(call_of(operator, fake_args, {}, operator(*fake_args)))
            assert fake.shape == real.shape
            strides = zip(real.shape, fake.stride(), real.stride(), strict=True)
            # (an axis of one element has no layout)
            assert all(n == 1 or a == b for n, a, b in strides), (call.kind, name)


def test_what_lies_beside_the_picture_is_left_out(monkeypatch):
    """The shares' memory has margins of any numbers, which are read."""
    from backlit.lower.lowerings import spread

    def unset(*shape, like):
        return torch.full(shape, float("nan"), dtype=like.dtype)

    monkeypatch.setattr(spread, "kept_empty", unset)
    served = 0
    for operator, args in calls(torch.float64):
        out = operator(*args)
        call = call_of(operator, args, {}, out)
        low = LOWERINGS[call.kind].get("gemm-adds")
        if low is not None and low.accepts(call):
            expected = out if call.output is None else out[call.output]
            torch.testing.assert_close(low.run(call), expected)
            served += 1
    assert served >= 5
