"""What a name or a path stands for: the one way from a command line to a data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from backlit.data.avatars import avatars
from backlit.data.decode import EXTENSIONS
from backlit.data.emoji_groups import emoji_groups
from backlit.data.fluent import emoji
from backlit.data.idx_files import fashion_mnist, find_idx, idx, mnist
from backlit.data.labelled import Labelled
from backlit.data.open_folder import folder
from backlit.data.pictures import PictureSet
from backlit.data.rows import TABLES
from backlit.data.scenes import emoji_boxes
from backlit.data.sentiment import composed_reviews, reviews
from backlit.data.tables import table
from backlit.data.textbook import digits, wine
from backlit.data.texts import moby_dick, text
from backlit.data.time_series import series, sunspots
from backlit.errors import DataError

NAMED: dict[str, Callable[[], Labelled | PictureSet]] = {
    "digits": digits,
    "wine": wine,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "sunspots": sunspots,
    "reviews": reviews,
    "composed-reviews": composed_reviews,
    "moby-dick": lambda: moby_dick().windows(64),
    "emoji": emoji,
    "emoji-groups": emoji_groups,
    "emoji-boxes": emoji_boxes,
    "avatars": avatars,
}
TEXTS = (".txt", ".md", ".text")


Kind: TypeAlias = Literal["idx", "pictures", "table", "text"]


def kind_of(target: str) -> Kind:
    """What a folder or file holds: "idx", "pictures", "table" or "text".

    Raises:
        DataError: nothing there, or another kind of file.
    """
    path = Path(target).expanduser()
    suffix = path.suffix.lower()
    if path.is_dir():
        return "idx" if find_idx(path) else "pictures"
    if not path.is_file():
        raise DataError(
            f"expected {', '.join(NAMED)}, a folder or a file; found nothing at {target}"
        )
    if suffix in TABLES:
        return "table"
    if suffix in TEXTS:
        return "text"
    beside = "; give the folder it lies in" if suffix in (*EXTENSIONS, ".gz", "") else ""
    raise DataError(f"{target}: expected a file of {', '.join((*TABLES, *TEXTS))}{beside}")


def open_any(
    target: str,
    column: str | None = None,
    as_series: bool = False,
    level: str = "char",
    size: int = 64,
) -> Labelled | PictureSet:
    """Open a named set, a folder or a file by what it holds.

    Args:
        target: a name of `NAMED`; else a folder with idx files, a folder of pictures, a table
            (.csv, .tsv, .parquet) or a text (.txt, .md).
        column: of a table, the one to predict; by default the last.
        as_series: take that column as a series in time.
        level: "char" or "word", for a text.
        size: edge in pixels of a folder's pictures.

    Returns:
        A PictureSet for emoji and folders of pictures, else Labelled; a text in windows of 64.

    Raises:
        DataError: nothing of that name, another kind of file, or what its reader says.
    """
    if target in NAMED:
        return NAMED[target]()
    path, kind = Path(target).expanduser(), kind_of(target)
    if kind == "idx":
        return idx(path, path.name)
    if kind == "pictures":
        return folder(path, size=size)
    if kind == "table" and as_series:
        if column is None:
            raise DataError(f"{target}: expected the column of the series by name, got none")
        return series(path, column)
    if kind == "table":
        return table(path, column)
    found = text(path, level)  # type: ignore[arg-type]  # text() checks it
    return found.windows(min(64, max(1, len(found.train) - 1)))
