"""Users' gates: registered, captured, differentiated twice, put in place of autograd.Functions."""

from __future__ import annotations

import re
import types
from pathlib import Path

import pytest
import torch
from torch import Tensor

import backlit.gates
from backlit.errors import CaptureError, GateError, ParityError
from backlit.gates import Gate, forget, gate, gate_of
from backlit.gates.samples import Sample
from backlit.gates.user import FUNCTIONS
from backlit.graph import capture, inline
from tests.gates.helper import Checked, check_gate


@pytest.fixture(autouse=True)
def no_gates_left():
    yield
    for cls in list(FUNCTIONS):
        forget(cls)


class Product(Gate):
    formula = "z = x y"

    @staticmethod
    def forward(x, y):
        return x * y

    @staticmethod
    def backward(dz, z, x, y):
        return y * dz, x * dz


class Scale(Gate):
    """Of everything: a list, constants, a default, two outputs."""

    broadcasts = True

    @staticmethod
    def forward(
        parts: list[Tensor], w, axes: list[int], slope: float = 0.5, on: bool = True
    ) -> tuple[Tensor, Tensor]:
        total = (parts[0] + parts[1]) * w * slope
        return total, parts[0]

    @staticmethod
    def backward(dz, z, parts, w, axes, slope, on):
        first, second = dz
        if first is None:
            return [second, None], None, None, None, None
        both = first * w * slope
        left = both if second is None else both + second
        return [left, lambda: both], first * (parts[0] + parts[1]) * slope, None, None, None


def one_operator(cls):
    (operator,) = cls.operators()
    return operator


def test_the_multiply_gate_is_one_gate_of_a_captured_graph():
    product = gate(Product)
    graph = capture(lambda x, y, z: product(x + y, z), x=-2.0, y=5.0, z=-4.0)
    assert [call.gate.__name__ for call in graph] == ["Add", "Product"]
    value, gradient = graph.value_and_grad()
    assert value == -12
    assert gradient == {"x": -4, "y": -4, "z": 3}
    assert Product in backlit.gates
    assert Product.aten_names()[0].startswith("backlit_user.Product")


def test_first_and_second_order():
    gate(Product)
    x, y = torch.randn(3, 4).double(), torch.randn(3, 4).double()
    checked = Checked()
    check_gate(Product, one_operator(Product), Sample((x, y)), torch.float64, checked)
    assert checked.counts == {
        "first order, autograd": 1,
        "first order, numerical": 1,
        "second order, autograd": 1,
        "second order, numerical": 1,
    }


def test_lists_constants_defaults_broadcast_and_several_outputs():
    scale = gate(Scale)
    parts, w = [torch.randn(3, 4).double(), torch.randn(3, 4).double()], torch.randn(4).double()
    sample = Sample((parts, w, [0], 0.25, True))
    check_gate(Scale, one_operator(Scale), sample, torch.float64, Checked())
    total, same = scale(parts, w, [0])
    torch.testing.assert_close(total, (parts[0] + parts[1]) * w * 0.5)
    torch.testing.assert_close(same, parts[0])


def test_a_forward_that_hands_its_input_on():
    class Reversal(Gate):
        """Gradient reversal, as in domain-adversarial training."""

        @staticmethod
        def forward(x):
            return x

        @staticmethod
        def backward(dz, z, x):
            return (-dz,)

    reverse = gate(Reversal)
    w = torch.nn.Parameter(torch.randn(3))
    assert reverse(w).data_ptr() != w.data_ptr()
    graph = capture(lambda x: (reverse(w) * reverse(x)).sum(), torch.randn(3))
    _, gradient = graph.value_and_grad()
    torch.testing.assert_close(gradient["x"], -w.detach())


