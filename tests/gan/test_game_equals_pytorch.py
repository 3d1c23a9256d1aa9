"""Whole steps of the game against a plain PyTorch loop, in float64, to 1e-8 relative.

The loop below uses nothing of Backlit: torch.nn, autograd and torch.optim only. It is given the
same pictures and the noise the step drew.
"""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from backlit.gan import R1, R2, Game, GradientPenalty

STEPS = 20
BATCH = 4


def networks(dropout=0.0):
    torch.manual_seed(0)
    generator = nn.Sequential(
        nn.Unflatten(1, (6, 1, 1)),
        nn.ConvTranspose2d(6, 8, 4, 1, 0, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(True),
        nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(True),
        nn.ConvTranspose2d(4, 3, 4, 2, 1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(3, 4, 4, 2, 1),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(4, 8, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(8, 1, 4, 1, 0),
    )
    return generator.double().train(), discriminator.double().train()


def pictures(steps=STEPS, batch=BATCH):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (steps, batch, 3, 16, 16), dtype=torch.uint8, generator=generator)


def bce(scores, target):
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


D_LOSS = {
    "nonsaturating": lambda real, fake: bce(real, 1.0) + bce(fake, 0.0),
    "hinge": lambda real, fake: (1 - real).relu().mean() + (1 + fake).relu().mean(),
    "wasserstein": lambda real, fake: fake.mean() - real.mean(),
    "least_squares": lambda real, fake: 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(),
}
G_LOSS = {
    "nonsaturating": lambda fake: bce(fake, 1.0),
    "hinge": lambda fake: -fake.mean(),
    "wasserstein": lambda fake: -fake.mean(),
    "least_squares": lambda fake: 0.5 * ((fake - 1) ** 2).mean(),
}
PENALTY = {
    None: None,
    "r1": R1(gamma=2.0),
    "r2": R2(gamma=2.0),
    "gradient_penalty": GradientPenalty(weight=10.0),
}
OPTIMISERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-3),
    "Adam": lambda p: torch.optim.Adam(p, lr=2e-3, betas=(0.5, 0.999)),
}


