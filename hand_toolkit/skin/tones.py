"""What tones skin can have: beside seen skin, beside the other hand's, and at all."""

from __future__ import annotations

import numpy as np

from .light import LUMINANCE
from .uv_observation import weighted_median

PALEST = 0.5
"""Luminance of the palest people's skin. A photo whose skin is paler has more light than was
estimated, since what it clips shows less than there was."""

LIGHTEST = 0.6
"""Luminance of albedo that invented skin hardly passes: that of the palest people's palms."""

SOFT = 0.06
"""Log luminance over which the limit sets in."""

AWAY, AWAY_HUE = 0.15, 0.06
"""Log luminance that invented skin may lie off the template moved to believed skin's tone, and hue
beside it: a palm in the light says little of the back, and the network takes it for a dark hand's
more often than not. People's backs are hardly redder than their palms (``benchmarks/sides.py``)."""

SAME_PERSON, SAME_HUE = 0.7, 0.35
"""Hands of one photo whose tones differ by more, in log luminance or in hue beside it, may be of
two people and tell nothing of each other; less is what light and shadow do."""


def overexposed(tone: np.ndarray) -> float:
    """Log luminance by which a tone (3,), log albedo, is paler than skin."""
    return max(0.0, float(np.log(np.exp(tone) @ LUMINANCE / PALEST)))


def too_light(log_albedo: np.ndarray) -> np.ndarray:
    """(N, 1) log luminance of skin (N, 3) over what skin can have."""
    over = np.log(np.exp(log_albedo) @ LUMINANCE) - np.log(LIGHTEST)
    soft: np.ndarray = SOFT * np.logaddexp(0, over / SOFT)
    return soft[:, None]


def off_the_template(
    hidden: np.ndarray, albedo: np.ndarray, belief: np.ndarray, template: np.ndarray
) -> np.ndarray:
    """How far invented skin is off what the template and believed skin allow.

    Args:
        hidden, albedo: (N, 3) log albedo of invented and of composed skin.
        belief: (N,) 0 to 1.
        template: (N, 3) log albedo, to any factor.

    Returns:
        (N, 3) log colour to take off hidden skin.
    """
    if belief.sum() < 1:
        return np.zeros(hidden.shape)
    apart = hidden - template - np.average(albedo - template, axis=0, weights=belief)
    grey = apart.mean(axis=1, keepdims=True)
    allowed = np.clip(grey, -AWAY, AWAY) + np.clip(apart - grey, -AWAY_HUE, AWAY_HUE)
    off: np.ndarray = apart - allowed
    return off


def person_s_tone(log_albedo: np.ndarray, belief: np.ndarray, template: np.ndarray) -> np.ndarray:
    """(3,) median of what believed skin (N, 3) is over the template (N, 3)."""
    return weighted_median(log_albedo - template, belief + 1e-9)


def gains_to_one_tone(
    tones: list[np.ndarray], weights: list[float]
) -> tuple[np.ndarray, np.ndarray] | None:
    """What to add to each of two hands' log albedo (3,), so that they are of one tone.

    Args:
        tones: (3,) of each, over the template.
        weights: how much of each hand is believed.

    Returns:
        None where they may be of two people.
    """
    apart = tones[1] - tones[0]
    grey = apart.mean()
    if abs(grey) > SAME_PERSON or np.abs(apart - grey).max() > SAME_HUE:
        return None
    share = weights[1] / max(weights[0] + weights[1], 1e-9)
    return share * apart, (share - 1) * apart
