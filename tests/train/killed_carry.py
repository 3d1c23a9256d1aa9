"""What the kill test of a carried state runs: an LSTM over lanes, in one thread."""

import sys

import torch

from backlit.nets import CharacterModel
from backlit.supervised import Lanes, Supervised
from backlit.train import train

if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = CharacterModel(5, 3, 6)
    train(
        Supervised(net, {"name": "cross_entropy", "class_dim": -1}, carry=net.initial_state(4)),
        Lanes("noise", torch.randint(5, (100,)), 2),
        steps=40,
        run=sys.argv[1],
        batch=4,
        save_every=5,
        mode="plain",
        threads=1,
    )
