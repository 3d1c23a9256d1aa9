"""A network trained on inputs and targets, its whole step one visible graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from backlit.errors import BacklitError, RecipeError
from backlit.graph import Point
from backlit.step import (
    Captured,
    Kernels,
    Optimiser,
    Readings,
    Step,
    load_state,
    settle_precision,
    state_and_wires,
    trained,
)
from backlit.supervised.augment import Augmentation, augmentations
from backlit.supervised.objective import Objective
from backlit.supervised.scores import Scores, classifier_scores
from backlit.supervised.update import CARRY, RESTART, ROLE, Rules, Tensors, Update

Progress = Callable[[str], None]
Batch = Mapping[str, Tensor] | tuple[Tensor, Tensor]


class Supervised:
    """An ordinary network and how it is trained on (x, y).

    Args:
        network: x (N, ...) to scores, e.g. (N, C) for C classes. Further inputs come in the
            batch by the name of their argument (``lengths``).
        loss: a loss's name, a table {"name", options} such as
            ``{"name": "cross_entropy", "smoothing": 0.1, "weights": [...]}``, or a module called
            with (scores, y); default ``"cross_entropy"``. Its own parameters are trained too.
        optimiser: a `torch.optim` name, an `Optimiser`, or a `torch.optim.Optimizer`; default
            Adam with lr 1e-3.
        l1, l2: added to the loss: l1 Σ|w| + l2 Σw² over all weights (not over vectors: biases,
            norms); default 0. Weight decay is the optimiser's own.
        clip_norm: largest joint norm of the gradients (Pascanu et al. 2013); None for none.
        augment: changes of each training batch, in order: names of
            `backlit.supervised.AUGMENTATIONS`, tables {"name", options}, or `Augmentation`s.
        prunable: keep a mask for each weight, so that `prune` can be called.
        carry: for truncated backpropagation through time (Williams & Peng 1990): an example of
            each tensor carried from step to step, (L, N, ...) with the batch's lanes second, such
            as ``net.initial_state(lanes)``. The network is called as ``network(x, *carry)`` and
            returns scores and the new carry. The state keeps it as ``carry/NAME``, no gradient
            goes back through it, and it is zero in the lanes that the batch's "restart", bool
            (N,), names: see `Lanes`.
        seed: all noise is a function of (seed, step).
        classifier: whether the scores speak for classes, so that an accuracy is told; by
            default read from the loss.
    Raises: RecipeError for an argument that is not allowed.

    The network's own parameters are the state: they are trained in place.

    Attributes:
        chosen: what the last `prepare` settled: ``"precision"`` and ``"kernels"``.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: str | Mapping[str, Any] | nn.Module = "cross_entropy",
        *,
        optimiser: Any = None,
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        augment: Sequence[str | Mapping[str, Any] | Augmentation] = (),
        prunable: bool = False,
        carry: Sequence[Tensor] = (),
        seed: int = 0,
        classifier: bool | None = None,
    ):
        if not isinstance(network, nn.Module):
            raise RecipeError(f"network: expected a torch.nn.Module, got {type(network).__name__}")
        if not (l1 >= 0 and l2 >= 0):
            raise RecipeError(f"expected l1 and l2 of at least 0, got {l1}, {l2}")
        if clip_norm is not None and not clip_norm > 0:
            raise RecipeError(f"clip_norm: expected a positive norm or None, got {clip_norm}")
        self.network, self.seed = network, seed
        self.rules = Rules(
            objective=Objective(loss, classifier),
            optimiser=Optimiser.of(optimiser or Optimiser("Adam", lr=1e-3)),
            l1=l1,
            l2=l2,
            clip_norm=clip_norm,
            augment=augmentations(augment),
        )
        self.state = self._initial_state(prunable, carry)
        lr = self.rules.optimiser.lr
        self.rates = {"lr": torch.tensor(lr, dtype=torch.float64, device=self._device)}
        self.chosen: dict[str, Any] = {"precision": None}
        self.steps: dict[Any, Step] = {}
        self._updates: dict[Any, Update] = {}

    def _initial_state(self, prunable: bool, carry: Sequence[Tensor]) -> Tensors:
        objective, optimiser = self.rules.objective, self.rules.optimiser
        tensors = {
            **Captured.tensors(ROLE, self.network),
            **objective.tensors(),
            **self._initial_carry(carry),
        }
        devices = {str(t.device) for t in tensors.values()}
        if len(devices) > 1:
            raise RecipeError(f"expected network and loss on one device, got {sorted(devices)}")
        self._trained = [
            *trained(ROLE, self.network, optimiser, prunable=prunable),
            *trained(objective.role, objective.module, optimiser, prunable=prunable),
        ]
        state, self._wires = state_and_wires(tensors, self._trained)
        return state

    def _initial_carry(self, carry: Sequence[Tensor]) -> Tensors:
        arguments = inspect.signature(self.network.forward).parameters if carry else []
        names = list(arguments)[1:]
        if len(names) < len(carry) or any(t.dim() < 2 for t in carry):
            raise RecipeError(
                f"carry: expected tensors (L, N, ...), at most the {len(names)} that "
                f"{type(self.network).__name__}.forward takes after x, got "
                f"{[tuple(t.shape) for t in carry]}"
            )
        return {f"{CARRY}/{n}": torch.zeros_like(t) for n, t in zip(names, carry, strict=False)}

    def prepare(
        self,
        batch: Batch,
        mode: str = "plain",
        progress: Progress | None = None,
        precision: str | None = None,
        kernels: Kernels = None,
    ) -> str:
        """Captures the network and assembles the step for this batch's shapes.

        Args:
            batch: (x, y), or a table with "x", "y" and the network's further inputs by name.
            mode: ``"plain"``, ``"compiled"`` or ``"watched"``.
            progress: told what is being done, a line each.
            precision: one of `backlit.lower.PRECISIONS`, or ``"auto"``, see
                `backlit.step.settle_precision`. None, the default: the network's own.
            kernels: as in `backlit.step.Step.prepare`.
        Returns: the mode really used: compiled becomes plain where no C++ compiler is found.
            `chosen` tells the rest.
        Raises: CaptureError, GateError, ParityError; BacklitError for a batch without x and y;
            RecipeError for a precision that is not the network's.

        Steps of other shapes prepared before stay ready.
        """
        say = progress or (lambda text: None)
        tensors = self._here(batch)
        self._check_carry(tensors)
        key = _key(tensors)
        for group in self._trained:
            group.check_home()
        if key not in self.steps:
            say("capturing the network")
            update = Update(self.rules, self.network, tensors, self.state, self._trained)
            say("assembling the step")
            parts = {group.wire: group.parts for group in self._trained}
            self.steps[key] = Step(update, self._wires, tensors, update.noise, self.rates, parts)
            self._updates[key] = update
        settled = settle_precision(precision, {ROLE: self.network}, [self.steps[key].gm], mode)
        if mode == "compiled":
            say(f"compiling {len(self.steps[key].gates):,} gates")
        used = self.steps[key].prepare(mode, tensors, settled, say, kernels)
        self.chosen = {"precision": settled, "kernels": self.steps[key].kernels}
        return used

    def _check_carry(self, batch: Tensors) -> None:
        lanes = {t.shape[1] for name, t in self.state.items() if name.startswith(f"{CARRY}/")}
        restart = batch.get(RESTART)
        if lanes and (restart is None or restart.dtype != torch.bool or lanes != {len(restart)}):
            got = "no restart" if restart is None else f"{tuple(restart.shape)} {restart.dtype}"
            raise BacklitError(
                f"batch: expected restart, bool of the {sorted(lanes)} lanes of carry, got {got}; "
                "backlit.supervised.Lanes makes such batches"
            )

    @property
    def _device(self) -> torch.device:
        return next((t.device for t in self.state.values()), torch.device("cpu"))

    def _here(self, batch: Batch) -> Tensors:
        """The batch as a table on the network's device; the host does not wait for a pinned one."""
        tensors = as_batch(batch)
        return {name: t.to(self._device, non_blocking=True) for name, t in tensors.items()}

    def _prepared(self, batch: Batch) -> tuple[Any, Tensors]:
        """The key of the step for this batch, and the batch in that step's memory layout."""
        tensors = self._here(batch)
        if not self.steps:
            self.prepare(tensors)
        key = _key(tensors)
        if key in self.steps:
            return key, tensors
        for known in self.steps:
            if [part[:3] for part in known] == [part[:3] for part in key]:
                laid = {
                    name: torch.empty_strided(shape, stride, dtype=dtype, device=t.device).copy_(t)
                    for (name, shape, dtype, stride), t in zip(known, tensors.values(), strict=True)
                }
                return known, laid
        raise BacklitError(
            f"expected a batch of {_shown(next(reversed(self.steps)))}, for which the step was "
            f"prepared, got {_shown(key)}; call prepare for another shape"
        )

    def step(self, batch: Batch, index: int) -> Tensors:
        """Runs step `index` (0-based) and updates the state in place.

        Args:
            batch: of the shapes it was prepared with; x in uint8 is scaled to [-1, 1].
        Returns: 0-d metrics: ``loss`` (what is minimised), ``data_loss`` (without l1 and l2,
            where there is either), ``accuracy`` (of a classifier, before the update),
            ``grad_norm`` (where gradients are clipped).
        """
        key, tensors = self._prepared(batch)
        return self.steps[key].run(tensors, self.seed, index)

    def prepare_several(self, batches: Sequence[Batch], progress: Progress | None = None) -> None:
        """Compiles K steps into one call for `run`, where steps run compiled.

        Args:
            batches: K batches of the shapes it was prepared with.
            progress: told what is being done, a line each.
        """
        say = progress or (lambda text: None)
        key, _ = self._prepared(batches[0])
        if self.steps[key].mode == "compiled":
            say(f"compiling {len(batches)} steps in one call")
            self.steps[key].prepare_several([self._prepared(b)[1] for b in batches], say)

    def run(self, batches: Sequence[Batch], index: int) -> list[Tensors]:
        """Runs K steps from `index` on, in one call where `prepare_several` compiled so.

        Args:
            batches: K batches, one for each step.
        Returns: each step's metrics, as `step` gives them.
        """
        parts = [self._prepared(batch) for batch in batches]
        if len({key for key, _ in parts}) > 1:
            return [self.step(batch, index + i) for i, batch in enumerate(batches)]
        return self.steps[parts[0][0]].run_several([t for _, t in parts], self.seed, index)

    def seconds(self, batch: Batch) -> float:
        """The least time of a step as prepared, measured; the state is left as it was."""
        key, tensors = self._prepared(batch)
        return self.steps[key].seconds(tensors)

    def work(self) -> tuple[int, int]:
        """Of the largest step that is prepared: how many gates, how many operations."""
        # Before any is prepared too: Python 3.11 asks when it checks for a protocol.
        return max((step.work for step in self.steps.values()), default=(0, 0))

    def probe(
        self, batch: Batch, index: int, progress: Progress | None = None
    ) -> tuple[Tensors, Readings]:
        """Runs step `index` as `step` does, and reads the probes in the same pass.

        Args:
            batch, index: as in `step`.
            progress: told where the step with probes has to be compiled first.
        Returns: the metrics, and what the probes read, see `backlit.step.Probe`.
        """
        key, tensors = self._prepared(batch)
        self.steps[key].prepare_probes(tensors, progress)
        return self.steps[key].probe(tensors, self.seed, index)

    def first_nonfinite(self, batch: Batch, index: int, state_before: Tensors) -> str:
        """Replays step `index` from a state and names the first gate with NaN or ∞."""
        self.load(state_before)
        key, tensors = self._prepared(batch)
        found = self.steps[key].first_nonfinite(tensors, self.seed, index)
        return found or "no gate (on replay)"

    def operating_point(self, batch: Batch, index: int = 0) -> list[Point]:
        """The loss at the present state, for `backlit.check(supervised, batch)`.

        Args:
            batch: as `step` takes it.
            index: the step whose noise is taken.
        """
        self.prepare(batch)
        key, tensors = self._prepared(batch)
        noise = self.steps[key].draw(self.seed, index)
        state = {name: t.detach() for name, t in self.state.items()}
        with torch.no_grad():
            return [self._updates[key].point(state, tensors, noise)]

    @torch.no_grad()
    def prune(self, share: float) -> float:
        """Sets the smallest weights to 0 and holds them there, over all layers together.

        Args:
            share: of all weights (biases and norms are left alone), in [0, 1).
        Returns: the share that is now 0.
        Raises: RecipeError for another share, or a network that is not `prunable`.

        Source: Han et al. 2015, "Learning both Weights and Connections for Efficient Neural
        Networks".
        """
        masks = {n.removeprefix("mask/"): t for n, t in self.state.items() if n.startswith("mask/")}
        if not masks:
            raise RecipeError("prune: expected Supervised(..., prunable=True), got no masks")
        if not 0 <= share < 1:
            raise RecipeError(f"prune: expected a share in [0, 1), got {share}")
        sizes = [mask.numel() for mask in masks.values()]
        # Weights pruned before count as the smallest, so that a larger share only adds to them.
        sizes_of = [
            self.state[n].abs().where(mask > 0, -1.0).flatten() for n, mask in masks.items()
        ]
        order = torch.cat(sizes_of).argsort(stable=True)
        kept = torch.ones(sum(sizes), dtype=torch.bool, device=order.device)
        kept[order[: round(share * sum(sizes))]] = False
        for (name, mask), part in zip(masks.items(), kept.split(sizes), strict=True):
            mask.mul_(part.view_as(mask))
            self.state[name].mul_(mask)
        gone = sum(int((mask == 0).sum()) for mask in masks.values())
        return gone / sum(sizes)

    def load(self, state: Tensors) -> None:
        """Copies a saved state into the live tensors.

        Raises: BacklitError naming the first missing, extra or misshapen tensor.
        """
        load_state(self.state, state, "supervised step")

    @torch.no_grad()
    def predict(self, x: Tensor, batch: int = 256, **inputs: Tensor) -> Tensor:
        """Scores (N, ...) in evaluation mode (no dropout, batch norm by its running figures).

        Args:
            x: (N, ...), as in a batch.
            batch: samples at a time.
            inputs: further inputs of the network, (N, ...).
        """
        like = next((p for p in self.network.parameters() if p.is_floating_point()), x)
        training = self.network.training
        self.network.eval()
        try:
            parts = []
            for start in range(0, len(x), batch):
                piece = slice(start, start + batch)
                part = x[piece].to(self._device)
                if part.dtype == torch.uint8:
                    part = part.to(like.dtype) / 127.5 - 1
                others = {name: t[piece].to(self._device) for name, t in inputs.items()}
                scores = self.network(part, **others, **self._fresh(len(part)))
                parts.append(scores[0] if isinstance(scores, tuple) else scores)
            return torch.cat(parts)
        finally:
            self.network.train(training)

    def _fresh(self, n: int) -> Tensors:
        """The carry before n independent sequences."""
        carry = [(name, t) for name, t in self.state.items() if name.startswith(f"{CARRY}/")]
        return {
            name.removeprefix(f"{CARRY}/"): t.new_zeros((t.shape[0], n, *t.shape[2:]))
            for name, t in carry
        }

    @torch.no_grad()
    def evaluate(
        self, x: Tensor, y: Tensor, batch: int = 256, **inputs: Tensor
    ) -> dict[str, float]:
        """The data loss over all samples at once and, of a classifier, the accuracy.

        Args:
            x, y: (N, ...), as in a batch.
            batch: samples at a time through the network, in evaluation mode.
            inputs: further inputs of the network, (N, ...).
        Returns: ``loss`` and ``accuracy``.
        Raises: BacklitError where there is no sample, or x and y differ in number.
        """
        if not len(x) == len(y) > 0:
            raise BacklitError(f"expected as many x as y and at least 1, got {len(x)}, {len(y)}")
        scores = self.predict(x, batch, **inputs)
        state = {name: t.detach() for name, t in self.state.items()}
        y = y.to(scores.device)
        objective = self.rules.objective
        found = {"loss": float(objective(state, scores, y))}
        if objective.classifier:
            found["accuracy"] = float(objective.accuracy(state, scores, y))
        return found

    def scores(
        self, x: Tensor, y: Tensor, classes: Sequence[str] = (), batch: int = 256, **inputs: Tensor
    ) -> Scores:
        """Accuracy, F1 and confusion in evaluation mode; arguments as in `evaluate`.

        Args:
            classes: their names; default their numbers.
        """
        found = self.predicted(self.predict(x, batch, **inputs))
        y = y.to(found.device).reshape(found.shape)
        counted = self.rules.objective.counted(y)
        return classifier_scores(y[counted], found[counted], classes)

    def predicted(self, scores: Tensor) -> Tensor:
        """The class that each of `predict`'s scores speaks for, integers."""
        state = {name: t.detach() for name, t in self.state.items()}
        return self.rules.objective.predicted(state, scores)

    @property
    def description(self) -> dict[str, Any]:
        """Network and rules as plain values: part of a run's identity."""
        rules = self.rules
        shapes = {name: list(p.shape) for name, p in self.network.named_parameters()}
        carry = {n: list(t.shape) for n, t in self.state.items() if n.startswith(f"{CARRY}/")}
        return {
            "network": {"type": type(self.network).__name__, "parameters": shapes},
            "loss": repr(rules.objective.module),
            "optimiser": rules.optimiser.describe(),
            "l1": rules.l1,
            "l2": rules.l2,
            "clip_norm": rules.clip_norm,
            "augment": [repr(one) for one in rules.augment],
            "prunable": any(name.startswith("mask/") for name in self.state),
            "seed": self.seed,
            **({"carry": carry} if carry else {}),
        }


def as_batch(batch: Batch) -> Tensors:
    """A batch as a table, "x" first.

    Raises: BacklitError for something that has no x and y, or different numbers of them.
    """
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        batch = {"x": batch[0], "y": batch[1]}
    if not isinstance(batch, Mapping) or not {"x", "y"} <= batch.keys():
        got = sorted(batch) if isinstance(batch, Mapping) else type(batch).__name__
        raise BacklitError(f"batch: expected (x, y) or a table with x and y, got {got}")
    if not len({len(t) for t in batch.values()}) == 1 or not len(batch["x"]):
        counts = ", ".join(f"{name} {len(t)}" for name, t in batch.items())
        raise BacklitError(f"batch: expected the same number of each, at least 1, got {counts}")
    others = sorted(name for name in batch if name not in ("x", "y"))
    return {name: batch[name] for name in ("x", *others, "y")}


def _key(batch: Tensors) -> tuple[Any, ...]:
    return tuple((name, t.shape, t.dtype, t.stride()) for name, t in batch.items())


def _shown(key: tuple[Any, ...]) -> str:
    return ", ".join(f"{name} {tuple(shape)} {dtype}" for name, shape, dtype, _ in key)
