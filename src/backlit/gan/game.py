"""The game: a generator against a discriminator, the whole iteration one visible graph."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from backlit.errors import BacklitError, CaptureError, RecipeError
from backlit.gan.iteration import Iteration, Rules
from backlit.gan.losses import AdversarialLoss, adversarial_loss
from backlit.gan.penalties import Penalty
from backlit.gan.penalties import penalty as penalty_of
from backlit.graph import Noise, Point, generator_for
from backlit.step import (
    AUTO,
    Captured,
    Kernels,
    Optimiser,
    Readings,
    Step,
    check_precision,
    load_state,
    settle_precision,
    state_and_wires,
    trained,
)

Tensors = dict[str, Tensor]
Progress = Callable[[str], None]


class Game:
    """Two ordinary networks and the rules they play by.

    Args:
        generator: noise z (N, latent) to samples (N, ...), e.g. pictures in [-1, 1].
        discriminator: samples (N, ...) to raw scores (logits) of any shape.
        loss: an adversarial loss's name or object, see `backlit.gan.losses`.
        penalty: a penalty's name or object (`R1`, `R2`, `GradientPenalty`), or None.
        optimiser: for both: a `torch.optim` name, an `Optimiser`; default Adam with
            lr 2e-4, betas (0.5, 0.999) (Radford et al. 2016).
        optimiser_g, optimiser_d: each one's own; may be a `torch.optim.Optimizer`.
        latent: length of z, or its shape without the batch; default `generator.latent`.
        latent_distribution: ``"normal"`` or ``"uniform"`` (in [-1, 1)).
        d_steps: steps of D for each step of G (k of the paper); each sees its own pictures.
        warmup_d_steps: iterations at the start in which only D is trained.
        ema: decay of G's moving average, from which `sample` draws; None for none.
        clip_norm: largest joint norm of a player's gradients in one update (Pascanu et al.
            2013); longer ones are scaled down. None for no clipping.
        one_stage: another algorithm: G's pictures are made and scored once for both losses, and
            both players are updated at the same time instead of D first (Shen et al. 2021,
            "Training Generative Adversarial Networks in One Stage"). Faster a step; no longer
            algorithm 1 of Goodfellow et al. 2014. Needs d_steps = 1.
        precision: ``"bfloat16"`` runs what tolerates it in bfloat16 (float32 networks, whose
            parameters stay float32); ``"float32"`` and ``"float64"`` say what the networks are.
            None, the default: the networks' own.
        seed: all noise is a function of (seed, step).

    The networks' own parameters are the game's state: they are trained in place.

    Attributes:
        chosen: what the last `prepare` settled: ``"precision"`` and ``"kernels"``.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        loss: str | AdversarialLoss = "nonsaturating",
        penalty: str | Penalty | None = None,
        optimiser: Any = None,
        optimiser_g: Any = None,
        optimiser_d: Any = None,
        latent: int | tuple[int, ...] | None = None,
        latent_distribution: str = "normal",
        d_steps: int = 1,
        warmup_d_steps: int = 0,
        ema: float | None = 0.999,
        clip_norm: float | None = None,
        one_stage: bool = False,
        precision: str | None = None,
        seed: int = 0,
    ):
        for role, network in (("generator", generator), ("discriminator", discriminator)):
            if not isinstance(network, nn.Module):
                raise RecipeError(
                    f"{role}: expected a torch.nn.Module, got {type(network).__name__}"
                )
        if latent_distribution not in ("normal", "uniform"):
            raise RecipeError(
                f"latent_distribution: expected normal or uniform, got '{latent_distribution}'"
            )
        if d_steps < 1 or warmup_d_steps < 0:
            raise RecipeError(
                f"expected d_steps >= 1 and warmup_d_steps >= 0, got {d_steps}, {warmup_d_steps}"
            )
        if one_stage and d_steps != 1:
            raise RecipeError(
                f"one_stage: expected d_steps = 1, since both players move at once, got {d_steps}"
            )
        if ema is not None and not 0 <= ema < 1:
            raise RecipeError(f"ema: expected a decay in [0, 1) or None, got {ema}")
        if clip_norm is not None and not clip_norm > 0:
            raise RecipeError(f"clip_norm: expected a positive norm or None, got {clip_norm}")
        default = optimiser or Optimiser("Adam", lr=2e-4, betas=(0.5, 0.999))
        self.generator, self.discriminator = generator, discriminator
        self.rules = Rules(
            loss=adversarial_loss(loss),
            penalty=None if penalty is None else penalty_of(penalty),
            optimiser_d=Optimiser.of(optimiser_d or default),
            optimiser_g=Optimiser.of(optimiser_g or default),
            d_steps=d_steps,
            ema=ema,
            clip_norm=clip_norm,
            one_stage=one_stage,
        )
        self.warmup_d_steps, self.seed = warmup_d_steps, seed
        self.latent_distribution = latent_distribution
        self.latent = self._latent_shape(latent)
        self._networks = {"generator": generator, "discriminator": discriminator}
        check_precision(precision, self._networks)
        self.precision = precision
        self.chosen: dict[str, Any] = {"precision": precision}
        self._like = _floating_like(self.generator)
        self.state = self._initial_state()
        self.rates = {
            name: torch.tensor(optimiser.lr, dtype=torch.float64, device=self._like.device)
            for name, optimiser in (
                ("lr_d", self.rules.optimiser_d),
                ("lr_g", self.rules.optimiser_g),
            )
        }
        self.steps: dict[tuple[bool, bool], Step] = {}
        self._shape: tuple[Any, ...] | None = None
        self._players: tuple[Captured, Captured] | None = None

    def _latent_shape(self, latent: int | tuple[int, ...] | None) -> tuple[int, ...]:
        if latent is None:
            latent = getattr(self.generator, "latent", None)
        if isinstance(latent, int):
            return (latent,)
        if isinstance(latent, (tuple, list)) and all(isinstance(n, int) for n in latent):
            return tuple(latent)
        raise RecipeError(
            f"latent: expected the length of the noise {type(self.generator).__name__} takes, "
            "e.g. Game(..., latent=128), got none"
        )

    def _initial_state(self) -> Tensors:
        state = {
            **Captured.tensors("generator", self.generator),
            **Captured.tensors("discriminator", self.discriminator),
        }
        devices = {str(t.device) for t in state.values()}
        if len(devices) > 1:
            raise RecipeError(f"expected both networks on one device, got {sorted(devices)}")
        ema = self.rules.ema is not None
        self._trained_g = trained("generator", self.generator, self.rules.optimiser_g, ema)
        self._trained_d = trained("discriminator", self.discriminator, self.rules.optimiser_d)
        groups = (*self._trained_g, *self._trained_d)
        if ema:
            for name, tensor in Captured.tensors("ema", self.generator).items():
                state[name] = tensor.detach().clone()
        state, self._wires = state_and_wires(state, groups)
        return state

    def _z(self, n: int) -> Noise:
        like = self._like
        return Noise(self.latent_distribution, (n, *self.latent), like.dtype, str(like.device))

    def prepare(
        self,
        batch: Tensor,
        mode: str = "plain",
        progress: Progress | None = None,
        precision: str | None = None,
        kernels: Kernels = None,
    ) -> str:
        """Captures both networks and assembles the step for this batch's shape.

        Args:
            batch: one iteration's pictures, uint8 or float (d_steps · m, ...).
            mode: ``"plain"``, ``"compiled"`` or ``"watched"``.
            progress: told what is being done, a line each.
            precision: one of ``PRECISIONS``, or ``"auto"``, see `backlit.step.settle_precision`;
                what the game was made with comes before "auto". None, the default: the game's.
            kernels: as in `backlit.step.Step.prepare`.
        Returns: the mode really used: compiled becomes plain where no C++ compiler is found.
            `chosen` tells the rest.
        Raises: CaptureError, GateError, ParityError; BacklitError for a batch that cannot be
            split into d_steps parts or that the discriminator does not take; RecipeError for a
            precision that is not that of the networks.
        """
        say = progress or (lambda text: None)
        batch = self._here(batch)
        variants = self._variants()
        key = (batch.shape, batch.dtype, batch.stride())
        if self._shape != key:
            say("capturing the generator and the discriminator")
            self._build_players(batch)
            self.steps, self._shape = {}, key
        for group in (*self._trained_g, *self._trained_d):
            group.check_home()
        for variant in variants:
            if variant not in self.steps:
                say(f"assembling the step ({_name(variant)})")
                self.steps[variant] = self._assemble(batch, variant)
        asked = self.precision if precision in (None, AUTO) and self.precision else precision
        graphs = [step.gm for step in self.steps.values()]
        settled = settle_precision(asked, self._networks, graphs, mode)
        used, found = mode, dict[str, str]()
        for variant in variants:
            if mode == "compiled":
                say(f"compiling {len(self.steps[variant].gates):,} gates ({_name(variant)})")
            used = self.steps[variant].prepare(mode, {"real": batch}, settled, say, kernels)
            found |= self.steps[variant].kernels
        self.chosen = {"precision": settled, "kernels": found}
        return used

    def _here(self, batch: Tensor) -> Tensor:
        """The batch on the networks' device; the host does not wait for a pinned one."""
        return batch.to(self._like.device, non_blocking=True)

    def _build_players(self, batch: Tensor) -> None:
        k = self.rules.d_steps
        if batch.shape[0] % k or batch.shape[0] // k < 2:
            raise BacklitError(
                f"expected a batch of d_steps · m pictures with d_steps = {k} and m >= 2, "
                f"got {batch.shape[0]}"
            )
        m = batch.shape[0] // k
        z = self.noise(m, self.seed)
        try:
            generator = Captured("generator", self.generator, {"z": z})
        except CaptureError:
            self._refuse(z)
            raise
        made = generator.output
        if made.shape != (m, *batch.shape[1:]):
            raise BacklitError(
                f"expected a generator that makes samples like the data, {tuple(batch.shape[1:])}, "
                f"got {tuple(made.shape[1:])}"
            )
        device = str(z.device)
        like_samples = Noise("normal", tuple(made.shape), made.dtype, device)
        x = like_samples.draw(generator_for(self.seed, 0, 0, device))
        self._players = generator, Captured("discriminator", self.discriminator, {"x": x})

    def _refuse(self, z: Tensor) -> None:
        """Says so where it is the shape of its noise that a generator does not take."""
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            try:
                copy.deepcopy(self.generator)(z)
            except RuntimeError as error:
                raise BacklitError(
                    f"the generator does not take noise of shape {tuple(z.shape)}: {error}"
                ) from error

    def _variants(self) -> list[tuple[bool, bool]]:
        """The (with G, with penalty) combinations that iterations use."""
        every = self.rules.penalty.every if self.rules.penalty else 1
        penalties = [self.rules.penalty is not None] + ([False] if every > 1 else [])
        players = [True] + ([False] if self.warmup_d_steps else [])
        return [(g, p) for g in players for p in penalties]

    def _variant(self, index: int) -> tuple[bool, bool]:
        penalty = self.rules.penalty
        return (
            index >= self.warmup_d_steps,
            penalty is not None and index % penalty.every == 0,
        )

    def _iteration(self, batch: Tensor, variant: tuple[bool, bool]) -> Iteration:
        assert self._players is not None
        m = batch.shape[0] // self.rules.d_steps
        like = self._like
        real = torch.empty((m, *batch.shape[1:]), dtype=like.dtype, device=like.device)
        return Iteration(
            self.rules,
            *self._players,
            real,
            self._z(m),
            self.state,
            self._trained_g,
            self._trained_d,
            *variant,
        )

    def _assemble(self, batch: Tensor, variant: tuple[bool, bool]) -> Step:
        iteration = self._iteration(batch, variant)
        parts = {group.wire: group.parts for group in (*self._trained_g, *self._trained_d)}
        return Step(iteration, self._wires, {"real": batch}, iteration.noise, self.rates, parts)

    def operating_point(self, batch: Tensor, index: int = 0) -> list[Point]:
        """Both losses at the present state, for `backlit.check(game, batch)`.

        Args:
            batch: one iteration's pictures, as `step` takes them.
            index: the iteration whose noise (and penalty) is taken.
        """
        batch = self._here(batch)
        if self._shape != (batch.shape, batch.dtype, batch.stride()):
            self.prepare(batch)
        iteration = self._iteration(batch, (True, self._variant(index)[1]))
        noise = {
            name: noise.draw(generator_for(self.seed, index, site, noise.device))
            for site, (name, noise) in enumerate(iteration.noise.items())
        }
        state = {name: t.detach() for name, t in self.state.items()}
        with torch.no_grad():
            return iteration.points(state, {"real": batch}, noise)

    def step(self, batch: Tensor, index: int) -> Tensors:
        """Runs iteration `index` (0-based) and updates the state in place.

        Args:
            batch: pictures of the shape it was prepared with; uint8 is scaled to [-1, 1].
        Returns: 0-d metrics: ``loss_d``, ``loss_g`` (none in a warm-up iteration), ``d_real``
            (mean of sigmoid D(x)), ``d_fake`` (of D(G(z))), ``penalty``.
        """
        batch = self._here(batch)
        if self._shape != (batch.shape, batch.dtype, batch.stride()):
            batch = self._as_prepared(batch)
        return self.steps[self._variant(index)].run({"real": batch}, self.seed, index)

    def probe(
        self, batch: Tensor, index: int, progress: Progress | None = None
    ) -> tuple[Tensors, Readings]:
        """Runs iteration `index` as `step` does, and reads the probes in the same pass.

        Args:
            batch, index: as in `step`.
            progress: told where the step with probes has to be compiled first, once a variant.
        Returns: the metrics, and what the probes read: of every layer's output in every phase
            and of every parameter, see `backlit.step.Probe`.
        """
        batch = self._here(batch)
        if self._shape != (batch.shape, batch.dtype, batch.stride()):
            batch = self._as_prepared(batch)
        step = self.steps[self._variant(index)]
        step.prepare_probes({"real": batch}, progress)
        return step.probe({"real": batch}, self.seed, index)

    def prepare_several(self, batches: Sequence[Tensor], progress: Progress | None = None) -> None:
        """Compiles K iterations into one call for `run`, where the game runs compiled.

        Args:
            batches: K batches of the shape it was prepared with.
            progress: told what is being done, a line each.
        """
        say = progress or (lambda text: None)
        every = self.rules.penalty.every if self.rules.penalty else 1
        for variant, step in self.steps.items():
            alone = variant[1] and every > 1  # K of them never follow each other
            if step.mode == "compiled" and not alone:
                say(f"compiling {len(batches)} steps in one call ({_name(variant)})")
                step.prepare_several([{"real": b} for b in map(self._here, batches)], progress)

    def run(self, batches: Sequence[Tensor], index: int) -> list[Tensors]:
        """Runs K iterations from `index` on, in one call where `prepare_several` compiled so.

        Args:
            batches: K batches, one for each iteration.
        Returns: each iteration's metrics, as `step` gives them.
        """
        parts = [self._here(batch) for batch in batches]
        variants = {self._variant(index + i) for i in range(len(parts))}
        keys = {(part.shape, part.dtype, part.stride()) for part in parts}
        if len(variants) > 1 or keys != {self._shape}:
            return [self.step(batch, index + i) for i, batch in enumerate(parts)]
        step = self.steps[variants.pop()]
        return step.run_several([{"real": batch} for batch in parts], self.seed, index)

    def seconds(self, batch: Tensor) -> float:
        """The least time of an iteration as prepared, measured; the state is left as it was."""
        return self.steps[max(self.steps)].seconds({"real": self._as_prepared(batch)})

    def work(self) -> tuple[int, int]:
        """Of the largest step that is prepared: how many gates, how many operations."""
        # Before any is prepared too: Python 3.11 asks when it checks for a protocol.
        return self.steps[max(self.steps)].work if self.steps else (0, 0)

    def _as_prepared(self, batch: Tensor) -> Tensor:
        """The batch in the memory layout of the one the game was prepared with.

        Raises: BacklitError for another shape or dtype.
        """
        if self._shape is None:
            self.prepare(batch)
            return batch
        shape, dtype, stride = self._shape
        if batch.shape != shape or batch.dtype != dtype:
            raise BacklitError(
                f"expected a batch of {tuple(shape)} {dtype}, for which the game was prepared, got "
                f"{tuple(batch.shape)} {batch.dtype}; call prepare for another shape"
            )
        return torch.empty_strided(shape, stride, dtype=dtype, device=batch.device).copy_(batch)

    def first_nonfinite(self, batch: Tensor, index: int, state_before: Tensors) -> str:
        """Replays iteration `index` from a state and names the first gate with NaN or ∞."""
        self.load(state_before)
        step = self.steps[self._variant(index)]
        return (
            step.first_nonfinite({"real": self._here(batch)}, self.seed, index)
            or "no gate (on replay)"
        )

    def load(self, state: Tensors) -> None:
        """Copies a saved state into the live tensors.

        Raises: BacklitError naming the first missing, extra or misshapen tensor.
        """
        load_state(self.state, state, "game")

    def noise(self, n: int, seed: int) -> Tensor:
        """Latent noise (n, *latent), a function of the seed."""
        like = self._like
        z = self._z(n).draw(generator_for(seed, 0, 0, str(like.device)))
        return z * 2 - 1 if self.latent_distribution == "uniform" else z

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """Samples (n, ...) from G's moving average in evaluation mode (from G without one)."""
        role = "generator" if self.rules.ema is None else "ema"
        prefix = f"{role}/"
        tensors = {
            name.removeprefix(prefix): t.detach()
            for name, t in self.state.items()
            if name.startswith(prefix)
        }
        training = self.generator.training
        self.generator.eval()
        try:
            return torch.func.functional_call(self.generator, tensors, (z,))
        finally:
            self.generator.train(training)

    @property
    def description(self) -> dict[str, Any]:
        """The rules and networks as plain values: part of a run's identity."""
        rules = self.rules
        return {
            "generator": _outline(self.generator),
            "discriminator": _outline(self.discriminator),
            "loss": repr(rules.loss),
            "penalty": None if rules.penalty is None else repr(rules.penalty),
            "optimiser_d": rules.optimiser_d.describe(),
            "optimiser_g": rules.optimiser_g.describe(),
            "d_steps": rules.d_steps,
            "warmup_d_steps": self.warmup_d_steps,
            "ema": rules.ema,
            "clip_norm": rules.clip_norm,
            "one_stage": rules.one_stage,
            "precision": self.precision,
            "latent": list(self.latent),
            "latent_distribution": self.latent_distribution,
            "seed": self.seed,
        }


def _name(variant: tuple[bool, bool]) -> str:
    with_g, with_penalty = variant
    return ("D and G" if with_g else "D only") + (", penalty" if with_penalty else "")


def _floating_like(network: nn.Module) -> Tensor:
    """A tensor with the network's dtype and device."""
    return next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(()))


def _outline(network: nn.Module) -> dict[str, Any]:
    shapes = {name: list(p.shape) for name, p in network.named_parameters()}
    return {"type": type(network).__name__, "parameters": shapes}
