"""One whole training step as a graph: assembled, then run watched, plain or compiled."""

from backlit.step.clip import clip_by_norm
from backlit.step.optimiser import Optimiser
from backlit.step.schedule import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    Plateau,
    Schedule,
    StepDecay,
    WarmUp,
    schedule,
)
from backlit.step.state import load_state
from backlit.step.step import MODES, Step

__all__ = [
    "MODES",
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Exponential",
    "Optimiser",
    "Plateau",
    "Schedule",
    "Step",
    "StepDecay",
    "WarmUp",
    "clip_by_norm",
    "load_state",
    "schedule",
]
