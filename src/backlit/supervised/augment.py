"""Augmentation as gates of the step: its noise comes in on wires, a function of (seed, step).

So it runs on the device, is replayed exactly and is seen in the graph. Every random number is
one for a sample, or one for the batch where that is said. Shapes: x (N, C, H, W) pictures as the
network takes them; `Mixup` takes any x. In evaluation nothing is augmented.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import pad

from backlit.errors import BacklitError, RecipeError
from backlit.graph import Noise
from backlit.registry import Count, build

Tensors = dict[str, Tensor]


class Augmentation(ABC):
    """One random change of a batch."""

    @abstractmethod
    def noise(self, x: Tensor) -> dict[str, Noise]:
        """What it draws for a batch of this shape."""

    @abstractmethod
    def __call__(self, x: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        """The changed batch: pure tensor code, meant to be traced.

        Args:
            drawn: what `noise` names.
        """


@final
@dataclass(frozen=True)
class Flip(Augmentation):
    """Each picture mirrored left to right with probability p.

    Args:
        p: default 0.5.

    Source: Krizhevsky et al. 2012, section 4.1.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        _check("flip", "p", self.p, 0, 1)

    def noise(self, x: Tensor) -> dict[str, Noise]:
        return {"flip": _uniform(x, (len(x), 1, 1, 1))}

    def __call__(self, x: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        return torch.where(drawn["flip"] < self.p, x.flip(3), x)


@final
@dataclass(frozen=True)
class ShiftedCrop(Augmentation):
    """Each picture padded all around, then cut to its size at a random place.

    Args:
        padding: pixels, default 4; what is shifted in has the value `fill`.
        fill: default -1, black for pictures in [-1, 1].

    Source: He et al. 2016, "Deep Residual Learning", section 4.2.
    """

    padding: Count = 4
    fill: float = -1.0

    def __post_init__(self) -> None:
        _check("shifted_crop", "padding", self.padding, 1, 10_000)

    def noise(self, x: Tensor) -> dict[str, Noise]:
        last = 2 * self.padding + 1
        return {
            name: Noise("integer", (len(x),), torch.int64, str(x.device), 0, last)
            for name in ("down", "right")
        }

    def __call__(self, x: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        n, _, height, width = x.shape
        wide = pad(x, (self.padding,) * 4, value=self.fill)  # (N, C, H + 2p, W + 2p)
        rows = drawn["down"][:, None] + torch.arange(height, device=x.device)  # (N, H)
        columns = drawn["right"][:, None] + torch.arange(width, device=x.device)  # (N, W)
        rows = rows[:, None, :, None].expand(n, x.shape[1], height, wide.shape[3])
        columns = columns[:, None, None, :].expand(n, x.shape[1], height, width)
        return wide.gather(2, rows).gather(3, columns)


@final
@dataclass(frozen=True)
class Colour(Augmentation):
    """Brightness and contrast: (x - m) c + m + b, m the picture's mean.

    Args:
        brightness: b is uniform in ± this, default 0.2 (of a range of 2).
        contrast: c is uniform in 1 ± this, default 0.2.

    Source: Howard 2013, "Some Improvements on Deep Convolutional Neural Network Based Image
    Classification", section 2.
    """

    brightness: float = 0.2
    contrast: float = 0.2

    def __post_init__(self) -> None:
        _check("colour", "brightness", self.brightness, 0, 2)
        _check("colour", "contrast", self.contrast, 0, 1)

    def noise(self, x: Tensor) -> dict[str, Noise]:
        each = (len(x), 1, 1, 1)
        return {"brightness": _uniform(x, each), "contrast": _uniform(x, each)}

    def __call__(self, x: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        mean = x.mean((1, 2, 3), keepdim=True)
        contrast = 1 + self.contrast * (2 * drawn["contrast"] - 1)
        return (x - mean) * contrast + mean + self.brightness * (2 * drawn["brightness"] - 1)


@final
@dataclass(frozen=True)
class Cutout(Augmentation):
    """A square of each picture set to `fill`; its middle is anywhere, so it may be cut off.

    Args:
        size: edge in pixels, default 8.
        fill: default 0.

    Source: DeVries & Taylor 2017, "Improved Regularization of Convolutional Neural Networks
    with Cutout".
    """

    size: Count = 8
    fill: float = 0.0

    def __post_init__(self) -> None:
        _check("cutout", "size", self.size, 1, 10_000)

    def noise(self, x: Tensor) -> dict[str, Noise]:
        return {
            name: Noise("integer", (len(x),), torch.int64, str(x.device), 0, edge)
            for name, edge in (("row", x.shape[2]), ("column", x.shape[3]))
        }

    def __call__(self, x: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        def inside(middle: Tensor, edge: int) -> Tensor:
            place = torch.arange(edge, device=x.device) - middle[:, None] + self.size // 2
            return (place >= 0) & (place < self.size)  # (N, edge)

        rows = inside(drawn["row"], x.shape[2])[:, None, :, None]
        columns = inside(drawn["column"], x.shape[3])[:, None, None, :]
        return torch.where(rows & columns, torch.full_like(x, self.fill), x)


@final
@dataclass(frozen=True)
class Mixup(Augmentation):
    """Samples mixed in pairs: x = λ x_i + (1 - λ) x_j, and so the loss, λ L(y_i) + (1 - λ) L(y_j).

    One λ a batch, from Beta(alpha, alpha). For cross-entropy the mixed loss is that of the mixed
    one-hot targets. It comes last, since only it needs the targets.

    Args:
        alpha: default 0.2.

    Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization", equation 1.
    """

    alpha: float = 0.2

    def __post_init__(self) -> None:
        _check("mixup", "alpha", self.alpha, 1e-3, 1e3)

    def noise(self, x: Tensor) -> dict[str, Noise]:
        device = str(x.device)
        return {
            "lambda": Noise("beta", (), x.dtype, device, alpha=self.alpha),
            "partner": Noise("permutation", (len(x),), torch.int64, device, high=len(x)),
        }

    def __call__(self, x: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        return drawn["lambda"] * x + (1 - drawn["lambda"]) * x[drawn["partner"]]


AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {
    "colour": Colour,
    "cutout": Cutout,
    "flip": Flip,
    "mixup": Mixup,
    "shifted_crop": ShiftedCrop,
}


def augmentations(
    given: Sequence[str | Mapping[str, Any] | Augmentation],
) -> tuple[Augmentation, ...]:
    """Augmentations from names, tables {"name", options} or themselves, in their order.

    Raises: RecipeError for an unknown name or option, or a mixup that is not the last.
    """
    found = []
    for one in [given] if isinstance(given, str | Mapping | Augmentation) else given:
        if not isinstance(one, Augmentation):
            options = {"name": one} if isinstance(one, str) else dict(one)
            one = build("augmentation", AUGMENTATIONS, options.pop("name", ""), options)
        found.append(one)
    if any(isinstance(one, Mixup) for one in found[:-1]):
        raise RecipeError(f"augment: expected mixup last, since it mixes targets too, got {found}")
    return tuple(found)


class Augment:
    """Augmentations one after the other, for a batch of one shape.

    Args:
        chain: the augmentations.
        x: example of the network's input, as it takes it (floating point).
    Raises: BacklitError where x is no batch of pictures.
    """

    def __init__(self, chain: Sequence[Augmentation], x: Tensor):
        for one in chain:
            if not x.is_floating_point() or (x.dim() != 4 and not isinstance(one, Mixup)):
                raise BacklitError(
                    f"augment {one}: expected pictures (N, C, H, W) in floating point, got "
                    f"{tuple(x.shape)} {x.dtype}"
                )
        self.chain = chain
        self._noise = [one.noise(x) for one in chain]
        self.noise: dict[str, Noise] = {
            f"augment{i}/{name}": n for i, own in enumerate(self._noise) for name, n in own.items()
        }
        self.mixes = bool(chain) and isinstance(chain[-1], Mixup)

    def __call__(self, x: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        for i, (one, own) in enumerate(zip(self.chain, self._noise, strict=True)):
            x = one(x, {name: noise[f"augment{i}/{name}"] for name in own})
        return x

    def mixing(self, noise: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The λ and the partners of a chain that mixes."""
        last = f"augment{len(self.chain) - 1}"
        return noise[f"{last}/lambda"], noise[f"{last}/partner"]


def _uniform(x: Tensor, shape: tuple[int, ...]) -> Noise:
    return Noise("uniform", shape, x.dtype, str(x.device))


def _check(name: str, option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RecipeError(f"{name}: expected {option} of {low:g} to {high:g}, got {value}")
