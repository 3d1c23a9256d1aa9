"""The small sets in scikit-learn's wheel: handwritten digits of 8 px, and wines by chemistry."""

import importlib
from typing import Any

import torch

from backlit.data.labelled import Labelled, split, standardise
from backlit.errors import DataError


def digits(validation: float = 0.1, test: float = 0.2, seed: int = 0) -> Labelled:
    """1,797 handwritten digits, 8 x 8 grey.

    Args:
        validation, test: shares, every class in proportion.
        seed: decides who goes where.

    Returns:
        inputs float32 (1797, 1, 8, 8), standardised with the one mean and std of the training
        pixels scaled to 0..1; targets int64 (1797,), 0..9.

    Raises:
        DataError: scikit-learn is not installed, or a share is not allowed.

    Source: Alpaydin, Kaynak 1998, Optical recognition of handwritten digits, UCI.
    """
    found = _sklearn("digits")
    targets = torch.from_numpy(found.target).long()
    train, held, tested = split(len(targets), validation, test, seed, targets)
    pixels = torch.from_numpy(found.images)[:, None] / 16  # (N, 1, H, W)
    inputs, mean, std = standardise(pixels, train, (0, 2, 3))
    return Labelled(
        name="digits",
        inputs=inputs,
        targets=targets,
        classes=tuple("0123456789"),
        train=train,
        validation=held,
        test=tested,
        facts=("pixels of 0..1 standardised with the training mean and standard deviation",),
        mean=mean,
        std=std,
    )


def wine(validation: float = 0.15, test: float = 0.2, seed: int = 0) -> Labelled:
    """178 wines of 3 growers by 13 chemical measurements. Arguments as for `digits`.

    Returns:
        inputs float32 (178, 13), each column standardised with its training part; targets 0..2.

    Source: Aeberhard, Forina 1991, Wine, UCI.
    """
    found = _sklearn("wine")
    targets = torch.from_numpy(found.target).long()
    train, held, tested = split(len(targets), validation, test, seed, targets)
    inputs, mean, std = standardise(torch.from_numpy(found.data), train, (0,))
    return Labelled(
        name="wine",
        inputs=inputs,
        targets=targets,
        classes=("grower 1", "grower 2", "grower 3"),
        train=train,
        validation=held,
        test=tested,
        facts=("columns standardised with the training mean and standard deviation",),
        mean=mean,
        std=std,
        columns=tuple(found.feature_names),
    )


def _sklearn(name: str) -> Any:
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError:
        raise DataError(
            f"{name}: expected scikit-learn, which holds this set; install it with"
            f" `pip install scikit-learn`"
        ) from None
    return getattr(datasets, f"load_{name}")()
