"""docs/pictures.md and docs/optimisers.md: pictures there and small, recipes that exist."""

import math
import re
from pathlib import Path

import pytest

from backlit.step.paths import OPTIMISER_CHOICE, SURFACES, optimiser_paths
from backlit.train import bundled

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / name).read_text() for name in ("pictures.md", "optimisers.md")}


@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_there(page: str) -> None:
    pictures = re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", PAGES[page])
    assert pictures
    for picture in pictures:
        assert 0 < (DOCS / picture).stat().st_size < 200_000, picture


def test_recipes_exist() -> None:
    named = set(re.findall(r"backlit train ([a-z-]+)", PAGES["pictures.md"]))
    assert named <= set(bundled()) and len(named) == 5


@pytest.mark.parametrize("name", SURFACES)
def test_distances_on_the_page(name: str) -> None:
    where, paths = SURFACES[name], optimiser_paths(name)
    shown = [f"{math.dist(path[-1].tolist(), where.minimum):.3f}" for path in paths.values()]
    assert f"| `{name}` | {' | '.join(shown)} |" in PAGES["optimisers.md"]
    assert f"| on | {' | '.join(OPTIMISER_CHOICE)} |" in PAGES["optimisers.md"]
