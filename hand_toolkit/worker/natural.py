"""Random and completed poses for a host's rig, by the diffusion model of hand meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import InputError

if TYPE_CHECKING:
    from .server import Job


def natural_pose(job: Job) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Another pose for the array ``theta`` (16, 3) of hand ``side``; the wrist stays.

    ``seed`` chooses it; ``strength`` 0 to 1 is how far it goes from the given pose; the joints
    ``keep``, MANO's names, stay exactly.
    """
    from ..animate.motion import interpolate
    from ..systems.hhmr.uses import complete, generate

    job.progress(0.1, "drawing a natural pose")
    side, seed = str(job.params["side"]), int(job.params.get("seed", 0))
    strength = float(job.params.get("strength", 1.0))
    if not 0 <= strength <= 1:
        raise InputError(f"the strength is {strength}; accepted is 0 to 1")
    theta = np.asarray(job.arrays["theta"], float)
    if theta.shape != (16, 3) or not np.isfinite(theta).all():
        raise InputError(f"theta must be finite and (16, 3), received {theta.shape}")
    keep = [str(name) for name in job.params.get("keep") or []]
    if keep:
        wanted = complete(theta, keep, side=side, seed=seed).theta[0]
    else:
        wanted = generate(1, side=side, seed=seed).theta[0]
    found = interpolate(theta, wanted, strength)
    found[0] = theta[0]
    return {"seed": seed}, {"theta": found}
