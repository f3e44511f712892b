"""Things that hands hold in crops: superellipsoids, from a pen to a book."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RINGS, SPOKES = 14, 24


@dataclass(frozen=True)
class HeldObject:
    """A thing in a right hand's rest axes (wrist at the origin, palm towards -y).

    Attributes:
        vertices: (V, 3) metres.
        faces: (F, 3), counter-clockwise seen from outside.
        corner_uvs: (F, 3, 2) of a pattern.
    """

    vertices: np.ndarray
    faces: np.ndarray
    corner_uvs: np.ndarray


def superellipsoid(half: np.ndarray, pole: float, round_: float) -> HeldObject:
    """A rounded solid (Barr 1981, eq. 2.10): 1 and 1 an ellipsoid, small exponents boxes.

    Args:
        half: (3,) half extents, metres.
        pole: exponent along z, small for flat ends.
        round_: exponent around z, small for square sections.
    """
    latitude = np.linspace(-np.pi / 2, np.pi / 2, RINGS)[:, None]
    longitude = np.linspace(-np.pi, np.pi, SPOKES + 1)[None]

    def power(value: np.ndarray, exponent: float) -> np.ndarray:
        return np.asarray(np.sign(value) * np.abs(value) ** exponent)

    x = power(np.cos(latitude), pole) * power(np.cos(longitude), round_)
    y = power(np.cos(latitude), pole) * power(np.sin(longitude), round_)
    z = power(np.sin(latitude), pole) * np.ones_like(longitude)
    vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3) * half
    row, column = np.mgrid[: RINGS - 1, :SPOKES]
    a = (row * (SPOKES + 1) + column).ravel()
    b, c, d = a + 1, a + SPOKES + 2, a + SPOKES + 1
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    uvs = np.stack(
        np.broadcast_arrays((longitude + np.pi) / (2 * np.pi), latitude / np.pi + 0.5), -1
    ).reshape(-1, 2)
    return HeldObject(vertices, faces.astype(np.int32), uvs[faces].astype(np.float32))


def sample_held(rng: np.random.Generator, palm_m: float) -> HeldObject:
    """Draw a thing and where it lies in the hand.

    Args:
        rng: source of all variation.
        palm_m: from the wrist to the middle knuckle.
    """
    from scipy.spatial.transform import Rotation

    kind = rng.choice(["stick", "bottle", "slab", "ball"])
    if kind == "stick":
        half = np.array([0.006, 0.006, 0.09]) * rng.uniform(0.6, 2.0, 3)
        solid = superellipsoid(half, 0.15, float(rng.uniform(0.3, 1)))
    elif kind == "bottle":
        radius = rng.uniform(0.015, 0.036)
        solid = superellipsoid(np.array([radius, radius, rng.uniform(0.05, 0.13)]), 0.2, 1.0)
    elif kind == "slab":
        half = np.array(
            [rng.uniform(0.004, 0.014), rng.uniform(0.03, 0.06), rng.uniform(0.05, 0.1)]
        )
        solid = superellipsoid(half, 0.12, 0.12)
    else:
        half = rng.uniform(0.02, 0.045) * rng.uniform(0.8, 1.25, 3)
        solid = superellipsoid(half, 1.0, 1.0)
    # before the palm near the knuckles, long side across the fingers
    turn = Rotation.from_rotvec(rng.normal(size=3) * [0.35, 0.5, 0.35])
    if rng.random() < 0.3:
        turn = Rotation.random(random_state=int(rng.integers(1 << 31)))
    turned = turn.apply(solid.vertices)
    centre = np.array([-palm_m * rng.uniform(0.8, 1.35), 0.0, rng.normal() * 0.012])
    centre[1] = -0.014 - turned[:, 1].max()
    return HeldObject(turned + centre, solid.faces, solid.corner_uvs)
