"""What a detector saw, as the observation that a pose source hands on."""

from __future__ import annotations

import numpy as np

from ..core.types import HandObservation, Photo
from ..see.views import Detection
from .camera import default_focal_px, rotation_to_ray


def observation(hand: Detection, photo: Photo) -> HandObservation:
    """The detection with its world points turned into the axes of the photo's camera."""
    focal = photo.focal_px or default_focal_px(photo.size)
    center = np.array(photo.size) / 2
    palm = hand.keypoints[[0, 5, 9, 13, 17]].mean(axis=0)
    # World landmarks are in the axes of a camera that looks straight at the hand.
    turn = rotation_to_ray(np.append((palm - center) / focal, 1.0))
    return HandObservation(
        side="left" if hand.left else "right",
        confidence=float(np.clip(hand.score if hand.confidence is None else hand.confidence, 0, 1)),
        keypoints_2d=hand.keypoints,
        keypoints_3d=(hand.world - hand.world[0]) @ turn.T,
        keypoints_z=hand.depth - hand.depth[0],
        keypoints_depth_m=hand.behind,
        keypoints_depth_sigma_m=hand.behind_sigma,
    )
