"""What is wrong with a recipe, in one line: place, key, what was expected, what came."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "bool": "true or false",
    "string": "a text",
    "tuple": "a list",
    "model": "a table",
    "model_attributes": "a table",
    "dict": "a table",
}
_BOUNDS = {
    "greater_than": ("a number above", "gt"),
    "greater_than_equal": ("a number of at least", "ge"),
    "less_than": ("a number below", "lt"),
    "less_than_equal": ("a number of at most", "le"),
}


def explain(
    error: ValidationError, model: type[BaseModel], source: str, places: Mapping[str, str]
) -> str:
    """Return the first error of a validation as one line.

    Args:
        model: the model that was validated, for the keys it allows.
        source: the file, for keys that `places` does not name.
        places: dotted key -> where it came from.
    """
    errors = error.errors()
    first = errors[0]
    path = _key_path(first)
    key = ".".join(path)
    place = next((text for name, text in places.items() if _touches(name, key)), source)
    place = place if place.endswith(f" {key}") else f"{place}: {key}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{place}: {_what(first, path, model)}{more}"


def _key_path(error: Any) -> list[str]:
    # pydantic puts the chosen member of a tagged union into the location ("optimiser.d.Adam.lr").
    tags = {"SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Adadelta"}
    return [str(part) for part in error["loc"] if part not in tags]


def _touches(name: str, key: str) -> bool:
    return f"{key}.".startswith(f"{name}.") or f"{name}.".startswith(f"{key}.")


def _what(error: Any, path: list[str], model: type[BaseModel]) -> str:
    kind: str = error["type"]
    came = f"got {_shown(error['input'])}"
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _keys(model, list(error["loc"][:-1]))
        return f"unknown key{nearest(path[-1], allowed)}; allowed: {', '.join(allowed)}"
    if kind == "too_long":
        return f"expected {context['max_length']} entries, {came}"
    if kind == "missing" and isinstance(error["loc"][-1], int):
        return "expected more entries, got none at this place"
    if kind == "missing":
        return "expected a value, got none"
    if kind == "literal_error":
        hint = nearest(str(error["input"]), _quoted(context["expected"]))
        return f"expected {context['expected']}, {came}{hint}"
    if kind == "union_tag_invalid":
        allowed = _quoted(context["expected_tags"])
        hint = nearest(str(context["tag"]), allowed)
        return f"name: expected one of {', '.join(allowed)}, got {context['tag']!r}{hint}"
    if kind == "union_tag_not_found":
        return f"expected a table with a name, {came}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"expected {words} {context[bound]}, {came}"
    expected = _TYPES.get(kind) or _TYPES.get(kind.rsplit("_", 1)[0]) or error["msg"]
    return f"expected {expected}, {came}"


def _keys(model: type[BaseModel], loc: list[Any]) -> list[str]:
    """Return the keys a (sub)table may have, following its location through the models."""
    found: Any = model
    for part in loc:
        if isinstance(found, type) and issubclass(found, BaseModel):
            found = found.model_fields[part].annotation
        else:  # a tagged union: the part is the tag
            found = next(member for member in found.__args__ if member.__name__ == part)
    return sorted(found.model_fields)


def _quoted(text: str) -> list[str]:
    return [part.strip(" '\"") for part in text.replace(" or ", ",").split(",")]


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the allowed name nearest to one, or nothing."""
    by_lower = {word.lower(): word for word in allowed}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
