"""Light where no normal was seen."""

from __future__ import annotations

import numpy as np

from hand_toolkit.avatar.lighting import constant_light, shade
from hand_toolkit.skin.light import exposure_doubts, light_of_albedo, soften_unseen


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


def test_light_is_what_makes_known_skin_look_as_photographed() -> None:
    rng = np.random.default_rng(1)
    normals = rng.normal(size=(4000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    albedo = np.exp(rng.normal(size=(4000, 3)) * 0.1) * [0.5, 0.25, 0.18]
    true = constant_light(0.7)
    true[3] += [0.2, 0.5, 0.9]  # a blue window at one side
    seen = (normals[:, 2] < 0).astype(float)
    linear = albedo * shade(true, normals)
    dirt = rng.random(4000) < 0.1
    linear[dirt] *= 0.2  # what is no skin
    start = constant_light(0.7)
    found = light_of_albedo(linear, albedo, normals, seen, start)
    clean = (seen > 0) & ~dirt
    off = [
        np.abs(
            np.log(
                np.maximum(shade(light, normals[clean]), 0.05)
                / (shade(true, normals[clean]) + 1e-9)
            )
        ).mean()
        for light in (start, found)
    ]
    assert off[1] < 0.35 * off[0]
    assert light_of_albedo(linear, albedo, normals, 0 * seen, start) is start


def test_photos_that_cannot_tell_the_colour_of_skin_are_named() -> None:
    mask = np.zeros((40, 40))
    mask[10:30, 10:30] = 1
    skin = np.full((40, 40, 3), (200, 150, 120), np.uint8)
    assert exposure_doubts(skin, mask) == []
    dark = np.full((40, 40, 3), (120, 80, 60), np.uint8)  # dark skin in good light
    assert exposure_doubts(dark, mask) == []
    assert "in the dark" in exposure_doubts(np.full((40, 40, 3), (30, 15, 11), np.uint8), mask)[0]
    blown = skin.copy()
    blown[:22] = 255
    assert "60 % of the hand are overexposed" in exposure_doubts(blown, mask)[0]
    assert exposure_doubts(skin, 0 * mask) == []


def test_a_known_light_keeps_what_is_not_extreme_and_no_side_is_black() -> None:
    front = np.array([[0.0, 0.0, -1.0]]) + np.random.default_rng(0).normal(0, 0.3, (400, 3))
    front /= np.linalg.norm(front, axis=1, keepdims=True)
    light = np.zeros((9, 3))
    light[0], light[2] = 2.4, -0.5
    mild = soften_unseen(light, front, np.ones(400), known=True)
    np.testing.assert_allclose(mild, light, atol=0.06)
    light[2] = -3.0
    behind = np.array([[0.0, 0.0, 1.0]])
    assert shade(light, behind).max() == 0
    assert shade(soften_unseen(light, front, np.ones(400), known=True), behind).min() > 0.15
