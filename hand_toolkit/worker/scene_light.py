"""A host's lamps and sky on the skin: shaded, shadowed by hands and objects, with gloss.

Every lamp and every part of the sky has a shadow map around each hand. Lamps are evaluated at each
splat, with the distance and direction that it has; the sky's shadows at each vertex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..avatar import AvatarHand, lighting
from ..core.errors import InputError
from ..core.types import Camera
from ..geometry.colour import linear_to_srgb, srgb_to_linear
from ..geometry.surfaces import at_surface, vertex_normals
from ..hand_model import HandModel
from .occlusion import Meshes, Occluders, lower_clipped

DISTANT, POINT, SPOT, AREA = range(4)
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
BOUNCE = 0.08
"""Least share of the light in a shadow, for what skin and objects throw back into it."""
ROUGHNESS = 0.45
SPECULAR = 0.028
"""Reflectance of skin at normal incidence (Weyrich et al. 2006)."""


@dataclass(frozen=True)
class SceneLight:
    """What shines in the host's scene.

    Attributes:
        base: "scene" for the bare skin in this light; "photo" and "baked" take only its shadows,
            as factors on the photo's own light.
        smooth: (K, 3) shading SH of the sky, without shadows.
        sky: (D, 6) directions to parts of the sky and the shade that each gives a facing surface.
        lamps: (L, 16), see ``LAMP_FIELDS``.
        occluders: what casts shadows beside the hands.
        gloss: factor on the highlights; 0 has none.
        shadows: whether there are any.
        eye: (3,) the camera, world metres.
    """

    base: str
    smooth: np.ndarray
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
        smooth = arrays.get("light", np.zeros((9, 3)))
        if smooth.ndim != 2 or smooth.shape[1] != 3 or len(smooth) not in (1, 4, 9, 16):
            raise InputError(f"the light has shape {smooth.shape}; accepted is (K, 3)")
        sky = arrays.get("sky", np.zeros((0, 6)))
        lamps = arrays.get("lamps", np.zeros((0, LAMP_FIELDS)))
        for name, array, width in (("sky", sky, 6), ("lamps", lamps, LAMP_FIELDS)):
            if array.ndim != 2 or array.shape[1] != width:
                raise InputError(f"{name} has shape {array.shape}; accepted is (N, {width})")
        pose = view.world_to_camera
        return SceneLight(
            str(params.get("light") or "scene"),
            smooth,
            sky,
            lamps,
            occluders,
            float(params.get("gloss", 1.0)),
            bool(params.get("shadows", True)),
            -pose[:3, :3].T @ pose[:3, 3],
        )


def lit_colors(
    bound: tuple[AvatarHand, HandModel, bool],
    vertices: np.ndarray,
    hands: Meshes,
    light: SceneLight,
    photo: np.ndarray,
    tint: np.ndarray,
) -> np.ndarray:
    """(N, 3) sRGB of a hand's splats on its posed mesh.

    Args:
        bound: the splats, the mesh that carries them, and whether the posed mesh is its own
            mirror image, its faces inside out.
        vertices: (V, 3) posed, world metres.
        hands: all hands' meshes: they cast shadows on each other and on themselves.
        light: the scene's.
        photo: (K, 3) shading SH of the photo's light in world axes.
        tint: (3,) linear factor on the skin.
    """
    hand, model, mirrored = bound
    faces, binding = model.faces, hand.binding
    normals = vertex_normals(vertices.astype(np.float64), faces) * (-1.0 if mirrored else 1.0)
    where = binding.triangle, binding.barycentric
    point = at_surface(vertices, faces, *where).astype(np.float64)
    normal = at_surface(normals, faces, *where)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    centre = (vertices.max(axis=0) + vertices.min(axis=0)) / 2.0
    radius = float(np.linalg.norm(vertices - centre, axis=1).max())
    around = _Around(hands, light.occluders, centre.astype(np.float64), radius, light.shadows)

    corners = vertices.astype(np.float64)
    ratio, open_sky = _sky(corners, normals, light, around)
    ratio = at_surface(ratio, faces, *where)
    smooth = lighting.shade(light.smooth, normal)
    if light.base == "scene":
        lit = smooth * ratio
        gloss = at_surface(
            _sky_gloss(normals, _to_eye(corners, light), light, open_sky), faces, *where
        )
        view = _to_eye(point, light)
        for lamp in light.lamps:
            shade, to_lamp, facing = lamp_shade(lamp, point, normal)
            seen = around.lamp(lamp, point, normal)[:, None]
            lit += shade * np.maximum(seen, BOUNCE) * np.maximum(facing, 0.0)[:, None]
            gloss += shade * seen * _highlight(normal, view, to_lamp, facing)[:, None]
        linear = srgb_to_linear(hand.albedo) * tint * lit + light.gloss * gloss
        return linear_to_srgb(linear).astype(np.float32)
    whole, seen = smooth.copy(), smooth * ratio
    for lamp in light.lamps:
        shade, _, facing = lamp_shade(lamp, point, normal)
        shade = shade * np.maximum(facing, 0.0)[:, None]
        whole += shade
        seen += shade * around.lamp(lamp, point, normal)[:, None]
    # a skin that only the photo lights has no shadows to take
    dark = np.where(whole > 1e-5, np.maximum(seen / np.maximum(whole, 1e-5), BOUNCE), 1.0)
    if light.base == "photo":
        linear = srgb_to_linear(hand.albedo) * lighting.shade(photo, normal)
    else:
        linear = srgb_to_linear(_plain(hand.color))
    return linear_to_srgb(linear * dark * tint).astype(np.float32)


def lamp_shade(
    lamp: np.ndarray, point: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a lamp shades white surfaces that face it, unshadowed.

    Args:
        lamp: (16,).
        point, normal: (N, 3).

    Returns:
        (N, 3) shade, (N, 3) unit directions to the lamp, (N,) cosine to the normal.
    """
    kind = int(lamp[0])
    if kind == DISTANT:
        to_lamp = np.broadcast_to(lamp[1:4], point.shape)
        return np.tile(lamp[4:7], (len(point), 1)), to_lamp, normal @ lamp[1:4]
    to_lamp = lamp[1:4] - point
    distance = np.maximum(np.linalg.norm(to_lamp, axis=1, keepdims=True), 1e-3)
    to_lamp = to_lamp / distance
    share = np.ones(len(point))
    if kind in (SPOT, AREA):
        along = -(to_lamp @ lamp[8:11])
        if kind == AREA:
            share = np.maximum(along, 0.0)
        else:
            t = np.clip((along - lamp[11]) / max(float(lamp[12]), 1e-6), 0.0, 1.0)
            share = t * t * (3 - 2 * t)
    shade = lamp[4:7] * (share[:, None] / np.maximum(distance, lamp[7]) ** 2)
    return shade, to_lamp, np.einsum("nc,nc->n", normal, to_lamp)


