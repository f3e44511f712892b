"""Biovision BVH: the skeleton and its motion, y up.

Rotations are Z, X, Y Euler angles in degrees (R = Rz Rx Ry), which every joint has; wrists also
have positions. With two hands a still root "hands" holds both wrists.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from hand_toolkit.core.conventions import FINGERS, KEYPOINTS, MANO_JOINTS, MANO_PARENTS
from hand_toolkit.core.files import atomic_write
from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.export.scene_hand import SceneHand

UNITS = {"cm": 100.0, "m": 1.0}
ROTATIONS = "Zrotation Xrotation Yrotation"


class BvhExporter:
    """Writes .bvh."""

    name = "bvh"
    description = "BVH skeleton and motion (one frame without a motion)"
    suffixes = (".bvh",)
    contents = ("skeleton",)
    animated = True
    options = (Option("unit", str, "cm", "length unit: cm or m", tuple(UNITS)),)

    def write(self, request: ExportRequest) -> list[Path]:
        """Write the file."""
        scene = request.scene
        factor = UNITS[request.options["unit"]]
        pair = len(scene.hands) > 1
        lines = ["HIERARCHY"]
        if pair:
            lines += _open("ROOT hands", np.zeros(3), f"CHANNELS 3 {ROTATIONS}", 0)
        columns = [np.zeros((scene.frames, 3))] if pair else []
        for hand in scene.hands:
            _joint(hand, 0, factor, 1 if pair else 0, lines, columns, "JOINT" if pair else "ROOT")
        if pair:
            lines.append("}")
        table = np.concatenate(columns, axis=1)
        lines += ["MOTION", f"Frames: {scene.frames}", f"Frame Time: {1 / scene.fps:.8f}"]
        lines += [" ".join(f"{v:.6f}" for v in row) for row in table]
        atomic_write(request.path, "\n".join([*lines, ""]))
        return [request.path]


def _joint(
    hand: SceneHand,
    j: int,
    factor: float,
    depth: int,
    lines: list[str],
    columns: list[np.ndarray],
    word: str,
) -> None:
    from scipy.spatial.transform import Rotation

    quats = hand.local_quats[:, j]
    with warnings.catch_warnings():  # at the pole one angle is free; the rotation is still exact
        warnings.simplefilter("ignore", UserWarning)
        euler = Rotation.from_quat(np.roll(quats, -1, axis=1)).as_euler("ZXY", degrees=True)
    euler = np.degrees(np.unwrap(np.radians(euler), axis=0))
    offset = np.zeros(3) if j == 0 else hand.local_offsets[j] * factor
    channels = f"CHANNELS 3 {ROTATIONS}"
    if j == 0:
        channels = f"CHANNELS 6 Xposition Yposition Zposition {ROTATIONS}"
        columns.append(hand.wrist_positions * factor)
    columns.append(euler)
    lines += _open(f"{word} {hand.joint_names[j]}", offset, channels, depth)
    children = np.flatnonzero(j == MANO_PARENTS)
    for child in children:
        _joint(hand, int(child), factor, depth + 1, lines, columns, "JOINT")
    if not len(children):
        finger = next(f for f in FINGERS if MANO_JOINTS[j].startswith(f))
        tip = (hand.keypoints[KEYPOINTS.index(f"{finger}_tip")] - hand.joints[j]) * factor
        lines += [*_open("End Site", tip, "", depth + 1), "  " * (depth + 1) + "}"]
    lines.append("  " * depth + "}")


def _open(title: str, offset: np.ndarray, channels: str, depth: int) -> list[str]:
    pad = "  " * depth
    lines = [f"{pad}{title}", f"{pad}{{", f"{pad}  OFFSET " + " ".join(f"{v:.6f}" for v in offset)]
    return [*lines, f"{pad}  {channels}"] if channels else lines
