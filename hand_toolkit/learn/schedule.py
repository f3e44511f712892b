"""Factors of the learning rate by step."""

from __future__ import annotations

import math


def halving(step: int, half_life: float, warmup: int = 0) -> float:
    """Halves every ``half_life`` steps, after rising from zero over ``warmup`` steps."""
    return float(0.5 ** (step / half_life)) * min(1.0, (step + 1) / max(warmup, 1))


def cosine(step: int, steps: int, warmup: int = 0, floor: float = 0.0) -> float:
    """Falls to ``floor`` at ``steps`` along half a cosine (Loshchilov and Hutter 2017, Eq. 5)."""
    done = min(step / max(steps, 1), 1.0)
    factor = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
    return factor * min(1.0, (step + 1) / max(warmup, 1))
