"""Light where no normal was seen."""

from __future__ import annotations

import numpy as np

from hand_toolkit.avatar.lighting import constant_light, shade
from hand_toolkit.skin.light import soften_unseen


def test_unseen_sides_are_softened_and_seen_ones_kept() -> None:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(3000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    front = normals[:, 2] < -0.2  # what a camera along +z sees
    light = constant_light(0.7)
    light[2] -= 1.1  # a gradient along z that extrapolates to black behind
    light[6] -= 0.2
    softened = soften_unseen(light, normals, front.astype(float))
    behind = normals[:, 2] > 0.4
    before, after = shade(light, normals), shade(softened, normals)
    assert after[behind].min() > 2 * before[behind].min()
    assert np.ptp(after[behind]) < 0.8 * np.ptp(before[behind])
    change = np.abs(np.log(after[front]) - np.log(np.maximum(before[front], 1e-3)))
    assert np.median(change) < 0.1


def test_even_light_stays() -> None:
    light = constant_light(0.6)
    normals = np.eye(3)
    np.testing.assert_allclose(soften_unseen(light, normals, np.ones(3)), light, atol=1e-9)


def test_without_evidence_the_light_stays() -> None:
    light = constant_light(0.6)
    assert soften_unseen(light, np.eye(3), np.zeros(3)) is light
