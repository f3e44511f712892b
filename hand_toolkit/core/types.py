"""Frozen dataclasses that the stages exchange: picture -> pose -> avatar -> splats -> image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .conventions import SIDES
from .errors import InputError

Progress = Callable[[float, str], None]
"""Called with the part done, 0 to 1, and a few words on what is being done."""


def _shape_of(array: Any) -> str:
    return "x".join(str(n) for n in array.shape)


def _check(name: str, array: Any, shape: tuple[int | None, ...]) -> None:
    """Raise InputError unless ``array`` has ``shape`` (None: any length)."""
    got = tuple(array.shape)
    if len(got) != len(shape) or any(w is not None and g != w for g, w in zip(got, shape)):
        want = ", ".join("any" if n is None else str(n) for n in shape)
        raise InputError(f"{name} has shape {got}; accepted is ({want})")


def _finite(name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise InputError(f"{name} has {bad} values that are NaN or infinite; give finite numbers")


def _freeze(obj: Any, name: str, dtype: Any, shape: tuple[int | None, ...]) -> None:
    """Convert field ``name`` to a finite array of ``dtype`` and ``shape``."""
    value = np.asarray(getattr(obj, name), dtype=dtype)
    _check(name, value, shape)
    _finite(name, value)
    object.__setattr__(obj, name, value)


class _Repr:
    """A repr that shows shapes instead of numbers."""

    def __repr__(self) -> str:
        parts = []
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if hasattr(value, "shape") and hasattr(value, "dtype"):
                parts.append(f"{f.name}=<{value.dtype} {_shape_of(value)}>")
            elif value is not None:
                parts.append(f"{f.name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


@dataclass(frozen=True, repr=False)
class Camera(_Repr):
    """An OpenCV pinhole camera.

    Attributes:
        fx, fy: focal lengths, pixels.
        cx, cy: principal point, pixels (pixel centres at .5).
        width, height: picture size, pixels.
        world_to_camera: (4, 4) rigid transform, metres.
        near, far: clipping distances along z, metres.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    world_to_camera: np.ndarray = field(default_factory=lambda: np.eye(4))
    near: float = 0.01
    far: float = 1000.0

    def __post_init__(self) -> None:
        _freeze(self, "world_to_camera", np.float64, (4, 4))
        for name in ("fx", "fy", "cx", "cy", "near", "far"):
            value = float(getattr(self, name))
            if not np.isfinite(value):
                raise InputError(f"camera {name} is {value}; give a finite number")
            object.__setattr__(self, name, value)
        for name in ("fx", "fy"):
            if getattr(self, name) <= 0:
                raise InputError(f"camera {name} is {getattr(self, name)}; it must be positive")
        for name in ("width", "height"):
            value = int(getattr(self, name))
            if not 1 <= value <= 65536:
                raise InputError(f"camera {name} is {value}; accepted is 1 to 65536 pixels")
            object.__setattr__(self, name, value)
        if not 0 < self.near < self.far:
            raise InputError(f"camera near {self.near} and far {self.far}; need 0 < near < far")

    @property
    def intrinsics(self) -> np.ndarray:
        """(3, 3) matrix K."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    def project(self, points_world: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) in metres."""
        m = self.world_to_camera
        p = np.asarray(points_world) @ m[:3, :3].T + m[:3, 3]
        return p[..., :2] / p[..., 2:] * [self.fx, self.fy] + [self.cx, self.cy]

    def resized(self, width: int, height: int) -> Camera:
        """The same view at another picture size."""
        sx, sy = width / self.width, height / self.height
        return dataclasses.replace(
            self,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=self.cx * sx,
            cy=self.cy * sy,
            width=width,
            height=height,
        )


@dataclass(frozen=True, repr=False)
class Photo(_Repr):
    """A decoded picture, upright, 8-bit sRGB.

    Attributes:
        pixels: (H, W, 3) uint8.
        focal_px: focal length in pixels of this picture where EXIF tells it.
        mask: (H, W) float32 in [0, 1] where the file had an alpha channel or one was given.
        name: file name without folders, for messages and provenance.
    """

    pixels: np.ndarray
    focal_px: float | None = None
    mask: np.ndarray | None = None
    name: str = "picture"

    def __post_init__(self) -> None:
        _check("pixels", self.pixels, (None, None, 3))
        if self.pixels.dtype != np.uint8:
            raise InputError(f"pixels are {self.pixels.dtype}; accepted is uint8")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True, repr=False)
