"""What the kill test of the real game runs: a small DCGAN with R1 and EMA, in one thread."""

import sys

import torch

import backlit as bl
from backlit.nets import network

if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    game = bl.Game(
        network("dcgan_generator", latent=8, size=16, width=8),
        network("dcgan_discriminator", size=16, width=8),
        penalty=bl.R1(gamma=1.0, every=2),
        d_steps=2,
    )
    bl.train(
        game,
        bl.data.emoji(group="faces", size=16),
        steps=320,
        run=sys.argv[1],
        batch=8,
        save_every=10,
        sample_every=50,
        pictures=4,
        mode="plain",
        threads=1,
    )
