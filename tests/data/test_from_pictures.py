"""Class folders and emoji groups as labelled data."""

import pytest

from backlit.data import emoji, folder, labelled_pictures
from backlit.errors import DataError


def test_class_folders(photos, noise):
    for number in range(20):
        place = photos / ("cat" if number % 2 else "dog")
        place.mkdir(exist_ok=True)
        noise(number).save(place / f"{number:02}.png")
    (photos / "cat" / "torn.png").write_bytes(b"no picture")
    data = labelled_pictures(folder(photos, size=12), "pets")
    assert data.inputs.shape == (20, 3, 12, 12) and data.classes == ("cat", "dog")
    assert data.class_counts == {"cat": 10, "dog": 10} and len(data.test) == 3
    seen = data.inputs[data.train]
    assert seen.mean((0, 2, 3)).abs().max() < 1e-5
    assert data.facts[1] == "skipped cat/torn.png: not a picture: no known format begins like this"
    assert data.names[0] == "cat/01.png"


def test_two_groups_of_emoji():
    data = labelled_pictures(emoji(group=["animals", "food"], size=8))
    assert data.class_counts == {"animals": 155, "food": 123}


def test_refused(photos, noise):
    noise(0).save(photos / "a.png")
    with pytest.raises(DataError) as error:
        labelled_pictures(folder(photos), "pets")
    assert str(error.value) == (
        "pets: expected pictures with classes, got none with a class; put each class in a "
        "sub-folder of its own"
    )
    with pytest.raises(DataError) as error:
        labelled_pictures(emoji(group="food", size=8), "emoji")
    assert str(error.value) == "emoji: expected at least 2 classes, got 1"
