"""One step as tensor code: forward, loss, backpropagation, update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from backlit.graph import Noise, Point, stamp
from backlit.graph.function import Function
from backlit.graph.noise import generator_for
from backlit.step import Optimiser, clip_by_norm
from backlit.supervised.augment import Augment, Augmentation
from backlit.supervised.captured import CARRY, ROLE, Captured, Tensors
from backlit.supervised.objective import Objective, penalty

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
        trainable: names of the state's tensors that are updated.
    """

    def __init__(
        self,
        rules: Rules,
        module: nn.Module,
        batch: Tensors,
        state: Tensors,
        trainable: list[str],
    ):
        self.rules, self.trainable = rules, trainable
        like = next((t for t in module.parameters() if t.is_floating_point()), None)
        self.dtype = batch["x"].dtype if like is None else like.dtype
        batch = self._scaled(batch)
        carry = {n: t for n, t in state.items() if n.startswith(f"{CARRY}/")}
        self.network = Captured(
            module, {n: t for n, t in batch.items() if n not in ("y", RESTART)} | carry
        )
        self.augment = Augment(rules.augment, batch["x"])
        self.noise: dict[str, Noise] = self.augment.noise | self.network.noise
        device = str(batch["x"].device)
        drawn = {n: noise.draw(generator_for(0, 0, 0, device)) for n, noise in self.noise.items()}
        self._mine = [n for n in state if not n.startswith(("optimiser/", "mask/"))]
        examples = {n: state[n] for n in self._mine} | batch | drawn
        self.loss = Function(self._loss, examples)

    def _scaled(self, batch: Tensors) -> Tensors:
        """Bytes as the pictures they are, in [-1, 1]."""
        x = batch["x"]
        if x.dtype.is_floating_point or x.element_size() > 1:
            return batch
        return {**batch, "x": x.to(self.dtype) / 127.5 - 1}

    def _loss(self, t: Tensors) -> dict[str, Any]:
        rules = self.rules
        with stamp(phase="forward"):
            scores, new = self.network.run({**t, **self._carried(t)})
        with stamp(phase="loss"):
            loss = rules.objective(t, scores, t["y"])
            if self.augment.mixes:
                share, partner = self.augment.mixing(t)
                other = rules.objective(t, scores, t["y"][partner])
                loss = share * loss + (1 - share) * other
            metrics: Tensors = {"loss": loss}
            if rules.l1 or rules.l2:
                weights = [t[name] for name in self.trainable if t[name].dim() > 1]
                metrics["data_loss"] = loss
                metrics["loss"] = loss = loss + penalty(weights, rules.l1, rules.l2)
            if rules.objective.classifier:
                metrics["accuracy"] = rules.objective.accuracy(t, scores.detach(), t["y"])
        return {"loss": loss, "metrics": metrics, "state": new}

    def _carried(self, t: Tensors) -> Tensors:
        """What is carried into this step, zero in the lanes that begin anew."""
        carry = {name: t[name] for name in self.network.carry}
        return {
            name: torch.where(t[RESTART].view(1, -1, *[1] * (old.dim() - 2)), 0.0, old)
            for name, old in carry.items()
        }

    def __call__(
        self, state: Tensors, batch: Tensors, noise: Tensors, rates: Tensors
    ) -> tuple[Tensors, Tensors]:
        """The step: new state (what changed) and metrics."""
        now = dict(state)
        with stamp(phase="data", role="forward"):
            batch = self._scaled(batch)
        if self.augment.chain:
            with stamp(phase="augment", role="forward"):
                batch = {**batch, "x": self.augment(batch["x"], noise)}
        result, grads = self.loss.value_and_grad({**state, **batch, **noise}, self.trainable)
        now.update(result["state"])
        metrics = dict(result["metrics"])
        with stamp(phase="update", role="update"):
            self._update(now, grads, rates["lr"], metrics)
        return {name: t for name, t in now.items() if t is not state[name]}, metrics

    def _update(self, now: Tensors, grads: Mapping[str, Tensor], lr: Tensor, seen: Tensors) -> None:
        rules = self.rules
        names, steepest = list(grads), list(grads.values())
        if rules.clip_norm is not None:
            steepest, seen["grad_norm"] = clip_by_norm(steepest, rules.clip_norm)
        states = [
            {slot: now[f"optimiser/{name}/{slot}"] for slot in rules.optimiser.slots}
            for name in names
        ]
        new, slots = rules.optimiser.update([now[name] for name in names], steepest, states, lr)
        for name, tensor, own in zip(names, new, slots, strict=True):
            mask = now.get(f"mask/{name}")
            now[name] = tensor if mask is None else tensor * mask
            now.update({f"optimiser/{name}/{slot}": t for slot, t in own.items()})

    def point(self, state: Tensors, batch: Tensors, noise: Tensors) -> Point:
        """The loss as it stands, before any update, for the check."""
        batch = self._scaled(batch)
        tensors = {**state, **batch, "x": self.augment(batch["x"], noise), **noise}
        wanted = [name for name in self.trainable if name.startswith(f"{ROLE}/")]
        return self.loss.point("loss", tensors, wanted)
