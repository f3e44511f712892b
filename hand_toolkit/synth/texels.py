"""Where each texel of a hand's skin lies on the hand: position, normal, finger coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.conventions import SIDES
from ..geometry.raster import rasterize_uv
from ..geometry.surfaces import at_surface
from .surface import Surface, split_quads

HAND_SCALE = 2.6
FOREARM_SCALE = 1.0
SKIN_SIZE = 2048
"""The skins are this large; an atlas texel covers 1/scale of a skin texel."""

FINGER_JOINTS = ((13, 14, 15), (1, 2, 3), (4, 5, 6), (10, 11, 12), (7, 8, 9))
"""MANO joints of each finger in the order of ``conventions.FINGERS``."""


@dataclass(frozen=True)
class Island:
    """One connected piece of the skins' atlas and where it is baked.

    Attributes:
        source: (x0, y0, x1, y1) in skin texels, y down.
        target: (x0, y0, x1, y1) in baked texels, y down.
    """

    source: tuple[int, int, int, int]
    target: tuple[int, int, int, int]


@dataclass(frozen=True)
class SkinPlaces:
    """Where n points of the rest surface lie on the hand, canonical right-hand frame.

    Attributes:
        position: (n, 3) metres; a left hand's is mirrored, so both sides look alike.
        normal: (n, 3).
        finger: (n,) 0 palm and forearm, 1 to 5 thumb to little finger.
        finger_weight: (n, 5) how much each finger moves the point.
        along: (n, 5) metres from each finger's first keypoint along the finger.
        lateral: (n, 5) metres across the finger.
        dorsal: (n, 5) cosine of the normal with the finger's dorsal direction.
        palm: (n, 2) palm coordinates: 0 wrist to 1 middle knuckle; -1 little to 1 index side.
        back: (n,) cosine of the normal with the dorsal direction of the palm.
        bones: (5, 3) lengths of the three phalanges, metres.
    """

    position: np.ndarray
    normal: np.ndarray
    finger: np.ndarray
    finger_weight: np.ndarray
    along: np.ndarray
    lateral: np.ndarray
    dorsal: np.ndarray
    palm: np.ndarray
    back: np.ndarray
    bones: np.ndarray

    @classmethod
    def of(
        cls,
        position: np.ndarray,
        normal: np.ndarray,
        weights: np.ndarray,
        keypoints: np.ndarray,
        axes: np.ndarray,
    ) -> SkinPlaces:
        """Places of points of a right hand.

        Args:
            position, normal: (n, 3) at rest; normals of any length.
            weights: (n, 16) skinning weights.
            keypoints: (21, 3) at rest.
            axes: (5, 3, 3) unit axis of positive flexion, per finger and joint.
        """
        normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        share = np.stack([weights[:, list(joints)].sum(1) for joints in FINGER_JOINTS], axis=1)
        along, lateral, dorsal, bones = [], [], [], []
        for f in range(5):
            chain = keypoints[1 + 4 * f : 5 + 4 * f]
            direction = (chain[3] - chain[0]) / np.linalg.norm(chain[3] - chain[0])
            axis = axes[f, 1] - (axes[f, 1] @ direction) * direction
            axis /= np.linalg.norm(axis)
            offset = position - chain[0]
            along.append(offset @ direction)
            lateral.append(offset @ axis)
            dorsal.append(normal @ -np.cross(axis, direction))
            bones.append(np.linalg.norm(np.diff(chain, axis=0), axis=1))
        return cls(
            position=position,
            normal=normal,
            finger=np.where(share.max(1) > 0.5, share.argmax(1) + 1, 0),
            finger_weight=share,
            along=np.stack(along, 1),
            lateral=np.stack(lateral, 1),
            dorsal=np.stack(dorsal, 1),
            palm=_palm_coordinates(position, keypoints),
            back=normal[:, 1],
            bones=np.array(bones),
        )


@dataclass(frozen=True)
class TexelMap(SkinPlaces):
    """The covered texels of a baked texture and where they lie.

    Attributes:
        shape: (height, width) of the baked texture.
        islands: pieces of the atlas.
        index: (n,) flat texel index of each covered texel.
        fill: (height*width,) index into the n texels of the nearest covered one.
        uvs: (T, 2) the surface's texture coordinates in the baked texture, origin lower left.
    """

    shape: tuple[int, int]
    islands: tuple[Island, ...]
    index: np.ndarray
    fill: np.ndarray
    uvs: np.ndarray

    def image(self, values: np.ndarray) -> np.ndarray:
        """(height, width, ...) picture of per-texel values, empty texels filled by the nearest."""
        return values[self.fill].reshape(*self.shape, *values.shape[1:])


def build_texel_map(surface: Surface, scale: float = 1.0) -> TexelMap:
    """Rasterize a surface into its baked texture.

    Args:
        surface: a hand with its forearm.
        scale: resolution relative to the standard one, about 1200 x 1000 texels.
    """
    islands, uvs, shape = _layout(surface, scale)
    attributes = np.concatenate([surface.rest, surface.normals, surface.weights], axis=1)
    index, values = _rasterize(surface, uvs, shape, attributes)
    position, normal, weights = values[:, :3], values[:, 3:6], values[:, 6:]
    keypoints, axes = surface.keypoints, surface.flexion_axes
    if surface.side == SIDES[1]:
        flip = np.array([-1.0, 1.0, 1.0])
        position, normal, keypoints = position * flip, normal * flip, keypoints * flip
        axes = axes * np.array([1.0, -1.0, -1.0])  # an axis is a pseudo-vector
    places = SkinPlaces.of(position, normal, weights, keypoints, axes)
    return TexelMap(
        **vars(places),
        shape=shape,
        islands=islands,
        index=index,
        fill=_nearest_fill(index, shape),
        uvs=uvs,
    )


def _layout(
    surface: Surface, scale: float
) -> tuple[tuple[Island, ...], np.ndarray, tuple[int, int]]:
    """Pack the atlas's pieces side by side, the hand's enlarged."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    quads, count = surface.uv_quads, len(surface.uvs)
    edges = (quads.ravel(), np.roll(quads, 1, axis=1).ravel())
    graph = coo_matrix((np.ones(quads.size), edges), shape=(count, count))
    pieces, label = connected_components(graph, directed=False)
    pixels = surface.uvs * [SKIN_SIZE, -SKIN_SIZE] + [0, SKIN_SIZE]
    owned = np.bincount(label[quads[: surface.hand_quads].ravel()], minlength=pieces)
    islands, baked, x, height = [], np.zeros((count, 2)), 0, 0
    for piece in np.argsort(-owned, kind="stable"):
        members = label == piece
        if not np.isin(np.flatnonzero(members), quads).any():
            continue
        low = np.floor(pixels[members].min(0)).astype(int) - 6
        high = np.ceil(pixels[members].max(0)).astype(int) + 6
        factor = scale * (HAND_SCALE if owned[piece] else FOREARM_SCALE)
        size = np.ceil((high - low) * factor).astype(int)
        baked[members] = (pixels[members] - low) * size / (high - low) + [x, 0]
        source = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        islands.append(Island(source, (x, 0, x + int(size[0]), int(size[1]))))
        x, height = x + int(size[0]), max(height, int(size[1]))
    uvs = baked / [x, height] * [1, -1] + [0, 1]
    return tuple(islands), uvs, (height, x)


