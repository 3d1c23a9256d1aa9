"""The cache: decoded once, whole or absent, checked, and safe with others at work."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple

import numpy as np
import pytest

from backlit.data import CacheWarning, cache_folder, folder
from backlit.data import cache as cache_module
from backlit.data import decode as decode_module
from backlit.errors import DataError


@pytest.fixture
def decoded(monkeypatch):
    """A list that grows by one for every picture decoded."""
    calls = []
    real = decode_module.to_array

    def counting(*arguments):
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(decode_module, "to_array", counting)
    return calls


@pytest.fixture
def twenty(photos, noise):
    for number in range(20):
        noise(number).save(photos / f"{number:02}.png")
    return photos


def entries(cache):
    return sorted((cache / "pictures").iterdir())


def test_nothing_is_decoded_a_second_time(twenty, decoded):
    first = folder(twenty, size=12)
    assert len(decoded) == 20
    second = folder(twenty, size=12)
    assert len(decoded) == 20
    assert second.key == first.key and (second.pictures == first.pictures).all()
    assert not second.pictures.flags.writeable


def test_a_moved_folder_is_the_same_content(twenty, decoded, tmp_path):
    first = folder(twenty)
    moved = twenty.rename(tmp_path / "elsewhere")
    assert folder(moved).key == first.key
    assert len(decoded) == 20


@pytest.mark.parametrize(
    "options", [{"size": 8}, {"fit": "pad"}, {"channels": 1}, {"background": "black"}]
)
def test_other_options_are_other_entries(twenty, decoded, options):
    folder(twenty)
    folder(twenty, **options)
    assert len(decoded) == 40


def test_changed_content_is_noticed_even_at_equal_size_and_date(twenty, decoded, noise):
    before = folder(twenty)
    settle(twenty)
    folder(twenty)  # remembers the hashes now that the files are old enough
    file = twenty / "03.png"
    old = file.stat()
    raw = bytearray(file.read_bytes())
    noise(99).save(file)
    assert len(raw) == file.stat().st_size
    os.utime(file, ns=(old.st_atime_ns, old.st_mtime_ns))
    after = folder(twenty)
    assert after.key != before.key
    assert not (after.pictures[3] == before.pictures[3]).all()


def settle(path):
    """Wait until no file is too young to be remembered."""
    while time.time_ns() - max(file.stat().st_ctime_ns for file in path.iterdir()) < 2_100_000_000:
        time.sleep(0.1)


def test_remembered_files_are_not_read_again(twenty, monkeypatch):
    settle(twenty)
    folder(twenty)
    read = []
    monkeypatch.setattr("backlit.data.listing.hash_file", lambda *arguments: read.append(1))
    folder(twenty)
    assert not read


def test_added_and_removed_files_are_noticed(twenty, noise):
    keys = [folder(twenty).key]
    noise(50).save(twenty / "50.png")
    keys.append(folder(twenty).key)
    (twenty / "50.png").unlink()
    keys.append(folder(twenty).key)
    assert keys[0] == keys[2] != keys[1]


def test_a_damaged_index_is_only_slower(twenty, cache):
    first = folder(twenty)
    (index,) = (cache / "index").iterdir()
    for rubbish in (b"", b"\xff\xfe", b"[1]"):
        index.write_bytes(rubbish)
        assert folder(twenty).key == first.key


def flip(file, at):
    raw = bytearray(file.read_bytes())
    raw[at] ^= 1
    file.write_bytes(raw)


DAMAGES = {
    "one bit of the pixels": lambda entry: flip(entry / "pixels.u8", 777),
    "pixels cut short": lambda entry: os.truncate(entry / "pixels.u8", 1000),
    "pixels gone": lambda entry: (entry / "pixels.u8").unlink(),
    "description gone": lambda entry: (entry / "set.json").unlink(),
    "description empty": lambda entry: (entry / "set.json").write_bytes(b""),
    "description another value": lambda entry: (entry / "set.json").write_bytes(b"[]"),
    "one name changed": lambda entry: (entry / "set.json").write_bytes(
        (entry / "set.json").read_bytes().replace(b"03.png", b"04.png")
    ),
    "everything gone": lambda entry: [file.unlink() for file in entry.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_rebuilt_and_said(twenty, cache, decoded, damage):
    first = folder(twenty, size=12)
    pixels = np.array(first.pictures)
    (entry,) = entries(cache)
    DAMAGES[damage](entry)
    with pytest.warns(CacheWarning, match="is damaged .*: decoding again") as warned:
        again = folder(twenty, size=12)
    assert "\n" not in str(warned[0].message) and len(warned) == 1
    assert len(decoded) == 40
    assert again.key == first.key and (again.pictures == pixels).all()
    assert entries(cache) == [entry]
    folder(twenty, size=12)
    assert len(decoded) == 40


def test_a_disk_that_spoils_what_is_written_is_refused(twenty, monkeypatch):
    real = cache_module.publish

    def spoil(aside, path):
        flip(aside / "pixels.u8", 0)
        real(aside, path)

    monkeypatch.setattr(cache_module, "publish", spoil)
    with pytest.warns(CacheWarning), pytest.raises(DataError, match="damaged right after it was"):
        folder(twenty)


def test_progress_counts_hashing_then_decoding(twenty):
    calls = []
    folder(twenty, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 20) for done in range(1, 21)] * 2


BUILDS = """
import pathlib, sys, time
from backlit.data import folder, open_folder
real = open_folder.build_entry
def together(*arguments):  # neither builds before both have found nothing in the cache
    pathlib.Path(sys.argv[2]).touch()
    while not pathlib.Path(sys.argv[3]).exists():
        time.sleep(0.01)
    real(*arguments)
