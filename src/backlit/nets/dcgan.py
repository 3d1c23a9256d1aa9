"""DCGAN: the convolutional generator and discriminator, from 16 to 128 pixels.

Shapes: N batch, C channels, S picture side in pixels.
"""

import math
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from backlit.errors import RecipeError
from backlit.registry import Count

Upsampling = Literal["transposed", "nearest"]
Norm = Literal["batch", "none", "spectral"]
SIZES = (16, 32, 64, 128)


class DCGANGenerator(nn.Module):
    """Noise (N, latent) to pictures (N, channels, size, size) in [-1, 1].

    A linear map to 4x4, then one doubling of the side a stage: 4x4 transposed convolution of
    stride 2, batch normalisation, ReLU; the last stage ends in tanh. Channels go from
    width * size / 8 down to width.

    Args:
        latent: length of the noise vector, default 128.
        channels: channels of the picture, default 3.
        size: side of the picture in pixels, one of 16, 32, 64, 128; default 32.
        width: channels before the last stage, default 64 (the paper's is 128).
        up: "transposed" as in the paper (default), or "nearest": nearest-neighbour upsampling
            and a 3x3 convolution, which leaves no checkerboard.

    Raises:
        RecipeError: a size or an option that is not allowed.

    Source: Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional
    Generative Adversarial Networks", figure 1 and section 4 (weights from N(0, 0.02));
    "nearest": Odena et al. 2016, "Deconvolution and Checkerboard Artifacts".
    """

    def __init__(
        self,
        latent: Count = 128,
        channels: Count = 3,
        size: Count = 32,
        width: Count = 64,
        up: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        stages = _stages("generator", size)
        if up not in get_args(Upsampling):
            raise RecipeError(f"DCGAN generator: up must be transposed or nearest, got {up!r}")
        self.latent = latent
        top = width * 2 ** (stages - 1)
        self.project = nn.Sequential(
            nn.Linear(latent, top * 16, bias=False),
            nn.Unflatten(1, (top, 4, 4)),
            nn.BatchNorm2d(top),
            nn.ReLU(),
        )
        layers: list[nn.Module] = []
        wide = top
        for _ in range(stages - 1):
            layers += [*_up(up, wide, wide // 2, bias=False), nn.BatchNorm2d(wide // 2), nn.ReLU()]
            wide //= 2
        self.stages = nn.Sequential(*layers, *_up(up, wide, channels, bias=True), nn.Tanh())
        _initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.stages(self.project(z))  # (N, C, S, S)


class DCGANDiscriminator(nn.Module):
    """Pictures (N, channels, size, size) to raw scores (N, 1); D(x) = sigmoid(score).

    4x4 convolutions of stride 2 halve the side down to 4x4, each followed by a normalisation
    (not the first) and a leaky ReLU of slope 0.2; a last 4x4 convolution gives the score.

    Args:
        channels: channels of the picture, default 3.
        size: side of the picture in pixels, one of 16, 32, 64, 128; default 32.
        width: channels after the first stage, doubled each stage, default 64.
        norm: "batch" as in the paper (default), "spectral" on every convolution, or "none".
            Without a norm to rescale them N(0, 0.02) weights make the score vanish, so
            "none" starts from He's N(0, 2 / ((1 + 0.2^2) fan_in)).

    Raises:
        RecipeError: a size or an option that is not allowed.

    Source: Radford et al. 2016, section 3; "spectral": Miyato et al. 2018, "Spectral
    Normalization for Generative Adversarial Networks"; "none": He et al. 2015, "Delving Deep
    into Rectifiers", equation 15.
    """

    def __init__(
        self, channels: Count = 3, size: Count = 32, width: Count = 64, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        stages = _stages("discriminator", size)
        if norm not in get_args(Norm):
            raise RecipeError(
                f"DCGAN discriminator: norm must be batch, none or spectral, got {norm!r}"
            )
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        wide = width
        for _ in range(stages - 1):
            layers.append(nn.Conv2d(wide, wide * 2, 4, 2, 1, bias=norm != "batch"))
            wide *= 2
            if norm == "batch":
                layers.append(nn.BatchNorm2d(wide))
            layers.append(nn.LeakyReLU(0.2))
        self.stages = nn.Sequential(*layers)
        self.score = nn.Conv2d(wide, 1, 4)
        _initialise(self, he=norm == "none")
        if norm == "spectral":
            for module in [*self.stages, self.score]:
                if isinstance(module, nn.Conv2d):
                    spectral_norm(module)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.stages(x)).flatten(1)  # (N, 1)


def _stages(what: str, size: int) -> int:
    if size not in SIZES:
        raise RecipeError(
            f"DCGAN {what}: size must be one of 16, 32, 64, 128 pixels, got {size!r}; "
            "scale the pictures to one of them"
        )
    return int(math.log2(size)) - 2


def _up(up: Upsampling, inputs: int, outputs: int, bias: bool) -> list[nn.Module]:
    if up == "transposed":
        return [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)]
    return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, 1, 1, bias=bias)]


def _initialise(network: nn.Module, he: bool = False) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if he:
                nn.init.kaiming_normal_(module.weight, a=0.2)
            else:
                nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
