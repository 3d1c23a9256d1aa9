"""MISSION B1-B5: the four equations of backpropagation against the graph."""

import pytest
import torch
from torch import nn

from backlit.errors import RecipeError
from backlit.nets import MLP, LogisticRegression, TwoLayer, four_equations

torch.manual_seed(0)
X = torch.randn(7, 5)
NETS = {
    "sigmoid": nn.Sequential(
        nn.Linear(5, 4), nn.Sigmoid(), nn.Linear(4, 6), nn.Sigmoid(), nn.Linear(6, 3), nn.Sigmoid()
    ),
    "mixed": nn.Sequential(
        nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 4, bias=False), nn.Linear(4, 3), nn.Tanh()
    ),
    "mlp": MLP(5, 3, (6, 4), "tanh", dropout=0.4).eval(),
    "two layers": TwoLayer(5, 3),
    "logistic": LogisticRegression(5, 3),
}


@pytest.mark.parametrize("name", NETS)
def test_b1_to_b4_quadratic(name):
    found = four_equations(NETS[name], X, torch.rand(7, 3))
    assert found.agree and found.largest_difference < 1e-14
    equations = {row.equation for row in found.rows}
    assert equations == ({"B1", "B2", "B3", "B4"} if len(found.layers) > 1 else {"B1", "B3", "B4"})


@pytest.mark.parametrize("name", ["sigmoid", "mlp", "two layers", "logistic"])
def test_cross_entropy_of_sigmoid_or_softmax(name):
    found = four_equations(NETS[name], X, torch.tensor([0, 1, 2, 0, 1, 2, 0]), "cross_entropy")
    assert found.agree and found.largest_difference < 1e-13


def test_the_cost_and_its_gradient_by_hand():
    """C = 1/(2n) Σ ‖y − a‖², δ(L) = (a − y) ⊙ s'(z), one neuron."""
    net = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid())
    with torch.no_grad():
        net[0].weight.fill_(0.6)
        net[0].bias.fill_(0.9)
    found = four_equations(net, torch.tensor([[1.0]]), torch.tensor([[0.0]]))
    a = 1 / (1 + torch.exp(torch.tensor(-1.5))).item()
    assert found.cost == pytest.approx(a * a / 2)
    assert found.layers[0].delta.item() == pytest.approx(a * a * (1 - a))
    assert found.layers[0].grad_weight.item() == pytest.approx(a * a * (1 - a))


def test_b5_gradient_descent_equals_torch():
    net, y = NETS["sigmoid"], torch.rand(7, 3)
    moved = four_equations(net, X, y).descend(0.7)
    twin = nn.Sequential(
        *[type(m)(m.in_features, m.out_features) if isinstance(m, nn.Linear) else m for m in net]
    )
    twin.load_state_dict(net.state_dict())
    twin.double()
    optimiser = torch.optim.SGD(twin.parameters(), lr=0.7)
    ((y.double() - twin(X.double())).square().sum() / 14).backward()
    optimiser.step()
    for (weight, bias), linear in zip(moved, twin[::2], strict=True):
        torch.testing.assert_close(weight, linear.weight.detach(), rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(bias, linear.bias.detach(), rtol=1e-13, atol=1e-13)


def test_a_saturated_neuron_is_named():
    net = nn.Sequential(nn.Linear(5, 4), nn.Sigmoid(), nn.Linear(4, 2), nn.Sigmoid())
    with torch.no_grad():
        net[0].bias[2] = 25.0
        net[2].bias[0] = -25.0
    found = four_equations(net, X, torch.rand(7, 2))
    assert found.saturated == ([2], [0])
    assert found.layers[1].grad_bias[0].abs() < 1e-8  # it has stopped learning
    text = str(found)
    assert "25%: neurons 2" in text and "50%: neurons 0" in text
    # with cross-entropy the output learns all the same: δ(L) = a − y
    other = four_equations(net, X, torch.ones(7, 2), "cross_entropy")
    assert other.layers[1].grad_bias[0].abs() > 0.9


def test_the_table():
    text = str(four_equations(NETS["sigmoid"], X, torch.rand(7, 3)))
    for line in ("δ(L) = ∇ₐC ⊙ s'(z(L))", "∂C/∂W(l) = δ(l) a(l−1)ᵀ", "matrix form and graph agree"):
        assert line in text
    assert "\nB1        3  7×3 " in text and "\nB4        1  4×5 " in text


def test_the_network_is_left_alone():
    net = nn.Sequential(nn.Linear(5, 3), nn.Sigmoid())
    before = net[0].weight.detach().clone()
    four_equations(net, X, torch.rand(7, 3))
    assert torch.equal(net[0].weight, before) and net[0].weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("net", "y", "cost", "text"),
    [
        (nn.Conv2d(1, 1, 1), torch.rand(7, 1), "quadratic", "one activation, got Conv2d"),
        (
            nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.ReLU()),
            torch.rand(7, 3),
            "quadratic",
            "one activation, got Linear, ReLU, ReLU",
        ),
        (nn.Linear(5, 3), torch.rand(7, 2), "quadratic", r"targets of shape \(7, 3\) or class num"),
        (nn.Linear(5, 3), torch.rand(7, 3), "hinge", "expected quadratic or cross_entropy, got 'h"),
        (
            nn.Sequential(nn.Linear(5, 3), nn.Tanh()),
            torch.rand(7, 3),
            "cross_entropy",
            "ends in a sigmoid or a linear layer, got Tanh",
        ),
    ],
)
def test_errors(net, y, cost, text):
    with pytest.raises(RecipeError, match=text):
        four_equations(net, X, y, cost)
