"""Sequence networks: each entry makes (network, inputs)."""

# Shapes: x (N, T, features) or token numbers (N, T).
import torch
import torch.nn.functional as F
from torch import nn


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.cells = kind(4, 5, batch_first=True, **options)
        width = 5 * (2 if options.get("bidirectional") else 1)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


def lstm():
    return Recurrent(nn.LSTM, num_layers=2, bidirectional=True), (torch.randn(3, 6, 4),)


def gru():
    return Recurrent(nn.GRU, num_layers=2), (torch.randn(3, 6, 4),)


def rnn():
    return Recurrent(nn.RNN), (torch.randn(3, 6, 4),)


class Block(nn.Module):
    """A decoder block of GPT: causal attention, then the wide layer."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.one, self.two = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def forward(self, x):
        n, t, width = x.shape
        q, k, v = self.qkv(self.one(x)).chunk(3, -1)
        q, k, v = (a.reshape(n, t, self.heads, -1).transpose(1, 2) for a in (q, k, v))
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(h.transpose(1, 2).reshape(n, t, width))
        return x + self.wide(self.two(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(11, 8), nn.Embedding(6, 8)
        self.blocks = nn.Sequential(Block(8, 2), Block(8, 2))
        self.norm = nn.LayerNorm(8)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        scores = self.norm(self.blocks(x)) @ self.tokens.weight.t()  # tied weights
        return F.cross_entropy(scores[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def gpt():
    return GPT(), (torch.randint(0, 11, (2, 6)),)


def encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), (torch.randn(2, 5, 8),)


NETS = {f.__name__: f for f in (lstm, gru, rnn, gpt, encoder)}
