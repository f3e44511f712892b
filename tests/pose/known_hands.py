"""Hands whose pose is known, as a pose source would see them."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hand_toolkit.core.conventions import mirror_theta
from hand_toolkit.core.types import Camera, HandObservation
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.hand_model.limits import FREE_HIGHEST, FREE_LOWEST, FREE_MEAN, FREE_SIGMA, compose

CAMERA = Camera(520.0, 520.0, 160.0, 120.0, 320, 240)


def known_hand(
    seed: int, side: str = "right", noise: float = 0.0
) -> tuple[HandObservation, dict[str, np.ndarray]]:
    """An observation in ``CAMERA`` and the truth behind it.

    Args:
        seed: of pose, shape, place and noise.
        side: of the hand.
        noise: standard deviation, pixels and millimetres alike.
    """
    random = np.random.default_rng(seed)
    model = load_hand_model("default", side)
    angles = FREE_MEAN + 0.5 * FREE_SIGMA * random.normal(size=26)
    angles = angles.clip(FREE_LOWEST, FREE_HIGHEST)
    upright = Rotation.from_euler("zyx", [90, 90, 0], degrees=True)
    wrist = (Rotation.from_rotvec(random.normal(size=3) * 0.5) * upright).as_rotvec()
    theta = compose(angles, wrist)
    if side == "left":
        theta = mirror_theta(theta)
    shape = 0.5 * model.shape_sigmas.astype(float) * random.normal(size=len(model.shape_names))
    translation = np.array([0.02, 0.06, 0.45]) + random.normal(size=3) * [0.02, 0.01, 0.05]
    points = pose_hand_numpy(model, theta, shape, translation)[2]
    blur = noise * random.normal(size=(21, 3))
    pixels = CAMERA.project(points) + noise * random.normal(size=(21, 2))
    relative = points - points[0] + blur / 1000
    depth = relative[:, 2] / translation[2] * CAMERA.fx
    observation = HandObservation(side, 0.9, pixels, relative, depth)
    return observation, {"points": points, "theta": theta, "shape": shape}
