"""Recurrent networks: the formula, shared weights, carried state, padding, shapes."""

import pytest
import torch
from torch import nn

from backlit.errors import RecipeError
from backlit.nets import Recurrent, network

KINDS = ("rnn", "lstm", "gru")


def test_simple_rnn_is_its_formula_and_sums_gradients_over_time() -> None:
    """Mission E1 and E4: s_t = f(U x_t + W s_(t-1)), dW the sum over the unrolled copies."""
    torch.manual_seed(0)
    net = Recurrent(3, 4, "rnn").double()
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    u, w, bias_u, bias_w = net.rnn.parameters()
    copies = [w.detach().clone().requires_grad_() for _ in range(5)]
    state, states = torch.zeros(2, 4, dtype=torch.float64), []
    for t, copy in enumerate(copies):
        state = torch.tanh(x[:, t] @ u.T + bias_u + state @ copy.T + bias_w)
        states.append(state)
    unrolled = torch.stack(states, 1)
    torch.testing.assert_close(net(x), unrolled, rtol=1e-12, atol=1e-14)
    (shared,) = torch.autograd.grad(net(x).square().sum(), w)
    apart = torch.autograd.grad(unrolled.square().sum(), copies)
    torch.testing.assert_close(shared, sum(apart), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_with_carried_state_equal_the_whole(kind: str) -> None:
    """Mission E3: the state is kept inside a sequence, and reset between sequences."""
    torch.manual_seed(0)
    model = network("character_model", vocabulary=7, features=3, width=5, kind=kind, layers=2)
    tokens = torch.randint(7, (2, 9))
    state = model.initial_state(2)
    pieces = []
    for piece in tokens.split(4, dim=1):
        scores, state = model.step(piece, state)
        pieces.append(scores)
    torch.testing.assert_close(torch.cat(pieces, 1), model(tokens))
    assert len(state) == (2 if kind == "lstm" else 1)
    assert torch.equal(model(tokens), model(tokens))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["sequence_classifier", "sequence_regressor"])
def test_padding_changes_nothing(name: str, kind: str) -> None:
    torch.manual_seed(0)
    net = network(name, features=2, width=4, kind=kind)
    x = torch.randn(3, 6, 2)
    lengths = torch.tensor([6, 1, 4])
    alone = [net(x[i : i + 1, :length]) for i, length in enumerate(lengths.tolist())]
    torch.testing.assert_close(net(x, lengths), torch.cat(alone))
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
    states, _ = nn.utils.rnn.pad_packed_sequence(net.recurrent.rnn(packed)[0], True)
    last = states[torch.arange(3), lengths - 1]
    torch.testing.assert_close(net(x, lengths), net.head(last))


@pytest.mark.parametrize("kind", KINDS)
def test_shapes(kind: str) -> None:
    tokens, numbers = torch.randint(9, (3, 5)), torch.randn(3, 5, 2)
    options = {"kind": kind, "layers": 2, "dropout": 0.5}
    text = network("sequence_classifier", features=2, vocabulary=9, classes=4, **options)
    assert text(tokens).shape == (3, 4)
    tagger = network("sequence_tagger", features=2, classes=4, **options)
    assert tagger(numbers).shape == (3, 5, 4)
    assert network("character_model", vocabulary=9, **options)(tokens).shape == (3, 5, 9)
    regressor = network("sequence_regressor", features=2, outputs=6, **options)
    assert regressor(numbers).shape == (3, 6)
    regressor(numbers).sum().backward()
    assert all(p.grad is not None for p in regressor.parameters())


def test_errors() -> None:
    text = "^recurrent network: kind must be rnn, lstm or gru, got 'elman'$"
    with pytest.raises(RecipeError, match=text):
        Recurrent(2, kind="elman")
    with pytest.raises(RecipeError, match=r"^network 'character_model' needs option 'vocabulary'"):
        network("character_model")
