"""Learning-rate schedules: the factor on every rate, a pure function of step and validation.

So nothing about a schedule needs saving: a run that goes on computes the same rates again.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from backlit.registry import Count, build


class Schedule(ABC):
    """A factor on the learning rates."""

    @abstractmethod
    def factor(self, step: int, steps: int, seen: Sequence[float] = ()) -> float:
        """The factor of step `step`.

        Args:
            step: 0-based.
            steps: steps in all.
            seen: validation losses so far, first to last; only `Plateau` looks at them.
        """


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """The rate stays: factor 1."""

    def factor(self, step: int, steps: int, seen: Sequence[float] = ()) -> float:
        return 1.0


@final
@dataclass(frozen=True)
class StepDecay(Schedule):
    """gamma^floor(step / every), as `torch.optim.lr_scheduler.StepLR`.

    Args:
        every: steps between drops.
        gamma: factor of a drop, default 0.1.
    """

    every: Count
    gamma: float = 0.1

    def factor(self, step: int, steps: int, seen: Sequence[float] = ()) -> float:
        return self.gamma ** (step // self.every)


@final
@dataclass(frozen=True)
class Exponential(Schedule):
    """gamma^step, as `ExponentialLR` called every step.

    Args:
        gamma: factor of one step, such as 0.999.
    """

    gamma: float

    def factor(self, step: int, steps: int, seen: Sequence[float] = ()) -> float:
        return self.gamma**step


@final
@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 down to `floor` on half a cosine: floor + (1 - floor) (1 + cos(π t / T)) / 2.

    Args:
        floor: factor at the end, default 0.
        warmup: first steps, in which the factor rises linearly: (step + 1) / (warmup + 1);
            default 0.

    Source: Loshchilov & Hutter 2017, "SGDR", equation 5; warm-up: Goyal et al. 2017, section 2.2.
    """

    floor: float = 0.0
    warmup: int = 0

    def factor(self, step: int, steps: int, seen: Sequence[float] = ()) -> float:
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        t = min((step - self.warmup) / max(steps - self.warmup, 1), 1.0)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * t)) / 2


@final
@dataclass(frozen=True)
class WarmUp(Schedule):
    """Linear from 1 / (warmup + 1) up to 1, then constant.

    Args:
        warmup: steps of the rise.

    Source: Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 2.2.
    """

    warmup: Count

    def factor(self, step: int, steps: int, seen: Sequence[float] = ()) -> float:
        return min((step + 1) / (self.warmup + 1), 1.0)


@final
@dataclass(frozen=True)
class Plateau(Schedule):
    """Drops by `gamma` when validation has not fallen, as `ReduceLROnPlateau`.

    Args:
        gamma: factor of a drop, default 0.1.
        patience: validations without a gain that are borne before a drop, default 10.
        threshold: a gain is a loss below best · (1 - threshold), default 1e-4.
    """

    gamma: float = 0.1
    patience: int = 10
    threshold: float = 1e-4

    def factor(self, step: int, steps: int, seen: Sequence[float] = ()) -> float:
        best, waited, drops = math.inf, 0, 0
        for loss in seen:
            if loss < best * (1 - self.threshold):
                best, waited = loss, 0
            else:
                waited += 1
            if waited > self.patience:
                drops, waited = drops + 1, 0
        return self.gamma**drops


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": Constant,
    "cosine": Cosine,
    "exponential": Exponential,
    "plateau": Plateau,
    "step": StepDecay,
    "warmup": WarmUp,
}


def schedule(given: str | Mapping[str, Any] | Schedule) -> Schedule:
    """A schedule from its name, a table {"name", options}, or itself.

    Raises: RecipeError for an unknown name or option.
    """
    if isinstance(given, Schedule):
        return given
    options = {"name": given} if isinstance(given, str) else dict(given)
    return build("schedule", SCHEDULES, options.pop("name", ""), options)
