"""A PictureSet with labels as Labelled: class folders of pictures, emoji groups."""

import torch

from backlit.data.labelled import Labelled, split, standardise
from backlit.data.pictures import PictureSet
from backlit.errors import DataError


def labelled_pictures(
    pictures: PictureSet,
    name: str = "pictures",
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
) -> Labelled:
    """Pictures with their classes, standardised by channel, held in memory as float32.

    Args:
        pictures: with labels, as `folder` gives for class sub-folders and `emoji` for groups.
        name: of the set.
        validation, test: shares, every class in proportion.
        seed: decides which.

    Returns:
        inputs float32 (N, C, H, W), each channel of 0..1 standardised with the training part;
        targets int64 (N,).

    Raises:
        DataError: pictures without labels or of one class, or a share that is not allowed.
    """
    if pictures.labels is None:
        raise DataError(
            f"{name}: expected pictures with classes, got none with a class; put each class in a"
            f" sub-folder of its own"
        )
    targets = torch.from_numpy(pictures.labels.copy())
    found = targets.unique()
    if len(found) < 2:
        raise DataError(f"{name}: expected at least 2 classes, got {len(found)}")
    train, held, tested = split(len(targets), validation, test, seed, targets)
    pixels = pictures.batch(range(len(pictures))).float().div_(255)
    inputs, mean, std = standardise(pixels, train, (0, 2, 3))
    skipped = tuple(f"skipped {file}: {reason}" for file, reason in pictures.skipped)
    return Labelled(
        name=name,
        inputs=inputs.contiguous(),
        targets=targets,
        classes=pictures.classes,
        train=train,
        validation=held,
        test=tested,
        facts=("channels of 0..1 standardised with the training mean and deviation", *skipped),
        mean=mean,
        std=std,
        names=pictures.names,
    )
