"""Where Backlit keeps what it can make again, and how much of it."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """$BACKLIT_CACHE, else the user's cache folder of this platform with /backlit."""
    if chosen := os.environ.get("BACKLIT_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "backlit"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "backlit" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backlit"


def write_file(file: Path, raw: bytes, prefix: str = ".") -> None:
    """Writes aside, syncs, renames: the file is whole at any moment. Its folder is made.

    Args:
        prefix: what the name of the file aside begins with.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=prefix, dir=file.parent)
    try:
        with open(handle, "wb") as aside:
            aside.write(raw)
            aside.flush()
            os.fsync(aside.fileno())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def keep_newest(folder: Path, count: int) -> None:
    """Removes a folder's oldest entries, files or folders, until `count` are left.

    Entries that begin with a dot are still being written: they stay and do not count.
    """
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    for old in sorted(entries, key=_written)[:-count]:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)


def _written(path: Path) -> float:
    """When an entry was written; the first of all for one that another process just removed."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


@functools.cache
def source_sum() -> str:
    """A sum of Backlit's own source: what another Backlit made is not this one's."""
    home = Path(__file__).parent
    total = hashlib.sha256()
    for path in sorted(home.rglob("*.py")):
        total.update(f"{path.relative_to(home)}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()
