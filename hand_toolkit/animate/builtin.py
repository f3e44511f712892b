"""Motions that come with the toolkit: written as angles, so they fit every hand model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ..core.conventions import UPRIGHT_WRISTS_M, mirror_theta
from ..core.errors import InputError
from .motion import Motion, display_wrists, interpolate
from .recorded import HOLD_S, PASS_S, SPELLING, recorded_angles, recorded_pose, spelt

FPS = 30.0
CLASP = Path(__file__).with_name("clasp.npz")
"""Poses that ``scripts/settle_clasp.py`` writes."""

Pose = Mapping[str, tuple[float, ...]]
"""Degrees by finger: flexion of the three joints, and where they are not zero abduction and twist
of the first joint and abduction of the second."""

_MORE = ("1_abduction", "1_twist", "2_abduction")

OPEN: Pose = {}
RELAXED: Pose = {
    "index": (12, 22, 12),
    "middle": (16, 26, 14),
    "ring": (20, 30, 16),
    "pinky": (24, 32, 18),
    "thumb": (8, 8, 12),
}
# settled where skin meets skin by scripts/settle_poses.py, which prints them
FIST: Pose = {
    "index": (73.1, 105.2, 62.7, 7.0, -4.3),
    "middle": (69.8, 96.9, 62.1, 1.2, 2.1),
    "ring": (60.6, 98.8, 58.7, -0.5, 1.3),
    "pinky": (82.4, 80.8, 55.7, -7.8, -2.1),
    "thumb": (10.9, 64.9, 40.1, 26.4, 8.8, -4.6),
}
POINT: Pose = {
    "index": (1.6, 4.0, 2.0, 0.0, 0.1),
    "middle": (67.7, 109.1, 60.6, 5.0, 0.7),
    "ring": (68.3, 96.4, 62.7, 3.8, 0.9),
    "pinky": (58.5, 102.6, 51.2, -4.7, 0.0),
    "thumb": (20.3, 53.5, 40.9, 8.5, 11.6, 2.6),
}
VICTORY: Pose = {
    "index": (3.9, 4.0, 2.0, 0.1, -0.1),
    "middle": (2.6, 4.0, 2.0, 0.0, 0.0),
    "ring": (78.2, 89.5, 60.6, 5.3, 0.3),
    "pinky": (74.5, 93.4, 50.7, -2.1, -0.4),
    "thumb": (34.6, 55.9, 40.8, 17.1, 7.3, -4.3),
}
THUMBS_UP: Pose = {
    "index": (74.1, 104.4, 62.6, 8.6, -0.7),
    "middle": (69.5, 100.1, 61.7, 1.9, 0.7),
    "ring": (60.1, 99.6, 59.1, -0.2, 1.6),
    "pinky": (82.4, 81.4, 55.9, -7.6, -2.2),
    "thumb": (-18.0, -6.0, -8.0, 10.0, 0.0, 0.0),
}
PINCH: Pose = {
    "index": (41.3, 50.0, 26.4, -0.8, 8.0),
    "middle": (22.1, 24.0, 12.0, 0.1, 0.1),
    "ring": (18.0, 20.0, 10.0, 0.0, 0.1),
    "pinky": (14.0, 18.0, 10.0, 0.0, 0.0),
    "thumb": (29.7, 12.2, 16.9, 7.2, -27.9, 8.8),
}
POSES: dict[str, Pose] = {
    "flat": OPEN,
    "relaxed": RELAXED,
    "fist": FIST,
    "pinch": PINCH,
    "point": POINT,
    "victory": VICTORY,
    "thumbs_up": THUMBS_UP,
}


def pose_names() -> tuple[str, ...]:
    """Every built-in pose: those written as angles, then those recorded from hands."""
    return (*POSES, *recorded_angles())


def finger_pose(pose: Pose | str, spread: float = 0.0) -> np.ndarray:
    """θ (16, 3) of a right hand, wrist at zero, from flexion angles in degrees.

    Args:
        pose: a name of :func:`pose_names` or angles by finger.
        spread: degrees that the fingers fan out; recorded poses have their own.

    Raises:
        InputError: an unknown name.
    """
    if isinstance(pose, str):
        if pose in recorded_angles():
            return recorded_pose(pose)
        if pose not in POSES:
            raise InputError(f"unknown pose {pose!r}; accepted are: {', '.join(pose_names())}")
        pose = POSES[pose]
    from ..hand_model.limits import FREE_ANGLES, compose

    angles = np.zeros(len(FREE_ANGLES))
    for finger, degrees in pose.items():
        names = [f"{finger}{k}_flexion" for k in (1, 2, 3)] + [finger + end for end in _MORE]
        for name, value in zip(names, degrees):
            angles[FREE_ANGLES.index(name)] = np.radians(value)
    for finger, share in {"index": 1.0, "middle": 0.25, "ring": -0.6, "pinky": -1.2}.items():
        angles[FREE_ANGLES.index(f"{finger}1_abduction")] += np.radians(spread * share)
    return compose(angles)


def _keyed(poses: list[np.ndarray], seconds: list[float]) -> np.ndarray:
    """Ease from pose to pose: (T, 16, 3)."""
    frames = []
    for a, b, duration in zip(poses, poses[1:], seconds):
        count = max(1, round(duration * FPS))
        t = np.arange(count) / count
        ease = (t * t * (3 - 2 * t))[:, None, None]
        frames.append(interpolate(np.repeat(a[None], count, 0), np.repeat(b[None], count, 0), ease))
    return np.concatenate([*frames, poses[-1][None]])


def _both(theta: np.ndarray, name: str, translation: np.ndarray | None = None) -> Motion:
    """Two upright hands, the left the mirror image of the right (T, 16, 3)."""
    count = len(theta)
    pair = np.stack([theta, mirror_theta(theta)], axis=1)
    pair[:, :, 0] = _compose_wrist(pair[:, :, 0])
    where = np.zeros((count, 2, 3)) + UPRIGHT_WRISTS_M
    if translation is not None:
        where = where + translation
    return Motion(pair, where, np.ones((count, 2), bool), FPS, name)


def _compose_wrist(wrist: np.ndarray) -> np.ndarray:
    """Apply the display rotation after the wrist's own rotation (T, 2, 3)."""
    from scipy.spatial.transform import Rotation

    shown = display_wrists()
    out = np.empty_like(wrist)
    for k in range(2):
        out[:, k] = (Rotation.from_rotvec(shown[k]) * Rotation.from_rotvec(wrist[:, k])).as_rotvec()
    return out


