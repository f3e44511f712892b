"""How likely a hand that was seen is right: its side, and its keypoints within 15 % of its size."""

from __future__ import annotations

import math

import numpy as np

from .classes import OTHER, OWN
from .owners import Owners

RIGHT_WITHIN = 0.15
"""Mean keypoint error in units of the hand's size (the diagonal of its keypoints' box) at which a
hand counts as right."""

FEATURES = ("presence", "side", "own", "hand", "spread")
WEIGHTS = (0.42, 0.36, 1.93, 0.73, -0.75)
OFFSET = -2.27
"""Logistic regression (``python benchmarks/eyes_confidence.py``) on rendered and real pictures."""


def evidence(owners: Owners) -> np.ndarray:
    """(5,) what speaks for a hand, as in ``FEATURES``.

    Presence and the side's score over its crops as negative logarithms of what is missing, how
    many of its keypoints its class map calls its own and how many a hand's, and how far its crops
    disagree, in 3 % of its size.
    """
    hand = owners.hand
    chance = owners.at(hand.keypoints)
    own, other = float(chance[:, OWN].mean()), float(chance[:, OTHER].mean())
    presence, side = (-math.log(1.02 - min(v, 1.0)) for v in (hand.presence, hand.score))
    return np.array([presence, side, own, own + other, min(hand.spread, 0.15) / 0.03])


def confidence(owners: Owners) -> float:
    """Probability that the hand is right."""
    logit = OFFSET + float(evidence(owners) @ np.array(WEIGHTS))
    return 1 / (1 + math.exp(-logit))
