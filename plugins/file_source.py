"""Keypoints or MANO parameters from a JSON or NPZ file.

The toolkit's own layout
------------------------
JSON: ``{"hands": [HAND, ...]}`` or ``{"images": {"photo.jpg": [HAND, ...], ...}}``, where a
HAND has ``side`` ("right" or "left") and, each where known,

- ``keypoints_2d``: 21 x 2 pixels of the upright photo (MediaPipe/OpenPose order),
- ``keypoints_3d``: 21 x 3 metres in camera axes, any origin,
- ``theta``: 16 x 3 axis-angle (MANO order, zero is the flat hand),
- ``shape`` with ``hand_model``, ``translation`` (wrist, metres) with ``focal_px``,
- ``confidence``: 0 to 1.

One of ``keypoints_2d``, or ``keypoints_3d``/``theta`` with ``translation`` and ``focal_px``,
must tell where the hand is. NPZ: the same names with a leading hand axis; ``side`` is an array
of words.

Outputs of research code, as ``numpy.savez`` or JSON of the arrays named
------------------------------------------------------------------------
- HaMeR (``hamer/models/hamer.py``, ``forward_step``; ``demo.py``) and WiLoR (``demo.py``):
  ``global_orient`` (N, 1, 3, 3), ``hand_pose`` (N, 15, 3, 3), ``betas`` (N, 10), ``is_right``
  or ``right`` (N,), ``pred_cam_t_full`` or ``cam_t`` (N, 3), ``scaled_focal_length``, and
  where stored ``pred_keypoints_3d`` (N, 21, 3). Both predict every hand as a right hand, so
  left ones are mirrored here; set ``mirrored`` to false where keypoints were mirrored already
  (WiLoR's ``demo.py`` does it before it saves). ``pred_mano_params`` may hold the first three.
- ACR (``acr/utils.py``, ``reorganize_results``): ``hand_type`` (N,) 0 left and 1 right,
  ``pj2d_org`` (N, 21, 2) pixels, ``j3d`` (N, 21, 3). Its ``poses`` leave out MANO's mean
  pose, which is licensed data, so the joints are used instead.

Keypoints of other programs
---------------------------
- OpenPose's JSON: ``people``, each with ``hand_left_keypoints_2d`` and ``hand_right_keypoints_2d``
  (21 times x, y, score; pixels); a hand of zeros is none.
- MediaPipe's results as JSON: ``landmarks`` or ``hand_landmarks`` (21 objects x, y in fractions of
  the picture), ``worldLandmarks``, and ``handedness`` or ``handednesses``, whose names are those of
  the hands where the picture was mirrored and else the other ones; set ``mirrored`` to false where
  they were exchanged already.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.core.errors import PARSER_FAULTS, FileFormatError, InputError, first_line
from hand_toolkit.core.npz import read_npz
from hand_toolkit.core.types import HandObservation, Photo
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.see.source import Progress

from .keypoint_files import mediapipe_hands, openpose_hands

FILE_ENV = "HAND_TOOLKIT_POSE_FILE"
"""Environment variable with the path of the file to read."""

MANO_WRIST = np.array([0.0957, 0.0064, 0.0062])
"""Where MANO's mean right hand has its wrist, metres; its translations move its origin."""

MAX_BYTES = 64 * 2**20
_ENDINGS = (".json", ".npz")


class FileSource:
    """Reads hands from a file; see the module for the layouts.

    Attributes:
        path: the file; where None, the one that ``HAND_TOOLKIT_POSE_FILE`` names.
    """

    name = "file"
    description = "keypoints or MANO parameters from a JSON or NPZ file"

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = path

    def configured(self, option: str) -> FileSource:
        """The source for ``file:PATH``."""
        return FileSource(option)

    def detect(
        self, photo: Photo, max_hands: int, progress: Progress | None = None
    ) -> list[HandObservation]:
        """See :class:`hand_toolkit.pose.PoseSource`.

        Raises:
            InputError: no file is named, or it has nothing for this photo.
            FileFormatError: it is not of a known layout.
        """
        path = self.path or os.environ.get(FILE_ENV)
        if not path:
            raise InputError(
                "the pose source 'file' needs a file with keypoints or MANO parameters; name it "
                f"as 'file:PATH' or in {FILE_ENV}"
            )
        target = Path(path)
        hands = read_hands(target, photo)
        hands.sort(key=lambda hand: -hand.confidence)
        return hands[:max_hands]


