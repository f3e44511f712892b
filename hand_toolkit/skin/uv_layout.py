"""The texels of a hand's UV layout and where each lies on the surface.

A left hand is the mirrored right hand vertex for vertex and shares its layout, so one layout
serves both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..avatar import surface
from ..geometry.raster import rasterize_uv

LEVEL = 1
"""Subdivision level of the mesh that the texels lie on."""

SEAM_REACH = 0.016
"""How far from a cut of the layout colours are welded, in parts of the layout's side: 5 mm."""


@dataclass(frozen=True, eq=False, repr=False)
class UVLayout:
    """The covered texels, N of them, in rows from the top.

    Attributes:
        hand_model: name of the hand model.
        size: side S of the layout, texels.
        index: (N,) flat index of each covered texel.
        face: (N,) triangle of the right hand's mesh at ``LEVEL``.
        barycentric: (N, 3) on that triangle.
        corners: (N, 3) its vertices.
        uv: (N, 2), origin at the lower left.
        rest: (N, 3) place on the mean shape's rest surface, metres.
        fill: (S, S) number of the nearest covered texel.
    """

    hand_model: str
    size: int
    index: np.ndarray
    face: np.ndarray
    barycentric: np.ndarray
    corners: np.ndarray
    uv: np.ndarray
    rest: np.ndarray
    fill: np.ndarray

    def __repr__(self) -> str:
        return f"UVLayout({self.size}x{self.size}, {len(self.index)} texels covered)"

    @property
    def covered(self) -> np.ndarray:
        """(S, S) bool."""
        result = np.zeros(self.size * self.size, bool)
        result[self.index] = True
        return result.reshape(self.size, self.size)

    def at(self, values: np.ndarray) -> np.ndarray:
        """(N, C) of vertex values (V, C), of either hand: both number their vertices alike."""
        return np.einsum("nk,nkc->nc", self.barycentric, np.asarray(values)[self.corners])

    def image(self, values: np.ndarray) -> np.ndarray:
        """(S, S, C) picture of texel values (N, C); empty texels take the nearest one's."""
        return np.asarray(values)[self.fill]

    def look_up(self, image: np.ndarray, uv: np.ndarray) -> np.ndarray:
        """Bilinear (M, C) values of a square picture (of any size) at uv (M, 2)."""
        size = len(image)
        return bilinear(image, np.stack([uv[:, 0] * size, (1 - uv[:, 1]) * size], axis=1))


@lru_cache(maxsize=6)
def uv_layout(hand_model: str, size: int) -> UVLayout:
    """The layout of a hand model at a size; kept, since it takes a second to make."""
    from scipy.ndimage import distance_transform_edt

    model = surface(hand_model, "right", LEVEL)
    face, barycentric = rasterize_uv(model.uvs, model.uv_faces, size, size)
    index = np.flatnonzero(face.ravel() >= 0)
    face, weights = face.ravel()[index], barycentric.reshape(-1, 3)[index].astype(np.float64)
    corners = model.faces[face].astype(np.int64)
    rank = np.full(size * size, -1)
    rank[index] = np.arange(len(index))
    rank = rank.reshape(size, size)
    nearest = distance_transform_edt(rank < 0, return_distances=False, return_indices=True)
    return UVLayout(
        hand_model=hand_model,
        size=size,
        index=index,
        face=face,
        barycentric=weights,
        corners=corners,
        uv=np.einsum("nk,nkc->nc", weights, model.uvs[model.uv_faces[face]].astype(np.float64)),
        rest=np.einsum("nk,nkc->nc", weights, model.template[corners]),
        fill=rank[tuple(nearest)],
    )


def bilinear(image: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """(M, C) values of an (H, W, C) image at (M, 2) positions, clamped to its border.

    Pixel centres lie at .5.
    """
    height, width = image.shape[:2]
    x = np.clip(np.nan_to_num(pixel[:, 0]) - 0.5, 0, width - 1)
    y = np.clip(np.nan_to_num(pixel[:, 1]) - 0.5, 0, height - 1)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    upper = image[top, left] * (1 - fx) + image[top, right] * fx
    lower = image[bottom, left] * (1 - fx) + image[bottom, right] * fx
    return upper * (1 - fy) + lower * fy


def nearest(image: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """(M, ...) values of the pixels that hold (M, 2) positions, clamped to the border."""
    high = [image.shape[1] - 1, image.shape[0] - 1]
    x, y = np.clip(np.nan_to_num(pixel).astype(np.int64), 0, high).T
    return image[y, x]


@dataclass(frozen=True, eq=False)
class Seam:
    """The cuts of a layout: K places, each the end of a cut edge on one of its sides.

    Attributes:
        uv: (K, 2) places.
        group: (K,) number of the vertex that each place shows.
        texel: (M,) texels near a cut.
        places: (M, P) the places nearest to each, in UV.
        weight: (M, P) their shares, falling to 0 with the distance from the cut.
    """

    uv: np.ndarray
    group: np.ndarray
    texel: np.ndarray
    places: np.ndarray
    weight: np.ndarray


@lru_cache(maxsize=4)
def seam_of(hand_model: str, size: int) -> Seam:
    """Where the layout is cut although the surface goes on."""
    from scipy.spatial import cKDTree

    model, layout = surface(hand_model, "right", LEVEL), uv_layout(hand_model, size)
    pair = np.unique(np.stack([model.faces.ravel(), model.uv_faces.ravel()], axis=1), axis=0)
    vertex, count = np.unique(pair[:, 0], return_counts=True)
    pair = pair[np.isin(pair[:, 0], vertex[count > 1])]
    uv = model.uvs[pair[:, 1]].astype(np.float64)
    if not len(uv):
        none = np.zeros((0, 6))
        return Seam(uv, pair[:, 0], np.zeros(0, int), none.astype(int), none)
    places = min(6, len(uv))
    distance, which = cKDTree(uv).query(layout.uv, k=places, distance_upper_bound=SEAM_REACH * 1.5)
    near = np.isfinite(distance[:, 0]) & (distance[:, 0] < SEAM_REACH)
    distance, which = distance[near], np.minimum(which[near], len(uv) - 1)
    share = np.exp((distance[:, :1] ** 2 - distance**2) / (0.3 * SEAM_REACH) ** 2)
    share[~np.isfinite(distance)] = 0
    share = np.nan_to_num(share)
    fade = 1 - distance[:, :1] / SEAM_REACH
    weight = share / share.sum(1, keepdims=True) * (fade * fade * (3 - 2 * fade))
    return Seam(uv, pair[:, 0], np.flatnonzero(near), which, weight)


def weld(values: np.ndarray, sureness: np.ndarray, layout: UVLayout) -> np.ndarray:
    """Texel values (N, C) that agree across the layout's cuts.

    Both sides of a cut move to their mean, weighted by ``sureness`` (N,), and take their
    neighbourhood with them.
    """
    seam = seam_of(layout.hand_model, layout.size)
    if not len(seam.uv):
        return values
    here = layout.look_up(layout.image(values), seam.uv)
    sure = layout.look_up(layout.image(sureness[:, None]), seam.uv) + 0.05
    groups, group = np.unique(seam.group, return_inverse=True)
    total = np.zeros((len(groups), values.shape[1] + 1))
    np.add.at(total, group, np.concatenate([here * sure, sure], axis=1))
    step = (total[:, :-1] / total[:, -1:])[group] - here
    welded = np.array(values, dtype=np.float64)
    welded[seam.texel] += np.einsum("mp,mpc->mc", seam.weight, step[seam.places])
    return welded
