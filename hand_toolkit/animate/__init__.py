"""Motions: load, save, retime, smooth, and the ones that come with the toolkit."""

from .builtin import MOTIONS, POSES, builtin_motion, find_motion, finger_pose, pose_names
from .files import load_motion
from .forearms import with_forearms
from .motion import Motion, interpolate, resample, save_motion, smooth
from .presets import avatar_pose, curl_limits, fitted_pose, with_presets

__all__ = [
    "MOTIONS",
    "POSES",
    "Motion",
    "avatar_pose",
    "builtin_motion",
    "curl_limits",
    "find_motion",
    "finger_pose",
    "fitted_pose",
    "interpolate",
    "load_motion",
    "pose_names",
    "resample",
    "save_motion",
    "smooth",
    "with_forearms",
    "with_presets",
]