def read_hands(path: Path, photo: Photo) -> list[HandObservation]:
    """All hands that a file holds for one photo.

    Raises:
        InputError: the file cannot be read, or values in it are wrong.
        FileFormatError: damaged or of no known layout.
    """
    content = _load(path)
    if isinstance(content, Mapping) and "images" in content:
        images = content["images"]
        if not isinstance(images, Mapping) or photo.name not in images:
            raise InputError(f"'{path.name}' has no entry for the picture '{photo.name}'")
        content = {"hands": images[photo.name]}
    if isinstance(content, list):
        content = {"hands": content}
    if not isinstance(content, Mapping):
        raise FileFormatError(f"'{path.name}' holds no hands; see the documented layouts")
    try:
        others = openpose_hands(content) + mediapipe_hands(content, photo.size)
    except PARSER_FAULTS as error:
        raise _misplaced(f"'{path.name}'", error) from error
    if others:
        records = others
    elif isinstance(content.get("hands"), list):
        records = list(content["hands"])
    else:
        records = _split(dict(content), path.name)
    hands = []
    for number, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise FileFormatError(f"hand {number} of '{path.name}' is not an object")
        try:
            hands.append(_observation(_known_names(record), photo))
        except PARSER_FAULTS as error:
            raise _misplaced(f"hand {number} of '{path.name}'", error) from error
    return hands


def _misplaced(where: str, error: BaseException) -> InputError:
    """What is wrong with a value, and where it is."""
    if isinstance(error, InputError):
        return InputError(f"{where}: {error}")
    return FileFormatError(f"{where} has a value of another kind ({first_line(error)})")


def _load(path: Path) -> Any:
    if path.suffix.lower() not in _ENDINGS:
        raise InputError(f"'{path.name}' has the ending '{path.suffix}'; accepted are .json, .npz")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"'{path.name}' is larger than {MAX_BYTES >> 20} MB; split it")
        if path.suffix.lower() == ".npz":
            return read_npz(path, 4 * MAX_BYTES)
        return json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror or error}") from error
    except RecursionError as error:
        raise FileFormatError(f"'{path.name}' is nested too deeply") from error
    except PARSER_FAULTS as error:
        if isinstance(error, FileFormatError | InputError):
            raise
        raise FileFormatError(f"'{path.name}' cannot be read: {error}") from error


_ALIASES = {
    "is_right": "right",
    "pred_cam_t_full": "translation_of_mesh",
    "cam_t": "translation_of_mesh",
    "pred_cam_t": "translation_of_mesh",
    "scaled_focal_length": "focal_px",
    "focal_length": "focal_px",
    "pred_keypoints_3d": "mirrored_keypoints_3d",
    "joints": "mirrored_keypoints_3d",
    "pj2d_org": "keypoints_2d",
    "j3d": "keypoints_3d",
    "center_conf": "confidence",
}


