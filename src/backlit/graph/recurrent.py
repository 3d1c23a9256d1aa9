"""Recurrent layers unrolled in time: one gate for each step's part, the weights shared by all.

PyTorch's own decomposition of LSTM, GRU and RNN loses the dropout between the layers (torch 2.13),
so capture uses this one. The product with the input needs no earlier step: it is one large gate
for all times, biases and all.
"""

# Shapes: x (T, N, I), h (N, H), w_ih (G H, I), w_hh (G H, H); G parts: 4 LSTM, 3 GRU, 1 RNN.
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from backlit.gates.base import aten

State = tuple[Tensor, ...]
# (input's part, state, weights of the hidden side) -> new state, whose first entry is the output
Step = Callable[[Tensor, State, Sequence[Tensor]], State]


def _hidden(h: Tensor, weights: Sequence[Tensor]) -> Tensor:
    return aten.linear.default(h, weights[0], weights[1] if len(weights) > 1 else None)


def lstm_step(
    xg: Tensor, state: State, weights: Sequence[Tensor], projection: Tensor | None
) -> State:
    """c ← σ(f) c + σ(i) tanh(g), h ← σ(o) tanh(c). Source: Hochreiter and Schmidhuber 1997, with
    the forget gate of Gers, Schmidhuber and Cummins 2000."""
    h, c = state
    i, f, g, o = (xg + _hidden(h, weights)).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return (h if projection is None else aten.linear.default(h, projection)), c


def gru_step(xg: Tensor, state: State, weights: Sequence[Tensor]) -> State:
    """h ← n + z (h − n), n = tanh(x_n + r h_n). Source: Cho et al. 2014, equations (5) to (8)."""
    (h,) = state
    x_r, x_z, x_n = xg.chunk(3, 1)
    h_r, h_z, h_n = _hidden(h, weights).chunk(3, 1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = (x_n + r * h_n).tanh()
    return (n + z * (h - n),)


def tanh_step(xg: Tensor, state: State, weights: Sequence[Tensor]) -> State:
    """h ← tanh(U x + W h). Source: Elman 1990."""
    return ((xg + _hidden(state[0], weights)).tanh(),)


def relu_step(xg: Tensor, state: State, weights: Sequence[Tensor]) -> State:
    """h ← max(0, U x + W h). Source: Le, Jaitly and Hinton 2015."""
    return ((xg + _hidden(state[0], weights)).relu(),)


def _direction(
    x: Tensor, state: State, step: Step, weights: Sequence[Tensor], reverse: bool
) -> tuple[Tensor, State]:
    """One direction of one layer: all outputs (T, N, H) and the last state."""
    w_ih, w_hh, *biases = weights
    if biases and step is not gru_step:  # both are added to the same sum: once for all times
        biases = [biases[0] + biases[1]]
    flat = aten.linear.default(x.flatten(0, 1), w_ih, biases[0] if biases else None)  # (T N, G H)
    parts = flat.view(*x.shape[:2], w_ih.shape[0]).unbind(0)
    hidden = (w_hh, *biases[1:])
    outputs = []
    for xg in reversed(parts) if reverse else parts:
        state = step(xg, state, hidden)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if reverse else outputs), state


def _layers(
    step: Callable[..., State],
    projected: bool,
    x: Tensor,
    initial: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    """All layers: outputs, then the last states, each (layers · directions, N, H)."""
    x = x.transpose(0, 1) if batch_first else x
    directions = 2 if bidirectional else 1
    each = (4 if has_biases else 2) + projected
    finals: list[State] = []
    for layer in range(num_layers):
        if layer and train and dropout > 0:
            x = aten.native_dropout.default(x, dropout, True)[0]
        outputs = []
        for direction in range(directions):
            k = layer * directions + direction
            weights = list(params[k * each : (k + 1) * each])
            state = tuple(h.select(0, k) for h in initial)
            this: Any = step
            if step is lstm_step:
                projection = weights.pop() if projected else None

                def this(xg, state, hidden, projection=projection):
                    return lstm_step(xg, state, hidden, projection)

            output, state = _direction(x, state, this, weights, direction == 1)
            outputs.append(output)
            finals.append(state)
        x = torch.cat(outputs, 2) if bidirectional else outputs[0]
    last = tuple(torch.stack(states) for states in zip(*finals, strict=True))
    return (x.transpose(0, 1) if batch_first else x), *last


def lstm(x: Tensor, hx: Sequence[Tensor], params: Sequence[Tensor], *settings: Any) -> Any:
    """As aten.lstm.input: outputs, last h, last c; with projections h is shorter than c."""
    projected = hx[0].shape[2] != hx[1].shape[2]
    return _layers(lstm_step, projected, x, hx, params, *settings)


def _single(step: Step) -> Callable[..., Any]:
    def unrolled(x: Tensor, hx: Tensor, params: Sequence[Tensor], *settings: Any) -> Any:
        return _layers(step, False, x, [hx], params, *settings)

    return unrolled


UNROLLED: dict[Any, Callable[..., Any]] = {
    aten.lstm.input: lstm,
    aten.gru.input: _single(gru_step),
    aten.rnn_tanh.input: _single(tanh_step),
    aten.rnn_relu.input: _single(relu_step),
}
