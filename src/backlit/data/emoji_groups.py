"""Groups of the bundled emoji as classes: "cat or not" in spirit, for logistic regression."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backlit.data.fluent import STYLES, emoji
from backlit.data.from_pictures import labelled_pictures
from backlit.data.labelled import Labelled
from backlit.data.options import check_one_of
from backlit.errors import DataError


def emoji_groups(
    groups: Sequence[str] = ("animals", "faces"),
    size: int = 16,
    style: str = "3d",
    validation: float = 0.15,
    test: float = 0.2,
    seed: int = 0,
) -> Labelled:
    """Emoji of two or more groups, each a class.

    Args:
        groups: at least 2 of "faces", "people", "animals", "food", "travel", "activities",
            "objects", "symbols", "flags".
        size: edge in pixels, 1..64.
        style: "3d" (default) or "flat".
        validation, test: shares, every class in proportion.
        seed: decides which.

    Returns:
        As `labelled_pictures`: inputs float32 (N, 3, S, S) standardised, targets int64 (N,), the
        place of the group in `groups`.

    Raises:
        DataError: fewer than 2 groups, groups that share an emoji, or a value not allowed.
    """
    if isinstance(groups, str) or len(groups) < 2:
        raise DataError(f"emoji-groups: expected a list of at least 2 groups, got {groups!r}")
    check_one_of("style", style, STYLES)
    found = [emoji(style, group=group, size=size) for group in groups]  # type: ignore[arg-type]
    label_of = {name: label for label, one in enumerate(found) for name in one.names}
    if len(label_of) != sum(map(len, found)):
        raise DataError(
            f"emoji-groups: expected groups that share no emoji, got {', '.join(groups)}"
        )
    pictures = emoji(style, group=list(groups), size=size)  # type: ignore[arg-type]
    labels = np.array([label_of[name] for name in pictures.names], np.int64)
    named = replace(pictures, labels=labels, classes=tuple(groups))
    return labelled_pictures(named, "emoji-groups", validation, test, seed)
