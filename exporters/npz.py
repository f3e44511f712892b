"""Motions as .npz, in the layouts that pose research reads.

- ``toolkit``: ``poses`` (T, 2, 16, 3), ``trans`` (T, 2, 3), ``present`` (T, 2), ``fps``.
- ``mano``: ``global_orient`` (T, 3), ``hand_pose`` (T, 45), ``transl`` (T, 3), ``betas``, one
  file a hand.
- ``amass``: SMPL-H ``poses`` (T, 156) (left hand 66:111, right hand 111:156, wrists as body
  joints 20 and 21), ``trans`` (T, 3), ``betas``, ``gender``, ``mocap_framerate``; z up; and
  ``present`` (T, 2), which is ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.core.conventions import SIDES
from hand_toolkit.core.files import atomic_path
from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.export.scene import ExportScene

LAYOUTS = ("toolkit", "mano", "amass")
TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
"""From the toolkit's world axes (y down, z forward) to AMASS's (z up, y forward)."""


class NpzExporter:
    """Writes .npz."""

    name = "npz"
    description = "motion arrays: this toolkit's, MANO's or AMASS's keys"
    suffixes = (".npz",)
    contents = ("skeleton",)
    animated = True
    options = (Option("layout", str, "toolkit", "keys: toolkit, mano or amass", LAYOUTS),)

    def write(self, request: ExportRequest) -> list[Path]:
        """Write one file, or one a hand with MANO's keys and two hands."""
        scene, path, layout = request.scene, request.path, request.options["layout"]
        if layout != "mano":
            make = _toolkit if layout == "toolkit" else _amass
            return [_save(path, make(scene))]
        if len(scene.hands) == 1:
            return [_save(path, _mano(scene, scene.sides[0]))]
        return [
            _save(path.with_name(f"{path.stem}_{side}{path.suffix}"), _mano(scene, side))
            for side in scene.sides
        ]


def _save(path: Path, arrays: dict[str, Any]) -> Path:
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)
    return path


def _toolkit(scene: ExportScene) -> dict[str, Any]:
    count = scene.frames
    poses, trans = np.zeros((count, 2, 16, 3)), np.zeros((count, 2, 3))
    present = np.zeros((count, 2), bool)
    for hand in scene.hands:
        k = SIDES.index(hand.side)
        poses[:, k], trans[:, k], present[:, k] = hand.theta, hand.translation, hand.present
    arrays: dict[str, Any] = {
        "poses": poses,
        "trans": trans,
        "present": present,
        "fps": np.float64(scene.fps),
        "hand_model": np.array(scene.avatar.hand_model),
    }
    for hand in scene.hands:
        arrays[f"{hand.side}_shape"] = scene.avatar.hand(hand.side).shape
    return arrays


def _betas(scene: ExportScene, side: str, count: int) -> np.ndarray:
    """MANO's shape where the avatar is of MANO; zeros otherwise, whose parameters differ."""
    betas = np.zeros(count)
    if scene.avatar.hand_model == "mano":
        shape = scene.avatar.hand(side).shape[:count]
        betas[: len(shape)] = shape
    return betas


def _mano(scene: ExportScene, side: str) -> dict[str, Any]:
    hand = scene.hand(side)
    return {
        "global_orient": hand.theta[:, 0],
        "hand_pose": hand.theta[:, 1:].reshape(-1, 45),
        "transl": hand.translation,
        "betas": _betas(scene, side, 10),
        "side": np.array(side),
        "is_rhand": np.array(side == "right"),
        "present": hand.present,
        "fps": np.float64(scene.fps),
    }


def _amass(scene: ExportScene) -> dict[str, Any]:
    from scipy.spatial.transform import Rotation

    poses = np.zeros((scene.frames, 52, 3))
    present = np.zeros((scene.frames, 2), bool)
    for hand in scene.hands:
        present[:, SIDES.index(hand.side)] = hand.present
        first, wrist = (37, 21) if hand.side == "right" else (22, 20)
        poses[:, first : first + 15] = hand.theta[:, 1:]
        turned = TO_Z_UP @ Rotation.from_rotvec(hand.theta[:, 0]).as_matrix()
        poses[:, wrist] = Rotation.from_matrix(turned).as_rotvec()
    trans = np.mean([hand.translation for hand in scene.hands], axis=0) @ TO_Z_UP.T
    return {
        "poses": poses.reshape(scene.frames, 156),
        "trans": trans,
        "betas": _betas(scene, scene.sides[0], 16),
        "present": present,
        "dmpls": np.zeros((scene.frames, 8)),
        "gender": np.array("neutral"),
        "mocap_framerate": np.float64(scene.fps),
        "mocap_frame_rate": np.float64(scene.fps),
    }
