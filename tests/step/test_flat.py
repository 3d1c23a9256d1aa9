"""One vector for all parameters: the numbers, the names and the users' modules stay."""

import pytest
import torch
from torch import nn

from backlit.errors import BacklitError
from backlit.gan import Game
from backlit.step import Optimiser, trained


def network():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(5, 16), nn.PReLU()).double()
    return net.to(memory_format=torch.channels_last)


def test_parameters_become_views_of_one_vector_and_keep_value_and_layout():
    net, twin = network(), network()
    (group,) = trained("net", net, Optimiser("Adam"), average=True)
    assert len({p.untyped_storage().data_ptr() for p in net.parameters()}) == 1
    for mine, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(mine, theirs) and mine.stride() == theirs.stride()
    assert group.wires["net/float64"].shape == (sum(p.numel() for p in net.parameters()),)
    assert group.state["net/0.weight"] is net[0].weight
    group.wires["ema/float64"].fill_(2)
    assert (group.state["ema/0.weight"] == 2).all()


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Adadelta"])
def test_one_update_equals_one_for_each_parameter_bit_for_bit(name):
    more = {"momentum": 0.9} if name == "SGD" else {}
    optimiser = Optimiser(name, weight_decay=0.1, **more)
    net, twin = network(), network()
    (group,) = trained("net", net, optimiser)
    wires = {k: v.detach().clone() for k, v in group.wires.items()}
    theirs = [p.detach() for p in twin.parameters()]
    states = [optimiser.init(p) for p in theirs]
    lr = torch.tensor(0.01, dtype=torch.float64)
    for _ in range(3):
        now = wires | group.views(wires)
        grads = {k: torch.randn_like(now[k]) for k in group.names}
        new = group.update(now, grads, lr)
        wires = {k: new[k] for k in wires}
        theirs, states = optimiser.update(theirs, list(grads.values()), states, lr)
    for k, expected in zip(group.names, theirs, strict=True):
        assert torch.equal(new[k], expected), k


def test_a_parameter_without_a_gradient_stays():
    net = network()
    (group,) = trained("net", net, Optimiser("Adam", weight_decay=0.1))
    now = {k: v.detach() for k, v in group.wires.items()}
    now |= group.views(now)
    grads = {k: torch.ones_like(now[k]) for k in group.names if k != "net/1.bias"}
    new = group.update(now, grads, torch.tensor(0.1, dtype=torch.float64))
    assert torch.equal(new["net/1.bias"], now["net/1.bias"])
    assert not torch.equal(new["net/1.weight"], now["net/1.weight"])
    assert group.update(now, {}, torch.tensor(0.1)) == {}


def test_dtypes_lie_apart_and_frozen_parameters_stay_outside():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4).double())
    net[0].bias.requires_grad_(False)
    groups = trained("net", net, Optimiser("SGD"))
    assert [list(g.wires) for g in groups] == [["net/float32"], ["net/float64"]]
    assert groups[0].names == ["net/0.weight"]


def test_two_games_of_the_same_networks_share_the_vectors():
    g, d = nn.Linear(2, 2), nn.Linear(2, 1)
    one, two = Game(g, d, latent=2), Game(g, d, latent=2)
    batch = torch.randn(4, 2)
    for game in (one, two):
        before = g.weight.detach().clone()
        game.step(batch, 0)
        assert not torch.equal(before, g.weight)
        assert game.state["generator/weight"] is g.weight


def test_a_moved_network_is_refused():
    g, d = nn.Linear(2, 2), nn.Linear(2, 1)
    game = Game(g, d, latent=2)
    g.weight.data = g.weight.data.clone()
    with pytest.raises(BacklitError, match="'generator/weight' where the step updates it"):
        game.prepare(torch.randn(4, 2))
