"""Motions: θ sequences for both hands, their files, and operations on them.

A motion file is an ``.npz`` without Python objects. Accepted layouts:

- this project's: ``poses`` (T, 2, 16, 3) rad, sides right, left; ``trans`` (T, 2, 3) m;
  ``present`` (T, 2); ``fps``. What ``hand-toolkit pose`` writes is a superset.
- one hand: ``poses`` (T, 16, 3) or (T, 48), ``trans`` (T, 3), ``side`` (default right).
- AMASS (SMPL-H): ``poses`` (T, 156), of which 66:111 is the left hand and 111:156 the right
  without wrist rotation; ``mocap_framerate`` or ``mocap_frame_rate``.
- MANO: ``global_orient`` (T, 3), ``hand_pose`` (T, 45), ``transl`` (T, 3).
"""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.conventions import SIDES, UPRIGHT_WRISTS_M, side_index
from ..core.errors import FileFormatError, InputError
from ..core.files import atomic_path
from ..core.types import _check, _finite, _Repr
from ..geometry.rotations import axis_angle_from_quat, continuous_quats, quat_from_axis_angle

MAX_FRAMES = 1_000_000


@dataclass(frozen=True, repr=False)
class Motion(_Repr):
    """θ over time.

    Attributes:
        theta: (T, 2, 16, 3) axis-angle, sides right, left.
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
            ("theta", np.float64, (None, 2, 16, 3)),
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


def load_motion(path: str | Path) -> Motion:
    """Read any of the layouts in the module's docstring.

    Raises:
        InputError: the file does not exist.
        FileFormatError: the file is damaged or has none of the layouts.
    """
    path = Path(path)
    arrays = read_npz(path)
    try:
        return _motion_from(arrays, path.stem)
    except (KeyError, TypeError, ValueError) as error:
        detail = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise FileFormatError(
            f"{path.name} is not a motion: {detail}; give poses (T, 16, 3) or (T, 2, 16, 3)"
        ) from error


def read_npz(path: Path, limit_bytes: int = 1 << 30) -> dict[str, np.ndarray]:
    """Arrays of an .npz without objects, bounded in size.

    Raises:
        InputError: the file does not exist.
        FileFormatError: no zip, objects inside, or more than ``limit_bytes`` unpacked.
    """
    if not path.is_file():
        raise InputError(f"the file {path} does not exist; check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > limit_bytes:
            raise FileFormatError(f"{path.name} unpacks to {size} bytes; accepted is {limit_bytes}")
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except FileFormatError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, KeyError, EOFError, MemoryError) as error:
        raise FileFormatError(
            f"{path.name} is not a readable .npz file ({str(error)[:120]})"
        ) from error
    except (RuntimeError, NotImplementedError, SyntaxError, OverflowError) as error:
        raise FileFormatError(f"{path.name} is a damaged .npz file ({str(error)[:120]})") from error


def _motion_from(arrays: dict[str, np.ndarray], name: str) -> Motion:
    fps = next(
        (
            float(arrays[key])
            for key in ("fps", "mocap_framerate", "mocap_frame_rate")
            if key in arrays
        ),
        30.0,
    )
    if "hand_pose" in arrays:
        fingers = np.reshape(arrays["hand_pose"], (-1, 15, 3))
        wrist = np.reshape(arrays.get("global_orient", np.zeros((len(fingers), 3))), (-1, 1, 3))
        theta = np.concatenate([wrist, fingers], axis=1)
        return _one_hand(theta, arrays.get("transl"), arrays, fps, name)
    poses = np.asarray(arrays["poses"], dtype=np.float64)
    if len(poses) > MAX_FRAMES:
        raise InputError(f"{len(poses)} frames; accepted is up to {MAX_FRAMES}")
    if poses.ndim == 4:
        count = len(poses)
        translation = arrays.get("trans", np.zeros((count, 2, 3)))
        return Motion(
            poses, translation, arrays.get("present", np.ones((count, 2), bool)), fps, name
        )
    if poses.ndim == 2 and poses.shape[1] == 156:
        theta = np.zeros((len(poses), 2, 16, 3))
        theta[:, 0, 1:] = poses[:, 111:156].reshape(-1, 15, 3)
        theta[:, 1, 1:] = poses[:, 66:111].reshape(-1, 15, 3)
        theta[:, :, 0] = _display_wrists()
        translation = np.zeros((len(poses), 2, 3)) + UPRIGHT_WRISTS_M
        return Motion(theta, translation, np.ones((len(poses), 2), bool), fps, name)
    if poses.ndim == 2 and poses.shape[1] == 48:
        poses = poses.reshape(-1, 16, 3)
    if poses.ndim == 3 and poses.shape[1:] == (16, 3):
        return _one_hand(poses, arrays.get("trans"), arrays, fps, name)
    raise InputError(
        f"poses has shape {poses.shape}; accepted are (T, 16, 3), (T, 2, 16, 3), (T, 48) or "
        "AMASS's (T, 156)"
    )


def _one_hand(
    theta: np.ndarray,
    translation: np.ndarray | None,
    arrays: dict[str, np.ndarray],
    fps: float,
    name: str,
) -> Motion:
    side = side_index(str(arrays.get("side", "right")))
    count = len(theta)
    both = np.zeros((count, 2, 16, 3))
    both[:, side] = theta
    where = np.zeros((count, 2, 3))
    if translation is not None:
        where[:, side] = translation
    present = np.zeros((count, 2), bool)
    present[:, side] = True
    return Motion(both, where, present, fps, name)


def _display_wrists() -> np.ndarray:
    from ..avatar import display_theta

    return np.stack([display_theta(s)[0] for s in SIDES])


def _runs(present: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], present.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]


def _one_euro(values: np.ndarray, fps: float, min_cutoff: float, beta: float) -> np.ndarray:
    out = values.copy()
    speed = np.zeros_like(values[0])
    for t in range(1, len(values)):
        rate = (values[t] - out[t - 1]) * fps
        speed += _alpha(1.0, fps) * (rate - speed)
        norm = np.linalg.norm(speed, axis=-1, keepdims=True)
        out[t] = out[t - 1] + _alpha(min_cutoff + beta * norm, fps) * (values[t] - out[t - 1])
    return out


def _alpha(cutoff: np.ndarray | float, fps: float) -> np.ndarray | float:
    return 1.0 / (1.0 + fps / (2 * np.pi * cutoff))
