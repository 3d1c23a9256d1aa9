"""A cache folder of its own for every test, and small pictures to fill folders with."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """$BACKLIT_CACHE in the test's own folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BACKLIT_CACHE", str(folder))
    return folder


@pytest.fixture
def photos(tmp_path):
    """An empty folder for pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def noise():
    """noise(number, width, height): a picture that no two numbers share."""

    def make(number: int, width: int = 12, height: int = 12) -> Image.Image:
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        return Image.fromarray(pixels)

    return make
