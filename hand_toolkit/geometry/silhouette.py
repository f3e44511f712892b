"""Silhouettes of posed hands, and the side of the wrist on which a hand lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.types import Camera
from .raster import MeshRaster, rasterize_mesh

__all__ = ["MeshRaster", "hand_silhouettes", "rasterize_mesh", "wrist_half_plane"]


def hand_silhouettes(
    meshes: Sequence[tuple[np.ndarray, np.ndarray]], camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Each mesh's whole silhouette, and which mesh is in front.

    Args:
        meshes: (vertices (V, 3), faces (F, 3)) per hand.
        camera: the view.

    Returns:
        silhouettes: (N, H, W) bool, each as if alone.
        labels: (H, W) int32 index of the nearest mesh, -1 for none.
    """
    rasters = [rasterize_mesh(vertices, faces, camera) for vertices, faces in meshes]
    silhouettes = np.stack([r.silhouette for r in rasters])
    nearest = np.stack([r.depth for r in rasters]).argmin(axis=0).astype(np.int32)
    nearest[~silhouettes.any(axis=0)] = -1
    return silhouettes, nearest


def wrist_half_plane(
    keypoints_2d: np.ndarray, size: tuple[int, int], margin: float = 0.12
) -> np.ndarray:
    """Pixels on the fingers' side of the wrist.

    The border crosses the line from the wrist to the middle knuckle at a right angle,
    ``margin`` of that line's length below the wrist.

    Args:
        keypoints_2d: (21, 2) pixels.
        size: (width, height).
        margin: may be negative to cut above the wrist.

    Returns:
        (H, W) bool.
    """
    wrist, knuckle = np.asarray(keypoints_2d)[[0, 9]]
    axis = knuckle - wrist
    length = max(float(np.linalg.norm(axis)), 1e-6)
    axis = axis / length
    columns = np.arange(size[0]) + 0.5 - wrist[0]
    rows = np.arange(size[1]) + 0.5 - wrist[1]
    return columns[None] * axis[0] + rows[:, None] * axis[1] > -margin * length
