"""The game: what it refuses, what it keeps, what it draws."""

import pytest
import torch
from torch import nn

import backlit as bl
import backlit.step.step as step_file
from backlit.errors import BacklitError, CaptureError, RecipeError
from backlit.gan import R1, Game


def networks():
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
    discriminator = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
    return generator, discriminator


def points(n=6, seed=0):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def game(**options):
    return Game(*networks(), latent=3, **options)


def test_noise_is_a_function_of_seed_and_step():
    """Two games, one of them asked out of order: dropout masks and z are the same."""
    one, two = game(seed=5), game(seed=5)
    one.prepare(points())
    two.prepare(points())
    first, again = one.steps[(True, False)], two.steps[(True, False)]
    two.steps[(True, False)].draw(5, 7)
    for name, drawn in first.draw(5, 3).items():
        assert torch.equal(drawn, again.draw(5, 3)[name])
        assert not torch.equal(drawn, again.draw(5, 4)[name])
        assert not torch.equal(drawn, again.draw(6, 3)[name])
    assert any("dropout" in name for name in first.draw(5, 3))


def test_a_step_can_be_replayed_bit_for_bit():
    mine = game(seed=1, penalty=R1(gamma=0.5))
    for index in range(3):
        mine.step(points(seed=index), index)
    before = {name: t.detach().clone() for name, t in mine.state.items()}
    mine.step(points(seed=3), 3)
    after = {name: t.detach().clone() for name, t in mine.state.items()}
    mine.load(before)
    mine.step(points(seed=3), 3)
    assert all(torch.equal(after[name], t) for name, t in mine.state.items())
    assert any(not torch.equal(before[name], t) for name, t in after.items())


def test_the_users_modules_are_trained_in_place():
    generator, discriminator = networks()
    before = [p.detach().clone() for p in [*generator.parameters(), *discriminator.parameters()]]
    Game(generator, discriminator, latent=3).step(points(), 0)
    after = [*generator.parameters(), *discriminator.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_frozen_parameters_stay_and_tied_ones_stay_tied():
    generator, discriminator = networks()
    generator[0].bias.requires_grad_(False)
    frozen = generator[0].bias.clone()

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 2)
            self.b = nn.Linear(2, 2)
            self.b.weight = self.a.weight
            self.c = discriminator

        def forward(self, x):
            return self.c(self.b(self.a(x).tanh()))

    tied, twin = Tied(), Tied()
    twin.load_state_dict(tied.state_dict())
    mine = Game(generator, tied, latent=3, optimiser="SGD")
    mine.step(points(), 0)
    assert torch.equal(generator[0].bias, frozen)
    assert tied.a.weight is tied.b.weight


def test_tied_weights_get_the_sum_of_both_gradients():
    torch.manual_seed(0)

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x).tanh()).sum(1, keepdim=True)

    tied = Tied().double()
    before = tied.a.weight.detach().clone()
    generator = networks()[0].double()
    x = points().double()
    mine = Game(generator, tied, latent=3, optimiser="SGD", loss="wasserstein", ema=None)
    mine.prepare(x)
    z = mine.steps[(True, False)].draw(0, 0)
    with torch.no_grad():
        u = z["D0/fake/noise_native_dropout"]
        fake = generator[3](generator[1](generator[0](z["D0/z"])) * (u >= 0.3) / 0.7)
    (expected,) = torch.autograd.grad(tied(fake).mean() - tied(x).mean(), tied.a.weight)
    mine.step(x, 0)
    lr = mine.rules.optimiser_d.lr
    torch.testing.assert_close(tied.a.weight.detach(), before - lr * expected)


def test_no_compiler_means_plain_and_says_so(monkeypatch):
    monkeypatch.setattr(step_file, "compiler_available", lambda: False)
    assert game().prepare(points(), "compiled") == "plain"


def test_warm_up_trains_d_alone():
    mine = game(warmup_d_steps=2)
    before = {k: v.detach().clone() for k, v in mine.state.items() if k.startswith("generator/")}
    assert "loss_g" not in mine.step(points(), 0)
    assert all(torch.equal(v, mine.state[k]) for k, v in before.items())
    mine.step(points(), 1)
    assert "loss_g" in mine.step(points(), 2)
    assert not all(torch.equal(v, mine.state[k]) for k, v in before.items())


def test_lazy_penalty_only_on_its_steps():
    mine = game(penalty=R1(gamma=1.0, every=3))
    assert ["penalty" in mine.step(points(), i) for i in range(4)] == [True, False, False, True]


def test_the_first_gate_with_a_nan_is_named():
    mine = game()
    mine.step(points(), 0)
    before = {name: t.detach().clone() for name, t in mine.state.items()}
    before["discriminator/0.bias"][0] = float("inf")
    said = mine.first_nonfinite(points(), 1, before)
    assert "gate 'addmm" in said
    assert "discriminator.0" in said
    assert "D on real" in said


