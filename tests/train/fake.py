"""A small game written by hand, with all that the loop needs and real arithmetic in its steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class FakePictures:
    """Pictures that are noise of their own."""

    key = "fake-pictures"
    size_px = 4
    channels = 3

    def __init__(self, count: int = 40) -> None:
        generator = np.random.default_rng(0)
        self._pictures = generator.integers(0, 256, (count, 3, 4, 4), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._pictures)

    def batch(self, indices: np.ndarray) -> Tensor:
        return torch.from_numpy(self._pictures[indices])


class FakeGame:
    """Linear G and D with momentum and an average of G; its start is random on purpose.

    Args:
        bad_step: iteration whose update makes a NaN.
        bad_name: the tensor that gets it.
        can_compile: whether "compiled" is granted.
    """

    def __init__(
        self, bad_step: int = -1, bad_name: str = "g.weight", can_compile: bool = False
    ) -> None:
        self.description: dict[str, Any] = {"networks": ["linear", "linear"], "shape": (3, 4, 4)}
        self.state = {
            "g.weight": torch.randn(8, 48) * 0.1,
            "d.weight": torch.randn(48) * 0.1,
            "optimiser.d.momentum": torch.zeros(48),
            "ema.g.weight": torch.zeros(8, 48),
            "count": torch.tensor(0),
        }
        self.prepared: list[str] = []
        self.chosen: dict[str, Any] = {}
        self.several: list[int] = []
        self.ran: list[tuple[int, int]] = []
        self._bad = (bad_step, bad_name)
        self._can_compile = can_compile

    def prepare(
        self,
        batch: Tensor,
        mode: str,
        progress: Any = None,
        precision: str | None = None,
        kernels: Any = None,
    ) -> str:
        assert batch.dtype == torch.uint8
        if progress is not None:
            progress("capturing")
            progress("compiling")
        used = "plain" if mode == "compiled" and not self._can_compile else mode
        self.prepared.append(used)
        self.chosen = {
            "precision": "float32" if precision == "auto" else precision,
            "kernels": {"gate": "gemm"} if kernels == "auto" else dict(kernels or {}),
        }
        return used

    def step(self, batch: Tensor, index: int) -> dict[str, Tensor]:
        s = self.state
        noise = torch.randn(len(batch), 8, generator=torch.Generator().manual_seed(index))
        real, fake = batch.flatten(1) / 127.5 - 1, torch.tanh(noise @ s["g.weight"])
        real_score, fake_score = real @ s["d.weight"], fake @ s["d.weight"]
        pull = (fake.T @ fake_score.sigmoid() - real.T @ (-real_score).sigmoid()) / len(batch)
        momentum = 0.9 * s["optimiser.d.momentum"] + pull
        d = s["d.weight"] - 0.05 * momentum
        slope = (-(-fake_score).sigmoid())[:, None] * s["d.weight"] * (1 - fake**2)
        g = s["g.weight"] - 0.05 * noise.T @ slope / len(batch)
        new = {
            "g.weight": g,
            "d.weight": d,
            "optimiser.d.momentum": momentum,
            "ema.g.weight": 0.9 * s["ema.g.weight"] + 0.1 * g,
            "count": s["count"] + 1,
        }
        for name, tensor in new.items():
            s[name].copy_(tensor)  # in place, as a compiled step does
        if index == self._bad[0]:
            s[self._bad[1]].fill_(float("nan"))
        return {
            "loss_d": (-real_score).exp().log1p().mean() + fake_score.exp().log1p().mean(),
            "loss_g": (-fake_score).exp().log1p().mean(),
            "d_real": real_score.sigmoid().mean(),
            "d_fake": fake_score.sigmoid().mean(),
        }

    def prepare_several(self, batches: Sequence[Tensor], progress: Any = None) -> None:
        self.several.append(len(batches))

    def run(self, batches: Sequence[Tensor], index: int) -> list[dict[str, Tensor]]:
        """Steps in one call have other last bits than single ones, as compiled ones may."""
        found = [self.step(batch, index + i) for i, batch in enumerate(batches)]
        self.state["g.weight"].mul_(1 + 1e-6)
        self.ran.append((index, len(batches)))
        return found

    def seconds(self, batch: Tensor) -> float:
        return 0.001

    def work(self) -> tuple[int, int]:
        return 1, 1000

    def load(self, state: dict[str, Tensor]) -> None:
        assert state.keys() == self.state.keys()
        for name, tensor in state.items():
            self.state[name].copy_(tensor)

    def first_nonfinite(self, batch: Tensor, index: int, state_before: dict[str, Tensor]) -> str:
        assert all(bool(t.isfinite().all()) for t in state_before.values())
        return f"gate 'mul_{index}' of generator.net.3 (model.py:14)"

    def sample(self, z: Tensor) -> Tensor:
        return torch.tanh(z @ self.state["ema.g.weight"]).reshape(-1, 3, 4, 4)

    def noise(self, n: int, seed: int) -> Tensor:
        return torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))
