"""Baking the splats' colour and relief into textures of the hand's UV layout.

Every texel that the layout covers is a point on the rest surface. Its colour is what a camera
right above the point, looking along the normal, sees of the splats there: the splats' Gaussians
projected along the normal, sorted, and blended front to back. Texels outside the layout take
the nearest covered texel's value, so that filtering and mipmaps never pull the background over
a seam.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from ..avatar import Avatar, place, surface
from ..avatar.layout import height_over_skin
from ..avatar.levels import without_loose
from ..core.errors import InputError
from ..geometry.raster import rasterize_uv
from ..geometry.rotations import covariances
from ..geometry.surfaces import (
    face_normals,
    triangle_frames,
    uv_gradients,
    vertex_normals,
)
from ..hand_model import rest_hand
from .axes import base_colors
from .scene_hand import SceneHand
from .skin_material import DEPTH_M, fine_log_albedo, nails_and_palm, roughness_map

SOURCES = ("albedo", "photo")
MIN_COVER = 0.05
"""Opacity below which a texel counts as not seen and is filled from its neighbours."""


@dataclass(frozen=True)
class Textures:
    """Textures of one hand, rows from the top.

    Attributes:
        color: (S, S, 3) uint8 sRGB.
        normal: (S, S, 3) uint8 tangent-space normals, glTF convention (+y up the v axis).
        roughness: (S, S) uint8 perceptual roughness; nails are glossier than skin.
        evidence: (S, S) uint8, 255 where the photo showed the skin.
        covered: (S, S) bool, texels inside the UV layout.
    """

    color: np.ndarray
    normal: np.ndarray
    roughness: np.ndarray
    evidence: np.ndarray
    covered: np.ndarray


def bake_textures(avatar: Avatar, hand: SceneHand, size: int, source: str = "albedo") -> Textures:
    """Bake one hand: colour, relief and evidence.

    Args:
        avatar: the avatar whose splats are baked.
        hand: the hand of the scene, whose model gives the UV layout.
        size: side of the square textures, texels.
        source: "albedo" without the photo's light, or "photo" as photographed.

    Raises:
        InputError: a size or source that is not accepted.
    """
    picture, covered, face, grown = _picture(avatar, hand, size, source)
    model = hand.model
    nail, palm = nails_and_palm(model.name, size)
    area = face_normals(hand.vertices, model.faces)[1].sum()
    fine = fine_log_albedo(picture[..., :3], covered, float(np.sqrt(area / covered.sum())))
    height = picture[..., 4] + DEPTH_M * fine * (1 - nail)
    relief = _relief_normals(height, covered, face, hand, size)
    rough = roughness_map(fine, nail, palm)[..., None]
    skin = grown.of(np.concatenate([relief, rough], axis=-1))
    return Textures(
        color=_bytes(picture[..., :3]),
        normal=_bytes(skin[..., :3] * 0.5 + 0.5),
        roughness=_bytes(skin[..., 3]),
        evidence=_bytes(picture[..., 3]),
        covered=covered,
    )


def bake_color(avatar: Avatar, hand: SceneHand, size: int, source: str = "albedo") -> np.ndarray:
    """The colour (S, S, 3) of :func:`bake_textures` alone, in half its time."""
    return _bytes(_picture(avatar, hand, size, source)[0][..., :3])


def bake_skin(avatar: Avatar, hand: SceneHand, size: int) -> np.ndarray:
    """(S, S, 4) float32: sRGB reflectance in [0, 1] and evidence, as in :func:`bake_textures`."""
    return np.asarray(_picture(avatar, hand, size, "albedo")[0][..., :4])


def _picture(
    avatar: Avatar, hand: SceneHand, size: int, source: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Growth]:
    """Colour, evidence and height (S, S, 5), the layout (S, S) bool, and its triangles (S, S).

    The last is how the picture was grown over what is not seen.
    """
    if source not in SOURCES:
        raise InputError(f"texture source {source!r}; accepted are: {', '.join(SOURCES)}")
    if not 16 <= size <= 8192:
        raise InputError(f"texture size {size}; accepted is 16 to 8192")
    from ._kernels import on_faces

    model = hand.model
    face, bary = rasterize_uv(model.uvs, model.uv_faces, size, size)
    covered = face >= 0
    faces = face[covered]
    weights = bary[covered]
    normals = vertex_normals(hand.vertices, model.faces)
    skin = np.concatenate([hand.vertices, normals], axis=1).astype(np.float64)
    there = np.empty((len(faces), 6), np.float32)
    on_faces(skin, model.faces, faces, weights, there)
    points, normal = np.ascontiguousarray(there[:, :3]), there[:, 3:]
    normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    values, cover = _transfer(avatar, hand, faces, points, normal, size, source)

    seen = np.zeros_like(covered)
    seen[covered] = cover > MIN_COVER
    picture = np.zeros((size, size, 5), np.float32)
    picture[covered] = values
    grown = Growth(seen, _reach(size))
    return grown.of(picture), covered, face, grown


def _reach(size: int) -> float:
    """Texels over which a picture of ``size`` is grown beyond its islands."""
    return max(8.0, size / 32)


class Growth:
    """How pictures grow over unknown texels, for all that know the same ones.

    Up to ``reach`` texels away they take the nearest known texel's value, beyond it the mean.
    """

    def __init__(self, known: np.ndarray, reach: float) -> None:
        """
        Args:
            known: (S, S) bool.
            reach: texels.
        """
        from scipy.ndimage import distance_transform_edt

        self.known = known
        self._trivial = bool(known.all() or not known.any())
        if self._trivial:
            return
        # the nearest texel matters at the islands' rims alone: half of the texels lie beyond
        rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
        unknown = np.flatnonzero(~known)
        row, column = np.unravel_index(unknown, known.shape)
        source = rows.ravel()[unknown], columns.ravel()[unknown]
        near = (source[0] - row) ** 2 + (source[1] - column) ** 2 <= reach**2
        self._far, self._near = unknown[~near], unknown[near]
        self._source = source[0][near] * known.shape[1] + source[1][near]

    def of(self, picture: np.ndarray) -> np.ndarray:
        """``picture`` (S, S, C), grown."""
        if self._trivial:
            return picture
        flat = picture.reshape(-1, picture.shape[-1])
        filled = flat.copy()
        filled[self._near] = flat[self._source]
        filled[self._far] = picture[self.known].mean(0)
        return filled.reshape(picture.shape)


def dilated(picture: np.ndarray, known: np.ndarray, reach: float) -> np.ndarray:
    """``picture`` (S, S, C) grown over unknown texels; see :class:`Growth`."""
    return Growth(known, reach).of(picture)


def _transfer(
    avatar: Avatar,
    hand: SceneHand,
    face: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    size: int,
    source: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Colour, evidence and height (P, 5) and opacity (P,) at surface points."""
    from scipy.spatial import cKDTree

    from ._kernels import gather

    data = without_loose(avatar.hand(hand.side))
    count = len(data)
    if not count:
        return np.zeros((len(points), 5), np.float32), np.zeros(len(points), np.float32)
    model = surface(avatar.hand_model, hand.side, avatar.level)
    vertices = rest_hand(model, data.shape)[0]
    frames, area = triangle_frames(vertices, model.faces)
    means, quats, scales = place(data.binding, vertices, model.faces, area)
    color = data.albedo if source == "albedo" else base_colors(data.color)
    values = np.concatenate(
        [np.clip(color, 0, 1), data.evidence[:, None], height_over_skin(data.binding)], axis=1
    )
    full = covariances(quats, scales).reshape(-1, 9)
    covariance = full[:, [0, 1, 2, 4, 5, 8]].astype(np.float32)
    splat_normal = frames[data.binding.triangle][:, :, 2]

    # all texels of one mesh face share the candidates nearest to the face
    centers = hand.vertices[hand.model.faces].mean(1)
    per_face = count / max(len(centers), 1)
    k = int(np.clip(8 * per_face + 24, 32, 192))
    used, inverse = np.unique(face, return_inverse=True)
    _, near = cKDTree(means).query(centers[used], k=min(k, count))
    near = np.atleast_2d(near.reshape(len(used), -1)).astype(np.int64)
    uv = hand.model.uvs.astype(np.float64)[hand.model.uv_faces[used]] * size
    doubled = uv_gradients(hand.vertices[hand.model.faces[used]], uv)[2]
    skin = 2 * face_normals(hand.vertices, hand.model.faces[used])[1]
    texel = np.sqrt(skin / np.maximum(np.abs(doubled), 1e-12))
    out = np.zeros((len(points), 5), np.float32)
    cover = np.zeros(len(points), np.float32)
    gather(
        points.astype(np.float32),
        normals.astype(np.float32),
        inverse.astype(np.int64),
        near,
        texel.astype(np.float32),
        means,
        covariance,
        splat_normal.astype(np.float32),
        data.opacity,
        values.astype(np.float32),
        out,
        cover,
    )
    return out, cover


