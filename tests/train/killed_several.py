"""What the kill test of several steps in one call runs."""

import sys

import torch
from fake import FakeGame, FakePictures

from backlit.train import train

if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train(
        FakeGame(),
        FakePictures(),
        steps=27,
        run=sys.argv[1],
        batch=8,
        save_every=10,
        sample_every=0,
        pictures=4,
        steps_per_call=5,
    )
