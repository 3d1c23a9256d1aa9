"""Where supervised training from a recipe gets its data: [data] of a recipe names a source.

A source is a function of the section's other keys that returns a `Task`: samples for training,
validation and test, and what only the data can decide of the network. `SOURCES` is the one list,
`READERS` says which of them take which kind of file; a family of sources is a file.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backlit.data import NAMED, kind_of
from backlit.errors import RecipeError
from backlit.registry import build
from backlit.train.tasks.emoji import emoji
from backlit.train.tasks.files import fashion_mnist, idx, mnist, pictures, table
from backlit.train.tasks.sequences import (
    composed_reviews,
    moby_dick,
    reviews,
    sentences,
    series,
    sunspots,
    text,
)
from backlit.train.tasks.task import Show, Task, decided, from_labelled
from backlit.train.tasks.textbook import digits, wine
from backlit.train.tasks.vision import avatars, emoji_boxes, emoji_groups

SOURCES: dict[str, Callable[..., Task]] = {
    "avatars": avatars,
    "composed-reviews": composed_reviews,
    "digits": digits,
    "emoji-boxes": emoji_boxes,
    "emoji-groups": emoji_groups,
    "emoji": emoji,
    "fashion-mnist": fashion_mnist,
    "idx": idx,
    "mnist": mnist,
    "moby-dick": moby_dick,
    "pictures": pictures,
    "reviews": reviews,
    "sentences": sentences,
    "series": series,
    "sunspots": sunspots,
    "table": table,
    "text": text,
    "wine": wine,
}
"""Source name -> function of its options; the annotations of a function check its options."""

READERS: dict[str, tuple[str, ...]] = {
    "idx": ("idx",),
    "pictures": ("pictures",),
    "table": ("table", "series", "sentences"),
    "text": ("text",),
}
"""Kind of file or folder -> the sources that read it at `path`, the usual one first."""


def source_of(data: str, own: str = "") -> tuple[str, str | None]:
    """What source reads a named set, a folder or a file, and at which path.

    Args:
        data: a named set (digits, wine, ...), or the path of what `READERS` lists.
        own: the source a recipe has; kept where it reads such a file too.

    Raises:
        DataError: nothing there, or a file of another kind.
        RecipeError: no source reads it.
    """
    if data in NAMED and data in SOURCES:
        return data, None
    kind = kind_of(data)
    readers = READERS[kind]
    if not readers:
        known = ", ".join(kind for kind, readers in READERS.items() if readers)
        raise RecipeError(f"--data {data}: expected one of {known}, got a {kind}")
    return own if own in readers else readers[0], str(Path(data).expanduser())


def open_task(source: str, options: Mapping[str, Any]) -> Task:
    """Return the task of a source.

    Args:
        source: a name of `SOURCES`.
        options: what the source's function takes.

    Raises:
        RecipeError: an unknown source or option, or a value that is not allowed.
        DataError: data that cannot be used; the text says where and why.
    """
    try:
        return build("source", SOURCES, source, options)
    except RecipeError as error:
        raise RecipeError(f"data: {error}") from error


__all__ = [
    "READERS",
    "SOURCES",
    "Show",
    "Task",
    "decided",
    "from_labelled",
    "open_task",
    "source_of",
]
