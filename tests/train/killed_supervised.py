"""What the kill test of supervised training runs: all that a course may have, in one thread."""

import sys

import torch

import backlit as bl
from backlit.nets import MLP
from backlit.supervised import Mixup, Samples, Supervised
from backlit.train import train

if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    y = torch.arange(64) % 2
    data = Samples("noise", torch.randn(64, 10) + y[:, None] / 2, y, ("no", "yes"))
    training, validation = data.split(0.5)
    train(
        Supervised(
            MLP(10, 2, (32,), dropout=0.3),
            optimiser=bl.Optimiser("Adam", lr=0.02),
            prunable=True,
            augment=[Mixup(0.4)],
        ),
        training,
        validation=validation,
        steps=400,
        run=sys.argv[1],
        batch=8,
        validate_every=4,
        patience=6,
        schedule={"name": "plateau", "patience": 2, "gamma": 0.5},
        prune=0.5,
        prune_from=8,
        prune_to=20,
        save_every=10,
        mode="plain",
        threads=1,
    )
