"""Embedding gates: rows of a table by index, and the adjoint that sums gradients into the rows."""

# Shapes: weight (V, D), indices (*), z (*, D).
from __future__ import annotations

import torch

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample


class Embedding(Gate):
    """Row of the table for each index; the padding row receives no gradient.

    `scale_grad_by_freq` divides by how often an index occurs, which no derivative does.
    """

    formula = "z = W[index]"
    local = "dW = zeros with dz added at index"
    forward = aten.embedding.default

    @staticmethod
    def backward(dz, z, w, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
        rest = (w.shape[0], padding_idx, scale_grad_by_freq)
        return (lambda: aten.embedding_dense_backward.default(dz, indices, *rest),)

    @staticmethod
    def samples(r: Draw):
        for index in ((), (1,), (5,), (3, 4), (2, 3, 2), (0,)):
            yield Sample((r(5, 3), r.indices(5, *index)))
        yield Sample((r(5, 3), r.indices(5, 7), 2))
        yield Sample((r.strided(5, 3), r.indices(5, 3, 4)))


class EmbeddingBackward(Gate):
    """Adjoint of the embedding: sums each index's row into a table."""

    formula = "Z = zeros (V, D) with x added at index"
    local = "dx = dZ[index]"
    forward = aten.embedding_dense_backward.default

    @staticmethod
    def backward(dz, z, x, indices, rows, padding_idx, scale_grad_by_freq):
        def rule():
            taken = aten.embedding.default(dz, indices)
            if scale_grad_by_freq:
                flat = indices.reshape(-1)
                count = aten.new_zeros.default(dz, [rows])
                count = aten.index_add.default(count, 0, flat, torch.ones_like(flat).to(dz.dtype))
                taken = taken / aten.index_select.default(count, 0, flat).reshape(*indices.shape, 1)
            if padding_idx >= 0:
                taken = taken.masked_fill((indices == padding_idx).unsqueeze(-1), 0)
            return taken

        return (rule,)

    @staticmethod
    def samples(r: Draw):
        for index in ((), (1,), (5,), (3, 4), (2, 3, 2), (0,)):
            yield Sample((r(*index, 3), r.indices(5, *index), 5, -1, False))
        yield Sample((r(7, 3), r.indices(5, 7), 5, 2, False))
        yield Sample((r.strided(3, 4, 2), r.indices(5, 3, 4), 5, -1, False))


class EmbeddingBag(Gate):
    """Sum, mean or maximum of the rows named in each bag; returns also the bags' bookkeeping.

    Arguments: weight, indices (n), offsets (B): where each bag starts, scale_grad_by_freq, mode
    (0 sum, 1 mean, 2 max), sparse, per_sample_weights (n), include_last_offset, padding_idx.
    """

    formula = "z_b = Σ W[index] over the bag (or mean, max)"
    local = "dW = zeros with dz_b (w) added at the bag's indices"
    forward = aten._embedding_bag.default
    overloads = (aten._embedding_bag_forward_only.default,)

    @staticmethod
    def backward(
        dz,
        z,
        w,
        indices,
        offsets,
        scale_grad_by_freq=False,
        mode=0,
        sparse=False,
        per_sample_weights=None,
        include_last_offset=False,
        padding_idx=-1,
    ):
        dout = dz[0]
        if mode == 2:
            winners = z[3][:, : w.shape[1]]
            filled = z[2].reshape(-1, 1)[: dout.shape[0]] > 0
            zeros = aten.new_zeros.default(dout, list(w.shape))
            taken = aten.where.self(filled, dout, aten.new_zeros.default(dout, []))
            return (lambda: aten.scatter_add.default(zeros, 0, winners.clamp_min(0), taken),)
        starts = offsets[:-1] if include_last_offset else offsets
        places = torch.arange(indices.shape[0], dtype=starts.dtype, device=indices.device)
        bag = aten.searchsorted.Tensor(starts, places, right=True) - 1  # (n)
        kept = (indices != padding_idx).to(dout.dtype)

        def rows():
            taken = aten.index_select.default(dout, 0, bag)  # (n, D)
            if mode == 1:
                count = aten.new_zeros.default(dout, [dout.shape[0]])
                count = aten.index_add.default(count, 0, bag, kept).clamp_min(1)
                taken = taken / aten.index_select.default(count, 0, bag).unsqueeze(1)
            return taken

        def to_weight():
            taken = rows()
            if per_sample_weights is not None:
                taken = taken * per_sample_weights.unsqueeze(1)
            rest = (w.shape[0], padding_idx, scale_grad_by_freq)
            return aten.embedding_dense_backward.default(taken, indices, *rest)

        def to_samples():
            picked = aten.embedding.default(w, indices)
            return (rows() * picked).sum(1) * kept

        return (
            to_weight,
            None,
            None,
            None,
            None,
            None,
            None if per_sample_weights is None else to_samples,
        )

    @staticmethod
    def samples(r: Draw):
        offsets = torch.tensor([0, 2, 2, 5])
        for mode in (0, 1, 2):
            yield Sample((r.apart(5, 3), r.indices(5, 7), offsets, False, mode))
            yield Sample((r.apart(5, 3), r.indices(5, 0), torch.tensor([0, 0]), False, mode))
        yield Sample((r(5, 3), r.indices(5, 7), offsets, False, 0, False, r(7)))
        yield Sample((r(5, 3), r.indices(5, 7), offsets, False, 0, False, None, False, 2))
        yield Sample((r(5, 3), r.indices(5, 5), offsets, False, 1, False, None, True, 2))
        yield Sample((r.strided(5, 3), r.indices(5, 7), offsets, False, 0))
