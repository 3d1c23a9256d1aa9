"""Random numbers that are the same on every machine and under every numpy version."""

import numpy as np


class Chance:
    """A stream of random numbers, a pure function of its key.

    Only the raw output of PCG64 and of SeedSequence is used, which numpy keeps stable.

    Args:
        key: integers of at least 0, such as (seed, number of the sample).
    """

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def uniform(self, low: float = 0.0, high: float = 1.0, *shape: int) -> np.ndarray:
        """Return float64 numbers in [low, high), of the given shape (0-d by default)."""
        raw = self._bits.random_raw(int(np.prod(shape, dtype=np.int64))) >> np.uint64(11)
        return (low + (high - low) * 2.0**-53 * raw).reshape(shape)

    def below(self, n: int) -> int:
        """Return an integer of 0..n-1."""
        return int(self.uniform(0, n))
