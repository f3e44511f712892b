"""hand-toolkit: one photo of a hand, or of two, to an animatable Gaussian-splat avatar.

Everything listed in ``__all__`` is public; it is imported on first use, so that
``import hand_toolkit`` loads neither torch nor mediapipe nor any other heavy part.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Avatar": ".avatar",
    "AvatarHand": ".avatar",
    "AvatarRenderer": ".render",
    "Camera": ".types",
    "Exporter": ".export",
    "HandModel": ".hand_model",
    "HandModelProvider": ".hand_model",
    "HandObservation": ".types",
    "HandPose": ".types",
    "HandToolkitError": ".errors",
    "InputError": ".errors",
    "Motion": ".animate",
    "Photo": ".types",
    "PoseEstimate": ".types",
    "PoseSource": ".pose",
    "Rendering": ".types",
    "Segmenter": ".image",
    "Splats": ".types",
    "SurfaceBinding": ".avatar",
    "builtin_motion": ".animate",
    "estimate_pose": ".pose",
    "export_avatar": ".export",
    "fit_photo": ".pipeline",
    "hookimpl": ".hookspecs",
    "hookspec": ".hookspecs",
    "load_hand_model": ".hand_model",
    "load_motion": ".animate",
    "load_photo": ".image",
    "pose_hand": ".hand_model",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name], __name__), name)
    raise AttributeError(f"module 'hand_toolkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