def _open_close() -> Motion:
    flat, fist = finger_pose("flat", 8), finger_pose("fist")
    return _both(_keyed([flat, fist, fist, flat], [1.0, 0.3, 1.0]), "open-close")


def _finger_count() -> Motion:
    names = ("thumb", "index", "middle", "ring", "pinky")
    poses = [finger_pose("fist")]
    for k in range(1, 6):
        raised = {f: OPEN.get(f, (0, 0, 0)) for f in names[:k]}
        poses += [finger_pose({**FIST, **raised}, 6)] * 2
    poses.append(finger_pose("fist"))
    seconds = [0.35, 0.35] * 5 + [0.5]
    return _both(_keyed(poses, seconds), "finger-count")


def _wave() -> Motion:
    base = finger_pose("relaxed", 8)
    poses = []
    for degrees in (0, 24, -24, 24, -24, 0):
        pose = base.copy()
        # turning about the palm's normal (rest y) waves the upright hand from side to side
        pose[0] = [0, np.radians(degrees), 0]
        poses.append(pose)
    return _both(_keyed(poses, [0.3, 0.45, 0.45, 0.45, 0.3]), "wave")


def _pinch() -> Motion:
    relaxed, pinch = finger_pose("relaxed", 5), finger_pose("pinch")
    return _both(_keyed([relaxed, pinch, pinch, relaxed], [0.7, 0.4, 0.7]), "pinch")


def _clasp() -> Motion:
    """:func:`keyed_clasp`, parted where its hands went through each other."""
    with np.load(CLASP, allow_pickle=False) as kept:
        theta, where = kept["theta"].astype(float), kept["translation"].astype(float)
    return Motion(theta, where, np.ones((len(theta), 2), bool), FPS, "clasp")


def keyed_clasp() -> Motion:
    """Two hands turn palm to palm, meet and bend their fingers over each other.

    As keyed, palms and fingers lie up to 19 mm deep in each other; the built-in ``clasp`` is this
    after ``scripts/settle_clasp.py``.
    """
    from scipy.spatial.transform import Rotation

    flat, bent = finger_pose("flat", 4), finger_pose(dict.fromkeys(FIST, (44, 40, 18)), 12)
    turn = Rotation.from_rotvec([np.radians(-82), 0, 0]).as_rotvec()
    turned, clasped = flat.copy(), bent.copy()
    turned[0] = clasped[0] = turn
    theta = _keyed(
        [flat, turned, turned, clasped, clasped, turned, flat], [1, 0.8, 0.6, 0.6, 0.6, 1]
    )
    distance = np.concatenate(
        [np.zeros(30), np.linspace(0, 1, 24), np.ones(36), np.linspace(1, 0, len(theta) - 90)]
    )
    shift = np.array([[1.0, 0, 0], [-1.0, 0, 0]]) * 0.087
    offset = distance[:, None, None] * shift
    offset[:, 0, 2] += 0.008 * distance
    offset[:, 1, 2] -= 0.008 * distance
    return _both(theta, "keyed clasp", offset)


def _spelling(name: str) -> Motion:
    """Letter after letter, from and to a relaxed hand."""
    words = ["relaxed", *spelt(name[len(SPELLING) :]), "relaxed"]
    poses = [finger_pose(word) for word in words]
    held = [pose for pose in poses for _ in range(2)][1:-1]
    seconds = [PASS_S, *([HOLD_S, PASS_S] * (len(words) - 2))]
    return _both(_keyed(held, seconds), name)


MOTIONS: dict[str, Callable[[], Motion]] = {
    "open-close": _open_close,
    "finger-count": _finger_count,
    "wave": _wave,
    "pinch": _pinch,
    "clasp": _clasp,
}


def builtin_motion(name: str) -> Motion:
    """A motion that comes with the toolkit, or ``asl:WORD``, spelt with both hands alike.

    Raises:
        InputError: an unknown name, or a character that is not spelt.
    """
    if name.lower().startswith(SPELLING):
        return _spelling(name)
    if name not in MOTIONS:
        raise InputError(
            f"unknown motion {name!r}; built in are: {', '.join(MOTIONS)}, asl:WORD; or give a file"
        )
    return MOTIONS[name]()


def find_motion(name: str) -> Motion:
    """A built-in motion, a word to spell, or a motion file.

    Raises:
        InputError: neither built in nor a file.
        FileFormatError: a file that is no motion.
    """
    from .files import load_motion

    if name in MOTIONS or name.lower().startswith(SPELLING):
        return builtin_motion(name)
    if not Path(name).exists() and "." not in name:
        raise InputError(
            f"there is no file {name} and no such built-in motion; built in are: "
            f"{', '.join(MOTIONS)}, and asl:WORD"
        )
    return load_motion(name)
