"""The workloads: each names its networks, its data and its mathematics, and nothing else.

Every alternative builds its own networks from a row, with equal initial weights, and sees the
same batches. There is no dropout and no moving average, so that all can be compared number by
number.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

import backlit.data
from backlit import nets
from backlit.bench.unet import UNet
from backlit.errors import RecipeError
from backlit.graph import Noise, generator_for

BATCHES = 4  # different ones, used in turn
SEED = 0


@dataclass(frozen=True)
class GameRow:
    """A step of the adversarial game.

    Attributes:
        name, about: what the tables call it; one sentence.
        batch: samples a step.
        networks: makes (generator, discriminator).
        data: n to n samples, float32, as the discriminator sees them.
        latent: length of the noise.
        loss: "nonsaturating" or "wasserstein".
        penalty: None, "r1" (gamma 1) or "gradient_penalty" (weight 10).
        with_g: False for the critic's step alone.
        threads: CPU threads for every alternative; None for torch's choice.
        device: where networks, batches and noise lie.
    """

    name: str
    about: str
    batch: int
    networks: Callable[[], tuple[nn.Module, nn.Module]]
    data: Callable[[int], Tensor]
    latent: int
    loss: str = "nonsaturating"
    penalty: str | None = None
    with_g: bool = True
    threads: int | None = None
    device: str = "cpu"
    adam: tuple[float, tuple[float, float]] = (2e-4, (0.5, 0.999))

    def build(self) -> tuple[nn.Module, nn.Module]:
        """New networks in training mode, the same weights each time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            generator, discriminator = self.networks()
        return generator.train().to(self.device), discriminator.train().to(self.device)

    def batches(self) -> list[Tensor]:
        """The batches, the same each time."""
        return list(_seeded(self.data, BATCHES * self.batch).to(self.device).split(self.batch))

    def noise(self, index: int) -> dict[str, Tensor]:
        """What Backlit's step `index` draws, for the comparison number by number."""
        shape = (self.batch, self.latent)
        wires = {"D0/z": Noise("normal", shape, torch.float32, self.device)}
        if self.penalty == "gradient_penalty":
            ones = (1,) * (_seeded(self.data, 1).dim() - 1)
            epsilon = Noise("uniform", (self.batch, *ones), torch.float32, self.device)
            wires["D0/epsilon"] = epsilon
        if self.with_g:
            wires["G/z"] = wires["D0/z"]
        return {
            name: wire.draw(generator_for(SEED, index, site, self.device))
            for site, (name, wire) in enumerate(wires.items())
        }


