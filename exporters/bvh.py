"""Biovision BVH: the skeleton and its motion, y up.

Rotations are Z, X, Y Euler angles in degrees (R = Rz Rx Ry), which every joint has; wrists also
have positions. With two hands a still root "hands" holds both wrists.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from hand_toolkit.core.conventions import FINGERS, KEYPOINTS, MANO_JOINTS
from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.skeletons import SKELETON_OPTION
from hand_toolkit.export.base import ExportRequest, Option
from hand_toolkit.export.rig import HandRig, hand_rig
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
    options = (
        Option("unit", str, "cm", "length unit: cm or m", tuple(UNITS)),
        SKELETON_OPTION,
    )

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
            rig = hand_rig(hand, request.options["skeleton"], plain=True)
            word, depth = ("JOINT", 1) if pair else ("ROOT", 0)
            _joint(hand, rig, 0, factor, depth, lines, columns, word)
        if pair:
            lines.append("}")
        table = np.concatenate(columns, axis=1)
        lines += ["MOTION", f"Frames: {scene.frames}", f"Frame Time: {1 / scene.fps:.8f}"]
        lines += [" ".join(f"{v:.6f}" for v in row) for row in table]
        atomic_write(request.path, "\n".join([*lines, ""]))
        return [request.path]


def _joint(
    hand: SceneHand,
    rig: HandRig,
    j: int,
    factor: float,
    depth: int,
    lines: list[str],
    columns: list[np.ndarray],
    word: str,
) -> None:
    from scipy.spatial.transform import Rotation

    with warnings.catch_warnings():  # at the pole one angle is free; the rotation is still exact
        warnings.simplefilter("ignore", UserWarning)
        turns = Rotation.from_quat(np.roll(rig.quats[:, j], -1, axis=1))
        euler = turns.as_euler("ZXY", degrees=True)
    euler = np.degrees(np.unwrap(np.radians(euler), axis=0))
    offset = np.zeros(3) if j == 0 else rig.bind_places[j] * factor
    channels = f"CHANNELS 3 {ROTATIONS}"
    if j == 0:
        channels = f"CHANNELS 6 Xposition Yposition Zposition {ROTATIONS}"
        columns.append(rig.places[:, 0] * factor)
    columns.append(euler)
    lines += _open(f"{word} {rig.names[j]}", offset, channels, depth)
    children = np.flatnonzero(j == rig.parents)
    for child in children:
        _joint(hand, rig, int(child), factor, depth + 1, lines, columns, "JOINT")
    if not len(children):
        joint = MANO_JOINTS[int(rig.owners[j])]
        finger = next(f for f in FINGERS if joint.startswith(f))
        tip = hand.keypoints[KEYPOINTS.index(f"{finger}_tip")]
        inside = rig.bind[j, :3, :3].T @ (hand.to_bind(tip) - rig.bind[j, :3, 3])
        lines += [*_open("End Site", inside * factor, "", depth + 1), "  " * (depth + 1) + "}"]
    lines.append("  " * depth + "}")


def _open(title: str, offset: np.ndarray, channels: str, depth: int) -> list[str]:
    pad = "  " * depth
    lines = [f"{pad}{title}", f"{pad}{{", f"{pad}  OFFSET " + " ".join(f"{v:.6f}" for v in offset)]
    return [*lines, f"{pad}  {channels}"] if channels else lines
