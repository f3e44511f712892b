"""A host's request to close a hand around one of its objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.conventions import mirror_theta
from ..core.errors import InputError

if TYPE_CHECKING:
    from ..avatar import Avatar
    from .server import Job


def grasped(job: Job, avatar: Avatar) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """``theta`` (16, 3) of hand ``side`` closed around ``vertices`` (V, 3) and ``faces`` (F, 3).

    All arrays in one space, metres; ``theta`` and ``translation`` are the pose in which it begins,
    or with ``open`` its wrist alone. ``shape`` is the hand's if not the file's. The answer's
    ``touching`` has the parts that touch by finger.

    Raises:
        InputError: arrays of another shape, or fingers that begin inside the object.
    """
    from ..hand_model.grasp import close_until_contact, open_hand

    side = str(job.params["side"])
    theta = np.asarray(job.arrays["theta"], float)
    if theta.shape != (16, 3) or not np.isfinite(theta).all():
        raise InputError(f"theta must be finite and (16, 3), received {theta.shape}")
    if job.params.get("open", True):
        start = open_hand() if side == "right" else mirror_theta(open_hand())
        theta = np.concatenate([theta[:1], start[1:]])
    job.progress(0.1, "closing the fingers")
    found = close_until_contact(
        job.arrays["vertices"],
        job.arrays["faces"],
        theta,
        np.asarray(job.arrays["translation"], float),
        side=side,
        hand_model=avatar.hand_model,
        shape=job.arrays.get("shape", avatar.hand(side).shape),
    )
    value = {
        "touching": {finger: list(parts) for finger, parts in found.touching.items()},
        "name": str(job.params.get("name", "the object")),
    }
    return value, {"theta": found.theta}
