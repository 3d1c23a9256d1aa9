"""Text from a trained model: one token after the other, each drawn from what the model expects."""

from __future__ import annotations

from typing import Any

import torch

from backlit.data import Text
from backlit.errors import BacklitError


@torch.no_grad()
def sample_text(
    network: Any,
    text: Text,
    n: int = 200,
    temperature: float = 1.0,
    seed: int = 0,
    begin: str = "\n",
) -> str:
    """A text that goes on from `begin`.

    The next token is drawn from p_i = exp(o_i / τ) / Σ_j exp(o_j / τ), o the model's scores.

    Args:
        network: has ``initial_state(1)`` and ``step(tokens, state)``, as `CharacterModel`.
        text: whose vocabulary it was trained on.
        n: tokens to draw.
        temperature: τ; 1 (default) as the model expects, below 1 the likelier ones more often,
            0 always the likeliest.
        seed: decides the draws.
        begin: what the model has read before, at least one token; default a line's end.
    Returns: the drawn tokens as text, without `begin`; never "<unk>".
    Raises: BacklitError for n below 1, a temperature below 0 or an empty `begin`.

    Source: Graves 2013, "Generating sequences with recurrent neural networks", section 2; Ackley
    et al. 1985, "A learning algorithm for Boltzmann machines" (the temperature).
    """
    read = text.encode(begin)
    if n < 1 or not temperature >= 0 or not len(read):
        raise BacklitError(
            "sample_text: expected n of at least 1, a temperature of at least 0 and at least one "
            f"token to begin with, got {n}, {temperature}, {begin!r}"
        )
    generator = torch.Generator().manual_seed(seed)
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    try:
        state, drawn = network.initial_state(1), []
        for _ in range(n):
            scores, state = network.step(read[None].to(device), state)  # (1, T, V)
            likely = scores[0, -1].double().cpu()
            likely[0] = -torch.inf  # "<unk>" is no text
            if temperature:
                p = torch.softmax(likely / temperature, 0)
                read = torch.multinomial(p, 1, generator=generator)
            else:
                read = likely.argmax()[None]
            drawn.append(read)
    finally:
        network.train(training)
    return text.decode(torch.cat(drawn))
