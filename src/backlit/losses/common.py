"""What the losses share: the ways to reduce, and a guard against shapes that broadcast."""

from torch import Tensor

from backlit.errors import DataError, RecipeError

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(loss: str, reduction: str, allowed: tuple[str, ...] = REDUCTIONS) -> str:
    """Return the reduction's name, or raise RecipeError where it is not one of those allowed."""
    if reduction not in allowed:
        raise RecipeError(f"{loss}: reduction must be {' or '.join(allowed)}, got {reduction!r}")
    return reduction


def reduce(values: Tensor, reduction: str) -> Tensor:
    """Return the mean or the sum of all values (0-d), or with "none" the values themselves."""
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def same_shape(loss: str, outputs: Tensor, targets: Tensor) -> None:
    """Raise DataError where outputs and targets differ in shape.

    (N, 1) against (N,) would broadcast to (N, N) and train on nonsense without a word.
    """
    if outputs.shape != targets.shape:
        raise DataError(
            f"{loss}: outputs of shape {tuple(outputs.shape)} need targets of the same shape, "
            f"got {tuple(targets.shape)}; reshape the targets"
        )
