# SPDX-License-Identifier: GPL-3.0-or-later
"""Pose correctives as driven shape keys, for hand models that have them."""

from __future__ import annotations

import numpy as np

from . import axes, pair, rig

KEY = "pose"
"""How the names of the keys begin."""

# R - I in terms of a unit quaternion wxyz: rows of (a, b): coefficients of the products of pairs.
_PRODUCTS = (
    ("y", "y"),
    ("z", "z"),
    ("x", "x"),
    ("x", "y"),
    ("x", "z"),
    ("y", "z"),
    ("w", "x"),
    ("w", "y"),
    ("w", "z"),
)
_TERMS = {
    (0, 0): {"yy": -2, "zz": -2},
    (1, 1): {"xx": -2, "zz": -2},
    (2, 2): {"xx": -2, "yy": -2},
    (0, 1): {"xy": 2, "wz": -2},
    (1, 0): {"xy": 2, "wz": 2},
    (0, 2): {"xz": 2, "wy": 2},
    (2, 0): {"xz": 2, "wy": -2},
    (1, 2): {"yz": 2, "wx": -2},
    (2, 1): {"yz": 2, "wx": 2},
}


def add(armature, surface, part):
    """One key per corrective; its value is what the evaluated bone gives its driver.

    Args:
        armature: the rig.
        surface: its mesh.
        part: of the hand: ``pose_dirs`` (K, V, 3) displacements, ``pose_joints`` (K,) and
            ``pose_axes`` (K, 3, 3), whose product with ``R - I`` of the joint's rotation, entry by
            entry, sums to the value (hand_toolkit.hand_model.HandModel).
    """
    rest = rig.rest_axes(armature)
    surface.shape_key_add(name="Basis", from_mix=False)
    base = np.empty(3 * len(surface.data.vertices), np.float32)
    surface.data.vertices.foreach_get("co", base)
    side = pair.side_of(armature)
    joints = [int(j) for j in part["pose_joints"]]
    for k, joint in enumerate(joints):
        number = k - joints.index(joint) + 1
        name = f"{KEY} {axes.JOINTS[joint]} {number}"
        key = surface.shape_key_add(name=name, from_mix=False)
        key.slider_min, key.slider_max = -2.0, 2.0
        moved = base + np.ascontiguousarray(part["pose_dirs"][k], np.float32).ravel()
        key.data.foreach_set("co", moved)
        text = expression(rest[joint], part["pose_axes"][k])
        _drive(key, armature, axes.bone_name(joint, side), text)


def expression(rest, matrix):
    """Driver text of the sum of ``matrix * B (R_local - I) Bᵀ`` in the bone's quaternion wxyz."""
    sums = dict.fromkeys(("".join(p) for p in _PRODUCTS), 0.0)
    local = rest.T @ np.asarray(matrix, float) @ rest
    for (c, d), terms in _TERMS.items():
        for name, factor in terms.items():
            sums[name] += factor * local[c, d]
    parts = [f"{v:.7f}*{n[0]}*{n[1]}" for n, v in sums.items() if abs(v) > 1e-7]
    return " + ".join(parts) or "0.0"


def _drive(key, armature, bone, text):
    driver = key.driver_add("value").driver
    driver.type = "SCRIPTED"
    for name in "wxyz":
        variable = driver.variables.new()
        variable.name = name
        variable.type = "TRANSFORMS"
        target = variable.targets[0]
        target.id = pair.armature_of(armature)
        target.bone_target = bone
        target.transform_space = "LOCAL_SPACE"
        target.rotation_mode = "QUATERNION"
        target.transform_type = f"ROT_{name.upper()}"
    driver.expression = text
