"""Overfitting, said in words: training loss falls while validation loss rises."""

from collections.abc import Sequence
from dataclasses import dataclass

_RISE = 0.05  # a validation loss this share above its best has risen
_GAP = 0.5  # a validation loss this share above the training loss leaves a gap

Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Overfitting:
    """What two curves show.

    Attributes:
        verdict: "overfits", "gap", "none" or "unknown" (too few validations).
        best_step: step of the lowest validation loss.
        gap: validation loss less training loss at the end.
        text: the verdict in words, with the numbers.
    """

    verdict: str
    best_step: int
    gap: float
    text: str


def overfitting(training: Curve, validation: Curve) -> Overfitting:
    """Judge a run's curves.

    Args:
        training: (step, loss) of every step; averaged between validations.
        validation: (step, loss) of every validation.
    """
    if len(validation) < 3 or not training:
        text = f"too few validations to tell overfitting: {len(validation)}, expected at least 3"
        return Overfitting("unknown", 0, 0.0, text)
    train = averaged(training, [step for step, _ in validation])
    losses = [loss for _, loss in validation]
    at = losses.index(min(losses))
    best_step, best, last = validation[at][0], losses[at], losses[-1]
    gap = last - train[-1]
    if last > best * (1 + _RISE) and train[-1] < train[at]:
        text = (
            f"overfits from step {best_step:,} on: validation loss rose from {best:.4g} to "
            f"{last:.4g} (+{last / best - 1:.0%}) while training loss fell from {train[at]:.4g} "
            f"to {train[-1]:.4g}; gap {gap:.4g}. Keep the parameters of step {best_step:,}, or "
            "try more data, augmentation, dropout or weight decay"
        )
        return Overfitting("overfits", best_step, gap, text)
    numbers = f"training loss {train[-1]:.4g}, validation loss {last:.4g}, gap {gap:.4g}"
    if last > train[-1] * (1 + _GAP):
        text = f"a gap, but validation loss has not risen: {numbers}; more training may overfit"
        return Overfitting("gap", best_step, gap, text)
    return Overfitting("none", best_step, gap, f"no overfitting seen: {numbers}")


def averaged(training: Curve, steps: Sequence[int]) -> list[float]:
    """The training loss between each validation and the one before it."""
    means, i = list[float](), 0
    for step in steps:
        found = []
        while i < len(training) and training[i][0] <= step:
            found.append(training[i][1])
            i += 1
        means.append(sum(found) / len(found) if found else means[-1] if means else float("nan"))
    return means
