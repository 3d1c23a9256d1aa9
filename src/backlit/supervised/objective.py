"""What is minimised, and which class the scores speak for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from backlit.errors import RecipeError
from backlit.losses import BinaryCrossEntropy, BinaryHinge, CrossEntropy, Focal, MulticlassHinge
from backlit.losses import loss as loss_by_name

_CLASSIFIERS = (
    BinaryCrossEntropy,
    BinaryHinge,
    CrossEntropy,
    Focal,
    MulticlassHinge,
    nn.BCEWithLogitsLoss,
    nn.CrossEntropyLoss,
    nn.MultiMarginLoss,
    nn.NLLLoss,
)


class Objective:
    """A loss over a network's scores and the targets, its own tensors in the state by name.

    Args:
        loss: a loss's name, a table {"name", options}, or a module of (scores, targets).
        classifier: whether scores speak for classes, so that there is an accuracy; by default
            read from the loss.
    Raises: RecipeError for something else, or an unknown name or option.
    """

    role = "loss"  # prefix of its names in the state

    def __init__(self, loss: str | Mapping[str, Any] | nn.Module, classifier: bool | None = None):
        if isinstance(loss, str):
            loss = loss_by_name(loss)
        elif isinstance(loss, Mapping):
            options = dict(loss)
            loss = loss_by_name(options.pop("name", ""), **options)
        if not isinstance(loss, nn.Module):
            raise RecipeError(
                f"loss: expected a loss's name or a torch.nn.Module, got {type(loss).__name__}"
            )
        self.module = loss
        has_scores = callable(getattr(loss, "scores", None))
        known = has_scores or isinstance(loss, _CLASSIFIERS)
        self.classifier = known if classifier is None else classifier
        self._scores = _Scores(loss) if has_scores else None

    def tensors(self) -> dict[str, Tensor]:
        """The loss's live parameters and buffers under their names in the state."""
        found = [*self.module.named_parameters(), *self.module.named_buffers()]
        return {f"{self.role}/{name}": tensor for name, tensor in found}

    def __call__(self, tensors: Mapping[str, Tensor], scores: Tensor, targets: Tensor) -> Tensor:
        """The loss with its tensors taken from a state."""
        return functional_call(self.module, self._own(tensors), (scores, targets))

    def predicted(self, tensors: Mapping[str, Tensor], scores: Tensor) -> Tensor:
        """The class each score speaks for: the largest score, or for one score whether it is > 0.

        Args:
            scores: (N, C, ...), or (N, ..., C) where the loss says ``class_dim=-1``; for yes or
                no (N, 1) or (N,).
        Returns: integers without the classes' dimension.
        """
        if self._scores is not None:
            own = {f"loss.{name}": t for name, t in self._own(tensors).items()}
            scores = functional_call(self._scores, own, (scores,))
        dim = getattr(self.module, "class_dim", 1)
        if scores.dim() == 1 or isinstance(self.module, BinaryHinge | nn.BCEWithLogitsLoss):
            return (scores > 0).long()
        if isinstance(self.module, BinaryCrossEntropy) or scores.shape[dim] == 1:
            yes = (scores > 0).long()
            return yes.squeeze(-1) if yes.shape[-1] == 1 else yes
        return scores.argmax(dim)

    def counted(self, targets: Tensor) -> Tensor:
        """Which targets count: those the loss does not ignore."""
        ignore = getattr(self.module, "ignore", getattr(self.module, "ignore_index", -100))
        return targets != ignore

    def accuracy(self, tensors: Mapping[str, Tensor], scores: Tensor, targets: Tensor) -> Tensor:
        """The share of counted targets that were predicted, 0-d float64."""
        predicted = self.predicted(tensors, scores)
        counted = self.counted(targets).reshape(predicted.shape)
        right = (predicted == targets.reshape(predicted.shape)) & counted
        return right.sum().double() / counted.sum().clamp(min=1)

    @staticmethod
    def _own(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        prefix = f"{Objective.role}/"
        return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


class _Scores(nn.Module):
    """A margin loss's scores without the margin."""

    def __init__(self, loss: nn.Module):
        super().__init__()
        self.loss = loss

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.loss.scores(features)  # type: ignore[operator]
        return scores


def penalty(weights: list[Tensor], l1: float, l2: float) -> Tensor:
    """l1 Σ|w| + l2 Σw², 0-d: the regularisation loss beside the data loss."""
    total = torch.zeros((), dtype=weights[0].dtype, device=weights[0].device)
    for w in weights:
        if l1:
            total = total + l1 * w.abs().sum()
        if l2:
            total = total + l2 * w.square().sum()
    return total
