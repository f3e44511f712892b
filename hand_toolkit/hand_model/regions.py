"""Named parts of a hand's skin: pads, tips, palm; from the rest hand, so of any hand model."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np

from ..core.conventions import FINGERS, MANO_JOINTS
from ..geometry.surfaces import vertex_normals
from .base import HandModel
from .limits import joint_frames
from .loading import load_hand_model
from .posing import rest_hand


@lru_cache(maxsize=8)
def smooth_model(side: str, name: str = "default") -> HandModel:
    """The level-0 mesh with its vertices on the smooth surface that is rendered.

    Subdivision keeps the original vertices first but draws them inwards, half a millimetre on
    the average, which skin that touches must not leave as a gap.
    """
    coarse, fine = load_hand_model(name, side), load_hand_model(name, side, 2)
    count = len(coarse.template)
    return dataclasses.replace(
        coarse,
        template=fine.template[:count],
        weights=fine.weights[:count],
        shape_dirs=fine.shape_dirs[:, :count],
        pose_dirs=None if fine.pose_dirs is None else fine.pose_dirs[:, :count],
    )


@lru_cache(maxsize=4)
def regions(name: str = "default") -> dict[str, np.ndarray]:
    """Vertex sets of the right hand's level-0 mesh by name.

    Args:
        name: of the hand model.
    """
    model = smooth_model("right", name)
    rest, _, keypoints = rest_hand(model)
    normals = vertex_normals(rest, model.faces)
    weights = model.weights
    part = weights.argmax(1)
    x, z = rest[:, 0], rest[:, 2]
    body = part == 0
    length = -keypoints[9, 0]
    on_palm = body & (x < -0.12 * length)
    sets = {
        "skin": np.arange(len(rest)),
        "palm": np.flatnonzero(on_palm & (normals[:, 1] < -0.5)),
        "palm_front": np.flatnonzero((x < -0.6 * length) & (body | np.isin(part, [1, 4, 7, 10]))
                                     & (normals[:, 1] < -0.5) & (x > -1.12 * length)),
        "back": np.flatnonzero(on_palm & (normals[:, 1] > 0.5)),
        "hand_back": np.flatnonzero((normals[:, 1] > 0.5) & (x < -0.4 * length)),
        "edge": np.flatnonzero((normals[:, 2] < -0.6) & (z < 0)
                               & (body | np.isin(part, [7, 8, 9])) & (x < -0.3 * length)),
        "wrist": np.flatnonzero(body & (x > -0.10 * length)),
        "knuckles": np.flatnonzero(np.isin(part, [1, 4, 10, 7]) & (normals[:, 1] > 0.2)),
    }  # fmt: skip
    for f, finger in enumerate(FINGERS):
        first = MANO_JOINTS.index(f"{finger}1")
        chain = keypoints[1 + 4 * f : 5 + 4 * f]
        direction = (chain[3] - chain[0]) / np.linalg.norm(chain[3] - chain[0])
        flexion = np.asarray(joint_frames()[first, 0])  # of the middle joint
        palmar = normals @ np.cross(flexion, direction)
        last = part == first + 2
        along = (rest - chain[2]) @ direction
        reach = np.linalg.norm(chain[3] - chain[2])
        sets[f"{finger}_pad"] = np.flatnonzero(last & (palmar > 0.6) & (along > 0.25 * reach))
        sets[f"{finger}_tip"] = np.flatnonzero(last & (along > 0.45 * reach))
        sets[f"{finger}_back"] = np.flatnonzero((part == first + 1) & (palmar < -0.5))
        sets[f"{finger}_front"] = np.flatnonzero(
            np.isin(part, [first, first + 1, first + 2]) & (palmar > 0.6)
        )
    sets["pinch_gap"] = np.concatenate([sets["thumb_pad"], sets["index_pad"]])
    return sets