open_folder.build_entry = together
print(folder(sys.argv[1]).key)
"""


def test_two_builders_at_once(twenty, cache, tmp_path):
    gates = [str(tmp_path / "one"), str(tmp_path / "other")]
    both = [
        subprocess.Popen(
            [sys.executable, "-c", BUILDS, str(twenty), *order], stdout=subprocess.PIPE, text=True
        )
        for order in (gates, gates[::-1])
    ]
    keys = {process.communicate(timeout=120)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert keys == {folder(twenty).key}
    assert len(entries(cache)) == 1  # nothing half-built is left beside it


def test_the_second_of_two_builders_keeps_the_first_ones_entry(twenty, cache, monkeypatch):
    """The other builder finishes exactly between our decoding and our renaming."""
    other = folder(twenty, cache_dir=cache / "other")
    (theirs,) = entries(cache / "other")
    real = cache_module.publish
    fired = []

    def late(aside, path):
        shutil.copytree(theirs, path)
        fired.append(path)
        real(aside, path)

    monkeypatch.setattr(cache_module, "publish", late)
    assert folder(twenty).key == other.key
    assert entries(cache) == fired


KILLED = """
import os, pathlib, signal, sys
from backlit.data import folder
def progress(done, total):
    if any(pathlib.Path(sys.argv[2]).glob("pictures/building-*")) and done == 10:
        os.kill(os.getpid(), signal.SIGKILL)
folder(sys.argv[1], progress=progress)
"""


def test_a_killed_builder_leaves_no_entry(twenty, cache, monkeypatch):
    run = subprocess.run([sys.executable, "-c", KILLED, str(twenty), str(cache)])
    assert run.returncode == -signal.SIGKILL
    (left,) = entries(cache)
    assert left.name.startswith("building-")
    assert len(folder(twenty)) == 20
    assert len(entries(cache)) == 2
    monkeypatch.setattr(cache_module, "ABANDONED_S", -1)
    folder(twenty, size=8)
    assert not [entry for entry in entries(cache) if entry.name.startswith("building-")]


def test_an_interrupted_build_leaves_nothing(twenty, cache):
    def interrupt(done, total):
        if (cache / "pictures").exists() and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder(twenty, progress=interrupt)
    assert entries(cache) == []


def test_a_disk_too_small_is_refused_before_decoding(twenty, cache, decoded, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(DataError) as error:
        folder(twenty, size=64)
    assert str(error.value) == (
        f"the disk of the cache folder {cache / 'pictures'} is full: 245,760 bytes are needed;"
        " free some or set BACKLIT_CACHE to a folder on another disk"
    )
    assert not decoded


def test_a_disk_that_fills_up_while_writing(twenty, cache, monkeypatch):
    def fill(aside, results, shape):
        (aside / "pixels.u8").write_bytes(next(results)[1].tobytes())
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "write_entry", fill)
        with pytest.raises(DataError, match=r"is full: 245,760 bytes are needed; free some"):
            folder(twenty)
    assert entries(cache) == []
    assert len(folder(twenty)) == 20


def test_a_cache_that_cannot_be_written(twenty, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError) as error:
        folder(twenty, cache_dir=tmp_path / "file")
    assert str(error.value) == (
        f"the cache folder {tmp_path / 'file' / 'index'} cannot be written to (Not a directory);"
        " set BACKLIT_CACHE to another folder"
    )


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("BACKLIT_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "backlit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "backlit"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "backlit"


def test_an_entry_is_two_plain_files(twenty, cache):
    folder(twenty, size=12)
    (entry,) = entries(cache)
    assert sorted(file.name for file in entry.iterdir()) == ["pixels.u8", "set.json"]
    body = json.loads((entry / "set.json").read_text())["body"]
    assert body["shape"] == [20, 12, 12, 3]
    assert (entry / "pixels.u8").stat().st_size == 20 * 12 * 12 * 3
