"""Pose sources, and the fit from what they see to the hand model."""

from .camera import default_focal_px, photo_camera
from .estimate import detect_hands, estimate_pose, posed_mesh
from .sequence import estimate_sequence
from .source import PoseSource, Progress

__all__ = [
    "PoseSource",
    "Progress",
    "default_focal_px",
    "detect_hands",
    "estimate_pose",
    "estimate_sequence",
    "photo_camera",
    "posed_mesh",
]
