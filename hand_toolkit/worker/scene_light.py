"""A host's lamps and sky on the skin: shaded, shadowed by hands and objects, with gloss.

Every lamp and every part of the sky has a shadow map around each hand. Lamps are evaluated at each
splat, with the distance and direction that it has; the sky's shadows at each vertex.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..avatar import AvatarHand, lighting
from ..core.errors import InputError
from ..core.types import Camera
from ..geometry.colour import srgb_to_linear
from ..geometry.surfaces import vertex_normals
from ..hand_model import HandModel
from ..render import get_threads
from .occlusion import Meshes, Occluders, lower_clipped

DISTANT = 0
LAMP_FIELDS = 16
"""kind; position, or direction to a distant lamp (3); linear colour (3): the shade of a white
surface that faces it, at one metre where the lamp is near; radius, metres, or the tangent of half
the angle of a distant one; axis that it shines along (3); cosine of a spot's edge, width of its
soft part in cosines; whether it casts shadows; two spare."""

LAMP_TEXELS = 768
SKY_TEXELS = 160
FAR_RADII = 400.0
"""A distant lamp's map is drawn from that many radii of the hand away."""
LIFT = 0.0012
"""Metres off the skin from where shadows are looked for: the mesh has flat triangles."""
SKY_LIFT = 0.003
SKY_SOFT = 0.35
"""Tangent of the half angle of one part of the sky."""


@dataclass(frozen=True)
class SceneLight:
    """What shines in the host's scene.

    Attributes:
        base: "scene" for the bare skin in this light; "photo" and "baked" take only its shadows,
            as factors on the photo's own light.
        smooth: (K, 3) shading SH of the sky, without shadows.
        bounce: (K, 3) shading SH of what the scene's objects throw back or emit.
        sky: (D, 6) directions to parts of the sky and the shade that each gives a facing surface.
        lamps: (L, 16), see ``LAMP_FIELDS``.
        occluders: what casts shadows beside the hands.
        gloss: factor on the highlights; 0 has none.
        shadows: whether there are any.
        eye: (3,) the camera, world metres.
    """

    base: str
    smooth: np.ndarray
    bounce: np.ndarray
    sky: np.ndarray
    lamps: np.ndarray
    occluders: Occluders
    gloss: float = 1.0
    shadows: bool = True
    eye: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @staticmethod
    def of(
        params: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        occluders: Occluders,
        view: Camera,
    ) -> SceneLight:
        """That of a request with ``light`` "scene", "photo" or "baked" and its arrays.

        Raises:
            InputError: arrays of another shape.
        """
        smooth, bounce = (arrays.get(name, np.zeros((9, 3))) for name in ("light", "bounce"))
        for light in (smooth, bounce):
            if light.ndim != 2 or light.shape[1] != 3 or len(light) not in (1, 4, 9, 16):
                raise InputError(f"the light has shape {light.shape}; accepted is (K, 3)")
        sky = arrays.get("sky", np.zeros((0, 6)))
        lamps = arrays.get("lamps", np.zeros((0, LAMP_FIELDS)))
        for name, array, width in (("sky", sky, 6), ("lamps", lamps, LAMP_FIELDS)):
            if array.ndim != 2 or array.shape[1] != width:
                raise InputError(f"{name} has shape {array.shape}; accepted is (N, {width})")
        pose = view.world_to_camera
        return SceneLight(
            str(params.get("light") or "scene"),
            smooth,
            bounce,
            sky,
            lamps,
            occluders,
            float(params.get("gloss", 1.0)),
            bool(params.get("shadows", True)),
            -pose[:3, :3].T @ pose[:3, 3],
        )


