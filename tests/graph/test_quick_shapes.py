"""Shapes that are found quickly are those that PyTorch finds."""

import pytest
import torch
import torch._decomp
import torch._subclasses.fake_impls as fake_impls
from torch._subclasses.fake_tensor import FakeTensorMode

from backlit.gates.base import aten
from backlit.graph import quick_shapes as module
from backlit.graph.quick_shapes import quick_shapes

NORMS = [aten._native_batch_norm_legit.default, aten._native_batch_norm_legit_functional.default]
PICTURES = torch.empty(4, 3, 6, 5)
LAST = torch.channels_last
QUICK = [
    PICTURES,
    PICTURES.to(memory_format=LAST),
    PICTURES.double(),
    torch.empty(4, 3),
    torch.empty(4, 3, 2, 2, 2),
]
NARROW, TURNED = PICTURES.bfloat16(), PICTURES.permute(0, 1, 3, 2)
GENERAL = [NARROW, TURNED, PICTURES[:, :, ::2], PICTURES[..., :1]]


def described(results):
    return [(t.shape, t.dtype, t.stride(), t.device, t.storage_offset()) for t in results]


def asked(operator, inputs, quick, monkeypatch):
    """What is found, and how often PyTorch's formula was asked."""
    formulas, count = torch._decomp.decomposition_table, []

    def counted(*args):
        count.append(args)
        return formula(*args)

    formula = formulas[operator]
    with monkeypatch.context() as patch:
        patch.setitem(formulas, operator, counted)
        with FakeTensorMode() as mode:
            given = [mode.from_tensor(x) if isinstance(x, torch.Tensor) else x for x in inputs]
            if not quick:
                return described(operator(*given)), len(count)
            with quick_shapes():
                return described(operator(*given)), len(count)


@pytest.mark.parametrize("operator", NORMS, ids=str)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norms(operator, affine, training, monkeypatch):
    for x in (*QUICK, *GENERAL):
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        of_channels = [torch.ones(3, dtype=wide) for _ in range(4)]
        scales = of_channels[:2] if affine else [None, None]
        inputs = [x, *scales, *of_channels[2:], training, 0.1, 1e-5]
        found, times = asked(operator, inputs, True, monkeypatch)
        assert found == asked(operator, inputs, False, monkeypatch)[0]
        assert (times == 0) == (training and any(x is one for one in QUICK))


@pytest.mark.parametrize(
    ("shape", "size"),
    [((4, 6), (24,)), ((4, 6), (2, 2, -1)), ((4, 6), (4, 2, 3)), ((0, 6), (3, 0)), ((), (1, 1))],
)
def test_views(shape, size):
    def seen():
        with FakeTensorMode() as mode:
            x = mode.from_tensor(torch.empty(2, *shape))[1]
            y = x.view(size)
            same = y.untyped_storage()._cdata == x.untyped_storage()._cdata
            return described([y]), same

    expected = seen()
    with quick_shapes():
        assert seen() == expected and expected[1]


def test_a_view_that_needs_a_copy_is_refused():
    with quick_shapes(), FakeTensorMode() as mode:
        with pytest.raises((RuntimeError, ValueError), match=r"view|reshape"):
            mode.from_tensor(torch.empty(4, 6)).t().view(24)


def test_all_are_replaced_and_put_back():
    """Each table and rule is there in this PyTorch, so none is left out unseen."""
    rules, without = fake_impls.op_implementations_dict, torch._decomp.meta_table
    before = dict(rules), dict(without)
    with quick_shapes():
        assert rules[aten.view.default] is not before[0][aten.view.default]
        assert all(norm in rules and norm in without for norm in module._BATCH_NORMS)
    assert (dict(rules), dict(without)) == before


def test_what_others_register_meanwhile_stays():
    """PyTorch registers rules when its modules are first imported, which may be in a trace."""
    rules, without = fake_impls.op_implementations_dict, torch._decomp.meta_table
    with quick_shapes():
        rules["new"] = without["new"] = None
    assert "new" in rules and "new" in without
    del rules["new"], without["new"]