def _known_names(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with other programs' names replaced by the toolkit's."""
    flat = dict(record)
    inner = flat.pop("pred_mano_params", None)
    if isinstance(inner, Mapping):
        flat.update(inner)
    return {_ALIASES.get(name, name): value for name, value in flat.items()}


def _split(arrays: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """One record per hand from arrays with a leading hand axis; scalars go to all."""
    flat = _known_names(arrays)
    for key in (
        "side",
        "right",
        "is_rhand",
        "handedness",
        "hand_type",
        "global_orient",
        "keypoints_2d",
    ):
        if key in flat and np.ndim(flat[key]) >= 1:
            count = len(flat[key])
            break
    else:
        raise FileFormatError(
            f"'{name}' is of no known layout (it has {', '.join(sorted(flat)[:8]) or 'nothing'}); "
            "accepted are the toolkit's, HaMeR's, WiLoR's and ACR's"
        )
    records: list[dict[str, Any]] = []
    for k in range(count):
        record = {}
        for key, value in flat.items():
            per_hand = np.ndim(value) >= 1 and len(value) == count
            record[key] = value[k] if per_hand else value
        records.append(record)
    return records


def _observation(record: Mapping[str, Any], photo: Photo) -> HandObservation:
    side = _side(record)
    theta, mirrored = _theta(record, side)
    points = _array(record, "keypoints_3d", (21, 3))
    if points is None:
        points = _array(record, "mirrored_keypoints_3d", (21, 3))
        if points is not None and side == "left" and mirrored:
            points = points * [-1.0, 1.0, 1.0]
    translation = _array(record, "translation", (3,))
    mesh_translation = _array(record, "translation_of_mesh", (3,))
    focal = _array(record, "focal_px", ())
    focal_px = None if focal is None else float(focal)
    shape = _array(record, "shape", None)
    betas = _array(record, "betas", None)
    model = record.get("hand_model")
    if shape is None and betas is not None:
        shape, model = betas.reshape(-1), "mano"
    if points is None and theta is not None:
        hand = load_hand_model("default", side)
        points = pose_hand_numpy(hand, theta, np.zeros(len(hand.shape_names)), np.zeros(3))[2]
    if translation is None and mesh_translation is not None and points is not None:
        # MANO's origin is not its wrist: the given translation moves all keypoints.
        from_given = _array(record, "mirrored_keypoints_3d", (21, 3)) is not None
        wrist = MANO_WRIST * [-1.0 if side == "left" else 1.0, 1.0, 1.0]
        translation = mesh_translation + (points[0] if from_given else wrist)
    keypoints = _array(record, "keypoints_2d", (21, 2), allow_more=True)
    if keypoints is None:
        keypoints = _project(points, translation, focal_px, photo)
    confidence = _array(record, "confidence", (), default=1.0)
    return HandObservation(
        side=side,
        confidence=float(np.clip(1.0 if confidence is None else confidence, 0, 1)),
        keypoints_2d=keypoints,
        keypoints_3d=None if points is None else points - points[0],
        theta=theta,
        shape=shape,
        hand_model=str(model) if model is not None else None,
        translation=translation,
        focal_px=focal_px,
    )


def _project(
    points: np.ndarray | None,
    translation: np.ndarray | None,
    focal_px: float | None,
    photo: Photo,
) -> np.ndarray:
    if points is None or translation is None or focal_px is None:
        raise InputError(
            "it has no keypoints_2d and not all of 3D keypoints (or theta), translation and "
            "focal_px, so its place in the picture is unknown"
        )
    placed = points - points[0] + translation
    if (placed[:, 2] <= 0).any():
        raise InputError("its 3D keypoints lie behind the camera; z must be positive")
    return placed[:, :2] / placed[:, 2:] * focal_px + np.array(photo.size) / 2


def _side(record: Mapping[str, Any]) -> str:
    side = record.get("side", record.get("handedness"))
    if side is not None:
        word = str(side).lower()
        if word in ("right", "left"):
            return word
        raise InputError(f"side is {str(side)[:40]!r}; accepted are 'right' and 'left'")
    for key in ("right", "is_rhand", "hand_type"):
        if key in record:
            return "right" if float(np.asarray(record[key]).reshape(-1)[0]) > 0.5 else "left"
    raise InputError("its side is missing; give 'side', 'is_right', 'is_rhand' or 'hand_type'")


def _theta(record: Mapping[str, Any], side: str) -> tuple[np.ndarray | None, bool]:
    """(16, 3) θ of the hand itself, and whether its source mirrors left hands."""
    mirrored = bool(record.get("mirrored", "is_rhand" not in record and "side" not in record))
    theta = _array(record, "theta", (16, 3))
    if theta is not None:
        return theta, mirrored
    if "hand_pose" not in record or "global_orient" not in record:
        return None, mirrored
    parts = np.concatenate(
        [
            np.asarray(record[key], dtype=float).reshape(count, -1)
            for key, count in (("global_orient", 1), ("hand_pose", 15))
        ]
    )
    if parts.shape[1] == 9:
        from scipy.spatial.transform import Rotation

        parts = Rotation.from_matrix(parts.reshape(16, 3, 3)).as_rotvec()
    if parts.shape != (16, 3):
        raise InputError(
            "global_orient and hand_pose must be 1 and 15 rotations, as 3x3 matrices or axis-angle"
        )
    if side == "left" and ("right" in record or mirrored):
        parts = parts * [1.0, -1.0, -1.0]
    return parts, mirrored


def _array(
    record: Mapping[str, Any],
    key: str,
    shape: tuple[int, ...] | None,
    *,
    allow_more: bool = False,
    default: Any = None,
) -> Any:
    """A float array of the record, checked, or None."""
    if record.get(key) is None:
        return default
    try:
        array = np.asarray(record[key], dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"'{key}' is not an array of numbers") from error
    if shape == ():
        array = array.reshape(-1)[:1].reshape(()) if array.size == 1 else array
    if allow_more and shape is not None and array.ndim == 2 and array.shape[1] > shape[1]:
        array = array[:, : shape[1]]
    if shape is not None and array.shape != shape:
        if array.size == int(np.prod(shape)):
            array = array.reshape(shape)
        else:
            raise InputError(f"'{key}' has shape {array.shape}; accepted is {shape}")
    if not np.isfinite(array).all():
        raise InputError(f"'{key}' holds NaN or infinite values")
    return array
