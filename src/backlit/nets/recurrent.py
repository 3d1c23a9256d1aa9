"""Recurrent networks: the same weights at every step of a sequence.

Shapes: N batch, T steps, F features, V vocabulary, S state width, L layers.
Sequences are (N, T, F) numbers or (N, T) token numbers. The state is a tuple of (L, N, S)
tensors: (h,) for "rnn" and "gru", (h, c) for "lstm". It starts at zero for every call of
`forward` (independent sequences) and is carried on by `step` (pieces of one long sequence).
"""

from typing import Literal, get_args

from torch import Tensor, nn

from backlit.errors import RecipeError
from backlit.registry import Count, Probability

Kind = Literal["rnn", "lstm", "gru"]
State = tuple[Tensor, ...]


class Recurrent(nn.Module):
    """What the sequence networks share: tokens or numbers to states, at every step.

    s_t = tanh(U x_t + W s_(t-1)) for "rnn"; U is `rnn.weight_ih_l0`, W is `rnn.weight_hh_l0`.

    Args:
        features: length F of x_t; with a vocabulary, of a token's learnt vector.
        width: length S of the state, default 64.
        kind: "rnn", "lstm" (default) or "gru".
        layers: recurrent layers on top of each other, default 1.
        dropout: probability of dropping a state's component between layers and at the output.
        vocabulary: number of tokens V, or None (default) where the input is numbers.

    Raises:
        RecipeError: an unknown kind.

    Source: Elman 1990, "Finding structure in time"; Hochreiter & Schmidhuber 1997, "Long
    short-term memory"; Cho et al. 2014, "Learning phrase representations using RNN
    encoder-decoder".
    """

    def __init__(
        self,
        features: Count,
        width: Count = 64,
        kind: Kind = "lstm",
        layers: Count = 1,
        dropout: Probability = 0.0,
        vocabulary: Count | None = None,
    ) -> None:
        super().__init__()
        if kind not in get_args(Kind):
            raise RecipeError(f"recurrent network: kind must be rnn, lstm or gru, got {kind!r}")
        self.embedding = nn.Identity() if vocabulary is None else nn.Embedding(vocabulary, features)
        between = dropout if layers > 1 else 0.0
        cell = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind]
        self.rnn: nn.RNNBase = cell(features, width, layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer's state at every step (N, T, S), from a zero state."""
        return self.dropout(self.rnn(self.embedding(x))[0])

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the states (N, T, S) and the state to carry on, beginning from `state`."""
        if isinstance(self.rnn, nn.LSTM):
            states, (h, c) = self.rnn(self.embedding(x), (state[0], state[1]))
            return self.dropout(states), (h, c)
        states, h = self.rnn(self.embedding(x), state[0])
        return self.dropout(states), (h,)

    def initial_state(self, batch: int) -> State:
        """Return the zero state of `batch` sequences."""
        weight = next(self.rnn.parameters())
        zero = weight.new_zeros((self.rnn.num_layers, batch, self.rnn.hidden_size))
        return (zero, zero.clone()) if isinstance(self.rnn, nn.LSTM) else (zero,)


class SequenceClassifier(nn.Module):
    """One answer a sequence: (N, T, F) or (N, T) tokens to scores (N, classes).

    Reads the state at each sequence's last step, so padding behind it changes nothing.

    Args:
        features: length of x_t, or of a token's learnt vector.
        classes: scores per sequence, default 2.
        width, kind, layers, dropout, vocabulary: as in `Recurrent`.

    Source: see `Recurrent`; o = V s_T + b.
    """

    def __init__(
        self,
        features: Count,
        classes: Count = 2,
        width: Count = 64,
        kind: Kind = "lstm",
        layers: Count = 1,
        dropout: Probability = 0.0,
        vocabulary: Count | None = None,
    ) -> None:
        super().__init__()
        self.recurrent = Recurrent(features, width, kind, layers, dropout, vocabulary)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return scores (N, classes).

        Args:
            x: (N, T, F) numbers or (N, T) integer tokens.
            lengths: (N,) integer, true steps of each sequence, 1 to T; default T for all.
        """
        return self.head(_last(self.recurrent(x), lengths))


class SequenceTagger(nn.Module):
    """One answer a step: (N, T, F) or (N, T) tokens to scores (N, T, classes).

    Args:
        features: length of x_t, or of a token's learnt vector.
        classes: scores per step, default 2.
        width, kind, layers, dropout, vocabulary: as in `Recurrent`.

    Source: see `Recurrent`; o_t = V s_t + b.
    """

    def __init__(
        self,
        features: Count,
        classes: Count = 2,
        width: Count = 64,
        kind: Kind = "lstm",
        layers: Count = 1,
        dropout: Probability = 0.0,
        vocabulary: Count | None = None,
    ) -> None:
        super().__init__()
        self.recurrent = Recurrent(features, width, kind, layers, dropout, vocabulary)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.recurrent(x))  # (N, T, classes)


class CharacterModel(nn.Module):
    """The next character after each: tokens (N, T) to scores (N, T, vocabulary).

    Args:
        vocabulary: number of different characters V.
        features: length of a character's learnt vector, default 32.
        width, kind, layers, dropout: as in `Recurrent`; width defaults to 128.

    Source: Graves 2013, "Generating sequences with recurrent neural networks", section 3.
    """

    def __init__(
        self,
        vocabulary: Count,
        features: Count = 32,
        width: Count = 128,
        kind: Kind = "lstm",
        layers: Count = 1,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.recurrent = Recurrent(features, width, kind, layers, dropout, vocabulary)
        self.head = nn.Linear(width, vocabulary)

    def forward(
        self, tokens: Tensor, h: Tensor | None = None, c: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Return scores (N, T, V); given a state, scores and the new state, as `step` does.

        Args:
            tokens: (N, T) integers.
            h, c: (L, N, S); c for "lstm" alone; default a zero state that is not carried on.
        """
        if h is None:
            return self.head(self.recurrent(tokens))  # (N, T, V)
        scores, state = self.step(tokens, (h,) if c is None else (h, c))
        return scores, *state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return scores (N, T, V) and the state to carry on to the text's next piece.

        For truncated backpropagation through time, detach the state between pieces.
        """
        states, state = self.recurrent.step(tokens, state)
        return self.head(states), state

    def initial_state(self, batch: int) -> State:
        """Return the zero state of `batch` texts."""
        return self.recurrent.initial_state(batch)


class SequenceRegressor(nn.Module):
    """Numbers from a sequence, such as the next value: (N, T, F) to (N, outputs).

    Args:
        features: length of x_t, default 1.
        outputs: numbers to predict, default 1.
        width, kind, layers, dropout: as in `Recurrent`; width defaults to 32, kind to "rnn".

    Source: see `Recurrent`; o = V s_T + b.
    """

    def __init__(
        self,
        features: Count = 1,
        outputs: Count = 1,
        width: Count = 32,
        kind: Kind = "rnn",
        layers: Count = 1,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.recurrent = Recurrent(features, width, kind, layers, dropout)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return predictions (N, outputs); `lengths` as in SequenceClassifier."""
        return self.head(_last(self.recurrent(x), lengths))


def _last(states: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return states[:, -1]  # (N, S)
    index = (lengths - 1).view(-1, 1, 1).expand(-1, 1, states.shape[2])
    return states.gather(1, index).squeeze(1)  # (N, S)
