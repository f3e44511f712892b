"""Motions: load, save, retime, smooth, and the ones that come with the toolkit."""

from .builtin import MOTIONS, POSES, builtin_motion, finger_pose
from .files import load_motion
from .motion import Motion, interpolate, resample, save_motion, smooth

__all__ = [
    "MOTIONS",
    "POSES",
    "Motion",
    "builtin_motion",
    "finger_pose",
    "interpolate",
    "load_motion",
    "resample",
    "save_motion",
    "smooth",
]
