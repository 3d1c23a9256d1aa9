"""Buffers and views that are the same in every call are made once; what leaves a call is not."""

import ast

import pytest
import torch

from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available
from backlit.lower.made_once import make_once

CODE = """
class Runner:
    def call(self, args):
        arg0_1, arg1_1 = args
        args.clear()
        assert_size_stride(arg0_1, (4, 4), (4, 1), 'input')
        buf0 = empty_strided_cpu((4, 4), (4, 1), torch.float32)
        mm(reinterpret_tensor(arg0_1, (4, 4), (1, 4), 0), arg1_1, out=buf0)
        buf1 = reinterpret_tensor(buf0, (2, 2), (4, 1), 0)  # alias
        buf2 = buf1; del buf1  # reuse
        buf3 = empty_strided_cpu((4096, 4096), (4096, 1), torch.float32)
        buf4 = empty_strided_cpu((2, 2), (2, 1), torch.float32)
        mm(buf2, reinterpret_tensor(buf0, (2, 2), (4, 1), 10), out=buf4)
        buf5 = reinterpret_tensor(arg1_1, (2, 2), (4, 1), 0)
        mm(buf5, reinterpret_tensor(arg0_1, (2, 2), (4, 1), 0), out=buf2)
        del arg0_1, buf0
        del buf3
        {rest}
"""


def changed(rest, stay=(0,)):
    tree = ast.parse(CODE.replace("{rest}", rest))
    make_once(tree, stay)
    return ast.unparse(tree)


def test_the_module_owns_buffers_and_views():
    module, call = changed("return (buf4, )").split("    def call")
    assert "buf0 = empty" in module and "buf2 = buf1" in module and "view_0 = " in module
    assert "buf0" not in call.replace("out=buf0", "") and "del arg0_1\n" in call
    # The large one, the one that is returned and the argument that changes stay in the call.
    assert "buf3 = empty" in call and "del buf3" in call and "buf4 = empty" in call
    assert "reinterpret_tensor(arg1_1" in call
    assert call.index("arg0_1.data_ptr() != arg0_1_at") < call.index("arg0_1_view_0 = reinterpret")
    assert "mm(arg0_1_view_0, arg1_1, out=buf0)" in call


@pytest.mark.parametrize(
    "rest",
    [
        "return (buf2, )",
        "return (reinterpret_tensor(buf0, (4, ), (1, ), 0), )",
        "buf6 = torch.ops.aten.view.default(buf2, [4])\n        return (buf6, )",
    ],
)
def test_what_may_leave_a_call_is_made_in_it(rest):
    module, call = changed(rest).split("    def call")
    assert "buf0" not in module and "buf0 = empty" in call and "buf2 = buf1" in call


def test_a_buffer_of_many_views_leaves_as_a_copy():
    views = "".join(
        f"buf{i} = reinterpret_tensor(buf4, (1, ), (1, ), 0)\n        " for i in (6, 7, 8, 9)
    )
    module, call = changed(views + "return (buf4, arg1_1)").split("    def call")
    assert "buf4 = empty" in module and "buf9 = reinterpret" in module
    assert "return (buf4.clone(), arg1_1)" in call


@pytest.mark.parametrize(
    "code",
    [
        "x = 1",
        "class Runner:\n    def call(self, args):\n        return ()",
        "class Runner:\n    pass",
        CODE.replace("{rest}", "if arg1_1:\n            pass"),
    ],
)
def test_code_of_another_form_is_left(code):
    tree = ast.parse(code)
    make_once(tree, [0])
    assert ast.unparse(tree) == ast.unparse(ast.parse(code))


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_calls_do_not_see_each_other(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))

    def step(state, x):
        first, second = state[:32].view(8, 4), state[32:].view(4, 2)
        hidden = torch.tanh(x @ first) @ second
        loss = (hidden * hidden).mean()
        sums = torch.cat([part.sum().reshape(1) for part in (first, second, hidden, x, state)])
        state.copy_(state - 0.1 * loss)
        return loss, hidden, sums

    def inputs():
        return [torch.randn(40, dtype=torch.float64), torch.randn(16, 8, dtype=torch.float64)]

    gm, _ = trace(step, inputs())
    compiled = compile_graph(gm, inputs())
    state, x = inputs()
    own, theirs, kept = state.clone(), state.clone(), []
    for i in range(6):
        if i == 2:
            own, theirs = state + 1, state + 1  # another tensor
        if i == 4:
            own.data, theirs.data = state - 1, state - 1  # the same one, of other memory
        kept.append((compiled(own, x + i), gm(theirs, x + i)))
        torch.testing.assert_close(own, theirs)
    for got, wanted in kept:  # later calls wrote nothing into what earlier ones returned
        torch.testing.assert_close(tuple(got), tuple(wanted))