@dataclass(frozen=True)
class SupervisedRow:
    """A step of training on inputs and targets with cross-entropy.

    Attributes:
        network: makes it.
        data: n to (x, y), y whole numbers.
        others: as in `GameRow`.
    """

    name: str
    about: str
    batch: int
    network: Callable[[], nn.Module]
    data: Callable[[int], tuple[Tensor, Tensor]]
    threads: int | None = None
    device: str = "cpu"
    adam: tuple[float, tuple[float, float]] = (1e-3, (0.9, 0.999))

    def build(self) -> nn.Module:
        """A new network in training mode, the same weights each time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return self.network().train().to(self.device)

    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """The batches, the same each time."""
        x, y = (t.to(self.device) for t in _seeded(self.data, BATCHES * self.batch))
        return list(zip(x.split(self.batch), y.split(self.batch), strict=True))


Row = GameRow | SupervisedRow


def trained(row: Row) -> int:
    """How many numbers a step of the row trains."""
    built = row.build()
    networks = list(built) if isinstance(built, tuple) else [built]
    if isinstance(row, GameRow) and not row.with_g:
        networks = networks[1:]
    return sum(p.numel() for network in networks for p in network.parameters())


def _seeded(data: Callable[[int], Any], n: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED + 1)
        return data(n)


def _noise_pictures(size: int, channels: int = 3) -> Callable[[int], Tensor]:
    return lambda n: torch.rand(n, channels, size, size) * 2 - 1


def _emoji(n: int) -> Tensor:
    pictures = backlit.data.emoji(style="3d", size=32)
    return pictures.batch(range(n)).float().div_(127.5).sub_(1.0)


def _ring(n: int) -> Tensor:
    angle = torch.randint(0, 8, (n,)) * (torch.pi / 4)
    return torch.stack([angle.cos(), angle.sin()], 1) * 2 + 0.05 * torch.randn(n, 2)


def _labelled(*shape: int, classes: int = 10) -> Callable[[int], tuple[Tensor, Tensor]]:
    return lambda n: (torch.randn(n, *shape), torch.randint(0, classes, (n,)))


def _dcgan(size: int, norm: str = "batch") -> Callable[[], tuple[nn.Module, nn.Module]]:
    return lambda: (
        nets.network("dcgan_generator", size=size),
        nets.network("dcgan_discriminator", size=size, norm=norm),
    )


def _segmented(n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, 3, 64, 64), torch.randint(0, 2, (n, 64, 64))


_ALL: tuple[Row, ...] = (
    GameRow(
        "dcgan-64",
        "DCGAN at 64 px, whole step: D then G, non-saturating loss, batch norm in both",
        64,
        _dcgan(64),
        _noise_pictures(64),
        128,
    ),
    GameRow(
        "dcgan-32",
        "DCGAN at 32 px on the emoji pack, whole step: D then G, non-saturating loss",
        64,
        _dcgan(32),
        _emoji,
        128,
    ),
    GameRow(
        "wgan-gp",
        "WGAN-GP critic step at 32 px: Wasserstein loss, gradient penalty of weight 10",
        64,
        _dcgan(32, "none"),
        _emoji,
        128,
        "wasserstein",
        "gradient_penalty",
        with_g=False,
    ),
    GameRow(
        "r1",
        "DCGAN at 32 px without norm in D, whole step with R1 on every step",
        64,
        _dcgan(32, "none"),
        _emoji,
        128,
        penalty="r1",
    ),
    GameRow(
        "mlp-gan",
        "MLP GAN on points of the plane, 2-64-64 in both, whole step; one thread for all",
        256,
        lambda: (nets.PointGenerator(), nets.PointDiscriminator()),
        _ring,
        2,
        threads=1,
    ),
    SupervisedRow(
        "mlp",
        "MLP 784-1024-1024-10 with ReLU",
        256,
        lambda: nets.MLP(784, 10, (1024, 1024)),
        _labelled(784),
    ),
    SupervisedRow("lenet", "LeNet-5 at 28 px", 128, nets.LeNet, _labelled(1, 28, 28)),
    SupervisedRow(
        "vgg-11",
        "VGG-11 at 32 px, no dropout",
        64,
        lambda: nets.VGG(11, classes=10, size=32, dropout=0.0),
        _labelled(3, 32, 32),
    ),
    SupervisedRow(
        "alexnet",
        "AlexNet at 224 px, 1000 classes, no dropout",
        16,
        lambda: nets.AlexNet(dropout=0.0),
        _labelled(3, 224, 224, classes=1000),
    ),
    SupervisedRow(
        "lstm",
        "LSTM(128, 256) over 64 steps, an answer at the last",
        64,
        lambda: nets.SequenceClassifier(128, 10, 256),
        _labelled(64, 128),
    ),
    SupervisedRow("u-net", "U-Net at 64 px, two classes a pixel", 16, UNet, _segmented),
)
ROWS: dict[str, Row] = {row.name: row for row in _ALL}


def find_row(name: str, device: str = "cpu") -> Row:
    """A row of the table, or MODULE:OBJECT for one of your own, on that device.

    Raises: RecipeError for a name that is neither.
    """
    return replace(_find(name), device=device)


def _find(name: str) -> Row:
    if name in ROWS:
        return ROWS[name]
    module, colon, attribute = name.partition(":")
    if colon:
        try:
            found = getattr(importlib.import_module(module), attribute, None)
        except ModuleNotFoundError as error:
            raise RecipeError(f"benchmark row '{name}': {error}") from None
        if isinstance(found, GameRow | SupervisedRow):
            return found
    raise RecipeError(
        f"benchmark row: expected one of {', '.join(ROWS)}, or MODULE:OBJECT that is a row, "
        f"got '{name}'"
    )
