"""What one photo says of every texel of a hand: the completion network's input.

The same function looks at real and at synthetic photos, the latter with a wrong pose, so that
the network learns from the errors that it will meet: background past a finger, the neighbour's
skin, cast shadows, highlights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ..avatar import surface
from ..avatar.lighting import shade
from ..core.types import Camera
from ..geometry.colour import srgb_to_linear
from ..geometry.sh import C0
from ..geometry.silhouette import rasterize_mesh
from ..hand_model import HandModel
from .light import LUMINANCE, estimate_light, visibility
from .observe import (
    DEPTH_TOLERANCE_M,
    FAR,
    MOST_UNLIKE,
    background_distance,
    inner_rim,
    near_depth,
    outline_rim,
    smoothstep,
)
from .template import template_log_albedo
from .uv_layout import LEVEL, UVLayout, bilinear, nearest

CHANNELS = (
    "red", "green", "blue", "seen", "rim", "beside", "facing", "normal_x", "normal_y", "normal_z",
    "openness", "unlike_background", "shading", "mask", "resolution",
)  # fmt: skip
"""Columns of :attr:`UVObservation.inputs`."""

DARKEST = 4e-3
"""Linear values below this are noise and are cut."""

FULL = (0.9, 0.97)
"""sRGB of the red channel from which it may show less than there was."""

CLIPPED = (0.88, 0.97)
"""Middle sRGB channel between which a pixel comes to count as overexposed: warm light clips red
alone, which leaves the other two."""

LIGHT_SAMPLES = 6000
"""Texels from which the light is estimated; more do not change it."""

BACKGROUND_SIDE = 112
"""Pixels of the picture's longer side at which it is compared with its surroundings."""

CUT_M = (0.002, 0.009)
"""Skin is trusted from this far from the wrist's cut: there the mesh ends and the arm goes on."""


@dataclass(frozen=True)
class UVObservation:
    """One photo at the N texels of one hand.

    Attributes:
        inputs: (N, 15) in the order of ``CHANNELS``. Colours are log albedo relative to ``tone``
            and 0 where nothing was seen; normals are the camera's, of a right hand.
        log_albedo: (N, 3) log of linear albedo: the photo's colour over the estimated shading.
        tone: (3,) median log albedo of skin that was surely seen.
        sure: (N,) weight of each texel as evidence of the tone.
        light: (9, 3) shading SH, camera frame.
        clipped: (N,) 0 to 1, how far the photo is overexposed there.
        full_red: (N,) 0 to 1, how far its red, which skin has most of, is at its end there.
    """

    inputs: np.ndarray
    log_albedo: np.ndarray
    tone: np.ndarray
    sure: np.ndarray
    light: np.ndarray
    clipped: np.ndarray = field(default_factory=lambda: np.zeros(1))
    full_red: np.ndarray = field(default_factory=lambda: np.zeros(1))

    def __post_init__(self) -> None:
        if self.inputs.shape != (len(self.sure), len(CHANNELS)):
            raise ValueError(
                f"inputs have shape {self.inputs.shape}; expected ({len(self.sure)}, "
                f"{len(CHANNELS)})"
            )

    @property
    def seen(self) -> np.ndarray:
        """(N,) 0 hidden ... 1 seen."""
        return self.inputs[:, CHANNELS.index("seen")]


@dataclass(frozen=True)
class Scene:
    """What all hands of a photo share.

    Attributes:
        pixels: (H, W, 3) sRGB in [0, 1].
        camera: the photo's.
        depth: (H, W) metres of all hands' meshes, infinite where there is none.
        rim, beside: (H, W) of :func:`outline_rim` and :func:`inner_rim`.
    """

    pixels: np.ndarray
    camera: Camera
    depth: np.ndarray
    rim: np.ndarray
    beside: np.ndarray


def scene_of(pixels: np.ndarray, vertices: np.ndarray, faces: np.ndarray, camera: Camera) -> Scene:
    """The photo with the meshes of all hands in it.

    Args:
        pixels: (H, W, 3) sRGB in [0, 1].
        vertices: (V, 3) of all hands, camera frame, metres.
        faces: (F, 3).
        camera: the photo's.
    """
    depth = rasterize_mesh(vertices, faces, camera).depth
    return Scene(pixels, camera, depth, outline_rim(depth), inner_rim(depth))


