"""Every gate: first and second order against autograd and numerical differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

import backlit.gates
from backlit.gates import Constant, Gate, aten
from backlit.gates.activations import Tanh
from backlit.gates.samples import Draw, Sample
from tests.gates.helper import Checked, Mismatch, check_gate, fitted

DIFFERENTIABLE = [g for g in backlit.gates if not issubclass(g, Constant)]
CALLS = [(gate, operator) for gate in DIFFERENTIABLE for operator in gate.operators()]

NO_EMPTY = {
    "BatchNorm": "PyTorch: input tensor must have at least one element",
    "InstanceNorm": "PyTorch: input tensor must have at least one element",
    "PickOfAll": "the largest of nothing does not exist",
    # PyTorch's shape function for them fails with "cond must be a bool, but got int".
    **{
        f"Nearest{exact}{d}d{adjoint}": "PyTorch refuses to trace an empty batch"
        for exact in ("", "Exact")
        for d in (1, 2, 3)
        for adjoint in ("", "Backward")
    },
}
SECOND_ORDER = 16
# torch 2.13's CPU kernel refuses a strided x and misreads a strided weight.
NO_STRIDES = {"GroupNorm"}
NO_BFLOAT16 = (
    aten.avg_pool3d.default,
    aten.avg_pool3d_backward.default,
    aten._upsample_bilinear2d_aa.default,
    aten._upsample_bilinear2d_aa_backward.default,
    aten._upsample_bicubic2d_aa.default,
    aten._upsample_bicubic2d_aa_backward.default,
    aten.special_erfcx.default,
    aten.special_log_ndtr.default,
)
LAPACK = "backlit.gates.solving"  # all without bfloat16


def samples_of(gate: type[Gate], operator: object, dtype: torch.dtype) -> list[Sample]:
    drawn = list(gate.samples(Draw(dtype)))
    if operator is gate.operators()[0]:
        return drawn
    return [s for s in (fitted(operator, sample) for sample in drawn) if s is not None]


def name_of(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value).removeprefix("torch.")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=name_of)
@pytest.mark.parametrize(("gate", "operator"), CALLS, ids=name_of)
def test_rule(gate, operator, dtype, checked: Checked):
    if dtype == torch.bfloat16 and (operator in NO_BFLOAT16 or gate.__module__ == LAPACK):
        pytest.skip("PyTorch's CPU kernel has no bfloat16")
    samples = samples_of(gate, operator, dtype)
    assert samples, f"{gate.__name__}: no sample fits {operator}"
    for i, sample in enumerate(samples):
        # second order is most of the time, and rules look neither at the precision nor at which
        # overload called them: elsewhere than at float64 of the first one, a few samples do
        main = dtype == torch.float64 and operator is gate.operators()[0]
        second = i < SECOND_ORDER if main else i % 4 == 0
        check_gate(gate, operator, sample, dtype, checked, second)


def tensors(sample: Sample) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(sample.args) if isinstance(leaf, Tensor)]


@pytest.mark.parametrize("gate", DIFFERENTIABLE, ids=name_of)
def test_samples_cover_the_shapes(gate):
    drawn = [tensors(sample) for sample in gate.samples(Draw())]
    assert len(drawn) >= 8
    flat = [t for sample in drawn for t in sample]
    if gate.__name__ not in NO_STRIDES:
        assert any(not t.is_contiguous() for t in flat), "no non-contiguous sample"
    if gate.__name__ not in NO_EMPTY:
        assert any(t.numel() == 0 for t in flat), "no empty sample"
    if torch.Tag.pointwise in gate.operators()[0].tags:
        assert any(t.dim() == 0 for t in flat), "no 0-d sample"
    if gate.broadcasts and any(len(sample) > 1 for sample in drawn):
        assert any(len({t.shape for t in sample}) > 1 for sample in drawn), "no broadcast sample"


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (lambda dz, z, x: (lambda: dz * (1 - z),), "first order"),
        # right at first order, but its own derivative is cut
        (lambda dz, z, x: (lambda: dz * (1 - z * z).detach(),), "second order"),
    ],
    ids=["first", "second"],
)
def test_a_wrong_rule_is_caught(monkeypatch, wrong, what):
    monkeypatch.setattr(Tanh, "backward", staticmethod(wrong))
    sample = Sample((Draw()(3),))
    with pytest.raises(Mismatch, match=rf"Tanh aten.tanh.default .* {what}"):
        check_gate(Tanh, Tanh.forward, sample, torch.float64, Checked())
