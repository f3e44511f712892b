"""What was seen to θ, shape and camera: the fit of the hand model."""

from .camera import default_focal_px, photo_camera
from .estimate import detect_hands, estimate_pose, posed_mesh
from .sequence import estimate_sequence
from .views import SeeConfig, doubts, motion_of, view_given, view_hands, view_poses

__all__ = [
    "SeeConfig",
    "default_focal_px",
    "detect_hands",
    "doubts",
    "estimate_pose",
    "estimate_sequence",
    "motion_of",
    "photo_camera",
    "posed_mesh",
    "view_given",
    "view_hands",
    "view_poses",
]
