"""Training of any model: the loop, checkpoints, logs, losses and scores; knows no model.

What is trained says what its parameters, data and loss are (:class:`Trainable`); everything
that repeats from training to training is here.
"""

from __future__ import annotations

from .config import LoopSettings, from_mapping, with_changes
from .contract import Group, Place, Trainable, Training
from .loop import train
from .order import EpochOrder
from .run import run_training, score_checkpoint, settings_of, training_of

__all__ = [
    "EpochOrder",
    "Group",
    "LoopSettings",
    "Place",
    "Trainable",
    "Training",
    "from_mapping",
    "run_training",
    "score_checkpoint",
    "settings_of",
    "train",
    "training_of",
    "with_changes",
]
