"""Motions: θ sequences for both hands, their files, and operations on them.

Files are read by :mod:`hand_toolkit.animate.files`; what :func:`save_motion` writes is
``poses`` (T, 2, 16, 3) rad, sides right, left; ``trans`` (T, 2, 3) m; ``present`` (T, 2); ``fps``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.conventions import SIDES
from ..core.errors import InputError
from ..core.files import atomic_path
from ..core.types import _check, _finite, _Repr
from ..geometry.rotations import axis_angle_from_quat, continuous_quats, quat_from_axis_angle

MAX_FRAMES = 1_000_000


@dataclass(frozen=True, repr=False)
class Motion(_Repr):
    """θ over time.

    Attributes:
        theta: (T, 2, 16, 3) axis-angle, sides right, left; (T, 2, 17, 3) with forearms, see
            :mod:`hand_toolkit.hand_model.arm`.
        translation: (T, 2, 3) wrist positions, metres.
        present: (T, 2) bool, whether that hand is there in that frame.
        fps: frames a second.
        name: for messages.
    """

    theta: np.ndarray
    translation: np.ndarray
    present: np.ndarray
    fps: float = 30.0
    name: str = "motion"

    def __post_init__(self) -> None:
        for name, dtype, shape in (
            ("theta", np.float64, (None, 2, 17 if np.shape(self.theta)[2:] == (17, 3) else 16, 3)),
            ("translation", np.float64, (len(self.theta), 2, 3)),
            ("present", bool, (len(self.theta), 2)),
        ):
            value = np.asarray(getattr(self, name), dtype=dtype)
            _check(name, value, shape)
            if dtype is not bool:
                _finite(name, value)
            object.__setattr__(self, name, value)
        if not len(self.theta):
            raise InputError("the motion has no frames; give at least one")
        if not (np.isfinite(self.fps) and 0 < self.fps <= 10000):
            raise InputError(f"the motion has {self.fps} frames a second; accepted is 0 to 10000")
        object.__setattr__(self, "fps", float(self.fps))

    def __len__(self) -> int:
        return len(self.theta)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return (len(self) - 1) / self.fps

    def frame(self, index: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """θ and translation by side of one frame, only hands that are present.

        Raises:
            InputError: the motion has no such frame.
        """
        if not 0 <= index < len(self):
            raise InputError(f"frame {index} is not in the motion; it has 0 to {len(self) - 1}")
        sides = [k for k in (0, 1) if self.present[index, k]]
        return (
            {SIDES[k]: self.theta[index, k] for k in sides},
            {SIDES[k]: self.translation[index, k] for k in sides},
        )

    def restricted(self, sides: tuple[str, ...]) -> Motion:
        """The motion with only ``sides`` present."""
        keep = np.array([s in sides for s in SIDES])
        return dataclasses.replace(self, present=self.present & keep)


def resample(motion: Motion, fps: float | None = None, speed: float = 1.0) -> Motion:
    """Retime by shortest-arc (slerp) interpolation of rotations and linear translations.

    Args:
        motion: the motion.
        fps: new frame rate; None keeps it.
        speed: 2 plays twice as fast, i.e. gives half as many frames.

    Raises:
        InputError: a rate or speed that is not positive.
    """
    fps = motion.fps if fps is None else fps
    if not (fps > 0 and speed > 0 and np.isfinite(fps) and np.isfinite(speed)):
        raise InputError(f"fps {fps} and speed {speed}; both must be positive")
    if len(motion) == 1:
        return dataclasses.replace(motion, fps=fps)
    count = max(2, int(np.floor(motion.duration / speed * fps + 1e-6)) + 1)
    at = np.clip(np.arange(count) / fps * speed * motion.fps, 0, len(motion) - 1)
    low = np.minimum(np.floor(at).astype(int), len(motion) - 2)
    t = at - low
    theta = interpolate(motion.theta[low], motion.theta[low + 1], t[:, None, None, None])
    w = t[:, None, None]
    translation = motion.translation[low] * (1 - w) + motion.translation[low + 1] * w
    present = motion.present[np.round(at).astype(int)]
    return Motion(theta, translation, present, fps, motion.name)


def interpolate(a: np.ndarray, b: np.ndarray, t: np.ndarray | float) -> np.ndarray:
    """Axis-angle (..., 3) at fraction ``t`` (broadcast, last axis 1) of the shortest arc a → b."""
    from scipy.spatial.transform import Rotation

    ra, rb = (Rotation.from_rotvec(np.reshape(v, (-1, 3))) for v in (a, b))
    arc = (ra.inv() * rb).as_rotvec()
    t = np.broadcast_to(t, (*np.shape(a)[:-1], 1)).reshape(-1, 1)
    return (ra * Rotation.from_rotvec(arc * t)).as_rotvec().reshape(np.shape(a))


def smooth(motion: Motion, min_cutoff: float = 1.5, beta: float = 0.4) -> Motion:
    """One-Euro filter (Casiez et al. 2012) on rotations (in quaternions) and translations.

    Args:
        motion: the motion.
        min_cutoff: cutoff at rest, Hz; lower is smoother.
        beta: how fast the cutoff grows with speed; higher lags less.
    """
    theta = motion.theta.copy()
    translation = motion.translation.copy()
    for k in range(2):
        runs = _runs(motion.present[:, k])
        for start, stop in runs:
            quats = continuous_quats(quat_from_axis_angle(motion.theta[start:stop, k]))
            filtered = _one_euro(quats, motion.fps, min_cutoff, beta)
            theta[start:stop, k] = axis_angle_from_quat(filtered)
            translation[start:stop, k] = _one_euro(
                translation[start:stop, k], motion.fps, min_cutoff, beta * 10
            )
    return dataclasses.replace(motion, theta=theta, translation=translation)


def save_motion(motion: Motion, path: str | Path, **more: Any) -> Path:
    """Write this project's layout; ``more`` are further arrays (camera, keypoints, ...)."""
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise InputError(f"a motion is written as .npz; received {path.name}")
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            poses=motion.theta,
            trans=motion.translation,
            present=motion.present,
            fps=np.float64(motion.fps),
            **more,
        )
    return path


