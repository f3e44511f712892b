"""hand-toolkit: one photo of a hand, or of two, to an animatable Gaussian-splat avatar.

Everything listed in ``__all__`` is public; it is imported on first use, so that
``import hand_toolkit`` loads neither torch nor mediapipe nor any other heavy part.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from . import _moved

__version__ = "0.1.0"

_moved.install()

# OpenMP's threads wait by spinning: on a busy machine each of the fit's thousands of small parallel
# loops then waits for a thread that is not running, and seconds become minutes. Read when torch is
# loaded; what the user has set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_PUBLIC = {
    "Avatar": ".avatar",
    "AvatarHand": ".avatar",
    "AvatarMethod": ".systems",
    "AvatarRenderer": ".render",
    "Camera": ".core.types",
    "Drawable": ".avatar",
    "Exporter": ".export",
    "HandModel": ".hand_model",
    "HandModelProvider": ".hand_model",
    "HandObservation": ".core.types",
    "HandPose": ".core.types",
    "HandToolkitError": ".core.errors",
    "InputError": ".core.errors",
    "MethodConfig": ".systems",
    "Motion": ".animate",
    "Photo": ".core.types",
    "PoseEstimate": ".core.types",
    "PoseSource": ".see",
    "Rendering": ".core.types",
    "Segmenter": ".see",
    "Splats": ".core.types",
    "SurfaceBinding": ".avatar",
    "View": ".media",
    "ViewSet": ".media",
    "builtin_motion": ".animate",
    "estimate_pose": ".pose",
    "export_avatar": ".export",
    "fit_photo": ".pipeline",
    "fit_photos": ".pipeline",
    "hookimpl": ".core.hookspecs",
    "hookspec": ".core.hookspecs",
    "load_hand_model": ".hand_model",
    "load_motion": ".animate",
    "load_photo": ".media",
    "pose_hand": ".hand_model",
    "view_hands": ".pose",
    "view_poses": ".pose",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name], __name__), name)
    raise AttributeError(f"module 'hand_toolkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
