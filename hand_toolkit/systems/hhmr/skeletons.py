"""Skeletons from files and callers: what of them is usable, and where it lies in frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.errors import InputError
from ...core.types import Camera
from ...pose.camera import rotation_to_ray
from ...pose.kinematics import PALM

LEAST_POINTS = 6
"""Keypoints of which fewer say too little about a hand."""

LEAST_PALM = 3
"""Keypoints of the palm that a skeleton in space needs to be turned into the hand's axes."""


@dataclass(frozen=True)
class FlatSkeleton:
    """A 2D skeleton in the picture of the camera that looks at its palm.

    Attributes:
        flat: (21, 2) at distance one; what is not seen is zero.
        seen: (21,) bool.
        turn: (3, 3) from the photo's camera (mirrored for a left hand) to that one.
    """

    flat: np.ndarray
    seen: np.ndarray
    turn: np.ndarray


def checked(points: np.ndarray, width: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Points (21, width) with zeros where they are not known, and which are (21,).

    A point with NaN counts as not seen.

    Raises:
        InputError: another shape, or too few points, or all in one place.
    """
    points = np.asarray(points, float)
    if points.shape != (21, width):
        raise InputError(
            f"the {what} has shape {points.shape}; accepted is (21, {width}), in the order of "
            "hand_toolkit.core.conventions.KEYPOINTS, NaN where a point is not seen"
        )
    if np.isinf(points).any():
        raise InputError(f"the {what} has infinite values; use NaN where a point is not seen")
    seen = np.isfinite(points).all(1)
    if seen.sum() < LEAST_POINTS:
        raise InputError(
            f"the {what} shows {int(seen.sum())} of 21 points; give at least {LEAST_POINTS}"
        )
    known = points[seen]
    if np.linalg.norm(known - known.mean(0), axis=1).max() < 1e-9:
        raise InputError(f"the points of the {what} all lie in one place; give a hand's")
    return np.where(seen[:, None], points, 0.0), seen


def look_at(points: np.ndarray, camera: Camera, side: str) -> FlatSkeleton:
    """A 2D skeleton as conditions see it.

    Args:
        points: (21, 2) pixels, NaN where a point is not seen.
        camera: of the picture.
        side: a left hand is mirrored.

    Raises:
        InputError: see :func:`checked`.
    """
    import torch

    from .frames import upright_turn

    pixels, seen = checked(points, 2, "2D skeleton")
    flat = (pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    if side == "left":
        flat = flat * [-1.0, 1.0]
    palm = np.array([k for k in PALM if seen[k]], int)
    centre = flat[palm].mean(0) if len(palm) else flat[seen].mean(0)
    look = rotation_to_ray(np.append(centre, 1.0)).T
    rays = np.concatenate([flat, np.ones((21, 1))], 1) @ look.T
    flat = rays[:, :2] / np.maximum(rays[:, 2:], 1e-3)
    up = upright_turn(torch.as_tensor(flat[None]), torch.as_tensor(seen[None]))[0].numpy()
    flat = np.where(seen[:, None], flat @ up[:2, :2].T, 0.0)
    return FlatSkeleton(flat, seen, up @ look)


def own_axes(points: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A right hand's 3D skeleton turned into the hand's own axes.

    Args:
        points: (21, 3) metres in any place and turn, NaN where a point is not seen.
        rest: (21, 3) keypoints of the flat hand.

    Returns:
        (21, 3) metres about the palm's centre, scaled to the model's palm; (21,) which are
        seen; (3, 3) turn from the hand's axes to the given ones.

    Raises:
        InputError: see :func:`checked`; or too little of the palm is seen.
    """
    from ...pose.fit import kabsch

    known, seen = checked(points, 3, "3D skeleton")
    palm = np.array([k for k in PALM if seen[k]], int)
    if len(palm) < LEAST_PALM:
        raise InputError(
            f"the 3D skeleton shows {len(palm)} of the palm's five points (wrist and four "
            f"knuckles); give at least {LEAST_PALM}"
        )
    turn = kabsch(rest[palm], known[palm])
    model, given = rest[palm] - rest[palm].mean(0), known[palm] - known[palm].mean(0)
    scale = np.sqrt((model**2).sum() / max(float((given**2).sum()), 1e-12))
    own = (known - known[palm].mean(0)) @ turn * scale
    # the palm's centre is that of all five points
    own = own + rest[palm].mean(0) - rest[PALM].mean(0)
    return np.where(seen[:, None], own, 0.0), seen, turn
