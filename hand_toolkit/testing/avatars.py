"""Avatars without a photo: for tests, examples and benchmarks of everything after the fit."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from ..avatar import Avatar, AvatarHand, SurfaceBinding, display_theta, surface, triangle_frames
from ..avatar.lighting import constant_light
from ..core.conventions import SH_C0
from ..core.errors import InputError
from ..core.types import Camera
from ..geometry.colour import linear_to_srgb as encode
from ..geometry.colour import srgb_to_linear
from ..geometry.surfaces import at_surface

WRIST = {"right": np.array([-0.09, 0.09, 0.5]), "left": np.array([0.09, 0.09, 0.5])}
"""Wrist positions in the imagined photo's camera, metres."""


def procedural_avatar(
    seed: int = 0,
    *,
    sides: Sequence[str] = ("right", "left"),
    level: int = 1,
    splats_per_face: int = 1,
    limit: int | None = None,
    sh_degree: int | None = None,
    hand_model: str = "default",
    evidence: str = "varied",
) -> Avatar:
    """An avatar of skin-coloured splats spread over the hand mesh.

    The first splat of a face sits at its centroid, further ones at random places; sizes
    follow the faces, so that the surface is closed. Colours vary with place: redder
    fingertips and knuckles, a paler palm, fine creases.

    Args:
        seed: for places, shape and colour noise.
        sides: hands that the avatar has.
        level: subdivision level of the mesh.
        splats_per_face: how many splats each triangle carries.
        limit: keep only this many splats a hand, evenly chosen.
        sh_degree: None for plain colours, 0 to 3 for spherical harmonics.
        hand_model: name of the hand model.
        evidence: "varied" (the palm side was seen), "seen" or "invented".

    Raises:
        InputError: a word or number that is not accepted.
    """
    if splats_per_face < 1:
        raise InputError(f"splats_per_face is {splats_per_face}; accepted is 1 and up")
    if evidence not in ("varied", "seen", "invented"):
        raise InputError(f"unknown evidence {evidence!r}; give varied, seen or invented")
    rng = np.random.default_rng(seed)
    model = surface(hand_model, "right", level)
    shape = rng.normal(0, 0.5, len(model.shape_names)) * model.shape_sigmas
    hands = tuple(
        _hand(rng, hand_model, side, level, shape, splats_per_face, limit, sh_degree, evidence)
        for side in sides
    )
    return Avatar(
        hand_model=hand_model,
        level=level,
        hands=hands,
        light=constant_light(),
        camera=Camera(900.0, 900.0, 320.0, 240.0, 640, 480),
        provenance={
            "source": "procedural test avatar",
            "seed": str(seed),
            "licence": "CC0-1.0",
            "method": "hand_toolkit.testing.procedural_avatar",
        },
        preview=_preview(),
    )


def _hand(
    rng: np.random.Generator,
    hand_model: str,
    side: str,
    level: int,
    shape: np.ndarray,
    per_face: int,
    limit: int | None,
    sh_degree: int | None,
    evidence_kind: str,
) -> AvatarHand:
    from ..hand_model import rest_hand, vertex_normals

    model = surface(hand_model, side, level)
    vertices = rest_hand(model, shape)[0]
    faces = model.faces
    _, area = triangle_frames(vertices, faces)
    triangle = np.tile(np.arange(len(faces)), per_face)
    barycentric = np.full((len(triangle), 3), 1 / 3)
    extra = len(triangle) - len(faces)
    if extra:
        barycentric[len(faces) :] = rng.dirichlet([1.5, 1.5, 1.5], extra)
    if limit is not None:
        keep = np.unique(np.linspace(0, len(triangle) - 1, limit).round().astype(int))
        triangle, barycentric = triangle[keep], barycentric[keep]
    count = len(triangle)
    radius = np.sqrt(area[triangle] / per_face)
    scale = np.stack([0.62 * radius, 0.62 * radius, 0.10 * radius], 1)
    turn = rng.uniform(-np.pi, np.pi, count) / 2
    quat = np.stack([np.cos(turn), 0 * turn, 0 * turn, np.sin(turn)], 1)
    offset = np.zeros((count, 3))
    offset[:, 2] = rng.normal(0, 0.00004, count)

    points = at_surface(vertices, faces, triangle, barycentric)
    normals = vertex_normals(vertices, faces)[faces[triangle]].mean(1)
    albedo = _skin(rng, points * [1 if side == "right" else -1, 1, 1], normals)
    facing = np.clip(-normals[:, 1] * 0.5 + 0.5, 0, 1)
    seen = {"varied": facing, "seen": np.ones(count), "invented": np.zeros(count)}[evidence_kind]
    linear = srgb_to_linear(albedo) * (0.72 + 0.28 * facing)[:, None]
    color = encode(linear)
    if sh_degree is not None:
        bands = (sh_degree + 1) ** 2
        sh = rng.normal(0, 0.03, (count, bands, 3))
        sh[:, 0] = (color - 0.5) / SH_C0
        color = sh
    return AvatarHand(
        side=side,
        shape=shape,
        binding=SurfaceBinding(triangle, barycentric, offset, quat, scale),
        opacity=np.clip(rng.normal(0.93, 0.03, count), 0.3, 0.99),
        color=color,
        albedo=albedo,
        evidence=seen,
        source_theta=display_theta(side),
        source_translation=WRIST[side],
        hidden=np.tile(PLAIN, (count, 1)),
    )


PLAIN = np.array([0.78, 0.58, 0.48])
"""sRGB reflectance of the skin that the avatars would have if no photo had shown them."""


def _skin(rng: np.random.Generator, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(N, 3) sRGB reflectance by place on a right hand whose fingers run along -x."""
    base = np.array([0.80, 0.60, 0.50])
    palm = np.clip(-normals[:, 1:2], 0, 1)
    tips = np.clip((-points[:, :1] - 0.13) / 0.06, 0, 1)
    colour = base + palm * [0.06, 0.03, 0.03] + tips * [0.06, -0.07, -0.05]
    waves = np.zeros(len(points))
    for frequency, strength in ((60, 0.030), (140, 0.022), (420, 0.018)):
        direction = rng.normal(size=(3, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        phase = rng.uniform(0, 6.28, 3)
        waves += strength * np.sin(points @ direction.T * frequency + phase).prod(1) * 1.6
    creases = np.exp(-(((np.abs(np.sin(points[:, 0] * 90))) / 0.08) ** 2))
    colour = colour + waves[:, None] * [1.0, 0.9, 0.8]
    colour = colour - (creases * 0.06)[:, None] * [0.8, 1.0, 1.0]
    return np.clip(colour + rng.normal(0, 0.006, (len(points), 1)), 0.02, 0.98)


def _preview() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (204, 153, 128)).save(buffer, format="PNG")
    return buffer.getvalue()
