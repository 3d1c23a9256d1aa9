"""Sequences of unequal length as one tensor: padding at the end and a mask."""

from collections.abc import Sequence

import torch
from torch import Tensor

from backlit.errors import DataError


def pad_sequences(
    sequences: Sequence[Tensor | Sequence[float]], value: float = 0, length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Sequences side by side, the shorter ones filled up at the end.

    Args:
        sequences: B of them, each (T_i,) or (T_i, F) with T_i at least 1, of one dtype and F.
        value: what fills up.
        length: T; the longest T_i by default. Longer sequences are cut to it.

    Returns:
        (B, T) or (B, T, F) in the dtype of the sequences, and the mask, bool (B, T), true where
        a step came from a sequence.

    Raises:
        DataError: no sequence, one of length 0, unlike ones, or a length below 1.
    """
    if not len(sequences):
        raise DataError("pad_sequences: expected at least 1 sequence, got 0")
    if length is not None and length < 1:
        raise DataError(f"pad_sequences: expected a length of at least 1, got {length}")
    tensors = [torch.as_tensor(sequence) for sequence in sequences]
    first = tensors[0]
    for index, tensor in enumerate(tensors):
        if tensor.ndim == 0 or len(tensor) == 0:
            raise DataError(
                f"pad_sequences: expected sequences of at least 1 step, sequence {index} has 0;"
                f" leave it out"
            )
        if tensor.dtype != first.dtype or tensor.shape[1:] != first.shape[1:]:
            raise DataError(
                f"pad_sequences: expected sequences alike, sequence 0 is {described(first)},"
                f" sequence {index} is {described(tensor)}"
            )
    if length is None:
        length = max(len(tensor) for tensor in tensors)
    padded = torch.full((len(tensors), length, *first.shape[1:]), value, dtype=first.dtype)
    lengths = torch.tensor([min(len(tensor), length) for tensor in tensors])
    for row, tensor, kept in zip(padded, tensors, lengths.tolist(), strict=True):
        row[:kept] = tensor[:kept]
    return padded, torch.arange(length) < lengths[:, None]  # (B, T)


def described(tensor: Tensor) -> str:
    """Its dtype and shape, with T for the length."""
    shape = ", ".join(["T", *map(str, tensor.shape[1:])])
    return f"{str(tensor.dtype).removeprefix('torch.')} ({shape})"
