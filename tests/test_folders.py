"""What is kept: the newest entries, and a sum of the source that made them."""

import os

from backlit import folders


def test_the_newest_are_kept_and_what_is_being_written(tmp_path):
    for age, name in enumerate(("new", "younger", "older", "old", ".being_written")):
        place = tmp_path / name
        if age % 2:
            place.mkdir()
            (place / "inside").touch()
        else:
            place.touch()
        os.utime(place, (1000 - age, 1000 - age))
    folders.keep_newest(tmp_path, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "younger", ".being_written"}
    folders.keep_newest(tmp_path, 2)
    assert len(list(tmp_path.iterdir())) == 3


def test_an_entry_that_is_gone_meanwhile_does_no_harm(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).touch()
    gone = tmp_path / "gone"
    listed = [*tmp_path.iterdir(), gone]
    monkeypatch.setattr(type(tmp_path), "iterdir", lambda self: iter(listed))
    folders.keep_newest(tmp_path, 1)
    assert sum(path.exists() for path in listed) == 1


def test_the_sum_follows_names_and_text(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "__file__", str(tmp_path / "folders.py"))
    (tmp_path / "room").mkdir()
    sums = set()
    for name, text in (("a.py", ""), ("a.py", "x = 1"), ("room/b.py", "x = 1")):
        (tmp_path / name).write_text(text)
        sums.add(folders.source_sum.__wrapped__())
        assert folders.source_sum.__wrapped__() in sums
    (tmp_path / "a.py").rename(tmp_path / "c.py")
    sums.add(folders.source_sum.__wrapped__())
    assert len(sums) == 4
