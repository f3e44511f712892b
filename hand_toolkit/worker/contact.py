"""Repairing a host's two hands that go through each other over a range of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import InputError

if TYPE_CHECKING:
    from .server import Job


def repaired_contact(job: Job, hand_model: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Both hands' motion without skin inside skin.

    The parameter is ``fps``; arrays, in one common frame and metres, ``theta``
    (T, 2, 16, 3), ``translation`` (T, 2, 3), ``shape_right`` and ``shape_left`` (S,).

    Raises:
        InputError: arrays of other shapes or that are not finite.
    """
    from ..animate import Motion
    from ..pose.repair import repair_motion

    theta = np.asarray(job.arrays["theta"], np.float64)
    where = np.asarray(job.arrays["translation"], np.float64)
    if theta.ndim != 4 or theta.shape[1:] != (2, 16, 3) or where.shape != (len(theta), 2, 3):
        raise InputError(
            f"theta and translation have shapes {theta.shape} and {where.shape}; accepted are "
            "(T, 2, 16, 3) and (T, 2, 3)"
        )
    motion = Motion(theta, where, np.ones((len(theta), 2), bool), float(job.params["fps"]), "scene")
    shapes = {side: np.asarray(job.arrays[f"shape_{side}"], float) for side in ("right", "left")}
    found = repair_motion(motion, shapes, hand_model, progress=job.progress)
    value = {
        "changed": int((found.moved_mm + found.turned_deg > 0).sum()),
        "depth_mm": [float(d) for d in found.depth_mm.max(0)],
        "kept": found.kept,
    }
    return value, {"theta": found.motion.theta, "translation": found.motion.translation}
