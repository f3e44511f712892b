"""Splats that vanish evenly: a forearm's toward the elbow."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..avatar import AvatarHand, SurfaceBinding
from ..avatar.levels import joined_hand, merged
from ..geometry.surfaces import at_surface, face_normals, triangle_frames
from ..skin.observe import smoothstep

FADE_M = (0.03, 0.13)
"""Along the arm: where it begins to vanish, and where nothing is left."""

SPREAD_M = (0.006, 0.003)
"""Standard deviations along the arm and around it: alike for all splats and wider than the mesh's
triangles, so that their sum has no dots at any opacity."""

DEEPEST_M = 0.0015
"""Farthest that they lie below the surface: deeper ones would count as loose, and no skin."""

WALLS = 2
"""How often a ray meets the skin of a translucent arm: in front and behind."""

LEAST_THROUGH = 1e-4


def faded(arm: AvatarHand, vertices: np.ndarray, faces: np.ndarray) -> AvatarHand:
    """The arm with fewer, wider and more transparent splats toward the elbow.

    Many faint splats would not do: renderers leave out what is fainter than 1/255, and each
    would end in a visible rim.

    Args:
        arm: lies along x from the wrist.
        vertices: (V, 3) of the rest pose, metres.
        faces: (F, 3).
    """
    along = np.abs(vertices[faces].mean(axis=1)[:, 0])
    fading = along > FADE_M[0] - 0.01
    fewer = merged(arm, 1).hand
    triangle = fewer.binding.triangle
    binding, opacity = _faded(fewer.binding, fewer.opacity, vertices, faces)
    fewer = dataclasses.replace(fewer, binding=binding, opacity=opacity)
    return joined_hand(arm, ~fading[arm.binding.triangle], fewer, fading[triangle])


def _faded(
    binding: SurfaceBinding, opacity: np.ndarray, vertices: np.ndarray, faces: np.ndarray
) -> tuple[SurfaceBinding, np.ndarray]:
    """Binding and (N,) opacities with which splats let through what they should.

    A Gaussian of opacity a and deviations s, t takes ``2 pi s t Li2(a)`` of optical depth from the
    surface (the integral of ``-log(1 - a g)``); each splat gets the opacity with which it takes the
    depth that is wanted of its share of its triangle.
    """
    where = at_surface(vertices, faces, binding.triangle, binding.barycentric.astype(float))
    along = np.abs(where[:, 0])
    frames = triangle_frames(vertices, faces)[0][binding.triangle]
    half = 0.5 * np.arctan2(frames[:, 0, 1], frames[:, 0, 0])  # of the arm's axis in the triangle
    quat = np.zeros((len(binding), 4))
    quat[:, 0], quat[:, 3] = np.cos(half), np.sin(half)
    scale = np.zeros((len(binding), 3))
    scale[:, :2], scale[:, 2] = SPREAD_M, binding.scale.min(axis=1)
    area = face_normals(vertices, faces)[1]
    share = (
        area[binding.triangle]
        / np.bincount(binding.triangle, minlength=len(area))[binding.triangle]
    )
    through = np.maximum(smoothstep(along, *FADE_M), LEAST_THROUGH)
    wanted = -np.log(through) / WALLS * share / (2 * np.pi * SPREAD_M[0] * SPREAD_M[1])
    asked = _opacity_of(wanted)
    start = smoothstep(along, FADE_M[0] - 0.01, FADE_M[0] + 0.02)
    result = (1 - start) * opacity + start * np.minimum(asked, opacity)
    offset = binding.offset * np.minimum(
        1.0, DEEPEST_M / np.maximum(np.linalg.norm(binding.offset, axis=1, keepdims=True), 1e-9)
    )
    return dataclasses.replace(binding, offset=offset, quat=quat, scale=scale), result


def _opacity_of(depth: np.ndarray) -> np.ndarray:
    """The opacity whose dilogarithm is ``depth``; nearly one where none is."""
    table = np.linspace(0, 0.999, 400)
    powers = np.arange(1, 200)
    values = (table[:, None] ** powers / powers**2).sum(axis=1)
    return np.asarray(np.interp(depth, values, table))