class HandObservation(_Repr):
    """One hand as a pose source saw it; whatever the source does not know is None.

    Attributes:
        side: "right" or "left", the person's own.
        confidence: 0 to 1.
        keypoints_2d: (21, 2) pixels in the upright picture.
        keypoints_3d: (21, 3) metres, camera axes, any origin.
        keypoints_z: (21,) pixels, depth relative to the wrist in a weak-perspective view.
        keypoints_depth_m: (21,) metres behind the palm's middle along the view, for a palm of the
            mean size.
        keypoints_depth_sigma_m: (21,) metres, the standard deviations of those depths.
        theta: (16, 3) axis-angle, MANO order.
        shape: shape parameters of the hand model named ``hand_model``.
        translation: (3,) wrist position in the camera, metres.
        focal_px: the focal length that ``translation`` supposes, pixels.
    """

    side: str
    confidence: float
    keypoints_2d: np.ndarray
    keypoints_3d: np.ndarray | None = None
    keypoints_z: np.ndarray | None = None
    theta: np.ndarray | None = None
    shape: np.ndarray | None = None
    hand_model: str | None = None
    translation: np.ndarray | None = None
    focal_px: float | None = None
    keypoints_depth_m: np.ndarray | None = None
    keypoints_depth_sigma_m: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_side(self.side)
        _freeze(self, "keypoints_2d", np.float64, (21, 2))
        shapes: dict[str, tuple[int | None, ...]] = {
            "keypoints_3d": (21, 3),
            "keypoints_z": (21,),
            "keypoints_depth_m": (21,),
            "keypoints_depth_sigma_m": (21,),
            "theta": (16, 3),
            "shape": (None,),
            "translation": (3,),
        }
        for name, shape in shapes.items():
            if getattr(self, name) is not None:
                _freeze(self, name, np.float64, shape)


@dataclass(frozen=True, repr=False)
class HandPose(_Repr):
    """One hand after the pose fit.

    Attributes:
        side: "right" or "left".
        theta: (16, 3) axis-angle, MANO order, camera axes for the wrist.
        shape: (S,) shape parameters of the hand model.
        translation: (3,) wrist position in the camera, metres.
        hand_model: name of the hand model that ``shape`` belongs to.
        confidence: 0 to 1.
        keypoints_2d: (21, 2) fitted keypoints, pixels.
        joints_cam_m: (21, 3) fitted keypoints, camera frame, metres.
    """

    side: str
    theta: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    hand_model: str
    confidence: float
    keypoints_2d: np.ndarray
    joints_cam_m: np.ndarray

    def __post_init__(self) -> None:
        _check_side(self.side)
        _freeze(self, "theta", np.float64, (16, 3))
        _freeze(self, "shape", np.float64, (None,))
        _freeze(self, "translation", np.float64, (3,))
        _freeze(self, "keypoints_2d", np.float64, (21, 2))
        _freeze(self, "joints_cam_m", np.float64, (21, 3))


@dataclass(frozen=True, repr=False)
class PoseEstimate(_Repr):
    """The hands of one picture and the camera that they are fitted in."""

    hands: tuple[HandPose, ...]
    camera: Camera

    def hand(self, side: str) -> HandPose | None:
        """The hand of that side, or None."""
        return next((h for h in self.hands if h.side == side), None)


@dataclass(frozen=True, repr=False)
class Splats(_Repr):
    """3D Gaussians in world space; all arrays numpy float32, or all torch tensors.

    Attributes:
        means: (N, 3) metres.
        quats: (N, 4) wxyz, normalised by the renderer.
        scales: (N, 3) standard deviations along the local axes, metres.
        opacities: (N,) in [0, 1].
        colors: (N, 3) sRGB in [0, 1], or (N, K, 3) spherical-harmonic coefficients with
            K = 1, 4, 9 or 16 (SH degree 0 to 3), 3DGS convention.
    """

    means: Any
    quats: Any
    scales: Any
    opacities: Any
    colors: Any

    def __post_init__(self) -> None:
        n = self.means.shape[0]
        _check("means", self.means, (None, 3))
        _check("quats", self.quats, (n, 4))
        _check("scales", self.scales, (n, 3))
        _check("opacities", self.opacities, (n,))
        if len(self.colors.shape) == 3:
            if self.colors.shape[1] not in (1, 4, 9, 16):
                raise InputError(
                    f"colors has {self.colors.shape[1]} coefficients; accepted are 1, 4, 9 or 16"
                )
            _check("colors", self.colors, (n, None, 3))
        else:
            _check("colors", self.colors, (n, 3))

    def __len__(self) -> int:
        return int(self.means.shape[0])


@dataclass(frozen=True, repr=False)
class Rendering(_Repr):
    """What a renderer returns for one camera (numpy or torch, as the splats were).

    Attributes:
        color: (H, W, 3) sRGB, background blended in.
        alpha: (H, W) in [0, 1].
        depth: (H, W) expected depth along z of the covered part, metres; 0 where alpha is 0.
        median_depth: (H, W) depth where the transmittance passes one half; 0 where it never does.
        ids: (H, W) int32 splat with the largest weight in the pixel, -1 for none; on request.
    """

    color: Any
    alpha: Any
    depth: Any
    median_depth: Any = None
    ids: Any = None


def _check_side(side: str) -> None:
    if side not in SIDES:
        raise InputError(f"unknown side {side!r}; give 'right' or 'left'")
