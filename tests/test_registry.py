import pytest

from backlit.errors import RecipeError
from backlit.registry import build


def cat(paws: int, colour: str = "grey") -> str:
    return f"{colour} cat on {paws} paws"


TABLE = {"cat": cat, "any": lambda **options: str(options)}


def test_builds_with_checked_options() -> None:
    assert build("animal", TABLE, "cat", {"paws": 4}) == "grey cat on 4 paws"
    assert build("animal", TABLE, "any", {"x": 1}) == "{'x': 1}"


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("cta", {}, r"unknown animal 'cta' \(did you mean 'cat'\?\); allowed: any, cat"),
        ("zebra", {}, r"unknown animal 'zebra'; allowed: any, cat"),
        (
            "cat",
            {"paws": 4, "color": "red"},
            r"animal 'cat' has no option 'color' \(did you mean 'colour'\?\); "
            r"its options: paws: int, colour: str = 'grey'",
        ),
        ("cat", {}, r"animal 'cat' needs option 'paws'; its options: paws: int"),
    ],
)
def test_errors_say_what_is_allowed(name: str, options: dict, text: str) -> None:
    with pytest.raises(RecipeError, match=f"^{text}"):
        build("animal", TABLE, name, options)
