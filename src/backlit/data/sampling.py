"""Which pictures a step sees: a pure function of (number of pictures, batch, seed, step)."""

from functools import lru_cache

import numpy as np

from backlit.errors import DataError


def order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch visits its pictures.

    The same on every machine and under every numpy version: only the raw output of PCG64 and of
    SeedSequence, which numpy keeps stable, is used (`Generator.permutation` is not kept stable).

    Args:
        n: number of pictures, at least 0.
        seed: any integer of at least 0.
        epoch: 0-based.

    Returns:
        A permutation of 0..n-1, int64 (n,).

    Raises:
        DataError: n, seed or epoch is negative.
    """
    for name, value in (("n", n), ("seed", seed), ("epoch", epoch)):
        if value < 0:
            raise DataError(f"order: expected {name} of at least 0, got {value}")
    keys = np.random.PCG64(np.random.SeedSequence([seed, epoch])).random_raw(n)
    return np.argsort(keys, kind="stable").astype(np.int64)


def batch_indices(n: int, batch: int, seed: int, step: int) -> np.ndarray:
    """Which pictures a step sees.

    An epoch is n // batch whole batches; what is left of its order is dropped in that epoch.

    Args:
        n: number of pictures.
        batch: pictures in a batch, 1..n.
        seed: any integer of at least 0.
        step: 0-based, counted from the start of training.

    Returns:
        Indices, int64 (batch,).

    Raises:
        DataError: batch is not in 1..n, or seed or step is negative.
    """
    if not 1 <= batch <= n:
        raise DataError(f"batch: expected 1..{n} (there are {n} pictures), got {batch}")
    epoch, index = divmod(step, n // batch)
    return _order(n, seed, epoch)[index * batch : (index + 1) * batch].copy()


# Steps of one epoch follow each other: sorting once per epoch, not once per step.
_order = lru_cache(maxsize=4)(order)
