"""Pose sources, and the fit from what they see to the hand model."""

from .camera import default_focal_px, photo_camera
from .estimate import estimate_pose, posed_mesh
from .source import PoseSource, Progress

__all__ = [
    "PoseSource",
    "Progress",
    "default_focal_px",
    "estimate_pose",
    "photo_camera",
    "posed_mesh",
]