@dataclass(frozen=True)
class LitHand:
    """What does not change of a hand that is lit from frame to frame.

    Attributes:
        hand, model: the splats, and the mesh that carries them.
        mirrored: the posed mesh is its own mirror image, its faces inside out.
        albedo: (N, 3) linear reflectance of its splats.
        baked: (N, 3) linear colours as photographed.
    """

    hand: AvatarHand
    model: HandModel
    mirrored: bool
    albedo: np.ndarray
    baked: np.ndarray

    @staticmethod
    def of(hand: AvatarHand, model: HandModel, mirrored: bool) -> LitHand:
        """Prepared."""
        from ..export.axes import base_colors

        albedo, baked = (srgb_to_linear(c) for c in (hand.albedo, base_colors(hand.color)))
        return LitHand(
            hand, model, mirrored, np.ascontiguousarray(albedo), np.ascontiguousarray(baked)
        )


def lit_colors(
    bound: LitHand,
    vertices: np.ndarray,
    hands: Meshes,
    light: SceneLight,
    photo: np.ndarray,
    tint: np.ndarray,
    pool: Executor,
) -> np.ndarray:
    """(N, 3) float32 sRGB of a hand's splats on its posed mesh.

    Args:
        bound: the hand.
        vertices: (V, 3) posed, world metres.
        hands: all hands' meshes: they cast shadows on each other and on themselves.
        light: the scene's.
        photo: (K, 3) shading SH of the photo's light in world axes.
        tint: (3,) linear factor on the skin.
        pool: threads to share the work among.
    """
    from . import light_kernels as kernels

    faces = bound.model.faces
    corners = vertices.astype(np.float64)
    normals = vertex_normals(corners, faces) * (-1.0 if bound.mirrored else 1.0)
    centre = (corners.max(axis=0) + corners.min(axis=0)) / 2.0
    radius = float(np.linalg.norm(corners - centre, axis=1).max())
    around = _Around(hands, light.occluders, centre, radius, light.shadows)
    maps = [pool.submit(around.lamp, lamp) for lamp in light.lamps]
    ratio, shine = _sky(corners, normals, light, around, pool)
    smooth = lighting.shade(light.smooth, normals)
    own = lighting.shade(photo, normals) if light.base == "photo" else np.ones_like(normals)
    thrown = lighting.shade(light.bounce, normals)
    values = np.concatenate([smooth + thrown, smooth * ratio + thrown, shine, own], axis=1)
    shadows = [found.result() for found in maps]
    binding = bound.hand.binding
    count = len(binding.triangle)
    out = np.empty((count, 3), np.float32)
    scene = light.base == "scene"
    base = bound.baked if light.base == "baked" else bound.albedo
    least = kernels.BOUNCE if scene else 0.0

    def shade(first: int, last: int) -> None:
        part = slice(first, last)
        point, normal = np.empty((last - first, 3)), np.empty((last - first, 3))
        there = np.empty((last - first, values.shape[1]))
        where = binding.triangle[part], binding.barycentric[part]
        kernels.on_skin(*where, faces, corners, normals, values, point, normal, there)
        whole, lit, gloss, photographed = (
            np.ascontiguousarray(there[:, k : k + 3]) for k in (0, 3, 6, 9)
        )
        for lamp, shadow in zip(light.lamps, shadows):
            known = (shadow.depth, shadow.pose, shadow.focal, shadow.soft, shadow.lift, shadow.bias)
            kernels.add_lamp(lamp, point, normal, light.eye, least, *known, whole, lit, gloss)
        if scene:
            kernels.lit_skin(base[part], tint, lit, gloss, light.gloss, out[part])
        else:
            kernels.darkened_skin(base[part], tint, photographed, whole, lit, out[part])

    edges = np.linspace(0, count, 2 * get_threads() + 1).astype(int).tolist()
    for _ in pool.map(shade, edges[:-1], edges[1:]):
        pass
    return out


@dataclass(frozen=True)
class Shadow:
    """A lamp's shadow map around a hand.

    Attributes:
        depth: (S, S) float32 metres along its axis; (0, 0) where the lamp reaches everything.
        pose: (3, 4) world to lamp.
        focal: texels.
        soft: the lamp's radius, or tangent of its half angle.
        lift: metres off the skin from where it is looked for.
        bias: metres before a point that still belong to its own surface.
    """

    depth: np.ndarray
    pose: np.ndarray
    focal: float
    soft: float
    lift: float
    bias: float


