"""Hand models: one interface over the default hand, MANO and plugins' models."""

from __future__ import annotations

from ..geometry.surfaces import vertex_normals
from .base import HandModel, HandModelProvider, PosedHand
from .default import load_default_forearm
from .limits import (
    clamp_theta,
    compose,
    decompose,
    finger_theta,
    joint_frames,
    limit_loss,
    pose_prior,
)
from .loading import load_hand_model
from .mano import import_mano
from .posing import pose_drivers, pose_features, pose_hand, pose_hand_numpy, rest_hand
from .subdivision import subdivide

__all__ = [
    "HandModel",
    "HandModelProvider",
    "PosedHand",
    "clamp_theta",
    "compose",
    "decompose",
    "finger_theta",
    "import_mano",
    "joint_frames",
    "limit_loss",
    "load_default_forearm",
    "load_hand_model",
    "pose_drivers",
    "pose_features",
    "pose_hand",
    "pose_hand_numpy",
    "pose_prior",
    "rest_hand",
    "subdivide",
    "vertex_normals",
]
