"""Where supervised training from a recipe gets its data: [data] of a recipe names a source.

A source is a function of the section's other keys that returns a `Task`: samples for training,
validation and test, and what only the data can decide of the network. `SOURCES` is the one list;
a family of sources is a file.
"""

from collections.abc import Callable, Mapping
from typing import Any

from backlit.errors import RecipeError
from backlit.registry import build
from backlit.train.tasks.task import Measure, Show, Task, decided, from_labelled
from backlit.train.tasks.textbook import digits, wine

SOURCES: dict[str, Callable[..., Task]] = {
    "digits": digits,
    "wine": wine,
}
"""Source name -> function of its options; the annotations of a function check its options."""


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


__all__ = ["SOURCES", "Measure", "Show", "Task", "decided", "from_labelled", "open_task"]