def observe_uv(
    scene: Scene,
    mask: np.ndarray,
    layout: UVLayout,
    side: str,
    vertices: np.ndarray,
    normals: np.ndarray,
    openness: np.ndarray,
    light: np.ndarray | None = None,
    background: np.ndarray | None = None,
    doubt: np.ndarray | None = None,
) -> UVObservation:
    """Look at one hand.

    Args:
        scene: the photo with all hands' meshes.
        mask: (H, W) in [0, 1], pixels that show this hand.
        layout: texels of the hand's model.
        side: "right" or "left".
        vertices, normals: (V, 3) of the hand's posed mesh at ``LEVEL``, camera frame.
        openness: (V,) unobstructed part of each vertex's hemisphere.
        light: (9, 3) where it is known; estimated otherwise.
        background: (H, W) of :func:`unlike_background`; computed from ``mask`` by default.
        doubt: (H, W) in [0, 1], 1 where the photo counts as not seen; None: nowhere.
    """
    camera = scene.camera
    points, normal = layout.at(vertices), layout.at(normals)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    pixel = camera.project(points)
    distance = np.linalg.norm(points, axis=1)
    facing = -(normal * points).sum(1) / distance
    inside = ((pixel >= 0) & (pixel < [camera.width, camera.height])).all(1)
    inside &= points[:, 2] > camera.near
    behind = points[:, 2] - nearest(near_depth(scene.depth), pixel)
    seen = inside * (behind < DEPTH_TOLERANCE_M) * smoothstep(facing, 0.05, 0.35)
    seen = seen * from_cut(layout)
    if doubt is not None:
        seen = seen * (1 - bilinear(doubt[..., None], pixel)[:, 0])
    if background is None:
        background = unlike_background(scene.pixels, mask)
    maps = np.stack([scene.rim, scene.beside, background, mask], axis=2)
    rim, beside, unlike, shown = bilinear(maps, pixel).T
    openness = layout.at(openness[:, None])[:, 0]
    srgb = bilinear(scene.pixels, pixel)
    clipped, full_red = smoothstep(np.median(srgb, axis=1), *CLIPPED), smoothstep(srgb[:, 0], *FULL)
    color = np.maximum(srgb_to_linear(srgb), DARKEST)
    sure = seen * (1 - 0.95 * np.maximum(rim, beside)) * smoothstep(shown, 0.5, 0.9) + 1e-4 * seen
    # what is overexposed has lost its hue; where all is, it is the best that there is
    sure = sure * (1 - 0.95 * np.maximum(clipped, full_red))
    if light is None:
        light = _light(color, layout.uv, normal, openness, sure)
    ambient = C0 * light[0]
    shading = np.maximum(shade(light, normal), 0.25 * ambient) * visibility(openness)[:, None]
    log_albedo = np.log(color) - np.log(shading)
    tone = weighted_median(log_albedo, sure + 1e-9)
    flip = np.array([1.0 if side == "right" else -1.0, 1.0, 1.0])
    per_mm = camera.fx * 1e-3 / np.maximum(points[:, 2], 1e-3)
    columns = [
        (log_albedo - tone) * (seen > 0)[:, None],
        seen,
        rim,
        beside,
        facing,
        normal * flip,
        openness,
        unlike,
        np.log(shading @ LUMINANCE / max(float(ambient @ LUMINANCE), 1e-6)),
        shown,
        0.5 * np.log(per_mm),
    ]
    inputs = np.concatenate([c[:, None] if c.ndim == 1 else c for c in columns], axis=1)
    return UVObservation(np.clip(inputs, -4, 4), log_albedo, tone, sure, light, clipped, full_red)


def unlike_background(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(H, W) 0 where a pixel looks like what surrounds the mask ... 1 where it does not.

    Compared at a small size, since each pixel is looked up among all of the surroundings.
    """
    import cv2

    factor = min(1.0, BACKGROUND_SIDE / max(mask.shape))
    size = (max(1, round(mask.shape[1] * factor)), max(1, round(mask.shape[0] * factor)))
    small, small_mask = (
        cv2.resize(a.astype(np.float32), size, interpolation=cv2.INTER_AREA) for a in (pixels, mask)
    )
    distance = background_distance(small, small_mask)
    near = np.where(distance < FAR, distance, 0.0) / MOST_UNLIKE
    return cv2.resize(near.astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)


@lru_cache(maxsize=4)
def from_cut(layout: UVLayout, limits: tuple[float, float] = CUT_M) -> np.ndarray:
    """(N,) 0 at the wrist's open end of the mesh ... 1 on the hand, between ``limits``, metres."""
    return away_from_cut(surface(layout.hand_model, "right", LEVEL), layout.rest, limits)


def away_from_cut(
    model: HandModel, points: np.ndarray, limits: tuple[float, float] = CUT_M
) -> np.ndarray:
    """(N,) 0 at the wrist's open end of a mesh ... 1 on the hand, of points (N, 3) of its rest."""
    from scipy.spatial import cKDTree

    edges = np.sort(model.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    rim = np.unique(unique[count == 1])
    if not len(rim):
        return np.ones(len(points))
    return smoothstep(cKDTree(model.template[rim]).query(points)[0], *limits)


def weighted_median(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(C,) weighted median of every column of (N, C)."""
    result = np.empty(values.shape[1])
    for c, column in enumerate(values.T):
        order = np.argsort(column)
        share = np.cumsum(weight[order])
        result[c] = column[order[np.searchsorted(share, 0.5 * share[-1])]]
    return result


def _light(
    color: np.ndarray, uv: np.ndarray, normal: np.ndarray, openness: np.ndarray, sure: np.ndarray
) -> np.ndarray:
    """The photo's light, with the skin template that suits the tone it leaves."""
    some = np.flatnonzero(sure > 1e-3)
    if len(some) > LIGHT_SAMPLES:
        some = some[:: -(-len(some) // LIGHT_SAMPLES)]
    color, uv, normal, openness, sure = (a[some] for a in (color, uv, normal, openness, sure))
    luminance = 0.3
    for _ in range(2):
        template = template_log_albedo(uv, luminance)
        light = estimate_light(color, template, normal, openness, sure)
        if len(some) == 0:
            break
        shading = np.maximum(shade(light, normal), 0.07 * light[0]) * visibility(openness)[:, None]
        luminance = float(np.average((color / shading) @ LUMINANCE, weights=sure))
    return light
