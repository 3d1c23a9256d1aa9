"""Sets made from the emoji: pure functions of their seed, boxes that fit, errors that help."""

import pytest
import torch

from backlit.data import avatars, emoji_boxes, emoji_groups, open_any, sample_pictures, summary
from backlit.data.chance import Chance
from backlit.errors import DataError


def test_chance_is_a_function_of_its_key() -> None:
    assert Chance(3, 1).uniform(0, 1, 4).tolist() == Chance(3, 1).uniform(0, 1, 4).tolist()
    assert Chance(3, 1).uniform() != Chance(3, 2).uniform()
    numbers = Chance(0).uniform(2, 5, 1000)
    assert 2 <= numbers.min() and numbers.max() < 5 and abs(numbers.mean() - 3.5) < 0.1
    # Golden: what is drawn must never change, or recorded runs could not be repeated.
    assert Chance(0).uniform(0, 1, 2).tolist() == pytest.approx(GOLDEN, abs=1e-15)
    assert {Chance(0, i).below(3) for i in range(20)} == {0, 1, 2}


GOLDEN = [0.6369616873214543, 0.2697867137638703]


def test_boxes() -> None:
    data = emoji_boxes(12, size=48, most=3)
    again = emoji_boxes(12, size=48, most=3)
    assert torch.equal(data.inputs, again.inputs) and torch.equal(data.targets, again.targets)
    assert not torch.equal(data.inputs, emoji_boxes(12, size=48, most=3, seed=1).inputs)
    assert data.inputs.shape == (12, 3, 48, 48) and data.targets.shape == (12, 3, 10)
    assert -1 <= data.inputs.min() and data.inputs.max() <= 1
    there = data.targets[..., 4:].sum(2)
    assert set(there.unique().tolist()) == {0.0, 1.0}
    boxes = data.targets[there > 0, :4]
    assert (boxes[:, 2:] > boxes[:, :2]).all() and boxes.min() >= 0 and boxes.max() <= 1
    longest = (boxes[:, 2:] - boxes[:, :2]).max(1).values
    assert longest.min() > 0.3 and longest.max() < 0.7
    # Rows are filled from the first.
    assert (there[:, 1:] <= there[:, :-1]).all()


def test_a_box_holds_its_emoji() -> None:
    # Two sets that differ in what is pasted alone: pictures differ within the boxes alone.
    a = emoji_boxes(6, size=64, most=1, kinds=("soccer ball", "basketball"))
    for picture, target in zip(a.inputs, a.targets, strict=True):
        if target[0, 4:].any():
            x1, y1, x2, y2 = (target[0, :4] * 64).round().int().tolist()
            assert x2 - x1 >= 21 and y2 - y1 >= 20
            assert picture[:, y1:y2, x1:x2].std() > 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kinds": ("dog face", "unicycle")}, "expected at least 2 different labels .* 'unicycle'"),
        ({"kinds": ("dog face",)}, "expected at least 2 different labels .* got 'dog face'$"),
        ({"most": 0}, "expected size of 16..256, n of at least 1 and most of 1..8, .* most 0$"),
        ({"size": 1000}, r"size: expected 1..256 pixels, got 1000"),
    ],
)
def test_boxes_refused(options: dict, text: str) -> None:
    with pytest.raises(DataError, match=text):
        emoji_boxes(4, **options)


def test_avatars() -> None:
    data = avatars(3, views=6, size=16)
    assert data.inputs.shape == (18, 3, 16, 16) and data.class_counts == dict.fromkeys(
        data.classes, 6
    )
    assert torch.equal(data.inputs, avatars(3, views=6, size=16).inputs)
    # A view is its own function: more people or views change none of those before.
    more = avatars(4, views=8, size=16)
    assert torch.equal(more.inputs[:6], data.inputs[:6])
    assert torch.equal(more.inputs[8:14], data.inputs[6:12])
    others = avatars(3, views=6, size=16, skip=3)
    assert not set(others.classes) & set(data.classes)
    every = avatars(104, views=4, size=8)
    assert len(set(every.classes)) == 104
    with pytest.raises(DataError, match=r"together at most 104, .* got people 100, skip 5"):
        avatars(100, skip=5)


def test_groups() -> None:
    data = emoji_groups(("travel", "food"), size=8)
    assert data.classes == ("travel", "food") and data.inputs.shape[1:] == (3, 8, 8)
    assert data.class_counts["food"] == 123
    by_name = dict(zip(data.names, data.targets.tolist(), strict=True))
    assert by_name["red apple"] == 1 and by_name["automobile"] == 0
    with pytest.raises(DataError, match="share no emoji, got faces, smileys"):
        emoji_groups(("faces", "smileys"), size=8)
    with pytest.raises(DataError, match="expected a list of at least 2 groups, got 'food'"):
        emoji_groups("food")


def test_by_name() -> None:
    assert len(open_any("avatars")) == 800


def test_boxes_can_be_looked_at() -> None:
    data = emoji_boxes(20, size=16)
    assert "20 samples of 3x16x16" in summary(data)
    pictures = sample_pictures(data, 5)
    assert pictures is not None and pictures.shape == (20, 16, 16, 3)
