"""Noise is found by its colour; clear photos stay as they are."""

from __future__ import annotations

import numpy as np

from hand_toolkit.skin.noise import without_noise


def skin(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture (96, 96, 3) of skin with grey pores, and its mask."""
    pores = np.random.default_rng(seed).normal(0, 0.02, (96, 96, 1))
    return np.clip(np.array([0.7, 0.5, 0.4]) * (1 + pores), 0, 1), np.ones((96, 96))


def test_coloured_noise_is_taken_off_and_pores_are_kept() -> None:
    clear, mask = skin(0)
    assert without_noise(clear, mask) is None
    noise = np.random.default_rng(1).normal(0, 0.025, clear.shape)
    noisy = np.clip(clear + noise, 0, 1)
    calm = without_noise(noisy, mask)
    assert calm is not None
    inner = (slice(8, -8), slice(8, -8))
    colour = [(p[..., 2] - p[..., 0])[inner].std() for p in (noisy, calm)]
    assert colour[1] < 0.5 * colour[0]
    assert without_noise(noisy, 0 * mask) is None
