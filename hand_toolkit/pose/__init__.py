"""What was seen to θ, shape and camera: the fit of the hand model."""

from .camera import default_focal_px, photo_camera
from .estimate import detect_hands, estimate_pose, posed_mesh
from .sequence import estimate_sequence

__all__ = [
    "default_focal_px",
    "detect_hands",
    "estimate_pose",
    "estimate_sequence",
    "photo_camera",
    "posed_mesh",
]
