"""Data sets and loaders: pictures decoded once into a memory-mapped cache, order by (seed, epoch).

`emoji` opens the bundled Fluent Emoji, `folder` any folder of pictures; both give a `PictureSet`
of uint8 pictures of one size. `batch_indices` says which of them a step sees, as a pure function
of its arguments, so that a resumed run sees what an uninterrupted one would have. `describe` and
`grid` show a set before anything is trained on it.
"""

from backlit.data.cache import CacheWarning
from backlit.data.fluent import emoji
from backlit.data.look import describe, grid
from backlit.data.open_folder import folder
from backlit.data.pictures import PictureSet
from backlit.data.sampling import batch_indices, order
from backlit.folders import cache_folder

__all__ = [
    "CacheWarning",
    "PictureSet",
    "batch_indices",
    "cache_folder",
    "describe",
    "emoji",
    "folder",
    "grid",
    "order",
]
