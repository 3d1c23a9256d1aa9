"""Plain PyTorch, as it is usually written: the loops that Backlit is measured against."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from backlit.bench.rows import GameRow, Row, SupervisedRow
from backlit.devices import on_gpu, wait_for_devices

Losses = dict[str, Tensor]
# Step number, and whether to use exactly the noise that Backlit draws in that step.
StepOf = Callable[[int, bool], Losses]


def wait_for(losses: Losses) -> None:
    """Returns when the step that gave these has been computed: GPUs and JAX go on behind it."""
    wait_for_devices()
    for value in losses.values():
        float(value)


@dataclass(frozen=True)
class Style:
    """How a PyTorch loop is run.

    Attributes:
        bf16: under bfloat16 autocast with channels-last networks and pictures.
        fused: Adam as one fused operation.
        compiled: each network's forward and the optimiser's step through `torch.compile`, on a
            GPU with mode="reduce-overhead".
        frozen: D's weights take no gradient in G's step (used to count operations).
    """

    bf16: bool = False
    fused: bool = False
    compiled: bool = False
    frozen: bool = False

    def layout(self, x: Tensor) -> Tensor:
        """The batch in this style's memory layout."""
        return x.contiguous(memory_format=torch.channels_last) if self.bf16 and x.dim() == 4 else x

    def network(self, network: nn.Module, row: Row) -> tuple[nn.Module, Callable[..., Any]]:
        """The network in this style's memory layout, and how it is called."""
        if self.bf16:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network, self._fast(network, row)

    def optimiser(self, network: nn.Module, row: Row) -> tuple[Any, Callable[[], Any]]:
        """Adam over the network's parameters, and its step."""
        lr, betas = row.adam
        adam = torch.optim.Adam(network.parameters(), lr=lr, betas=betas, fused=self.fused or None)
        return adam, self._fast(adam.step, row)

    def autocast(self, row: Row) -> torch.autocast:
        return torch.autocast(torch.device(row.device).type, torch.bfloat16, enabled=self.bf16)

    def begin(self, row: Row) -> None:
        """Says that a step begins, and that the last one's values are no longer read."""
        if self.compiled and on_gpu(row.device):
            torch.compiler.cudagraph_mark_step_begin()

    def _fast(self, call: Callable[..., Any], row: Row) -> Callable[..., Any]:
        if not self.compiled:
            return call
        return torch.compile(_own(call), mode="reduce-overhead" if on_gpu(row.device) else None)


def torch_step(row: Row, style: Style) -> StepOf:
    """A new training step of the row in plain PyTorch; call it with 0, 1, 2, ..."""
    if isinstance(row, GameRow):
        return _game(row, style)
    return _supervised(row, style)


def _supervised(row: SupervisedRow, style: Style) -> StepOf:
    network, call = style.network(row.build(), row)
    adam, update = style.optimiser(network, row)
    batches = [(style.layout(x), y) for x, y in row.batches()]

    def step(index: int, exact: bool = False) -> Losses:
        x, y = batches[index % len(batches)]
        style.begin(row)
        adam.zero_grad()
        with style.autocast(row):
            loss = cross_entropy(call(x), y)
        loss.backward()
        update()
        return {"loss": loss.detach()}

    return step


def _game(row: GameRow, style: Style) -> StepOf:
    generator, discriminator = row.build()
    generator, g = style.network(generator, row)
    discriminator, d = style.network(discriminator, row)
    adam_g, update_g = style.optimiser(generator, row)
    adam_d, update_d = style.optimiser(discriminator, row)
    batches = [style.layout(x) for x in row.batches()]

    def loss_of_d(real: Tensor, fake: Tensor) -> Tensor:
        if row.loss == "wasserstein":
            return fake.mean() - real.mean()
        return _bce(real, 1.0) + _bce(fake, 0.0)

    def step(index: int, exact: bool = False) -> Losses:
        style.begin(row)
        noise = row.noise(index) if exact else {}
        real = batches[index % len(batches)]
        with style.autocast(row):
            with torch.no_grad():
                fake = g(_normal(noise, "D0/z", row))
            if row.penalty == "r1":
                # torch.compile has no second derivatives, so a penalised pass calls the network.
                real = real.detach().requires_grad_()
                real_scores = discriminator(real)
            else:
                real_scores = d(real)
            loss_d = loss_of_d(real_scores, d(fake))
            total = loss_d
            if row.penalty == "r1":
                slope = _slope(real_scores, real)
                total = loss_d + 0.5 * slope.square().sum(1).mean()
            elif row.penalty == "gradient_penalty":
                ones = (row.batch, *(1,) * (real.dim() - 1))
                epsilon = noise["D0/epsilon"] if noise else torch.rand(ones, device=row.device)
                between = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
                slope = _slope(discriminator(between), between)
                total = loss_d + 10 * (slope.norm(dim=1) - 1).square().mean()
        adam_d.zero_grad()
        total.backward()
        update_d()
        if not row.with_g:
            return {"loss_d": loss_d.detach()}
        if style.frozen:
            discriminator.requires_grad_(False)
        with style.autocast(row):
            scores = d(g(_normal(noise, "G/z", row)))
            loss_g = -scores.mean() if row.loss == "wasserstein" else _bce(scores, 1.0)
        adam_g.zero_grad()
        loss_g.backward()
        update_g()
        if style.frozen:
            discriminator.requires_grad_(True)
        return {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}

    return step


def _own(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call behind a code object of its own.

    `torch.compile` keeps all it compiled with the code object and searches it in every call; two
    alternatives of one process would slow each other down and meet the limit of recompilations.
    """

    def through(*args: Any) -> Any:
        return call(*args)

    code = through.__code__.replace()
    return types.FunctionType(code, through.__globals__, None, None, through.__closure__)


def _normal(noise: dict[str, Tensor], name: str, row: GameRow) -> Tensor:
    return noise[name] if noise else torch.randn(row.batch, row.latent, device=row.device)


def _bce(scores: Tensor, target: float) -> Tensor:
    return binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


def _slope(scores: Tensor, x: Tensor) -> Tensor:
    (grad,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return grad.float().flatten(1)
