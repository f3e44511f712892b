"""Draws textured surfaces in a light with shadows: a picture with coverage, and classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.types import Camera
from ...geometry.silhouette import rasterize_mesh
from .kernels import add_light, empty_pictures, shade
from .light import CropLight, DirectionalLight

SUPERSAMPLING = 2

SHADOW_PX = {True: 112, False: 56}
"""Size of a light's picture: of lamps, of an environment's lights."""

SHADOW_DISTANCE_M, SHADOW_BIAS_M = 4.0, 0.004
"""How far a light's picture is looked from, and depth without shadow."""

SHINING = 2
"""Of the lights, how many are seen in the skin's gloss."""


@dataclass(frozen=True)
class Solid:
    """All surfaces of a picture as one mesh.

    Attributes:
        vertices: (V, 3) metres, scene axes.
        faces: (F, 3) counter-clockwise seen from outside.
        normals: (V, 3) unit.
        corner_uvs: (F, 3, 2) texture coordinates, origin lower left.
        part: (F,) row of ``classes`` and ``cloth``; row 0 is the background.
        classes: (P,) class of each part.
        cloth: (P, 7) see :func:`kernels.shade`.
        shadow_vertices, shadow_faces: a coarser mesh that casts the shadows.
        middle: (3,) what the lights look at, metres.
        reach_m: width of what casts shadows.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    corner_uvs: np.ndarray
    part: np.ndarray
    classes: np.ndarray
    cloth: np.ndarray
    shadow_vertices: np.ndarray
    shadow_faces: np.ndarray
    middle: np.ndarray
    reach_m: float


def sample_cloth(rng: np.random.Generator) -> np.ndarray:
    """(7,) row of ``Solid.cloth``: plain or patterned."""
    grey = rng.random() < 0.5
    color = np.full(3, rng.uniform(0.01, 0.8)) if grey else rng.uniform(0.01, 0.7, 3)
    contrast = rng.uniform(0, 0.5) if rng.random() < 0.6 else 0.0
    return np.array([*color, contrast, *rng.uniform(0.05, 1.2, 2), 1.0])


def draw_solid(
    rng: np.random.Generator,
    solid: Solid,
    light: CropLight,
    camera: Camera,
    textures: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Light, expose and shade.

    Args:
        rng: of gloss, exposure and white balance.
        solid: what is there.
        light: what shines on it.
        camera: of ``SUPERSAMPLING`` times the result's size, which is square.
        textures: (K, H, W, 3) float32 linear albedo.

    Returns:
        rgba: (S, S, 4) uint8 sRGB, straight alpha.
        labels: (S, S) uint8.
    """
    irradiance, half, gloss = _illuminate(rng, light, solid, camera)
    raster = rasterize_mesh(solid.vertices, solid.faces, camera)
    seen = np.unique(solid.faces[np.unique(raster.triangle[raster.triangle >= 0]), 0])
    lit = irradiance[seen] if len(seen) else np.ones((1, 3))
    gain = rng.uniform(0.5, 1.2) / max(float(np.percentile(lit.mean(1), 75)), 0.02)
    gain = gain * np.exp(rng.normal(size=3) * [0.08, 0.03, 0.1])
    # cameras balance away most of a light's colour
    cast = lit.mean(0) + 1e-6
    gain = gain * (cast / cast.mean()) ** -rng.uniform(0.5, 1.0)
    tint = np.exp(rng.normal() * 0.12 + rng.normal(size=3) * [0.03, 0.04, 0.06])
    out, labels = empty_pictures(camera.width // SUPERSAMPLING)
    shade(
        raster.triangle, project(solid.vertices, camera), solid.faces, solid.corner_uvs,
        irradiance.astype(np.float32), solid.normals.astype(np.float32), solid.part, textures,
        tint, solid.cloth, half, gloss, gain, solid.classes, out, labels,
    )  # fmt: skip
    return (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8), labels


def project(points: np.ndarray, camera: Camera) -> np.ndarray:
    """(V, 3) pixel x, y and depth in metres."""
    matrix = camera.world_to_camera
    seen = points @ matrix[:3, :3].T + matrix[:3, 3]
    scale = camera.fx / seen[:, 2]
    seen[:, 0] = seen[:, 0] * scale + camera.cx
    seen[:, 1] = seen[:, 1] * scale + camera.cy
    return np.asarray(seen)


def _illuminate(
    rng: np.random.Generator, light: CropLight, solid: Solid, camera: Camera
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Irradiance (V, 3) at vertices, half vectors (L, 3) and gloss (L, 2) of shining lights."""
    irradiance = np.tile(light.ambient, (len(solid.vertices), 1))
    wrap = float(rng.uniform(0.1, 0.35))
    # the lights' axes are upright; a crop's camera is turned with its hand
    roll = float(rng.normal() * 0.5)
    upright = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    half, gloss = [], []
    shine = float(rng.uniform(0, 0.1)) * (rng.random() < 0.7)
    exponent = float(rng.uniform(6, 40))
    view = -camera.world_to_camera[2, :3]
    for one in light.lights:
        direction = upright @ one.direction
        picture = _light_camera(solid, direction, one)
        depth = rasterize_mesh(solid.shadow_vertices, solid.shadow_faces, picture).depth
        seen = project(solid.vertices, picture)
        add_light(irradiance, solid.normals, seen, depth, direction, one.color, wrap, SHADOW_BIAS_M)
        toward = direction + view
        length = np.linalg.norm(toward)
        if length > 1e-6:
            half.append(toward / length)
            gloss.append([shine * (2.0 if one.sharp else 0.6), exponent])
    # the last is the lamp, where there is one
    half, gloss = half[-SHINING:], gloss[-SHINING:]
    return irradiance, np.array(half).reshape(-1, 3), np.array(gloss).reshape(-1, 2)


def _light_camera(solid: Solid, direction: np.ndarray, light: DirectionalLight) -> Camera:
    """A far camera that looks along a light; its depth picture holds the shadows."""
    pixels = SHADOW_PX[light.sharp]
    helper = np.array([0, 1.0, 0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0, 0])
    right = np.cross(helper, direction)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(-direction, right), -direction])
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = -axes @ solid.middle + [0, 0, SHADOW_DISTANCE_M]
    focal = pixels * SHADOW_DISTANCE_M / solid.reach_m
    return Camera(focal, focal, pixels / 2, pixels / 2, pixels, pixels, matrix)
