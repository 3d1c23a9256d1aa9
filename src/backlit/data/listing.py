"""Which picture files a folder holds, and what is in them: paths and sha256, remembered by stat."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from backlit.data.cache import cache_errors, write_file
from backlit.data.decode import EXTENSIONS
from backlit.errors import DataError

Progress = Callable[[int, int], None]

# A file changed this shortly before it was hashed may change again within one tick of the clock
# of the file system, without a new time stamp: its hash is not remembered.
SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class Found:
    """One picture file: path relative to the folder (with /), sha256 or why it has none."""

    name: str
    sha256: str
    problem: str = ""


def list_pictures(folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Picture files below a folder, sorted; hidden files and folders and other types left out.

    Returns:
        Names relative to the folder, and (sub-folder, reason) of those that cannot be read.

    Raises:
        DataError: no such folder, a file, a folder that cannot be read, or no picture file in it.
    """
    if not os.path.exists(folder):
        raise DataError(f"expected a folder of pictures, found nothing at {folder}")
    if not os.path.isdir(folder):
        raise DataError(f"expected a folder of pictures, found a file at {folder}")
    problems: list[tuple[str, str]] = []

    def cannot_list(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise DataError(f"folder {folder} cannot be read: {error.strerror}") from error
        name = Path(error.filename).relative_to(folder).as_posix()
        problems.append((f"{name}/", f"cannot be read: {error.strerror}"))

    names: list[str] = []
    others = 0
    for root, folders, files in os.walk(folder, onerror=cannot_list):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            if file.startswith(".") or not file.lower().endswith(EXTENSIONS):
                others += 1
            else:
                names.append((Path(root) / file).relative_to(folder).as_posix())
    if not names:
        among = f" among {others} other files" if others else ""
        types = ", ".join(EXTENSIONS)
        raise DataError(f"expected pictures ({types}) in {folder}, found none{among}")
    return sorted(names), sorted(problems)


def hash_files(
    folder: Path, names: list[str], index: Path, progress: Progress | None
) -> list[Found]:
    """The sha256 of every file; those whose size and times are as remembered are not read.

    Args:
        folder: where the names lie.
        names: relative paths.
        index: the JSON file that remembers; rewritten when something changed.
        progress: called as progress(done, total) for the files that are read.
    """
    now_ns = time.time_ns()
    known = read_index(index)
    stats = {name: stat_of(folder / name) for name in names}
    stale = [name for name in names if name not in known or known[name][:-1] != stats[name]]
    fresh: dict[str, Found] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hashed = pool.map(lambda name: hash_file(folder, name), stale)
        for done, found in enumerate(hashed, 1):
            fresh[found.name] = found
            if progress is not None:
                progress(done, len(stale))
    result = [fresh.get(name) or Found(name, known[name][-1]) for name in names]
    if stale or len(known) != len(names):
        settled = {
            found.name: [*stats[found.name], found.sha256]
            for found in result
            if not found.problem and max(stats[found.name], default=now_ns) < now_ns - SETTLED_NS
        }
        with cache_errors(index.parent, needed_bytes=128 * len(names)):
            write_file(index, json.dumps(settled).encode())
    return result


def stat_of(file: Path) -> list[int]:
    """Size and times in nanoseconds; the change time also tells copies that keep their date."""
    try:
        stat = file.stat()
    except OSError:
        return []  # a link to nothing: equal to no remembered entry; hashing it gives the reason
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def hash_file(folder: Path, name: str) -> Found:
    """sha256 of one file's bytes, or why they cannot be read."""
    try:
        if not (folder / name).is_file():  # opening a pipe would wait for ever
            return Found(name, "", "not a regular file, or a link to nothing")
        with open(folder / name, "rb") as file:
            return Found(name, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        return Found(name, "", f"cannot be read: {error.strerror}")


def read_index(index: Path) -> dict[str, list]:
    """What the index remembers; nothing when it is missing or damaged (files are read again)."""
    try:
        known = json.loads(index.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
