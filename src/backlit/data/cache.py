"""Decoded pictures on disk: one folder for each key, complete or absent.

An entry `<key>/` holds `pixels.u8` (uint8 N, H, W, C in order, without a header) and `set.json`
(shape, names, skipped files, sha256 of the pixels and of itself). It is built in a folder beside
it and renamed, so a killed process leaves no half entry and two builders do no harm: the second
finds the name taken by the same content.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backlit import folders
from backlit.errors import DataError

PIXELS, SET = "pixels.u8", "set.json"
BUILDING = "building-"
ABANDONED_S = 24 * 3600
FULL = (errno.ENOSPC, errno.EDQUOT)


class CacheWarning(UserWarning):
    """Something in the cache was damaged and is made again."""


@dataclass(frozen=True)
class Entry:
    """An opened cache entry: pixels memory-mapped read-only, uint8 (N, H, W, C)."""

    pixels: np.ndarray
    pixels_sha256: str
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def open_entry(path: Path) -> Entry | None:
    """The entry at `path`; None if there is none or it was damaged (then removed, with a warning).

    Every byte is checked against its sha256: about a second for each gigabyte.
    """
    if not path.exists():
        return None
    try:
        return read_entry(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(
            f"cache entry {path} is damaged ({' '.join(str(error).split())}): decoding again",
            CacheWarning,
            stacklevel=3,
        )
    with cache_errors(path.parent, needed_bytes=0):
        doomed = Path(tempfile.mkdtemp(prefix=BUILDING, dir=path.parent))
        try:
            os.replace(path, doomed / "damaged")
        except FileNotFoundError:
            pass  # another process saw the same damage first
        shutil.rmtree(doomed, ignore_errors=True)
    return None


def read_entry(path: Path) -> Entry:
    """Open and check an entry; ValueError, KeyError, TypeError or OSError when it is damaged."""
    stored = json.loads((path / SET).read_bytes())
    body = stored["body"]
    if stored["sha256"] != digest(body):
        raise ValueError(f"{SET}: its sha256 does not match")
    shape = tuple(body["shape"])
    file = path / PIXELS
    expected, found = int(np.prod(shape)), file.stat().st_size
    if expected != found:
        raise ValueError(f"{PIXELS}: expected {expected} bytes, found {found}")
    # An empty file cannot be mapped.
    pixels = np.memmap(file, np.uint8, "r", shape=shape) if found else np.empty(shape, np.uint8)
    if hashlib.sha256(pixels.data).hexdigest() != body["pixels_sha256"]:
        raise ValueError(f"{PIXELS}: its sha256 does not match")
    return Entry(
        # A plain view: memmap's own subclass would turn every small result into a memmap.
        pixels=pixels.view(np.ndarray),
        pixels_sha256=body["pixels_sha256"],
        names=tuple(body["names"]),
        skipped=tuple((name, reason) for name, reason in body["skipped"]),
    )


def build_entry(
    path: Path, results: Iterable[tuple[str, np.ndarray | str]], count: int, shape: tuple[int, ...]
) -> None:
    """Write an entry aside and rename it into place.

    Args:
        path: where the entry shall be.
        results: (name, picture or reason to skip it), in order.
        count: how many results will come.
        shape: (H, W, C) of each picture.

    Raises:
        DataError: the disk is full (before or while writing), or cannot be written to.
    """
    needed_bytes = count * int(np.prod(shape))
    with cache_errors(path.parent, needed_bytes):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent)
        if shutil.disk_usage(path.parent).free < needed_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        aside = Path(tempfile.mkdtemp(prefix=BUILDING, dir=path.parent))
        try:
            write_entry(aside, results, shape)
            publish(aside, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def cache_errors(folder: Path, needed_bytes: int) -> Iterator[None]:
    """Turn the operating system's errors while writing to the cache into a DataError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DataError(
                f"the disk of the cache folder {folder} is full: {needed_bytes:,} bytes are"
                f" needed; free some or set BACKLIT_CACHE to a folder on another disk"
            ) from error
        raise DataError(
            f"the cache folder {folder} cannot be written to ({error.strerror});"
            f" set BACKLIT_CACHE to another folder"
        ) from error


def write_entry(
    aside: Path, results: Iterable[tuple[str, np.ndarray | str]], shape: tuple[int, ...]
) -> None:
    """Pixels, then their description."""
    names: list[str] = []
    skipped: list[tuple[str, str]] = []
    pixels_sha256 = hashlib.sha256()
    # Written, not mapped: a full disk is then an error to catch, not a SIGBUS.
    with open(aside / PIXELS, "wb") as file:
        for name, result in results:
            if isinstance(result, str):
                skipped.append((name, result))
                continue
            raw = result.tobytes()
            pixels_sha256.update(raw)
            file.write(raw)
            names.append(name)
        file.flush()
        os.fsync(file.fileno())
    body = {
        "shape": [len(names), *shape],
        "pixels_sha256": pixels_sha256.hexdigest(),
        "names": names,
        "skipped": skipped,
    }
    write_file(aside / SET, json.dumps({"sha256": digest(body), "body": body}).encode())


def publish(aside: Path, path: Path) -> None:
    """Give a finished entry its name, unless another process was first with the same content."""
    try:
        os.replace(aside, path)
    except OSError:
        if not path.exists():
            raise


def write_file(file: Path, raw: bytes) -> None:
    """Write aside, fsync, rename."""
    folders.write_file(file, raw, BUILDING)


def remove_abandoned(folder: Path) -> None:
    """What killed processes left behind a day ago or longer."""
    for left in folder.glob(f"{BUILDING}*"):
        try:
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:
            pass  # another process removed it


def digest(body: object) -> str:
    """sha256 of a JSON value in one fixed spelling."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
