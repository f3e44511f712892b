"""Splats that vanish toward the elbow do so without dots."""

from __future__ import annotations

import numpy as np

from hand_toolkit.avatar.layout import lay_splats
from hand_toolkit.geometry.rotations import matrix_from_quat
from hand_toolkit.geometry.surfaces import at_surface, triangle_frames
from hand_toolkit.systems.fading import FADE_M, WALLS, _faded


def test_what_is_let_through_is_even() -> None:
    """On a tube of slender triangles, as the forearm has, the optical depth has no ripple."""
    x, turns = np.linspace(0, 0.14, 15), np.linspace(0, 2 * np.pi, 45)[:-1]
    grid = np.stack(
        [np.repeat(x, 44), np.tile(0.025 * np.cos(turns), 15), np.tile(0.025 * np.sin(turns), 15)],
        axis=1,
    )
    faces = []
    for row in range(14):
        for k in range(44):
            a, b = 44 * row + k, 44 * row + (k + 1) % 44
            c, d = a + 44, b + 44
            crossed = [(a, c, d), (a, d, b)] if (row + k) % 2 else [(a, c, b), (b, c, d)]
            faces += crossed
    faces = np.array(faces)
    laid = lay_splats(grid, faces, 1)
    binding, opacity = _faded(laid, np.full(len(laid), 0.95), grid, faces)
    assert (np.diff(opacity[np.argsort(laid.triangle)][::88]) <= 0.02).all()
    at = at_surface(grid, faces, binding.triangle, binding.barycentric.astype(float))
    turn = triangle_frames(grid, faces)[0][binding.triangle] @ matrix_from_quat(
        binding.quat.astype(float)
    )
    spread = np.einsum("nij,nj,nkj->nik", turn, binding.scale.astype(float) ** 2, turn)
    seen = np.flatnonzero(at[:, 1] > 0)
    where = np.stack(np.meshgrid(np.linspace(0.06, 0.1, 25), np.linspace(-0.005, 0.005, 15)), -1)
    depth = np.zeros(where.shape[:2])
    for k in seen:
        off = where - at[k, [0, 2]]
        inverse = np.linalg.inv(spread[k][np.ix_([0, 2], [0, 2])])
        bell = np.exp(-0.5 * np.einsum("...i,ij,...j", off, inverse, off))
        depth -= np.log1p(-opacity[k] * bell)
    part = (where[..., 0] - FADE_M[0]) / (FADE_M[1] - FADE_M[0])
    wanted = -np.log(part**2 * (3 - 2 * part)) / WALLS
    share = depth / wanted
    assert abs(share.mean() - 1) < 0.1
    around = share - share.mean(axis=0)
    assert np.abs(around).max() < 0.03 and share.std() < 0.05
