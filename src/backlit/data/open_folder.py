"""Any folder of pictures as a PictureSet: decoded once in parallel, memory-mapped from then on."""

import hashlib
import os
import warnings
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
import PIL
from PIL import Image

from backlit.data.cache import Entry, build_entry, digest, open_entry
from backlit.data.decode import FITS, Decoding, Unusable, decode
from backlit.data.listing import Found, Progress, hash_files, list_pictures
from backlit.data.options import check_one_of, check_size, to_colour
from backlit.data.pictures import PictureSet, content_key
from backlit.errors import DataError
from backlit.folders import cache_folder

CACHE_FORMAT = 1  # raise when the same file would decode to other pixels
LARGEST_PX = 4096
CHUNK = 128  # pictures decoded ahead of the writer


def folder(
    path: str | os.PathLike[str],
    size: int = 64,
    fit: Literal["crop", "pad", "stretch"] = "crop",
    channels: Literal[1, 3, 4] = 3,
    background: tuple[int, int, int] | str = (255, 255, 255),
    strict: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    minimum: int = 1,
) -> PictureSet:
    """The pictures in a folder and its sub-folders, sorted by path.

    PNG, JPEG, WebP, GIF and TIFF (their first frame) and BMP; RGB, RGBA, grey, palette, CMYK,
    1-bit and 16-bit grey; turned upright by EXIF; colour profiles are not applied. Hidden files and
    other file types are passed over. If every picture lies in a sub-folder, the sub-folders of the
    top level are the classes; with pictures beside sub-folders there are no classes, and a warning.

    Decoded pictures are kept in the cache folder under a key of their content (paths, sha256 of the
    files, options): opened again, nothing is decoded.

    Args:
        path: the folder.
        size: edge in pixels, 1..4096.
        fit: what is done with pictures that are not square: "crop" the middle, "pad" with the
            background, "stretch".
        channels: 1 grey, 3 RGB, 4 RGBA.
        background: (r, g, b) of 0..255 or a colour name, laid under transparent parts and around
            padded pictures; with 4 channels padding is transparent.
        strict: refuse the folder if a file cannot be used, instead of skipping it.
        cache_dir: where decoded pictures are kept; default $BACKLIT_CACHE, else the user's cache.
        progress: called as progress(done, total), first while unknown files are hashed, then from
            1 again while they are decoded.
        minimum: pictures needed, usually one batch.

    Returns:
        Memory-mapped pictures; `skipped` names the files that could not be used, and why.

    Raises:
        DataError: no such folder, nothing in it, too few pictures, a file that cannot be used when
            strict, an option that is not allowed, a cache that cannot be written.
    """
    check_size(size, LARGEST_PX)
    check_one_of("fit", fit, FITS)
    check_one_of("channels", channels, (1, 3, 4))
    wanted = Decoding(size, fit, channels, to_colour(background))
    root = Path(path).expanduser()
    cache = cache_folder() if cache_dir is None else Path(cache_dir).expanduser()

    names, problems = list_pictures(root)
    place = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()
    files = hash_files(root, names, cache / "index" / f"{place}.json", progress)
    entry = open_or_build(root, files, wanted, cache / "pictures", progress)

    skipped = (*problems, *entry.skipped)
    first = f", the first: {skipped[0][0]} ({skipped[0][1]})" if skipped else ""
    if strict and skipped:
        raise DataError(f"{len(skipped)} of {len(names)} files in {root} cannot be used{first}")
    count = len(entry.names)
    if count < minimum:
        number = f"{minimum} pictures (one batch)" if minimum > 1 else "1 picture"
        skips = f"; {len(skipped)} skipped{first}" if skipped else ""
        raise DataError(f"expected at least {number}, found {count} in {root}{skips}")

    classes = find_classes(root, names)
    labels = None
    if classes:
        number_of = {name: number for number, name in enumerate(classes)}
        labels = np.array([number_of[top_of(name)] for name in entry.names], np.int64)
    return PictureSet(
        pictures=entry.pixels,
        labels=labels,
        classes=classes,
        captions=None,
        masks=None,
        names=entry.names,
        key=content_key(entry.pixels_sha256, entry.pixels.shape, labels),
        skipped=skipped,
    )


def find_classes(root: Path, names: list[str]) -> tuple[str, ...]:
    """Sub-folders of the top level, sorted; none if a picture lies outside them."""
    inside = [name for name in names if "/" in name]
    if inside and len(inside) < len(names):
        warnings.warn(
            f"{root}: {len(names) - len(inside)} pictures lie beside the sub-folders,"
            f" so the sub-folders are not taken as classes",
            stacklevel=3,
        )
        return ()
    return tuple(sorted({top_of(name) for name in inside}))


def top_of(name: str) -> str:
    """The first part of a relative path."""
    return name.split("/", 1)[0]


def open_or_build(
    root: Path, files: list[Found], wanted: Decoding, cache: Path, progress: Progress | None
) -> Entry:
    """The cache entry of these files and options, decoded first if there is none."""
    content = [[file.name, file.sha256, file.problem] for file in files]
    # Another Pillow, or another limit, may read or refuse other files.
    decoder = [CACHE_FORMAT, PIL.__version__, Image.MAX_IMAGE_PIXELS]
    path = cache / digest([decoder, asdict(wanted), content])
    shape = (wanted.size, wanted.size, wanted.channels)
    for _ in range(2):
        entry = open_entry(path)
        if entry is not None:
            return entry
        decoding = decode_all(root, files, wanted, progress)
        with warnings.catch_warnings(), closing(decoding) as results:
            # Remarks on odd metadata are not for the user; an enormous picture must be refused.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            build_entry(path, results, len(files), shape)
    entry = open_entry(path)
    if entry is None:
        raise DataError(f"cache entry {path} is damaged right after it was written: check the disk")
    return entry


def decode_all(
    root: Path, files: list[Found], wanted: Decoding, progress: Progress | None
) -> Generator[tuple[str, np.ndarray | str], None, None]:
    """(name, picture or reason to skip it) in order, decoded by threads: Pillow frees the GIL."""

    def one(file: Found) -> tuple[str, np.ndarray | str]:
        if file.problem:
            return file.name, file.problem
        try:
            return file.name, decode(root / file.name, file.sha256, wanted)
        except Unusable as reason:
            return file.name, str(reason)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), CHUNK):
            chunk = files[start : start + CHUNK]
            for done, result in enumerate(pool.map(one, chunk), start + 1):
                yield result
                if progress is not None:
                    progress(done, len(files))
