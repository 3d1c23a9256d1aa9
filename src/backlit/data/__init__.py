"""Data sets and loaders: pictures decoded once into a memory-mapped cache, order by (seed, epoch).

`emoji` opens the bundled Fluent Emoji, `folder` any folder of pictures; both give a `PictureSet`
of uint8 pictures of one size. `batch_indices` says which of them a step sees, as a pure function
of its arguments, so that a resumed run sees what an uninterrupted one would have. `describe` and
`grid` show a set before anything is trained on it.
"""

from backlit.data.fluent import emoji
from backlit.data.look import describe, grid
from backlit.data.order import batch_indices, order
from backlit.data.pictures import PictureSet

__all__ = ["PictureSet", "batch_indices", "describe", "emoji", "grid", "order"]
