"""What a course of training has beside its steps: rates, validation, early stopping, pruning.

All of it is a function of the step and of the validations so far, which stand in run.db. So a
run that goes on after a kill decides as one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from backlit.errors import RecipeError
from backlit.step import Constant, Schedule
from backlit.supervised import Samples
from backlit.train.log import RunLog
from backlit.train.sections import Fit
from backlit.train.trainable import Evaluates, Trainable


class Course:
    """The course of one run.

    Args:
        trained: what is trained.
        fit: the settings.
        plan: the learning-rate schedule.
        steps: steps in all.
        validation: what is validated on; None for no validation.
    Raises: RecipeError for a setting that `trained` has no use for.

    Attributes:
        best_step: the step whose validation was the best, None before the first.
    """

    def __init__(
        self,
        trained: Trainable,
        fit: Fit,
        plan: Schedule,
        steps: int,
        validation: Samples | None = None,
    ) -> None:
        self.validation = validation
        self.fit = fit
        self.best_step: int | None = None
        self._best = math.inf
        self._seen: list[tuple[int, float]] = []
        self._trained, self._plan, self._steps = trained, plan, steps
        if (validation is not None or fit.prune) and not isinstance(trained, Evaluates):
            raise RecipeError(
                f"train: expected a Supervised for validation and pruning, got "
                f"{type(trained).__name__}"
            )
        if fit.patience and validation is None:
            raise RecipeError("train: patience needs validation samples, got none")
        if validation is not None and fit.validate_every > steps:
            raise RecipeError(
                f"train: expected validate_every of at most {steps} steps, got {fit.validate_every}"
            )
        rates = {} if isinstance(plan, Constant) else getattr(trained, "rates", {})
        self._rates = {name: (rate, float(rate)) for name, rate in rates.items()}

    def resume(self, log: RunLog) -> None:
        """Take up the validations that stand in the log."""
        name = self.fit.monitor
        self._seen, self.best_step, self._best = [], None, math.inf
        if self.validation is not None:
            for step, value in log.history(name):
                self._note(step, value)

    def before(self, index: int) -> None:
        """Set rates and masks for iteration `index`."""
        losses = [loss for _, loss in self._seen]
        for rate, base in self._rates.values():
            rate.fill_(base * self._plan.factor(index, self._steps, losses))
        share = self._pruned_at(index)
        if share and isinstance(self._trained, Evaluates):
            self._trained.prune(share)

    def steady(self, index: int, k: int) -> bool:
        """Whether iterations index to index + k - 1 run with the same rates and masks.

        And none but the last is followed by a validation: nothing is decided between them.
        """
        losses = [loss for _, loss in self._seen]
        inner = range(index + 1, index + k)
        first = self._plan.factor(index, self._steps, losses)
        same = all(self._plan.factor(i, self._steps, losses) == first for i in inner)
        every = self.fit.validate_every
        seen = self.validation is not None and any(i % every == 0 for i in inner)
        return same and not seen and not any(self._pruned_at(i) for i in inner)

    def validate(self, step: int) -> dict[str, float]:
        """The validation's metrics where one is due after `step` steps, else nothing."""
        due = step % self.fit.validate_every == 0
        if self.validation is None or not due or not isinstance(self._trained, Evaluates):
            return {}
        v = self.validation
        inputs: dict[str, Any] = dict(v.inputs)
        found = {f"val_{n}": x for n, x in self._trained.evaluate(v.x, v.y, **inputs).items()}
        if self.fit.monitor not in found:
            raise RecipeError(
                f"monitor: expected one of {', '.join(found)}, got {self.fit.monitor!r}"
            )
        self._note(step, found[self.fit.monitor])
        return found

    def score(self, step: int) -> Mapping[str, object] | None:
        """What a checkpoint of this step is judged by: set where it is the best so far."""
        if step != self.best_step:
            return None
        return {"name": self.fit.monitor, "value": self._best}

    @property
    def stopped(self) -> bool:
        """Whether `patience` validations in a row brought nothing better (early stopping)."""
        after = [step for step, _ in self._seen if step > (self.best_step or 0)]
        return 0 < self.fit.patience <= len(after) and self.best_step is not None

    def restore_rates(self) -> None:
        """Put the rates back as they were before training."""
        for rate, base in self._rates.values():
            rate.fill_(base)

    def _note(self, step: int, value: float) -> None:
        # Accuracy counts as a loss: its distance from 1.
        loss = 1 - value if self.fit.monitor == "val_accuracy" else value
        self._seen.append((step, loss))
        # Before pruning has ended, a better score is another network's.
        if loss < self._best and (not self.fit.prune or step > self._prune_end):
            self.best_step, self._best = step, loss

    @property
    def _prune_end(self) -> int:
        return max(self.fit.prune_from, self.fit.prune_to)

    def _pruned_at(self, index: int) -> float:
        """The share pruned before iteration `index`, 0 where nothing changes then.

        s_t = s (1 - (1 - (t - t_0) / (t_1 - t_0))^3)

        Source: Zhu & Gupta 2017, "To prune, or not to prune", equation 1.
        """
        first, last = self.fit.prune_from, self._prune_end
        if not self.fit.prune or not first <= index <= last:
            return 0.0
        if index == last:
            return self.fit.prune
        if (index - first) % self.fit.validate_every:
            return 0.0
        return self.fit.prune * (1 - (1 - (index - first) / (last - first)) ** 3)