def slope(discriminator, x, scores=None):
    if scores is None:
        x = x.detach().requires_grad_()
        scores = discriminator(x)
    (grad,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return grad.flatten(1)


@torch.no_grad()
def averaged(average, generator):
    for mean, now in zip(average.parameters(), generator.parameters(), strict=True):
        mean.mul_(0.99).add_(now, alpha=0.01)
    for mean, now in zip(average.buffers(), generator.buffers(), strict=True):
        if mean.is_floating_point():
            mean.mul_(0.99).add_(now, alpha=0.01)
        else:
            mean.copy_(now)


def plain_loop(
    generator, discriminator, loss, optimiser, noise, penalty=None, d_steps=1, warmup=0, clip=None
):
    """The loop everybody writes; returns the networks' average and optimisers too."""
    opt_d = OPTIMISERS[optimiser](discriminator.parameters())
    opt_g = OPTIMISERS[optimiser](generator.parameters())
    average = copy.deepcopy(generator)
    for step, batch in enumerate(pictures(batch=BATCH * d_steps)):
        drawn = noise(step)
        for k, real in enumerate(batch.chunk(d_steps)):
            real = (real.double() / 127.5 - 1).requires_grad_(penalty == "r1")
            with torch.no_grad():
                fake = generator(drawn[f"D{k}/z"])
            fake.requires_grad_(penalty == "r2")
            real_scores = discriminator(real)
            fake_scores = discriminator(fake)
            value = D_LOSS[loss](real_scores, fake_scores)
            if penalty == "r1":
                value = value + slope(discriminator, real, real_scores).square().sum(1).mean()
            if penalty == "r2":
                value = value + slope(discriminator, fake, fake_scores).square().sum(1).mean()
            if penalty == "gradient_penalty":
                e = drawn[f"D{k}/epsilon"]
                norm = slope(discriminator, e * real + (1 - e) * fake).norm(dim=1)
                value = value + 10 * ((norm - 1) ** 2).mean()
            opt_d.zero_grad()
            value.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(discriminator.parameters(), clip)
            opt_d.step()
        if step < warmup:
            continue
        value = G_LOSS[loss](discriminator(generator(drawn["G/z"])))
        opt_g.zero_grad()
        value.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(generator.parameters(), clip)
        opt_g.step()
        averaged(average, generator)
    return average, opt_d, opt_g


def plain_loop_at_once(generator, discriminator, loss, optimiser, noise, penalty, *others):
    """Both players' gradients at one state from one pass, then both updates (one stage)."""
    opt_d = OPTIMISERS[optimiser](discriminator.parameters())
    opt_g = OPTIMISERS[optimiser](generator.parameters())
    average = copy.deepcopy(generator)
    for step, real in enumerate(pictures()):
        real = (real.double() / 127.5 - 1).requires_grad_(penalty == "r1")
        fake = generator(noise(step)["D0/z"])
        real_scores, fake_scores = discriminator(real), discriminator(fake)
        value_d, value_g = D_LOSS[loss](real_scores, fake_scores), G_LOSS[loss](fake_scores)
        if penalty == "r1":
            value_d = value_d + slope(discriminator, real, real_scores).square().sum(1).mean()
        grads_g = torch.autograd.grad(value_g, list(generator.parameters()), retain_graph=True)
        grads_d = torch.autograd.grad(value_d, list(discriminator.parameters()))
        for network, grads in ((discriminator, grads_d), (generator, grads_g)):
            for parameter, grad in zip(network.parameters(), grads, strict=True):
                parameter.grad = grad
        opt_d.step()
        opt_g.step()
        averaged(average, generator)
    return average, opt_d, opt_g


def compare(mode, loss, optimiser, penalty=None, d_steps=1, warmup=0, clip=None, at_once=False):
    generator, discriminator = networks()
    theirs_g, theirs_d = networks()
    game = Game(
        generator,
        discriminator,
        loss=loss,
        penalty=PENALTY[penalty],
        optimiser_d=OPTIMISERS[optimiser](discriminator.parameters()),
        optimiser_g=OPTIMISERS[optimiser](generator.parameters()),
        latent=6,
        d_steps=d_steps,
        warmup_d_steps=warmup,
        ema=0.99,
        clip_norm=clip,
        one_stage=at_once,
        seed=3,
    )
    batches = pictures(batch=BATCH * d_steps)
    assert game.prepare(batches[0], mode) == mode
    for index, batch in enumerate(batches):
        game.step(batch, index)
    whole = game.steps[(True, penalty is not None)]
    average, opt_d, opt_g = (plain_loop_at_once if at_once else plain_loop)(
        theirs_g,
        theirs_d,
        loss,
        optimiser,
        lambda i: whole.draw(3, i),
        penalty,
        d_steps,
        warmup,
        clip,
    )
    expected = {f"ema/{k}": v for k, v in average.state_dict().items()}
    for role, network, opt in (("generator", theirs_g, opt_g), ("discriminator", theirs_d, opt_d)):
        expected |= {f"{role}/{k}": v for k, v in network.state_dict().items()}
        for name, parameter in network.named_parameters():
            for slot, value in opt.state[parameter].items():
                if torch.is_tensor(value):
                    expected[f"optimiser/{role}/{name}/{slot}"] = value
    assert set(expected) == set(game.state)
    for name, value in expected.items():
        mine = game.state[name].detach().double()
        value = value.detach().double()
        error = (mine - value).abs().max() / value.abs().max().clamp_min(1e-12)
        assert error <= 1e-8, f"{name}: {error:.2g}"
    return game


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("loss", ["nonsaturating", "hinge", "wasserstein", "least_squares"])
def test_twenty_plain_steps_equal_pytorch(loss, optimiser):
    compare("plain", loss, optimiser)


@pytest.mark.parametrize("penalty", ["r1", "r2", "gradient_penalty"])
def test_penalties_equal_double_backward(penalty):
    compare("plain", "nonsaturating", "Adam", penalty)


def test_several_d_steps_and_warm_up_equal_pytorch():
    compare("plain", "hinge", "Adam", d_steps=2, warmup=3)


def test_clipping_by_norm_equals_pytorch():
    game = compare("plain", "wasserstein", "SGD", "r1", clip=0.05)
    last = game.step(pictures()[0], STEPS)
    assert last["grad_norm_d"] > 0.05  # or nothing was clipped


@pytest.mark.parametrize(
    ("loss", "optimiser", "penalty"),
    [("nonsaturating", "Adam", None), ("hinge", "SGD", "r1"), ("least_squares", "RMSprop", None)],
)
def test_one_stage_equals_pytorch(loss, optimiser, penalty):
    compare("plain", loss, optimiser, penalty, at_once=True)


def test_watched_equals_plain_to_rounding():
    """Plain runs PyTorch's fused operations where watched runs the gates they stand for."""
    states = []
    for mode in ("watched", "plain"):
        states.append(compare(mode, "nonsaturating", "Adam", "r1").state)
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize(
    ("loss", "optimiser", "penalty"),
    [
        ("nonsaturating", "Adam", None),
        ("wasserstein", "RMSprop", "gradient_penalty"),
    ],
)
@pytest.mark.slow
def test_twenty_compiled_steps_equal_pytorch(loss, optimiser, penalty):
    compare("compiled", loss, optimiser, penalty)