def _unshadowed(soft: float) -> Shadow:
    return Shadow(np.zeros((0, 0), np.float32), np.zeros((3, 4)), 1.0, soft, 0.0, 0.0)


class _Around:
    """Shadow maps around one hand."""

    def __init__(
        self, hands: Meshes, occluders: Occluders, centre: np.ndarray, radius: float, on: bool
    ) -> None:
        self._hands = [
            (vertices, faces, (vertices.max(axis=0) + vertices.min(axis=0)) / 2.0)
            for vertices, faces in hands
        ]
        self._others = (occluders.vertices, occluders.shading)
        self._centre, self._radius, self._on = centre, radius, on

    def lamp(self, lamp: np.ndarray) -> Shadow:
        """That of a lamp (16,)."""
        soft, distant = float(lamp[7]), int(lamp[0]) == DISTANT
        if not self._on or not lamp[13]:
            return _unshadowed(soft)
        place = self._far(lamp[1:4]) if distant else lamp[1:4]
        return self._map(place, soft, distant, LAMP_TEXELS, LIFT)

    def sky(self, direction: np.ndarray) -> Shadow:
        """That of a part of the sky."""
        if not self._on:
            return _unshadowed(SKY_SOFT)
        return self._map(self._far(direction), SKY_SOFT, True, SKY_TEXELS, SKY_LIFT)

    def _far(self, direction: np.ndarray) -> np.ndarray:
        return self._centre + direction * (FAR_RADII * self._radius)

    def _map(
        self, place: np.ndarray, soft: float, distant: bool, texels: int, lift: float
    ) -> Shadow:
        along = self._centre - place
        distance = float(np.linalg.norm(along))
        if distance <= 1.05 * self._radius:  # a lamp within reach of the fingers lights them all
            return _unshadowed(soft)
        axis = along / distance
        aside = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0.0, 0.0])
        aside /= np.linalg.norm(aside)
        turn = np.stack([aside, np.cross(axis, aside), axis])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, -turn @ place
        focal = 0.5 * texels * 0.97 * np.sqrt(distance**2 - self._radius**2) / self._radius
        near = 1e-3 if distant else max(float(soft), 1e-3)
        view = Camera(focal, focal, texels / 2, texels / 2, texels, texels, pose, near, 1e9)
        depth = np.full((texels, texels), np.inf, np.float32)
        for vertices, faces, middle in self._hands:
            apart = middle - self._centre
            # as large as this hand: one that stands aside, or behind, throws no shadow here
            aside_by = float(np.linalg.norm(apart - axis * (axis @ apart)))
            if not distant or (aside_by < 3.0 * self._radius and axis @ apart < 3.0 * self._radius):
                lower_clipped(vertices, faces, view, depth)
        lower_clipped(*self._others, view, depth)
        lift = lift + 0.5 * distance / focal
        return Shadow(depth, pose[:3], float(focal), soft, lift, 0.5 * lift)


def _sky(
    vertices: np.ndarray,
    normals: np.ndarray,
    light: SceneLight,
    around: _Around,
    pool: Executor,
) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) share of the sky's light that each vertex sees, and (V, 3) its highlights."""
    from . import light_kernels as kernels

    parts = light.sky
    seen = np.ones((len(vertices), len(parts)))
    facing = normals @ parts[:, :3].T

    def look(k: int) -> None:
        use = np.flatnonzero(facing[:, k] > 0)
        shadow = around.sky(parts[k, :3])
        if len(use) and shadow.depth.size:
            share = np.empty(len(use))
            known = (shadow.depth, shadow.pose, shadow.focal, shadow.soft, True)
            lifted = (shadow.lift, shadow.bias)
            kernels.lit_share(vertices[use], normals[use], *known, *lifted, share)
            seen[use, k] = share

    for _ in pool.map(look, range(len(parts))):
        pass
    ratio, shine = np.empty_like(normals), np.empty_like(normals)
    kernels.sky_at(vertices, normals, parts, seen, light.eye, light.gloss > 0, ratio, shine)
    return ratio, shine
