"""Bringing MNIST and Fashion-MNIST in: from files at hand into the user's cache."""

from pathlib import Path

from backlit.data.cache import cache_errors, write_file
from backlit.data.debian import files_in_deb
from backlit.data.idx_files import CLASSES, FILES, find_idx, read_pair
from backlit.data.options import check_one_of
from backlit.errors import DataError
from backlit.folders import cache_folder


def install(name: str, source: str | Path) -> Path:
    """Check the four idx files of a set and copy them to where its reader looks.

    Args:
        name: "fashion-mnist" or "mnist".
        source: a folder with the files, one of the files, or Debian's package
            dataset-fashion-mnist_*.deb. Each file plain or .gz.

    Returns:
        The folder they are in now.

    Raises:
        DataError: nothing there, a file missing or damaged, or a cache that cannot be written.
    """
    check_one_of("name", name, CLASSES)
    source = Path(source).expanduser()
    files = _files(source)
    missing = [file for key, file in FILES.items() if key not in files]
    if missing:
        raise DataError(
            f"{source}: expected the four idx files of {name}, plain or .gz; missing:"
            f" {', '.join(missing)}"
        )
    for part in ("train", "t10k"):
        read_pair(files[f"{part}-images"], files[f"{part}-labels"], len(CLASSES[name]))
    folder = cache_folder() / name
    with cache_errors(folder, sum(len(raw) for raw, _ in files.values())):
        old = find_idx(folder)
        for key, (raw, _) in files.items():
            suffix = ".gz" if raw[:2] == b"\x1f\x8b" else ""
            write_file(folder / (FILES[key] + suffix), raw)
            if key in old and old[key].name != FILES[key] + suffix:
                old[key].unlink()  # else the plain file of before would go on being read
    return folder


def _files(source: Path) -> dict[str, tuple[bytes, str]]:
    """Bytes and what to call them, by key; only those that are there."""
    if source.suffix == ".deb" and source.is_file():
        spellings = {name + suffix: key for key, name in FILES.items() for suffix in ("", ".gz")}
        inside = files_in_deb(source, set(spellings))
        return {spellings[name]: (raw, f"{source}: {name}") for name, raw in inside.items()}
    if not source.exists():
        raise DataError(
            f"expected a folder, an idx file or a Debian package, found nothing at {source}"
        )
    folder = source if source.is_dir() else source.parent
    return {key: (file.read_bytes(), str(file)) for key, file in find_idx(folder).items()}
