"""Things by name: networks, losses and whatever else a recipe names, with errors that help."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from backlit.errors import RecipeError

T = TypeVar("T")


def build(kind: str, table: Mapping[str, Callable[..., T]], name: str, options: Any) -> T:
    """Return `table[name](**options)`, its name and options checked against what is there.

    Args:
        kind: what the table holds, for the error text ("network", "loss").
        table: the allowed names and what builds each.
        name: the name asked for.
        options: mapping of keyword to value, checked against the builder's signature.

    Raises:
        RecipeError: an unknown name or option, or a required option left out; the text lists
            what is allowed and the nearest name.
    """
    if name not in table:
        raise RecipeError(
            f"unknown {kind} {name!r}{_nearest(name, table)}; allowed: {_list(table)}"
        )
    signature = inspect.signature(table[name])
    allowed = ", ".join(str(parameter) for parameter in signature.parameters.values()) or "none"
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for option in options:
        if option not in signature.parameters and not takes_any:
            raise RecipeError(
                f"{kind} {name!r} has no option {option!r}"
                f"{_nearest(option, signature.parameters)}; its options: {allowed}"
            )
    for parameter in signature.parameters.values():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and parameter.name not in options:
            raise RecipeError(
                f"{kind} {name!r} needs option {parameter.name!r}; its options: {allowed}"
            )
    return table[name](**options)


def _nearest(name: str, allowed: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