class _Around:
    """Shadow maps around one hand."""

    def __init__(
        self, hands: Meshes, occluders: Occluders, centre: np.ndarray, radius: float, on: bool
    ) -> None:
        self._meshes = [*hands, (occluders.vertices, occluders.shading)]
        self._centre, self._radius, self._on = centre, radius, on

    def lamp(self, lamp: np.ndarray, point: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """(N,) share of the lamp that each point sees."""
        if not self._on or not lamp[13]:
            return np.ones(len(point))
        distant = int(lamp[0]) == DISTANT
        place = self._far(lamp[1:4]) if distant else lamp[1:4]
        return self._share(place, point, normal, float(lamp[7]), distant, LAMP_TEXELS, LIFT)

    def sky(self, direction: np.ndarray, point: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """(N,) share of a part of the sky that each point sees."""
        if not self._on:
            return np.ones(len(point))
        return self._share(
            self._far(direction), point, normal, SKY_SOFT, True, SKY_TEXELS, SKY_LIFT
        )

    def _far(self, direction: np.ndarray) -> np.ndarray:
        return self._centre + direction * (FAR_RADII * self._radius)

    def _share(
        self,
        place: np.ndarray,
        point: np.ndarray,
        normal: np.ndarray,
        soft: float,
        distant: bool,
        texels: int,
        lift: float,
    ) -> np.ndarray:
        from .kernels import lit_share

        along = self._centre - place
        distance = float(np.linalg.norm(along))
        if distance <= 1.05 * self._radius:  # a lamp within reach of the fingers lights them all
            return np.ones(len(point))
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
        for vertices, faces in self._meshes:
            lower_clipped(vertices, faces, view, depth)
        out = np.empty(len(point))
        texel = distance / focal
        lift = lift + 0.5 * texel
        lit_share(point, normal, depth, pose[:3], focal, soft, distant, lift, 0.5 * lift, out)
        return out


def _sky(
    vertices: np.ndarray, normals: np.ndarray, light: SceneLight, around: _Around
) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) share of the sky's light and (V, D) of its parts that each vertex sees."""
    parts = light.sky
    seen = np.ones((len(vertices), len(parts)))
    if not len(parts):
        return np.ones((len(vertices), 3)), seen
    facing = np.maximum(normals @ parts[:, :3].T, 0.0)
    for k, part in enumerate(parts):
        use = facing[:, k] > 0
        if use.any():
            seen[use, k] = around.sky(part[:3], vertices[use], normals[use])
    whole = facing @ parts[:, 3:]
    shown = (facing * seen) @ parts[:, 3:]
    return np.where(whole > 1e-7, shown / np.maximum(whole, 1e-7), 1.0), seen


def _to_eye(point: np.ndarray, light: SceneLight) -> np.ndarray:
    """(N, 3) unit directions from points to the camera."""
    view = light.eye - point
    return view / np.maximum(np.linalg.norm(view, axis=1, keepdims=True), 1e-9)


def _sky_gloss(
    normal: np.ndarray, view: np.ndarray, light: SceneLight, seen: np.ndarray
) -> np.ndarray:
    """(N, 3) highlights of all parts of the sky."""
    total = np.zeros_like(normal)
    if light.gloss <= 0:
        return total
    for k, part in enumerate(light.sky):
        facing = normal @ part[:3]
        to_part = np.broadcast_to(part[:3], normal.shape)
        total += (_highlight(normal, view, to_part, facing) * seen[:, k])[:, None] * part[3:]
    return total


def _highlight(
    normal: np.ndarray, view: np.ndarray, to_lamp: np.ndarray, facing: np.ndarray
) -> np.ndarray:
    """(N,) gloss relative to the shade of a facing white surface: GGX with Kelemen's visibility.

    Kelemen and Szirmay-Kalos (2001): D F / (4 (l.h)²); times pi, as shade is irradiance over pi.
    """
    half = to_lamp + view
    half /= np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-9)
    cosine = np.clip(np.einsum("nc,nc->n", normal, half), 0.0, 1.0)
    across = np.clip(np.einsum("nc,nc->n", to_lamp, half), 0.1, 1.0)
    alpha = ROUGHNESS**2
    spread = alpha**2 / (np.pi * (cosine**2 * (alpha**2 - 1) + 1) ** 2)
    mirror = SPECULAR + (1 - SPECULAR) * (1 - across) ** 5
    return np.pi * spread * mirror / (4 * across**2) * np.clip(facing, 0.0, 1.0)


def _plain(color: np.ndarray) -> np.ndarray:
    """(N, 3) sRGB of colours that may be SH: their value without the view."""
    from ..export.axes import base_colors

    return base_colors(color)
