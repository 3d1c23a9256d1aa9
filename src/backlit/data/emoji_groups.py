"""Groups of the bundled emoji as classes: "cat or not" in spirit, for logistic regression."""

from collections.abc import Sequence

from backlit.data.fluent import emoji
from backlit.data.from_pictures import labelled_pictures
from backlit.data.labelled import Labelled
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
        DataError: fewer than 2 groups, or a value that is not allowed.
    """
    if isinstance(groups, str) or len(set(groups)) < 2:
        raise DataError(f"emoji-groups: expected a list of at least 2 groups, got {groups!r}")
    pictures = emoji(style, group=list(groups), size=size)  # type: ignore[arg-type]  # checked there
    return labelled_pictures(pictures, "emoji-groups", validation, test, seed)
