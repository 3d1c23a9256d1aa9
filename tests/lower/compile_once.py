"""Runs a small game compiled; prints what was said and a sum of the state. Run by test_cache."""

import hashlib
import sys

import torch
from torch import nn

from backlit.gan import Game

torch.set_num_threads(1)
torch.manual_seed(0)
said: list[str] = []
game = Game(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), latent=2)
batch = torch.randn(4, 2)
used = game.prepare(batch, "compiled", said.append)
for index in range(3):
    game.step(batch, index)
total = hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in game.state.values()))
print(used, total.hexdigest(), *(text for text in said if "damaged" in text), sep="\n")
print("compiler imported" if "torch._inductor.compile_fx" in sys.modules else "from the cache")