def _relief_normals(
    height: np.ndarray, covered: np.ndarray, face: np.ndarray, hand: SceneHand, size: int
) -> np.ndarray:
    """Tangent-space normals (S, S, 3) of a height map in metres over the UV layout.

    Tangents are MikkTSpace-like: t along growing u, b along growing v. A height h moves the
    point along the normal, so the normal leans by the surface gradient of h.
    """
    smooth = _blurred(height, covered)
    dv, du = np.gradient(smooth)
    dv = -dv  # rows run downwards, v upwards
    model = hand.model
    corner = hand.vertices[model.faces]
    uv = model.uvs[model.uv_faces].astype(np.float64) * size
    tangent, bitangent, doubled = uv_gradients(corner, uv)
    doubled = np.maximum(np.abs(doubled), 1e-12)
    step_u = np.maximum(np.linalg.norm(tangent, axis=1) / doubled, 1e-9)
    step_v = np.maximum(np.linalg.norm(bitangent, axis=1) / doubled, 1e-9)
    which = np.maximum(face, 0)
    normal = np.stack([-du / step_u[which], -dv / step_v[which], np.ones_like(du)], -1)
    # steeper than 45 degrees is noise of single splats, not skin
    steep = np.maximum(np.hypot(normal[..., 0], normal[..., 1]), 1.0)[..., None]
    normal[..., :2] /= steep
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return np.where(covered[..., None], normal, [0.0, 0.0, 1.0]).astype(np.float32)


def _blurred(height: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Height smoothed over one texel, within the layout only."""
    from scipy.ndimage import gaussian_filter

    mask = covered.astype(np.float32)
    weight = gaussian_filter(mask, 1.0)
    value = gaussian_filter(height * mask, 1.0)
    return np.where(covered, value / np.maximum(weight, 1e-6), height)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)


def encoded(picture: np.ndarray, kind: str = "png", quality: int = 90) -> bytes:
    """``picture`` (H, W, 3) uint8 as a PNG or JPEG file."""
    from PIL import Image

    buffer = io.BytesIO()
    if kind == "jpg":
        Image.fromarray(picture).save(buffer, format="JPEG", quality=quality, subsampling=0)
    else:
        Image.fromarray(picture).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()
