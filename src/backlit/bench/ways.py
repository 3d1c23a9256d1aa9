"""The alternatives a row is measured in, by name; each builds a step or says why it cannot."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import torch

from backlit.bench.peers import Losses, StepOf, Style, torch_step
from backlit.bench.rows import GameRow, Row
from backlit.devices import on_gpu
from backlit.gan import Game
from backlit.lower import compiler_available
from backlit.step import AUTO, Optimiser
from backlit.supervised import Supervised

OURS = "backlit"
REFERENCE = "eager float32"


@dataclass(frozen=True)
class Way:
    """One alternative.

    Attributes:
        name, about: what the tables call it; one sentence.
        build: makes a new step of a row, from the same initial weights as every other.
        missing: why it cannot run a row here, or None.
        compiled: whether it compiles before its first step.
        full_only: left out of a quick run.
        apart: measured after the others, in turns with Backlit alone, for it slows others down.
    """

    name: str
    about: str
    build: Callable[[Row], StepOf]
    missing: Callable[[Row], str | None]
    compiled: bool = False
    full_only: bool = False
    apart: bool = False


def backlit_step(row: Row, mode: str, probed: bool = False, one_stage: bool = False) -> StepOf:
    """A new training step of the row by Backlit, the whole step one graph.

    Args:
        probed: with the probes of every layer and parameter, which are computed and not read.
        one_stage: a game's players updated at once.
    """
    lr, betas = row.adam
    adam = Optimiser("Adam", lr=lr, betas=betas)
    if isinstance(row, GameRow):
        game = Game(
            *row.build(),
            loss=row.loss,
            penalty=row.penalty,
            optimiser=adam,
            latent=row.latent,
            ema=None,
            warmup_d_steps=0 if row.with_g else 2**31,
            one_stage=one_stage,
        )
        pictures = row.batches()
        game.prepare(pictures[0], mode, precision=AUTO, kernels="auto")

        def play(index: int, exact: bool = False) -> Losses:
            batch = pictures[index % len(pictures)]
            return _losses(game.probe(batch, index)[0] if probed else game.step(batch, index))

        return play
    trained = Supervised(row.build(), "cross_entropy", optimiser=adam, classifier=False)
    pairs = row.batches()
    trained.prepare(pairs[0], mode, precision=AUTO, kernels="auto")

    def train(index: int, exact: bool = False) -> Losses:
        pair = pairs[index % len(pairs)]
        return _losses(trained.probe(pair, index)[0] if probed else trained.step(pair, index))

    return train


def _losses(metrics: Losses) -> Losses:
    return {name: value for name, value in metrics.items() if name.startswith("loss")}


def _compiler_missing(row: Row) -> str | None:
    return None if compiler_available() else "no C++ compiler that works"


def _ours(mode: str) -> Callable[[Row], StepOf]:
    return lambda row: backlit_step(row, mode)


def _torch(**style: bool) -> Callable[[Row], StepOf]:
    return lambda row: torch_step(row, Style(**style))


def _nothing(row: Row) -> str | None:
    return None


def _jax_missing(row: Row) -> str | None:
    if on_gpu(row.device):
        return "its rows are measured on the CPU"
    if importlib.util.find_spec("jax") is None:
        return "jax is not installed"
    from backlit.bench.jax_peer import jax_missing

    return jax_missing(row)


def _jax_step(row: Row) -> StepOf:
    from backlit.bench.jax_peer import jax_step

    return jax_step(row)


_ALL = (
    Way(
        OURS,
        "the whole step compiled, with Backlit's defaults",
        _ours("compiled"),
        _compiler_missing,
        compiled=True,
    ),
    Way(
        "backlit plain",
        "the same graph run by PyTorch's own operations, as where there is no C++ compiler",
        _ours("plain"),
        _nothing,
    ),
    Way(REFERENCE, "the usual PyTorch loop", _torch(), _nothing),
    Way(
        "eager bf16",
        "under bfloat16 autocast, networks and pictures channels-last",
        _torch(bf16=True),
        _nothing,
    ),
    Way("eager fused", "eager float32 with Adam(fused=True)", _torch(fused=True), _nothing),
    Way(
        "torch.compile",
        "float32, each network's forward and the optimiser's step compiled",
        _torch(compiled=True),
        _compiler_missing,
        compiled=True,
        full_only=True,
    ),
    Way(
        "torch.compile bf16",
        "the same under bfloat16 autocast, channels-last",
        _torch(compiled=True, bf16=True),
        _compiler_missing,
        compiled=True,
    ),
    Way(
        "jax",
        "the whole step under one jax.jit, float32, pictures channels last; measured after the "
        "others, in turns with Backlit alone",
        _jax_step,
        _jax_missing,
        compiled=True,
        # In turns with it each step of PyTorch or Backlit takes up to a seventh longer.
        apart=True,
    ),
)
WAYS: dict[str, Way] = {way.name: way for way in _ALL}


def build(row: Row, way: Way) -> tuple[StepOf, int]:
    """A new step and the number of CPU threads it wants; torch's own is left as it was."""
    return with_threads(row, lambda: way.build(row))


def with_threads(row: Row, make: Callable[[], StepOf]) -> tuple[StepOf, int]:
    """What `make` makes with the row's number of threads, and the number it then wants."""
    before = torch.get_num_threads()
    try:
        if row.threads is not None:
            torch.set_num_threads(row.threads)
        step = make()
        return step, torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