def _rasterize(
    surface: Surface, uvs: np.ndarray, shape: tuple[int, int], attributes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Covered texels and their interpolated vertex attributes (n, C)."""
    height, width = shape
    owner, weights = rasterize_uv(uvs, split_quads(surface.uv_quads), width, height)
    index = np.flatnonzero(owner >= 0)
    weights = weights.reshape(-1, 3)[index].astype(np.float64)
    return index, at_surface(attributes, surface.triangles, owner.ravel()[index], weights)


def _nearest_fill(index: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    rank = np.zeros(shape[0] * shape[1], dtype=np.int64)
    rank[index] = np.arange(len(index))
    empty = np.ones(shape, dtype=bool)
    empty.ravel()[index] = False
    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    return rank[np.ravel_multi_index(tuple(nearest), shape).ravel()]


def _palm_coordinates(position: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    wrist, index, middle, little = keypoints[0], keypoints[5], keypoints[9], keypoints[17]
    forward = (middle - wrist) * [1, 0, 1]
    length = np.linalg.norm(forward)
    forward = forward / length
    across = np.array([forward[2], 0.0, -forward[0]])
    if (index - little) @ across < 0:
        across = -across
    centre = 0.5 * (index + little) @ across
    half = 0.5 * (index - little) @ across
    offset = position - wrist
    u = offset @ forward / length
    v = (offset @ across - (centre - wrist @ across) * np.clip(u, 0, 1)) / half
    return np.stack([u, v], axis=1)