def test_one_stage_makes_and_scores_the_fakes_once():
    forward = []
    for at_once in (False, True):
        mine = game(one_stage=at_once)
        mine.prepare(points())
        gates = mine.steps[True, False].gates
        products = [g for g in gates if "addmm" in g.operation and g.origin.role == "forward"]
        forward.append(len(products))
        assert at_once == ("G/z" not in mine.steps[True, False].noise)
        assert len(mine.operating_point(points())) == 2
    layers = len([m for m in mine.generator.modules() if hasattr(m, "weight")])
    layers_d = len([m for m in mine.discriminator.modules() if hasattr(m, "weight")])
    assert forward == [2 * layers + 3 * layers_d, layers + 2 * layers_d]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(loss="hing"), "did you mean|nearest|hinge"),
        (dict(latent_distribution="cauchy"), "expected normal or uniform, got 'cauchy'"),
        (dict(d_steps=0), "expected d_steps >= 1"),
        (dict(one_stage=True, d_steps=2), "one_stage: expected d_steps = 1.*got 2"),
        (dict(ema=1.5), r"expected a decay in \[0, 1\) or None, got 1.5"),
        (dict(latent="wide"), "latent: expected the length"),
    ],
)
def test_wrong_rules(options, said):
    with pytest.raises(RecipeError, match=said):
        Game(*networks(), **({"latent": 3} | options))


def test_wrong_networks_and_batches():
    generator, discriminator = networks()
    with pytest.raises(RecipeError, match=r"generator: expected a torch.nn.Module, got function"):
        Game(lambda z: z, discriminator, latent=3)
    with pytest.raises(BacklitError, match=r"samples like the data, \(5,\), got \(2,\)"):
        game().prepare(torch.zeros(4, 5))
    with pytest.raises(BacklitError, match="d_steps = 4 and m >= 2, got 6"):
        game(d_steps=4).prepare(points())
    with pytest.raises(BacklitError, match="does not take noise of shape"):
        Game(generator, discriminator, latent=4).prepare(points())
    with pytest.raises(BacklitError, match="mode: expected one of watched, plain, compiled"):
        game().prepare(points(), "fast")
    mine = game()
    mine.prepare(points())
    with pytest.raises(BacklitError, match=r"expected a batch of \(6, 2\)"):
        mine.step(points(4), 0)

    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    with pytest.raises(CaptureError, match="discriminator that returns one tensor, Pair returns 2"):
        Game(generator, Pair(), latent=3).prepare(points())


def test_a_foreign_state_is_refused():
    mine = game()
    state = dict(mine.state)
    state.pop("generator/0.bias")
    with pytest.raises(BacklitError, match=r"tensor 'generator/0.bias' is missing"):
        mine.load(state)
    state = dict(mine.state) | {"generator/0.bias": torch.zeros(3)}
    with pytest.raises(BacklitError, match=r"expected \(8,\) torch.float32, got \(3,\)"):
        mine.load(state)


def test_samples_come_from_the_average_in_evaluation_mode():
    mine = game(ema=0.5)
    mine.step(points(), 0)
    z = mine.noise(4, seed=1)
    assert torch.equal(z, mine.noise(4, seed=1))
    twin, _ = networks()
    twin.load_state_dict({k[4:]: v for k, v in mine.state.items() if k.startswith("ema/")})
    torch.testing.assert_close(mine.sample(z), twin.eval()(z))
    assert mine.generator.training


@pytest.mark.slow
def test_a_users_gate_is_one_gate_watched_and_opened_for_the_compiler():
    class Bent(bl.Gate):
        formula = "z = x + x³"

        @staticmethod
        def forward(x):
            return x + x * x * x

        @staticmethod
        def backward(dz, z, x):
            return (dz * (1 + 3 * x * x),)

    bent = bl.gate(Bent)

    class Layer(nn.Module):
        def forward(self, x):
            return bent(x)

    states = []
    try:
        for mode in ("plain", "compiled"):
            generator, _ = networks()
            discriminator = nn.Sequential(nn.Linear(2, 4), Layer(), nn.Linear(4, 1))
            torch.manual_seed(1)
            for p in discriminator.parameters():
                nn.init.normal_(p)
            mine = Game(generator.double(), discriminator.double(), latent=3, penalty="r1")
            mine.prepare(points().double(), mode)
            for index in range(3):
                mine.step(points(seed=index).double(), index)
            states.append(mine.state)
        assert any("backlit_user" in g.operation for g in mine.steps[(True, True)].gates)
    finally:
        bl.gates.forget(Bent)
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=1e-9, atol=1e-9)
