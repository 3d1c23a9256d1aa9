"""What does watching cost? A watched pass against plain forward and backward, ResNet-18's size.

    PYTHONPATH=src python bench/watched.py [PAIRS]

Watched: every value and every gradient on every wire is kept. 64 px, batch 8, training mode.
"""

from __future__ import annotations

import sys
import time

import record
import torch
import torch.nn.functional as F

from backlit.graph import capture
from backlit.nets import ResNet


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net, x = ResNet(), torch.randn(8, 3, 64, 64)
    target = torch.randint(0, 1000, (8,))
    graph = capture(lambda x: F.cross_entropy(net(x), target), x)
    leaf = x.clone().requires_grad_()
    everything = [*net.parameters(), leaf]

    def eager() -> None:
        torch.autograd.grad(F.cross_entropy(net(leaf), target), everything)

    def watched() -> None:
        graph.backward(x)

    ways = {"eager": eager, "watched": watched}
    record.interleaved(ways, time.process_time, 2)  # warm
    times = record.interleaved(ways, time.process_time, pairs)
    ratio = record.ratio(times["watched"], times["eager"])
    parameters = sum(p.numel() for p in net.parameters())
    print(f"{parameters:,} parameters, {len(graph)} gates, {pairs} interleaved pairs")
    print(f"watched / eager: {ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})")
    found = {"parameters": parameters, "pairs": pairs, "cpu_s": times, "ratio": ratio}
    print(record.write("watched", found))


if __name__ == "__main__":
    main()
