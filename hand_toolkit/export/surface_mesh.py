"""The mesh as formats with one index per corner need it: vertices split at UV seams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.surfaces import uv_gradients
from .scene_hand import SceneHand


@dataclass(frozen=True)
class SplitMesh:
    """Render-ready mesh of one hand.

    Attributes:
        vertex: (M,) index into the model's vertices.
        uv: (M, 2) origin at the lower left.
        faces: (F, 3) into M.
    """

    vertex: np.ndarray
    uv: np.ndarray
    faces: np.ndarray


def split_mesh(hand: SceneHand) -> SplitMesh:
    """One entry per distinct (vertex, UV) pair of the model's faces."""
    model = hand.model
    pairs = np.stack([model.faces.ravel(), model.uv_faces.ravel()], 1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    return SplitMesh(
        vertex=unique[:, 0],
        uv=model.uvs[unique[:, 1]].astype(np.float32),
        faces=inverse.reshape(-1, 3).astype(np.uint32),
    )


def tangents(mesh: SplitMesh, positions: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(M, 4) unit tangents along growing u and the sign of the bitangent (glTF 2.0, 3.7.2.1).

    Args:
        mesh: the split mesh.
        positions: (M, 3).
        normals: (M, 3) unit.
    """
    corner = positions[mesh.faces]
    uv = mesh.uv.astype(np.float64)[mesh.faces]
    t, b, doubled = uv_gradients(corner, uv)
    # not divided by the area: larger faces weigh more, slivers of the layout cannot dominate
    sign = np.where(doubled < 0, -1.0, 1.0)[:, None]
    t, b = t * sign, b * sign
    total_t, total_b = np.zeros_like(positions), np.zeros_like(positions)
    for k in range(3):
        np.add.at(total_t, mesh.faces[:, k], t)
        np.add.at(total_b, mesh.faces[:, k], b)
    flat = total_t - normals * (total_t * normals).sum(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    fallback = np.cross(normals, np.where(np.abs(normals[:, :1]) < 0.9, [1.0, 0, 0], [0, 1.0, 0]))
    fallback /= np.maximum(np.linalg.norm(fallback, axis=1, keepdims=True), 1e-12)
    unit = np.where(length > 1e-12, flat / np.maximum(length, 1e-12), fallback)
    handed = np.where((np.cross(normals, unit) * total_b).sum(1) < 0, -1.0, 1.0)
    return np.concatenate([unit, handed[:, None]], axis=1).astype(np.float32)


def strongest(weights: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``count`` largest of (V, 16) weights, renormalised, in falling order.

    Returns:
        Joints (V, count) uint8, zero where the weight is, and weights (V, count) float32 whose
        rows sum to 1.
    """
    weights = np.asarray(weights, dtype=np.float64)
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    chosen = np.take_along_axis(weights, joints, 1)
    chosen = np.where(chosen < 1e-6, 0, chosen)
    chosen /= np.maximum(chosen.sum(1, keepdims=True), 1e-12)
    chosen = chosen.astype(np.float32)
    joints = np.where(chosen > 0, joints, 0).astype(np.uint8)
    return joints, chosen
