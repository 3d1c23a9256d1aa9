"""Building by name: options checked, and every error text."""

from functools import partial

import pytest

from backlit.errors import RecipeError
from backlit.registry import Count, Probability, build


def cat(paws: Count, colour: str = "grey", sleepy: Probability = 0.5) -> str:
    return f"{colour} cat on {paws} paws"


class Dog:
    def __init__(self, paws: Count = 4) -> None:
        self.paws = paws


TABLE = {"cat": cat, "cat4": partial(cat, 4), "dog": Dog}


def test_builds_with_checked_options() -> None:
    assert build("animal", TABLE, "cat", {"paws": 4}) == "grey cat on 4 paws"
    assert build("animal", TABLE, "cat4", {"colour": "red"}) == "red cat on 4 paws"
    assert build("animal", TABLE, "dog", {"paws": 3}).paws == 3


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("cta", {}, r"unknown animal 'cta' \(did you mean 'cat'\?\); allowed: cat, cat4, dog"),
        (["cat"], {}, r"unknown animal \['cat'\] .*; allowed: cat, cat4, dog"),
        ("zebra", {}, r"unknown animal 'zebra'; allowed: cat, cat4, dog"),
        (
            "cat",
            {"paws": 4, "color": "red"},
            r"animal 'cat' has no option 'color' \(did you mean 'colour'\?\); "
            r"its options: paws, colour='grey', sleepy=0.5",
        ),
        ("cat4", {"paws": 4}, r"animal 'cat4' has no option 'paws'; its options: .*"),
        ("cat", {}, r"animal 'cat' needs option 'paws'; its options: paws, .*"),
        (
            "dog",
            {"paws": -1},
            r"animal 'dog', option 'paws': Input should be greater than or equal to 1, got -1",
        ),
        ("cat", {"paws": 2.5}, r"animal 'cat', option 'paws': Input should be .*, got 2.5"),
        ("cat4", {"sleepy": 1}, r"animal 'cat4', option 'sleepy': Input .* less than 1, got 1"),
        ("cat4", {"colour": 3}, r"animal 'cat4', option 'colour': .* valid string, got 3"),
    ],
)
def test_errors_say_what_is_allowed(name: str, options: dict, text: str) -> None:
    with pytest.raises(RecipeError, match=f"^{text}$"):
        build("animal", TABLE, name, options)
