"""Training on inputs and targets: a network and its loss as one visible step.

`Supervised` is to one network what `backlit.gan.Game` is to two: the whole step - forward pass,
loss, backpropagation, update - is one graph that runs watched, plain or compiled. `Samples` is
data in tensors, `Lanes` a long sequence
whose state is carried from step to step; `classifier_scores` says how good the answers are.
"""

from backlit.supervised.augment import (
    AUGMENTATIONS,
    Augmentation,
    Colour,
    Cutout,
    Flip,
    Mixup,
    ShiftedCrop,
    augmentations,
)
from backlit.supervised.detection import detection_scores, detections
from backlit.supervised.lanes import Lanes
from backlit.supervised.sample_text import sample_text
from backlit.supervised.samples import Samples
from backlit.supervised.scores import ClassScores, Scores, balanced_weights, classifier_scores
from backlit.supervised.supervised import Supervised
from backlit.supervised.verification import verification

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "ClassScores",
    "Colour",
    "Cutout",
    "Flip",
    "Lanes",
    "Mixup",
    "Samples",
    "Scores",
    "ShiftedCrop",
    "Supervised",
    "augmentations",
    "balanced_weights",
    "classifier_scores",
    "detection_scores",
    "detections",
    "sample_text",
    "verification",
]
