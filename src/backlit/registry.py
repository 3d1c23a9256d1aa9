"""Things by name: networks, losses and whatever else a recipe names, with errors that help."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from backlit.errors import RecipeError

T = TypeVar("T")

# What options are made of: a whole number from 1, and a probability of dropping something.
Count = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]


def build(
    kind: str, table: Mapping[str, Callable[..., T]], name: str, options: Mapping[str, Any]
) -> T:
    """Return `table[name](**options)`, its name and options checked against what is there.

    Args:
        kind: what the table holds, for the error text ("network", "loss").
        table: the allowed names and what builds each.
        name: the name asked for.
        options: keyword to value, checked against the builder's signature and annotations.

    Raises:
        RecipeError: an unknown name or option (the allowed ones and the nearest are listed), a
            required option left out, or a value its annotation does not allow.
    """
    if not isinstance(name, str) or name not in table:
        known = ", ".join(sorted(table))
        raise RecipeError(f"unknown {kind} {name!r}{_nearest(name, table)}; allowed: {known}")
    builder = table[name]
    parameters = {
        option: parameter
        for option, parameter in inspect.signature(builder, eval_str=True).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    allowed = ", ".join(_shown(parameter) for parameter in parameters.values()) or "none"
    for option, value in options.items():
        if option not in parameters:
            raise RecipeError(
                f"{kind} {name!r} has no option {option!r}{_nearest(option, parameters)}; "
                f"its options: {allowed}"
            )
        annotation = parameters[option].annotation
        if annotation is inspect.Parameter.empty:
            continue
        try:
            TypeAdapter(annotation).validate_python(value, strict=True)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise RecipeError(
                f"{kind} {name!r}, option {option!r}: {problem}, got {value!r}"
            ) from None
    for option, parameter in parameters.items():
        if parameter.default is parameter.empty and option not in options:
            raise RecipeError(f"{kind} {name!r} needs option {option!r}; its options: {allowed}")
    return builder(**options)


def _shown(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"


def _nearest(name: str, allowed: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
