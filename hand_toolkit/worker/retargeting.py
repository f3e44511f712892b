"""Requests of a host about other rigs: which bones are a hand's, and θ of their motion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.conventions import MANO_JOINTS, SIDES
from ..core.errors import InputError
from ..core.skeletons import match_bones

if TYPE_CHECKING:
    from .methods import Job


def matched_bones(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """``joints``: by bone of ``bones`` its side and joint, of those that are a hand's."""
    found = match_bones(str(name) for name in job.params["bones"])
    return {"joints": {bone: list(match) for bone, match in found.items()}}, {}


def retargeted(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """θ over time of a rig's hands.

    Parameters are ``joints`` (B pairs of side and joint), ``name`` and ``fps``; arrays, in the
    toolkit's world and metres, ``heads`` and ``tails`` (B, 3) at rest, ``turns`` (T, B, 3, 3) from
    rest and ``places`` (T, B, 3) of the heads.

    Raises:
        InputError: no hand has a wrist and knuckles.
    """
    from ..animate.retarget import retarget

    joints = [(str(side) or "right", str(joint)) for side, joint in job.params["joints"]]
    heads, tails = (np.asarray(job.arrays[key], np.float64) for key in ("heads", "tails"))
    turns, places = (np.asarray(job.arrays[key], np.float64) for key in ("turns", "places"))
    count = len(turns)
    theta, where = np.zeros((count, 2, 16, 3)), np.zeros((count, 2, 3))
    present = np.zeros((count, 2), bool)
    problem = "it has no hand"
    for k, side in enumerate(SIDES):
        own = {joint: b for b, (s, joint) in enumerate(joints) if s == side}
        if not own:
            continue
        rest = {joint: heads[b] for joint, b in own.items()}
        for joint, b in own.items():
            if joint.endswith("3"):
                rest.setdefault(f"{joint[:-1]}_tip", tails[b])
        moved = {joint: turns[:, b] for joint, b in own.items() if joint in MANO_JOINTS}
        try:
            theta[:, k] = retarget(side, rest, moved)
        except InputError as error:
            problem = str(error)
            continue
        where[:, k], present[:, k] = places[:, own["wrist"]], True
    if not present.any():
        raise InputError(f"{job.params['name']} cannot be retargeted: {problem}")
    value = {"name": str(job.params["name"]), "fps": float(job.params["fps"])}
    return value, {"theta": theta, "translation": where, "present": present}
