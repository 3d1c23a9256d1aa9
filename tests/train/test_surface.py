"""The picture of optimisers' paths."""

from PIL import Image, ImageColor

from backlit.train import draw_paths


def test_paths_are_drawn(tmp_path):
    paths = draw_paths(tmp_path / "p.png", "rosenbrock", {"Adam": "Adam", "SGD": "SGD"}, 20)
    assert set(paths) == {"Adam", "SGD"} and paths["Adam"].shape == (21, 2)
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size == (720, 720)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1_000_000)}
    assert {ImageColor.getrgb("#d62728"), ImageColor.getrgb("#1f77b4")} <= colours
