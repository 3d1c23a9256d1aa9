"""Adversarial networks: shapes, ranges, initial weights, options and their errors."""

import pytest
import torch
from torch import nn

from backlit.errors import RecipeError
from backlit.nets import (
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PointDiscriminator,
    PointGenerator,
    network,
)


@pytest.mark.parametrize("up", ["transposed", "nearest"])
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_dcgan_generator_makes_pictures(size: int, up: str) -> None:
    generator = DCGANGenerator(latent=5, channels=2, size=size, width=4, up=up)
    pictures = generator(torch.randn(3, generator.latent))
    assert pictures.shape == (3, 2, size, size)
    assert pictures.abs().max() <= 1


@pytest.mark.parametrize("norm", ["batch", "none", "spectral"])
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_dcgan_discriminator_scores_pictures(size: int, norm: str) -> None:
    discriminator = DCGANDiscriminator(channels=2, size=size, width=4, norm=norm)
    scores = discriminator(torch.randn(3, 2, size, size))
    assert scores.shape == (3, 1)
    scores.sum().backward()
    assert all(p.grad is not None for p in discriminator.parameters())


def test_dcgan_channels_are_the_papers() -> None:
    """Figure 1: 100 -> 1024x4x4 -> 512x8x8 -> 256x16x16 -> 128x32x32 -> 3x64x64."""
    with torch.device("meta"):
        generator = DCGANGenerator(latent=100, size=64, width=128)
        discriminator = DCGANDiscriminator(size=64, width=128)
    assert generator.project[0].weight.shape == (1024 * 16, 100)
    shapes = [tuple(p.shape) for p in generator.stages.parameters() if p.dim() == 4]
    assert shapes == [(1024, 512, 4, 4), (512, 256, 4, 4), (256, 128, 4, 4), (128, 3, 4, 4)]
    shapes = [tuple(p.shape) for p in discriminator.parameters() if p.dim() == 4]
    assert shapes == [
        (128, 3, 4, 4),
        (256, 128, 4, 4),
        (512, 256, 4, 4),
        (1024, 512, 4, 4),
        (1, 1024, 4, 4),
    ]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules()) == 3
    assert not any(isinstance(m, nn.BatchNorm2d) for m in generator.stages[-3:])


def test_dcgan_initial_weights() -> None:
    torch.manual_seed(0)
    for net in (DCGANGenerator(), DCGANDiscriminator()):
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
                assert abs(module.weight.mean().item()) < 2e-3
    score = DCGANDiscriminator(norm="none", width=16)(torch.randn(64, 3, 32, 32))
    assert 0.3 < score.std() < 3


def test_spectral_norm_bounds_every_layer() -> None:
    torch.manual_seed(0)
    discriminator = DCGANDiscriminator(width=4, norm="spectral")
    for _ in range(60):  # each training pass is one power iteration
        discriminator(torch.zeros(2, 3, 32, 32))
    for module in discriminator.modules():
        if isinstance(module, nn.Conv2d):
            assert torch.linalg.matrix_norm(module.weight.flatten(1), 2).item() < 1.01


def test_point_networks() -> None:
    generator, discriminator = PointGenerator(), PointDiscriminator()
    assert [tuple(p.shape) for p in generator.parameters()] == [
        (64, 2), (64,), (64, 64), (64,), (2, 64), (2,),
    ]  # fmt: skip
    assert [tuple(p.shape) for p in discriminator.parameters()] == [
        (64, 2), (64,), (64, 64), (64,), (1, 64), (1,),
    ]  # fmt: skip
    assert discriminator(generator(torch.randn(7, generator.latent))).shape == (7, 1)
    assert PointDiscriminator(dims=1)(PointGenerator(1, 1)(torch.randn(7, 1))).shape == (7, 1)


def test_mlp_networks() -> None:
    generator = MLPGenerator(latent=6, channels=3, size=8, width=10)
    discriminator = MLPDiscriminator(channels=3, size=8, width=10, dropout=0.3)
    pictures = generator(torch.randn(4, generator.latent))
    assert pictures.shape == (4, 3, 8, 8)
    assert pictures.abs().max() <= 1
    assert discriminator(pictures).shape == (4, 1)
    assert [p.shape[0] for p in generator.parameters() if p.dim() == 2] == [10, 20, 192]
    assert [p.shape[0] for p in discriminator.parameters() if p.dim() == 2] == [20, 10, 1]
    assert sum(isinstance(m, nn.Dropout) for m in discriminator.modules()) == 2


def test_network_by_name() -> None:
    assert isinstance(network("dcgan_generator", size=16, width=8), DCGANGenerator)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: network("dcgan"),
            r"unknown network 'dcgan'.*; allowed: .*dcgan_generator, .*",
        ),
        (
            lambda: network("dcgan_generator", latnet=3),
            r"network 'dcgan_generator' has no option 'latnet' \(did you mean 'latent'\?\); "
            r"its options: latent=128, .*",
        ),
        (
            lambda: DCGANGenerator(size=48),
            r"DCGAN generator: size must be one of 16, 32, 64, 128 pixels, got 48; .*",
        ),
        (lambda: DCGANDiscriminator(size=256), r"DCGAN discriminator: size must be .*, got 256;.*"),
        (
            lambda: DCGANGenerator(up="bilinear"),
            r"DCGAN generator: up must be transposed or nearest, got 'bilinear'",
        ),
        (
            lambda: DCGANDiscriminator(norm="layer"),
            r"DCGAN discriminator: norm must be batch, none or spectral, got 'layer'",
        ),
        (lambda: MLPGenerator(depth=0), r"MLP generator: depth must be at least 1 .*, got 0"),
        (lambda: MLPDiscriminator(depth=0), r"MLP discriminator: depth must be at least 1 .*"),
    ],
)
def test_errors(make, text: str) -> None:
    with pytest.raises(RecipeError, match=f"^{text}$"):
        make()
