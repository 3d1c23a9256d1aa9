"""One whole training step as a graph: assembled, then run watched, plain or compiled."""

from backlit.step.clip import clip_by_norm
from backlit.step.flat import Trained, trained
from backlit.step.optimiser import Optimiser
from backlit.step.step import HANDED_ON, MODES, Step

__all__ = ["HANDED_ON", "MODES", "Optimiser", "Step", "Trained", "clip_by_norm", "trained"]
