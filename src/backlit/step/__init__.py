"""One whole training step as a graph: assembled, then run watched, plain or compiled."""

from backlit.step.captured import Captured
from backlit.step.clip import clip_by_norm
from backlit.step.flat import Trained, state_and_wires, trained
from backlit.step.optimiser import Optimiser
from backlit.step.paths import OPTIMISER_CHOICE, SURFACES, Surface, optimiser_paths, surface
from backlit.step.precision import AUTO, check_precision, settle_precision
from backlit.step.probes import Probe, Readings, add_probes
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
from backlit.step.step import HANDED_ON, MODES, Kernels, Step

__all__ = [
    "AUTO",
    "HANDED_ON",
    "MODES",
    "OPTIMISER_CHOICE",
    "SCHEDULES",
    "SURFACES",
    "Captured",
    "Constant",
    "Cosine",
    "Exponential",
    "Kernels",
    "Optimiser",
    "Plateau",
    "Probe",
    "Readings",
    "Schedule",
    "Step",
    "StepDecay",
    "Surface",
    "Trained",
    "WarmUp",
    "add_probes",
    "check_precision",
    "clip_by_norm",
    "load_state",
    "optimiser_paths",
    "schedule",
    "settle_precision",
    "state_and_wires",
    "surface",
    "trained",
]
