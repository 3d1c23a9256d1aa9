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

from backlit.train.box_picture import box_picture
from backlit.train.build import build_data, build_game
from backlit.train.build_fit import build_fit, build_task
from backlit.train.checkpoint import Checkpoint, Checkpoints, DamagedCheckpoint
from backlit.train.compare import compare_runs
from backlit.train.curves import write_curves
from backlit.train.environment import environment
from backlit.train.feature_picture import Features, feature_picture
from backlit.train.fit_recipe import FitRecipe
from backlit.train.folder import RunFolder
from backlit.train.follow import follow
from backlit.train.load import bundled, load_recipe
from backlit.train.log import RunLog, read_metric, read_probes
from backlit.train.loop import Run, train
from backlit.train.open_run import open_run, open_step, run_recipe
from backlit.train.overfitting import Overfitting, overfitting
from backlit.train.pictures import Pictures, write_picture
from backlit.train.progress import Reporter, reporter
from backlit.train.recipe import Recipe
from backlit.train.stopping import Interrupted
from backlit.train.surface import draw_paths
from backlit.train.tasks import Task
from backlit.train.trainable import Evaluates, Generates, Progress, Trainable
from backlit.train.weight_picture import weight_picture

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "DamagedCheckpoint",
    "Evaluates",
    "Features",
    "FitRecipe",
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
    "Task",
    "Trainable",
    "box_picture",
    "build_data",
    "build_fit",
    "build_game",
    "build_task",
    "bundled",
    "compare_runs",
    "draw_paths",
    "environment",
    "feature_picture",
    "follow",
    "load_recipe",
    "open_run",
    "open_step",
    "overfitting",
    "read_metric",
    "read_probes",
    "reporter",
    "run_recipe",
    "train",
    "weight_picture",
    "write_curves",
    "write_picture",
]


class _Room(types.ModuleType):
    """The room itself can be called, so that `bl.train(game, data, ...)` is the loop."""

    __call__ = staticmethod(train)


sys.modules[__name__].__class__ = _Room
