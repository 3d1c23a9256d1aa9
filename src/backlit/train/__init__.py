"""The loop: recipes, run folders, checkpoints, logging, resuming.

A run is a folder: `recipe.toml` (all that was chosen), `run.db` (SQLite: metrics, events, probes,
verdicts), `checkpoints/` (safetensors, each with the JSON that vouches for it), `samples/`,
`final.png` (a game's pictures, or the curves of supervised training) and, supervised,
`scores.json`. `train` goes on in a folder that has begun, bit for bit; what could change a bit is
recorded beside each checkpoint and a difference is said. A run is resumable after a kill at any
moment: every file is written aside, synced and renamed.
"""

import sys
import types

from backlit.train.build import batch_of, build_data, build_game, open_run, run_recipe
from backlit.train.checkpoint import Checkpoint, Checkpoints, DamagedCheckpoint
from backlit.train.curves import write_curves
from backlit.train.environment import environment
from backlit.train.folder import RunFolder
from backlit.train.log import RunLog, read_metric, read_probes
from backlit.train.loop import Run, train
from backlit.train.overfitting import Overfitting, overfitting
from backlit.train.pictures import Pictures, write_picture
from backlit.train.progress import Reporter, reporter
from backlit.train.recipe import Recipe, bundled, load_recipe
from backlit.train.stopping import Interrupted
from backlit.train.surface import draw_paths
from backlit.train.trainable import Evaluates, Generates, Progress, Trainable

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "DamagedCheckpoint",
    "Evaluates",
    "Generates",
    "Interrupted",
    "Overfitting",
    "Pictures",
    "Progress",
    "Recipe",
    "Reporter",
    "Run",
    "RunFolder",
    "RunLog",
    "Trainable",
    "batch_of",
    "build_data",
    "build_game",
    "bundled",
    "draw_paths",
    "environment",
    "load_recipe",
    "open_run",
    "overfitting",
    "read_metric",
    "read_probes",
    "reporter",
    "run_recipe",
    "train",
    "write_curves",
    "write_picture",
]


class _Room(types.ModuleType):
    """The room itself can be called, so that `bl.train(game, data, ...)` is the loop."""

    __call__ = staticmethod(train)


sys.modules[__name__].__class__ = _Room