def test_as_a_decorator_it_gives_the_function():
    @gate
    class cube(Gate):
        @staticmethod
        def forward(x):
            return x * x * x

        @staticmethod
        def backward(dz, z, x):
            return (3 * x * x * dz,)

    x = torch.tensor(2.0, requires_grad=True)
    (first,) = torch.autograd.grad(cube(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first, x)
    assert (first, second) == (12, 12)


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        return grad


class StraightThrough(Gate):
    @staticmethod
    def forward(x):
        return x.round()

    @staticmethod
    def backward(dz, z, x):
        return (dz,)


class Quantised(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)

    def forward(self, x):
        return (Round.apply(self.linear(x)) ** 2).sum()


def test_in_place_of_a_custom_autograd_function():
    net, x = Quantised(), torch.randn(2, 3)
    with pytest.raises(CaptureError, match=r"Round.*backlit\.gate\(YourGate, replaces=Round\)"):
        capture(net, x)
    gate(StraightThrough, replaces=Round)
    graph = capture(net, x)
    assert StraightThrough in [call.gate for call in graph]
    value, gradient = graph.value_and_grad()
    loss = net(x)
    loss.backward()
    torch.testing.assert_close(value, loss.detach())
    torch.testing.assert_close(gradient["linear.weight"], net.linear.weight.grad)


def test_a_gate_that_says_something_else_than_the_function_it_replaces():
    class Wrong(Gate):
        forward = StraightThrough.__dict__["forward"]

        @staticmethod
        def backward(dz, z, x):
            return (2 * dz,)

    gate(Wrong, replaces=Round)
    with pytest.raises(ParityError, match="gradient of 'linear"):
        capture(Quantised(), torch.randn(2, 3))


def test_inline_leaves_no_users_gate_and_the_same_numbers():
    product = gate(Product)

    class Twice(Gate):
        """A gate whose forward calls another user's gate."""

        @staticmethod
        def forward(x):
            return product(x, x) + 1

        @staticmethod
        def backward(dz, z, x):
            return (2 * x * dz,)

    twice = gate(Twice)
    graph = capture(lambda x: twice(x).tanh().sum(), torch.randn(5))
    gradient = graph.gradient_graph()
    plain = inline(gradient.gm)
    assert any(gate_of(n.target) is Twice for n in gradient.gm.graph.nodes)
    assert not any(gate_of(n.target) in FUNCTIONS for n in plain.graph.nodes)
    x = torch.randn(5)
    torch.testing.assert_close(plain(x), gradient.gm(x))
    assert inline(plain) is plain


def broken(name, wrong):
    return type(
        name,
        (Gate,),
        {"forward": staticmethod(lambda x, y: x * y), "backward": staticmethod(wrong)},
    )


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            lambda dz, z, x, y: (dz,),
            "expected a tuple of 2 gradients, one for each argument of forward .* gave 1",
        ),
        (
            lambda dz, z, x, y: dz,
            "expected a tuple of 2 gradients, one for each argument of forward .* gave a Tensor",
        ),
        (
            lambda dz, z, x, y: (dz.sum(), x * dz),
            r"expected a gradient of shape \(3,\), its backward gave \(\)",
        ),
    ],
    ids=["too few", "no tuple", "wrong shape"],
)
def test_a_wrong_backward_is_named(wrong, text):
    function = gate(broken("Broken", wrong))
    x, y = torch.randn(3, requires_grad=True), torch.randn(3)
    with pytest.raises(GateError, match=f"gate Broken.*{text}"):
        function(x, y).sum().backward()
    graph = capture(lambda x, y: function(x, y).sum(), x.detach(), y, verdict=False)
    with pytest.raises(GateError, match=f"gate Broken.*{text}"):
        graph.value_and_grad()


def test_a_name_that_another_gate_has():
    gate(Product)
    methods = {name: Product.__dict__[name] for name in ("forward", "backward")}
    other = type("Product", (Gate,), {**methods, "__qualname__": "Other.Product"})
    with pytest.raises(GateError, match="Product: expected a name of its own, got the name"):
        gate(other)
    again = gate(Product)  # the same definition, as when a notebook cell runs again
    assert again(torch.tensor(2.0), torch.tensor(3.0)) == 6


def test_a_function_that_is_replaced_already():
    gate(StraightThrough, replaces=Round)
    with pytest.raises(
        GateError, match=r"expected an autograd\.Function without a gate, got Round"
    ):
        gate(Product, replaces=Round)


def test_what_is_not_a_gate():
    with pytest.raises(GateError, match=r"expected a subclass of backlit\.Gate, got 3"):
        gate(3)
    with pytest.raises(GateError, match="Empty: expected a @staticmethod forward, got none"):
        gate(type("Empty", (Gate,), {}))
    with pytest.raises(GateError, match="expected replaces= to be a subclass"):
        gate(Product, replaces=int)

    class Starred(Gate):
        @staticmethod
        def forward(*parts):
            return parts[0]

        backward = Product.__dict__["backward"]

    with pytest.raises(GateError, match=r"expected plain arguments in forward, got '\*parts'"):
        gate(Starred)

    class Worded(Gate):
        @staticmethod
        def forward(x, options: dict):
            return x

        backward = Product.__dict__["backward"]

    with pytest.raises(GateError, match="Worded: expected tensors, numbers, booleans or lists"):
        gate(Worded)


def test_forgotten_gates_are_gone():
    gate(Product, replaces=Round)
    operator = one_operator(Product)
    forget(Product)
    assert gate_of(operator) is None
    with pytest.raises(CaptureError, match=r"custom autograd\.Function"):
        capture(Quantised(), torch.randn(2, 3))


def test_the_page_write_a_gate(monkeypatch):
    page = Path(__file__).parents[2] / "docs" / "write-a-gate.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    bl = types.SimpleNamespace(Gate=Gate, gate=gate, gates=backlit.gates, capture=capture)
    monkeypatch.setitem(__import__("sys").modules, "backlit_page", types.ModuleType("backlit_page"))
    names = {"bl": bl, "__name__": "backlit_page"}
    for block in blocks:
        exec(compile(block.replace("import backlit as bl\n", ""), str(page), "exec"), names)
