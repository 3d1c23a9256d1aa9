"""One step as tensor code: forward, loss, backpropagation, update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from backlit.graph import Noise, Point, stamp
from backlit.graph.function import Function
from backlit.graph.noise import generator_for
from backlit.step import HANDED_ON, Captured, Optimiser, Trained, clip_by_norm
from backlit.supervised.augment import Augment, Augmentation
from backlit.supervised.objective import Objective, penalty

Tensors = dict[str, Tensor]
ROLE = "network"
CARRY = "carry"
RESTART = "restart"


@dataclass(frozen=True)
class Rules:
    """How a network is trained: loss, regularisation, update."""

    objective: Objective
    optimiser: Optimiser
    l1: float
    l2: float
    clip_norm: float | None
    augment: tuple[Augmentation, ...] = ()


class Update:
    """The step for fixed shapes.

    Args:
        rules: how it is trained.
        module: the network.
        batch: example tensors: the inputs, then the targets "y".
        state: the live tensors.
        trained: what is updated, in its vectors.
    """

    def __init__(
        self,
        rules: Rules,
        module: nn.Module,
        batch: Tensors,
        state: Tensors,
        trained: Sequence[Trained],
    ):
        self.rules, self.trained = rules, trained
        self.trainable = [name for group in trained for name in group.names]
        like = next((t for t in module.parameters() if t.is_floating_point()), None)
        self.dtype = batch["x"].dtype if like is None else like.dtype
        batch = self._scaled(batch)
        self.carry = [name for name in state if name.startswith(f"{CARRY}/")]
        self.inputs = [name for name in batch if name not in ("y", RESTART)]
        examples = {name: batch[name] for name in self.inputs}
        examples |= {name.removeprefix(f"{CARRY}/"): state[name] for name in self.carry}
        self.network = Captured(ROLE, module, examples, others=len(self.carry))
        self.augment = Augment(rules.augment, batch["x"])
        self.noise: dict[str, Noise] = self.augment.noise | self.network.noise("forward")
        device = str(batch["x"].device)
        drawn = {n: noise.draw(generator_for(0, 0, 0, device)) for n, noise in self.noise.items()}
        mine = {n: t for n, t in state.items() if not n.startswith(("optimiser/", "mask/"))}
        self.loss = Function(self._loss, mine | batch | drawn)

    def _scaled(self, batch: Tensors) -> Tensors:
        """Bytes as the pictures they are, in [-1, 1]."""
        x = batch["x"]
        if x.dtype.is_floating_point or x.element_size() > 1:
            return batch
        return {**batch, "x": x.to(self.dtype) / 127.5 - 1}

    def _loss(self, t: Tensors) -> dict[str, Any]:
        rules = self.rules
        with stamp(phase="forward"):
            inputs = [t[name] for name in self.inputs]
            made = self.network.run(t, [*inputs, *self._carried(t)], t, "forward")
        with stamp(phase="loss"):
            loss = rules.objective(t, made.output, t["y"])
            if self.augment.mixes:
                share, partner = self.augment.mixing(t)
                other = rules.objective(t, made.output, t["y"][partner])
                loss = share * loss + (1 - share) * other
            metrics: Tensors = {"loss": loss}
            if rules.l1 or rules.l2:
                weights = [t[name] for name in self.trainable if t[name].dim() > 1]
                metrics["data_loss"] = loss
                metrics["loss"] = loss = loss + penalty(weights, rules.l1, rules.l2)
            if rules.objective.classifier:
                metrics["accuracy"] = rules.objective.accuracy(t, made.output.detach(), t["y"])
        carry = dict(zip(self.carry, made.others, strict=True))
        return {"loss": loss, "metrics": metrics, "state": made.buffers | carry}

    def _carried(self, t: Tensors) -> list[Tensor]:
        """What is carried into this step, zero in the lanes that begin anew."""
        olds = [t[name] for name in self.carry]
        return [
            torch.where(t[RESTART].view(1, -1, *[1] * (old.dim() - 2)), 0.0, old) for old in olds
        ]

    def __call__(
        self, state: Tensors, batch: Tensors, noise: Tensors, rates: Tensors
    ) -> tuple[Tensors, Tensors]:
        """The step: new state (what changed) and metrics."""
        now = dict(state)
        with stamp(phase=HANDED_ON):
            for group in self.trained:
                now |= group.views(now)
        with stamp(phase="data", role="forward"):
            batch = self._scaled(batch)
        if self.augment.chain:
            with stamp(phase="augment", role="forward"):
                batch = {**batch, "x": self.augment(batch["x"], noise)}
        result, grads = self.loss.value_and_grad({**now, **batch, **noise}, self.trainable)
        now.update(result["state"])
        metrics = dict(result["metrics"])
        with stamp(phase="update", role="update"):
            self._update(now, grads, rates["lr"], metrics)
        return {name: now[name] for name, t in state.items() if now[name] is not t}, metrics

    def _update(self, now: Tensors, grads: Tensors, lr: Tensor, seen: Tensors) -> None:
        if self.rules.clip_norm is not None:
            scaled, seen["grad_norm"] = clip_by_norm(list(grads.values()), self.rules.clip_norm)
            grads = dict(zip(grads, scaled, strict=True))
        for group in self.trained:
            now.update(group.update(now, grads, lr))

    def point(self, state: Tensors, batch: Tensors, noise: Tensors) -> Point:
        """The loss as it stands, before any update, for the check."""
        batch = self._scaled(batch)
        tensors = {**state, **batch, "x": self.augment(batch["x"], noise), **noise}
        wanted = [name for name in self.trainable if name.startswith(f"{ROLE}/")]
        return self.loss.point("loss", tensors, wanted)
