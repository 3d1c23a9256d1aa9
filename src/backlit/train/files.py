"""Files that are either whole or not there: written aside, synced, renamed."""

import os
from pathlib import Path

from backlit.errors import RunError
from backlit.train import faults

_ASIDE = ".aside"


def write_whole(path: Path, content: bytes, point: str) -> None:
    """Write a file so that a kill at any moment leaves the old one or the new one, whole.

    Args:
        path: the file; its folder must exist.
        content: all of its bytes.
        point: prefix of the fault points passed on the way: `.half`, `.aside`, `.done`.

    Raises:
        RunError: the disk is full or refuses; what stood there before is unchanged.
    """
    aside = path.with_name(f".{path.name}{_ASIDE}")
    view = memoryview(content)
    try:
        with open(aside, "wb", buffering=0) as file:
            _write_all(file.fileno(), view[: len(view) // 2])
            faults.reach(f"{point}.half")
            _write_all(file.fileno(), view[len(view) // 2 :])
            os.fsync(file.fileno())
        faults.reach(f"{point}.aside")
        os.replace(aside, path)
        sync_folder(path.parent)
    except OSError as error:
        # A disk that refused the write may refuse the removal too; opening the run cleans up.
        try:
            aside.unlink(missing_ok=True)
        except OSError:
            pass
        raise RunError(
            f"could not write {path} ({len(content):,} bytes): {error.strerror or error}; what was "
            "saved before is intact: make room or access, then start again with the same folder"
        ) from error
    faults.reach(f"{point}.done")


def _write_all(descriptor: int, view: memoryview) -> None:
    # os.write may take only a part of a large buffer, above all on a disk that fills up.
    while len(view):
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make the renames and removals in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed `write_whole` left in a folder."""
    for leftover in folder.glob(f".*{_ASIDE}"):
        leftover.unlink()
