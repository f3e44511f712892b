"""Recorded hand motion as one file of joint angles, with the recording that each came from.

Every source has its own skeleton; see :mod:`hand_toolkit.synth.crops.motion` for how keypoints
become the default hand's joint angles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.errors import FileFormatError, InputError
from ...core.files import atomic_path
from ...hand_model.limits import FREE_ANGLES, FREE_HIGHEST, FREE_LOWEST
from ...synth.crops.motion import LARGEST_ERROR, fit_angles, read_headset, read_leap_file

FILE = "poses.npz"

HELD_OUT = ("leap/grab", "leap/three-claps", "leap/wave", "spelling/ssp", "spelling/gss",
            "spelling/eso", "door/8", "door/9")  # fmt: skip
"""Recordings that never train: names, or beginnings of names."""

DEPTH_SCALES = (160.0, 240.0, 320.0, 480.0, 640.0, 960.0, 1280.0)
"""Widths in pixels that the depth of estimated keypoints may have been divided by."""

ESTIMATED_ERROR = 0.1
"""As ``LARGEST_ERROR``, of keypoints that a network estimated."""

LEAST_SIZE_PX = 12.0
"""Smaller estimated hands are noise."""

_SHADOW_FINGERS = {"index": 5, "middle": 9, "ring": 13, "pinky": 18}
"""First column (abduction) of each finger among the door recordings' observations."""

DOOR_EVERY = 4


@dataclass(frozen=True)
class Recordings:
    """Recorded poses.

    Attributes:
        angles: (N, 26) radians, ``hand_model.limits.FREE_ANGLES``.
        owner: (N,) row of ``names``.
        names: of the recordings.
    """

    angles: np.ndarray
    owner: np.ndarray
    names: tuple[str, ...]

    def part(self, held_out: bool) -> Recordings:
        """The recordings that never train, or the others."""
        held = np.array([name.startswith(HELD_OUT) for name in self.names], bool)
        keep = held[self.owner] == held_out if len(self.names) else np.zeros(0, bool)
        return Recordings(self.angles[keep], self.owner[keep], self.names)


