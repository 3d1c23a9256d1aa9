"""One iteration of the game as tensor code: D on real and fake, D's update, then G's.

Source: Goodfellow et al. 2014, algorithm 1 (k steps of D for each of G, fresh noise for both).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backlit.gan.losses import AdversarialLoss
from backlit.gan.penalties import Penalty
from backlit.graph import Noise, Point, stamp
from backlit.graph.function import Function
from backlit.step import HANDED_ON, Captured, Optimiser, Trained, clip_by_norm

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Rules:
    """What is played: losses, penalty, updates."""

    loss: AdversarialLoss
    penalty: Penalty | None
    optimiser_d: Optimiser
    optimiser_g: Optimiser
    d_steps: int
    ema: float | None
    clip_norm: float | None = None
    one_stage: bool = False


class Iteration:
    """The iteration for fixed shapes; `with_g` and `with_penalty` choose the variant.

    With `Rules.one_stage` it is another algorithm: G makes pictures once, D scores them once,
    both losses are taken from these scores, and both players are updated at the same time, each
    by its gradient at the state before. Source: Shen et al. 2021, "Training Generative
    Adversarial Networks in One Stage", section 3. Where the paper scales D's gradient sample by
    sample to have G's, each loss has its own backpropagation through the shared pass here: exact
    for every loss, and with batch norm.

    Args:
        real: example of one D step's real pictures, float (m, ...).
        z: what one batch of latent noise is.
        state: the game's tensors.
        trained_g, trained_d: the players' trainable parameters in their vectors.
    """

    def __init__(
        self,
        rules: Rules,
        generator: Captured,
        discriminator: Captured,
        real: Tensor,
        z: Noise,
        state: Tensors,
        trained_g: Sequence[Trained],
        trained_d: Sequence[Trained],
        with_g: bool,
        with_penalty: bool,
    ):
        self.rules, self.g, self.d = rules, generator, discriminator
        self.trained_g, self.trained_d = trained_g, trained_d
        self.z, self.with_g, self.dtype = z, with_g, real.dtype
        self.penalty = rules.penalty if with_penalty else None
        self.noise: dict[str, Noise] = {}
        for k in range(rules.d_steps):
            self.noise |= {
                f"D{k}/z": z,
                **generator.noise(f"D{k}/fake"),
                **self._d_noise(f"D{k}/", real),
            }
        self.at_once = with_g and rules.one_stage
        if with_g and not self.at_once:
            self.noise |= {"G/z": z, **generator.noise("G/fake"), **discriminator.noise("G/score")}
            if rules.loss.needs_real_in_generator:
                self.noise |= discriminator.noise("G/real")
        drawn = {name: n.draw(torch.Generator(n.device)) for name, n in self.noise.items()}
        mine = {name: t for name, t in state.items() if name.startswith((self.g.role, self.d.role))}
        inner = self._inner(drawn, "D0/")
        if self.at_once:
            self.losses = Function(self._losses, {**mine, **inner, "real": real})
            return
        self.loss_d = Function(
            self._loss_d, {**_of(mine, self.d), **inner, "real": real, "fake": real}
        )
        if with_g:
            inner = self._inner(drawn, "G/")
            self.loss_g = Function(self._loss_g, {**mine, **inner, "real": real})

    def _d_noise(self, site: str, real: Tensor) -> dict[str, Noise]:
        needed = {**self.d.noise(f"{site}real"), **self.d.noise(f"{site}score")}
        if self.penalty is not None:
            needed |= {f"{site}{k}": n for k, n in self.penalty.noise(real).items()}
            if self.penalty.on == "between":
                needed |= self.d.noise(f"{site}between")
        return needed

    @staticmethod
    def _inner(noise: Mapping[str, Tensor], site: str) -> Tensors:
        """The noise of one part of the iteration, named as inside that part."""
        return {k.removeprefix(site): v for k, v in noise.items() if k.startswith(site)}

    def _loss_d(self, t: Tensors) -> dict[str, Any]:
        """D's loss on one batch of real and generated pictures."""
        t, changed = dict(t), {}
        penalty = self.penalty

        def score(x: Tensor, site: str, on: str) -> tuple[Tensor, Tensor | None]:
            seen = self.d.run(t, [x], t, site, slope=penalty is not None and penalty.on == on)
            t.update(seen.buffers)
            changed.update(seen.buffers)
            return seen.output, seen.grad_input

        with stamp(phase="D on real"):
            real, slope_real = score(t["real"], "real", "real")
        with stamp(phase="D on fake"):
            fake, slope_fake = score(t["fake"], "score", "fake")
        with stamp(phase="D loss"):
            loss = self.rules.loss.discriminator(real, fake)
        metrics = {"loss_d": loss}
        if penalty is not None:
            with stamp(phase="D penalty"):
                scores, slope = (real, slope_real) if penalty.on == "real" else (fake, slope_fake)
                if penalty.on == "between":
                    e = t["epsilon"]
                    between = e * t["real"] + (1 - e) * t["fake"]
                    scores, slope = score(between, "between", "between")
                assert slope is not None
                metrics["penalty"] = penalty.value(scores, slope)
                loss = loss + metrics["penalty"] * penalty.every
        with stamp(phase="D loss"):
            metrics |= {"d_real": real.sigmoid().mean(), "d_fake": fake.sigmoid().mean()}
        return {"loss": loss, "metrics": metrics, "state": changed, "scores": (real, fake)}

    def _losses(self, t: Tensors) -> dict[str, Any]:
        """Both losses on one batch of real and one of generated pictures."""
        with stamp(phase="G makes fakes"):
            made = self.g.run(t, [self._latent(t["z"])], t, "fake")
        found = self._loss_d({**t, **made.buffers, "fake": made.output})
        with stamp(phase="G loss"):
            loss_g = self.rules.loss.generator(*found["scores"])
        return {
            "loss_d": found["loss"],
            "loss_g": loss_g,
            "metrics": found["metrics"] | {"loss_g": loss_g},
            "state": made.buffers | found["state"],
        }

    def _loss_g(self, t: Tensors) -> dict[str, Any]:
        """G's loss on fresh noise, D held fixed."""
        t, changed = dict(t), {}

        def keep(buffers: Tensors) -> None:
            t.update(buffers)
            changed.update(buffers)

        with stamp(phase="G makes fakes"):
            made = self.g.run(t, [self._latent(t["z"])], t, "fake")
            keep(made.buffers)
        real = made.output
        if self.rules.loss.needs_real_in_generator:
            with stamp(phase="G: D on real"):
                seen = self.d.run(t, [t["real"]], t, "real")
                keep(seen.buffers)
                real = seen.output
        with stamp(phase="G: D on fake"):
            seen = self.d.run(t, [made.output], t, "score")
            keep(seen.buffers)
        with stamp(phase="G loss"):
            loss = self.rules.loss.generator(real, seen.output)
        return {"loss": loss, "metrics": {"loss_g": loss}, "state": changed}

    def _pictures(self, batch: Tensors) -> Tensor:
        pictures = batch["real"]
        if pictures.is_floating_point():
            return pictures
        return pictures.to(self.dtype) / 127.5 - 1

    def _latent(self, z: Tensor) -> Tensor:
        return z * 2 - 1 if self.z.kind == "uniform" else z

    def __call__(
        self, state: Tensors, batch: Tensors, noise: Tensors, rates: Tensors
    ) -> tuple[Tensors, Tensors]:
        """The iteration: new state (what changed) and metrics.

        Args:
            state: the game's wires: parameters and what belongs to them in vectors.
        """
        now, metrics = dict(state), dict[str, Tensor]()
        with stamp(phase=HANDED_ON):
            for group in (*self.trained_g, *self.trained_d):
                now |= group.views(now)
        with stamp(phase="data", role="forward"):
            reals = self._pictures(batch).chunk(self.rules.d_steps)
        if self.at_once:
            self._step_at_once({**self._inner(noise, "D0/"), "real": reals[0]}, now, rates, metrics)
            reals = ()
        for k, real in enumerate(reals):
            with stamp(phase="G makes fakes"):
                z = self._latent(noise[f"D{k}/z"])
                made = self.g.run(now, [z], noise, f"D{k}/fake")
                now.update(made.buffers)
            inner = self._inner(noise, f"D{k}/")
            result, grads = self.loss_d.value_and_grad(
                {**now, **inner, "real": real, "fake": made.output}, _names(self.d)
            )
            now.update(result["state"])
            metrics |= result["metrics"]
            self._update("D update", self.trained_d, now, grads, rates["lr_d"], metrics)
        if self.with_g and not self.at_once:
            inner = self._inner(noise, "G/")
            result, grads = self.loss_g.value_and_grad(
                {**now, **inner, "real": reals[-1]}, _names(self.g)
            )
            now.update(result["state"])
            metrics |= result["metrics"]
            self._update("G update", self.trained_g, now, grads, rates["lr_g"], metrics)
            self._average(now)
        return {name: now[name] for name, t in state.items() if now[name] is not t}, metrics

    def _step_at_once(self, given: Tensors, now: Tensors, rates: Tensors, metrics: Tensors) -> None:
        # (D's last: where both gradients pass D's wires, these remember D's)
        wanted = {"loss_g": _names(self.g), "loss_d": _names(self.d)}
        result, grads = self.losses.value_and_grads({**now, **given}, wanted)
        now.update(result["state"])
        metrics |= result["metrics"]
        self._update("D update", self.trained_d, now, grads["loss_d"], rates["lr_d"], metrics)
        self._update("G update", self.trained_g, now, grads["loss_g"], rates["lr_g"], metrics)
        self._average(now)

    def points(self, state: Tensors, batch: Tensors, noise: Tensors) -> list[Point]:
        """Both players' losses as they stand at a state, before any update, for the check."""
        real = self._pictures(batch).chunk(self.rules.d_steps)[0]
        inner = self._inner(noise, "D0/")
        if self.at_once:
            tensors = {**state, **inner, "real": real}
            return [
                self.losses.point("D loss", tensors, _names(self.d), "loss_d"),
                self.losses.point("G loss", tensors, _names(self.g), "loss_g"),
            ]
        made = self.g.run(state, [self._latent(noise["D0/z"])], noise, "D0/fake").output
        tensors = {**state, **inner, "real": real, "fake": made}
        points = [self.loss_d.point("D loss", tensors, _names(self.d))]
        if self.with_g:
            tensors = {**state, **self._inner(noise, "G/"), "real": real}
            points.append(self.loss_g.point("G loss", tensors, _names(self.g)))
        return points

    def _update(
        self,
        phase: str,
        groups: Sequence[Trained],
        now: Tensors,
        grads: Tensors,
        lr: Tensor,
        metrics: Tensors,
    ) -> None:
        with stamp(phase=phase, role="update"):
            if self.rules.clip_norm is not None:
                scaled, norm = clip_by_norm(list(grads.values()), self.rules.clip_norm)
                grads = dict(zip(grads, scaled, strict=True))
                metrics[f"grad_norm_{phase[0].lower()}"] = norm
            for group in groups:
                now.update(group.update(now, grads, lr))

    def _average(self, now: Tensors) -> None:
        """G's exponential moving average; Source: Yazıcı et al. 2019, equation (2)."""
        if self.rules.ema is None:
            return
        with stamp(phase="G average", role="update"):
            sources = {group.average: group.wire for group in self.trained_g}
            for name in [name for name in now if name.startswith("ema/")]:
                inner = name.removeprefix("ema/")
                source = now[sources.get(name, f"{self.g.role}/{inner}")]
                mean = now[name]
                moves = source.is_floating_point()
                now[name] = (
                    mean + (source - mean) * (1 - self.rules.ema) if moves else source.clone()
                )


def _of(state: Tensors, player: Captured) -> Tensors:
    return {name: t for name, t in state.items() if name.startswith(f"{player.role}/")}


def _names(player: Captured) -> list[str]:
    return [f"{player.role}/{name}" for name in player.trainable]
