"""Data sets and loaders: each decoded or read once, split and shuffled as a function of a seed.

Pictures without targets: `emoji` opens the bundled Fluent Emoji, `folder` any folder of pictures;
both give a `PictureSet` of uint8 pictures of one size, decoded once into a memory-mapped cache.
Samples with targets come as `Labelled`, inputs and targets as tensors and the indices of its
parts: `labelled_pictures` from a `PictureSet`, `digits` and `wine` from scikit-learn, `mnist`,
`fashion_mnist` and `idx` from idx files (`install` brings them in), `table` from CSV and Parquet,
`series` and `sunspots` from a column in time, `text` and `moby_dick` by character or word,
`sentences`, `reviews` and `composed_reviews` with a class each; `pad_sequences` and `lanes` for
sequences; made from the emoji, `emoji_boxes` to be found, `avatars` to be recognised and
`emoji_groups` to be told apart.

`batch_indices` says which samples a step sees, as a pure function of its arguments, so that a
resumed run sees what an uninterrupted one would have. `describe`, `summary` and `grid` show a set
before anything is trained on it.
"""

from backlit.data.avatars import avatars
from backlit.data.cache import CacheWarning
from backlit.data.emoji_groups import emoji_groups
from backlit.data.fetch import install
from backlit.data.fluent import emoji
from backlit.data.from_pictures import labelled_pictures
from backlit.data.idx_files import fashion_mnist, idx, mnist, read_idx
from backlit.data.labelled import Labelled, split
from backlit.data.look import describe, grid
from backlit.data.open_any import NAMED, kind_of, open_any
from backlit.data.open_folder import folder
from backlit.data.pictures import PictureSet
from backlit.data.sampling import batch_indices, order
from backlit.data.scenes import KINDS, emoji_boxes
from backlit.data.sentiment import composed_reviews, reviews, sentences
from backlit.data.sequences import pad_sequences
from backlit.data.summary import sample_pictures, summary
from backlit.data.tables import table
from backlit.data.textbook import digits, wine
from backlit.data.texts import Text, lanes, moby_dick, text
from backlit.data.time_series import series, sunspots
from backlit.folders import cache_folder

__all__ = [
    "KINDS",
    "NAMED",
    "CacheWarning",
    "Labelled",
    "PictureSet",
    "Text",
    "avatars",
    "batch_indices",
    "cache_folder",
    "composed_reviews",
    "describe",
    "digits",
    "emoji",
    "emoji_boxes",
    "emoji_groups",
    "fashion_mnist",
    "folder",
    "grid",
    "idx",
    "install",
    "kind_of",
    "labelled_pictures",
    "lanes",
    "mnist",
    "moby_dick",
    "open_any",
    "order",
    "pad_sequences",
    "read_idx",
    "reviews",
    "sample_pictures",
    "sentences",
    "series",
    "split",
    "summary",
    "sunspots",
    "table",
    "text",
    "wine",
]
