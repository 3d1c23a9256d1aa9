"""What the kill tests run: the fake game, slow enough to be caught in the act."""

import sys
import time

import torch
from fake import FakeGame, FakePictures

from backlit.train import train


class SlowGame(FakeGame):
    def step(self, batch: torch.Tensor, index: int) -> dict[str, torch.Tensor]:
        time.sleep(0.004)
        return super().step(batch, index)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train(
        SlowGame(),
        FakePictures(),
        steps=900,
        run=sys.argv[1],
        batch=8,
        save_every=20,
        sample_every=50,
        pictures=4,
    )