def read_recordings(folder: Path) -> Recordings:
    """What :func:`write_recordings` wrote into a folder.

    Raises:
        InputError: the folder has no such file.
        FileFormatError: the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise InputError(
            f"{folder} has no {FILE}; write it with: "
            "python -m hand_toolkit.systems.hhmr.recordings FOLDER OUT"
        )
    try:
        with np.load(path, allow_pickle=False) as data:
            angles = data["angles"].astype(np.float32)
            owner, names = data["owner"].astype(np.int64), tuple(str(n) for n in data["names"])
    except (KeyError, ValueError, OSError) as error:
        raise FileFormatError(f"{path} holds no recorded poses ({error}); write it anew") from error
    if angles.shape != (len(owner), len(FREE_ANGLES)) or not np.isfinite(angles).all():
        raise FileFormatError(f"{path} has angles of shape {angles.shape}; write it anew")
    return Recordings(angles, owner, names)


def write_recordings(folder: Path, out: Path) -> Recordings:
    """Fit every recording of a folder and write ``poses.npz`` into ``out``.

    Args:
        folder: with ``leap/*.npz``, ``quest_static_poses.json``, ``adroit_door.npz`` and
            ``fingerspelling_estimated.npz``; any may be missing.
        out: a folder.

    Raises:
        InputError: the folder has none of them.
    """
    parts: dict[str, np.ndarray] = {}
    for path in sorted((folder / "leap").glob("*.npz")):
        angles, errors = fit_angles(read_leap_file(path))
        parts[f"leap/{path.stem}"] = angles[errors < LARGEST_ERROR]
    headset = folder / "quest_static_poses.json"
    if headset.is_file():
        angles, errors = fit_angles(read_headset(headset))
        parts["headset"] = angles[errors < LARGEST_ERROR]
    spelling = folder / "fingerspelling_estimated.npz"
    if spelling.is_file():
        parts |= _spelling(spelling)
    door = folder / "adroit_door.npz"
    if door.is_file():
        parts |= _door(door, parts)
    names = tuple(name for name, angles in parts.items() if len(angles))
    if not names:
        raise InputError(f"{folder} holds no recordings; give a folder with 'leap' in it")
    owner = np.concatenate([np.full(len(parts[n]), k, np.int16) for k, n in enumerate(names)])
    angles = np.concatenate([parts[n] for n in names]).astype(np.float16)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / FILE) as temporary:
        np.savez_compressed(temporary, angles=angles, owner=owner, names=np.array(names))
    return Recordings(angles.astype(np.float32), owner.astype(np.int64), names)


def _spelling(path: Path) -> dict[str, np.ndarray]:
    """Estimated fingerspelling by language; each clip's depth takes the scale that fits best."""
    clips: dict[str, list[np.ndarray]] = {}
    with np.load(path, allow_pickle=False) as data:
        for key in data.files:
            clip, _, side = key.partition("|")
            if side not in ("R", "L"):
                continue
            points = data[key].astype(float)
            points = points[np.isfinite(points).all((1, 2))]
            size = np.ptp(points[..., :2], axis=1).max(1) if len(points) else np.zeros(0)
            points = points[size > LEAST_SIZE_PX]
            if len(points):
                points = points * ([-1.0, 1, 1] if side == "L" else [1.0, 1, 1])
                clips.setdefault(clip.partition("/")[0], []).append(points)
    found = {}
    for language, pieces in clips.items():
        owner = np.concatenate([np.full(len(p), k) for k, p in enumerate(pieces)])
        points = np.concatenate(pieces)
        tries = [fit_angles(points * [1, 1, scale]) for scale in DEPTH_SCALES]
        errors = np.stack([t[1] for t in tries])
        counts = np.bincount(owner)
        by_clip = np.stack([np.bincount(owner, e) / counts for e in errors])
        best = by_clip.argmin(0)[owner]
        rows = np.arange(len(points))
        angles, error = np.stack([t[0] for t in tries])[best, rows], errors[best, rows]
        found[f"spelling/{language}"] = angles[error < ESTIMATED_ERROR]
    return found


def _door(path: Path, others: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The robot hand's fingers; its thumb has other axes, so thumbs come from ``others``."""
    with np.load(path, allow_pickle=False) as data:
        observed, clip = data["observations"].astype(float), data["traj"]
    thumbs = np.concatenate([a for n, a in others.items() if n.startswith("leap/")] or
                            [np.zeros((1, len(FREE_ANGLES)))])  # fmt: skip
    thumb = np.array([name.startswith("thumb") for name in FREE_ANGLES])
    found = {}
    for number in np.unique(clip):
        rows = observed[clip == number][::DOOR_EVERY]
        rng = np.random.default_rng([int(number), 17])
        angles = np.zeros((len(rows), len(FREE_ANGLES)))
        angles[:, thumb] = thumbs[rng.integers(len(thumbs), size=len(rows))][:, thumb]
        for finger, first in _SHADOW_FINGERS.items():
            names = [f"{finger}{k}_flexion" for k in (1, 2, 3)]
            for name, column in zip(names, range(first + 1, first + 4)):
                angles[:, FREE_ANGLES.index(name)] = rows[:, column]
            # the robot's little finger swings the other way, as its index finger does not
            sign = -1.0 if finger in ("ring", "pinky") else 1.0
            angles[:, FREE_ANGLES.index(f"{finger}1_abduction")] = sign * rows[:, first]
        found[f"door/{number}"] = np.clip(angles, FREE_LOWEST, FREE_HIGHEST)
    return found


if __name__ == "__main__":
    import sys

    written = write_recordings(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"{len(written.angles)} poses of {len(written.names)} recordings")
