"""What cannot be captured is refused in one line that says the detour."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import grad as grad_of
from torch.utils.checkpoint import checkpoint

from backlit.errors import BacklitError, CaptureError
from backlit.graph import capture


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, dz):
        return dz


straight_through = Round.apply


def r1_inside(net, x):
    x = x.detach().requires_grad_()
    (slope,) = grad_of(net(x).sum(), x, create_graph=True)
    return slope.square().sum()


def backward_inside(net, x):
    loss = net(x).sum()
    loss.backward()
    return loss


def branch(net, x):
    return net(x) if x.sum() > 0 else x


def write_data(net, x):
    net.weight.data.clamp_(-1, 1)
    return net(x)


def write_parameter(net, x):
    with torch.no_grad():
        net.weight.mul_(0.9)
    return net(x)


def ctc(net, x):
    scores = net(x).log_softmax(1).unsqueeze(1)
    return F.ctc_loss(scores, torch.tensor([[1]]), torch.tensor([4]), torch.tensor([1]))


def packed(net, x):
    return nn.utils.rnn.pack_padded_sequence(net(x).unsqueeze(2), [3, 2, 2, 1], True).data


PENALTY = "give a penalty to Backlit instead"
CASES = {
    "custom autograd.Function": (
        lambda net, x: Round.apply(net(x)),
        "the custom autograd.Function Round, whose backward a capture would lose; register it as "
        "a gate: backlit.gate",
    ),
    "its apply under another name": (lambda net, x: straight_through(net(x)), "Function Round"),
    "autograd.grad": (r1_inside, "got autograd.grad or backward inside it; " + PENALTY),
    "backward": (backward_inside, "got autograd.grad or backward inside it; " + PENALTY),
    "func.grad": (
        lambda net, x: torch.func.grad(lambda x: net(x).square().sum())(x),
        "got torch.func.grad or vjp inside it; " + PENALTY,
    ),
    ".data read": (lambda net, x: x * net(x).data, r"past autograd \(.data, .*use .detach\(\)"),
    ".data written": (write_data, r"past autograd \(.data.*torch.no_grad\(\) between steps"),
    "parameter written": (write_parameter, "a write to 'net.weight' .*do it between steps"),
    "branch on a value": (branch, "branches that depend on values; use torch.where"),
    "shape from values": (
        lambda net, x: net(x)[x[:, 0] > 0],
        r"got aten.index.Tensor in the graph, whose output's shape depends on values; "
        "use torch.where",
    ),
    ".item()": (lambda net, x: net(x) * x.sum().item(), r"got .item\(\) in .*keep the tensor"),
    "numpy": (lambda net, x: torch.from_numpy(net(x).numpy()), "goes through numpy"),
    "CTC": (ctc, "computes a CTC loss.*pass its gradient in"),
    "packed sequence": (packed, "got pack_padded_sequence.*pad the sequences"),
    "complex": (lambda net, x: torch.fft.fft(net(x)).abs(), "expected real numbers, got complex"),
    "PyTorch fails itself": (
        lambda net, x: checkpoint(net, x, use_reentrant=True),
        "expected a network PyTorch itself can run and differentiate",
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_refused(case):
    function, text = CASES[case]
    net = nn.Linear(3, 3)
    with pytest.raises(CaptureError, match=text) as caught:
        capture(lambda x: function(net, x), torch.randn(4, 3))
    assert "\n" not in str(caught.value)


def test_nothing_stays_replaced():
    before = torch.autograd._engine_run_backward
    with pytest.raises(CaptureError):
        capture(lambda x: straight_through(x), torch.randn(3))
    x = torch.randn(3, requires_grad=True)
    straight_through(x).sum().backward()
    assert x.grad.tolist() == [1, 1, 1]
    assert torch.autograd._engine_run_backward is before
    assert "apply" not in vars(torch.autograd.function._SingleLevelFunction)


def test_another_length_in_time():
    graph = capture(nn.LSTM(3, 2, batch_first=True), torch.randn(2, 5, 3))
    with pytest.raises(
        BacklitError, match=r"expected shape \(2, 5, 3\), with which.*capture again for another"
    ):
        graph(torch.randn(2, 6, 3))


@pytest.mark.parametrize("change", ["train", "eval"])
def test_the_mode_is_fixed(change):
    graph = capture(nn.Dropout(), torch.randn(3))
    with pytest.raises(CaptureError, match=r"call module.train.. or module.eval.. and capture it"):
        getattr(graph, change)()


def test_train_and_eval_are_two_graphs():
    net, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)), torch.randn(6, 3)
    trained, evaluated = capture(net.train(), x), capture(net.eval(), x)
    assert not torch.equal(trained(x), evaluated(x))
    torch.testing.assert_close(evaluated(x), net(x))
