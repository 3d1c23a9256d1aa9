"""A whole step as one CUDA graph: one launch instead of one for each kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Call = Callable[..., Sequence[Tensor]]
Recorded = tuple[Callable[[], Any], Sequence[Tensor]]
_WARM_UPS = 3  # what PyTorch's notes on CUDA graphs ask for: libraries set themselves up


class CudaGraph:
    """A step recorded on the device and replayed from there, with no word from the host between.

    Args:
        call: the step, plain or compiled; it writes its new state into its inputs.
        inputs: tensors in its order, all on the device.
        live: those of them that are the state (and rates): they are read and written where they
            lie, and have their values back after recording. Of the others the graph keeps copies
            of its own, which each call fills.
        record: runs a function and returns what replays it, and its outputs.
    """

    def __init__(
        self,
        call: Call,
        inputs: Sequence[Tensor],
        live: Sequence[Tensor],
        record: Callable[[Callable[[], Sequence[Tensor]]], Recorded] | None = None,
    ):
        fixed = {t.data_ptr() for t in live}
        self._inputs = [t if t.data_ptr() in fixed else t.clone() for t in inputs]
        before = [t.detach().clone() for t in live]
        try:
            self._replay, self._outputs = (record or _record)(lambda: call(*self._inputs))
        finally:
            for tensor, value in zip(live, before, strict=True):
                tensor.detach().copy_(value)

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """One step; the results are the caller's own."""
        for mine, given in zip(self._inputs, inputs, strict=True):
            if mine.data_ptr() != given.data_ptr():
                mine.copy_(given, non_blocking=True)
        self._replay()
        return [t.clone() for t in self._outputs]  # the next replay writes over these


def _record(run: Callable[[], Sequence[Tensor]]) -> Recorded:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UPS):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = run()
    return graph.replay, outputs


def recorded(
    call: Call,
    inputs: Sequence[Tensor],
    live: Sequence[Tensor],
    say: Callable[[str], None] | None = None,
) -> Call:
    """The step as a CUDA graph where its state lies on a GPU, else the step itself.

    Args:
        call, inputs, live: as `CudaGraph` takes them.
        say: told where a step cannot be recorded; it then runs kernel by kernel.
    """
    if not inputs or any(t.device.type != "cuda" for t in inputs):
        return call
    try:
        return CudaGraph(call, inputs, live)
    except RuntimeError as error:
        if say is not None:
            first = str(error).splitlines()[0]
            say(f"this step cannot be one CUDA graph, it runs kernel by kernel: {first}")
        return call