def display_wrists() -> np.ndarray:
    """(2, 3) wrist rotations of upright hands, for files that tell none."""
    from ..avatar import display_theta

    return np.stack([display_theta(s)[0] for s in SIDES])


def _runs(present: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], present.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]


def _one_euro(values: np.ndarray, fps: float, min_cutoff: float, beta: float) -> np.ndarray:
    filter_ = OneEuro(min_cutoff, beta)
    return np.stack([filter_.step(value, 1 / fps) for value in values])


class OneEuro:
    """One-Euro filter (Casiez et al. 2012) of arrays that come one after the other.

    Args:
        min_cutoff: cutoff at rest, Hz; lower is smoother.
        beta: how fast the cutoff grows with speed; higher lags less.
    """

    def __init__(self, min_cutoff: float = 1.5, beta: float = 0.4) -> None:
        self.min_cutoff, self.beta = min_cutoff, beta
        self._value: np.ndarray | None = None
        self._speed = np.zeros(())

    def step(self, value: np.ndarray, seconds: float) -> np.ndarray:
        """The filtered value; ``seconds`` have passed since the one before."""
        if self._value is None:
            self._value, self._speed = np.array(value, float), np.zeros(np.shape(value))
            return self._value
        fps = 1 / max(seconds, 1e-6)
        rate = (value - self._value) * fps
        self._speed = self._speed + _alpha(1.0, fps) * (rate - self._speed)
        norm = np.linalg.norm(self._speed, axis=-1, keepdims=True)
        part = _alpha(self.min_cutoff + self.beta * norm, fps)
        self._value = self._value + part * (value - self._value)
        return self._value


def _alpha(cutoff: np.ndarray | float, fps: float) -> np.ndarray | float:
    return 1.0 / (1.0 + fps / (2 * np.pi * cutoff))
