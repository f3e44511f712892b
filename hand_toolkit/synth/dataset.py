"""The rendered-hands folder format: reading and writing. docs/synth.md describes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.conventions import SIDES
from ..core.errors import FileFormatError, InputError
from ..core.types import Camera, Photo
from ..media.viewset import View, ViewSet
from ..pose.estimate import known_hand

FORMAT = "hand-toolkit-hands"
VERSION = 1
PICTURES = {
    "image": ".png",
    "photo": "_photo.jpg",
    "labels": "_labels.png",
    "albedo": "_albedo.png",
}
"""Endings of a sample's pictures after its stem; only ``image`` must exist."""


@dataclass(frozen=True)
class HandSample:
    """One picture of a data set and everything known about it.

    Attributes:
        path: of the sample's JSON file.
        split, subject, pose, view: where it belongs.
        family: name of the pose's family.
        present: (2,) bool, right and left hand.
        theta: (2, 16, 3) axis-angle, world axes for the wrist, zeros for an absent hand.
        shape: (S,) shape parameters of ``hand_model``.
        translation: (2, 3) wrist positions, world axes, metres.
        hand_model: name of the hand model.
        camera: OpenCV camera, world to camera.
        lighting: pictures of one subject with the same name were lit and developed alike.
        extra: all other values of the file.
    """

    path: Path
    split: str
    subject: str
    pose: str
    view: str
    family: str
    present: np.ndarray
    theta: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    hand_model: str
    camera: Camera
    lighting: str
    extra: dict[str, Any]

    def picture_path(self, kind: str = "image") -> Path:
        """Path of a picture; see PICTURES for the kinds."""
        if kind not in PICTURES:
            raise InputError(f"unknown picture {kind!r}; accepted are: {', '.join(PICTURES)}")
        return self.path.with_name(self.path.stem + PICTURES[kind])

    def picture(self, kind: str = "image") -> np.ndarray:
        """A picture as uint8: image (H, W, 4) sRGB with straight alpha, photo and albedo
        (H, W, 3) sRGB, labels (H, W) with 0 background, 1 and 2 right and left hand, 3 and 4
        right and left forearm.

        Raises:
            FileFormatError: it is missing or unreadable.
        """
        from PIL import Image

        path = self.picture_path(kind)
        mode = {"image": "RGBA", "labels": "L"}.get(kind, "RGB")
        try:
            with Image.open(path) as picture:
                return np.asarray(picture.convert(mode))
        except OSError as error:
            raise FileFormatError(f"cannot read {path.name}: {error}") from None

    def hands_in_camera(self) -> tuple[np.ndarray, np.ndarray]:
        """θ (2, 16, 3) and translation (2, 3) in camera axes, as ``HandPose`` wants them."""
        from scipy.spatial.transform import Rotation

        matrix = self.camera.world_to_camera
        theta = self.theta.copy()
        turn = Rotation.from_matrix(matrix[:3, :3])
        theta[:, 0] = (turn * Rotation.from_rotvec(self.theta[:, 0])).as_rotvec()
        translation = self.translation @ matrix[:3, :3].T + matrix[:3, 3]
        return theta * self.present[:, None, None], translation * self.present[:, None]


def view_set(samples: Sequence[HandSample], background: bool = False) -> ViewSet:
    """Samples of one subject as a view set, poses in each camera's axes, masks from the labels.

    Args:
        samples: of one subject, in any order; pictures are read when needed.
        background: take the developed photos instead of the pictures on black.

    Raises:
        InputError: no samples, or samples of several subjects.
        FileFormatError: labels are missing or unreadable.
    """
    subjects = sorted({sample.subject for sample in samples})
    if len(subjects) != 1:
        raise InputError(
            f"the samples show {len(subjects)} subjects ({', '.join(subjects[:5])}); a view set "
            "is of one person"
        )
    return ViewSet(tuple(_view(sample, background) for sample in samples), subjects[0])


def _view(sample: HandSample, background: bool) -> View:
    theta, translation = sample.hands_in_camera()
    camera = dataclasses.replace(sample.camera, world_to_camera=np.eye(4))
    hands = tuple(
        known_hand(side, theta[k], sample.shape, translation[k], sample.hand_model, camera)
        for k, side in enumerate(SIDES)
        if sample.present[k]
    )
    index = {SIDES.index(hand.side) + 1: k for k, hand in enumerate(hands)}
    shown = sample.picture("labels")
    labels = np.full(shown.shape, -1, np.int32)
    for value, k in index.items():
        labels[shown == value] = k

    def read() -> Photo:
        pixels = sample.picture("photo" if background else "image")
        if not background:
            pixels = (pixels[..., :3] * (pixels[..., 3:] / 255.0) + 0.5).astype(np.uint8)
        return Photo(pixels, focal_px=camera.fx, name=sample.path.stem)

    mask = (labels >= 0).astype(np.float32)
    return View(sample.path.stem, read, camera, hands, mask, labels)


@dataclass(frozen=True)
class HandDataset:
    """A folder of samples.

    Attributes:
        root: the folder.
        info: contents of ``dataset.json``.
    """

    root: Path
    info: dict[str, Any]

    def samples(self, split: str | None = None, subject: str | None = None) -> list[HandSample]:
        """Finished samples in a fixed order.

        Raises:
            FileFormatError: a sample's file is damaged.
        """
        pattern = f"{split or '*'}/{subject or '*'}/*.json"
        paths = [p for p in sorted(self.root.glob(pattern)) if "_" in p.stem]
        return [read_sample(path) for path in paths]

    def subjects(self, split: str) -> list[str]:
        """Names of the subjects of a split that have a folder."""
        folder = self.root / split
        return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def open_dataset(root: Path | str) -> HandDataset:
    """Open a data folder.

    Raises:
        FileFormatError: no ``dataset.json``, or one of another format or version.
    """
    root = Path(root)
    info = _read_json(root / "dataset.json")
    if info.get("format") != FORMAT or info.get("version") != VERSION:
        raise FileFormatError(
            f"{root / 'dataset.json'} says format {info.get('format')!r} version "
            f"{info.get('version')!r}; accepted is {FORMAT!r} version {VERSION}"
        )
    return HandDataset(root, info)


def read_sample(path: Path) -> HandSample:
    """Read one sample's JSON file.

    Raises:
        FileFormatError: it is damaged or incomplete.
    """
    data = _read_json(path)
    try:
        camera = Camera(**data.pop("camera"))
        present = np.asarray(data.pop("present"), dtype=bool).reshape(2)
        theta = np.asarray(data.pop("theta"), dtype=np.float64).reshape(2, 16, 3)
        translation = np.asarray(data.pop("translation"), dtype=np.float64).reshape(2, 3)
        shape = np.asarray(data.pop("shape"), dtype=np.float64).ravel()
        pose, _, view = path.stem.rpartition("_")
        if not all(np.isfinite(values).all() for values in (theta, translation, shape)):
            raise ValueError("theta, translation or shape is not finite")
        if not present.any():
            raise ValueError("no hand is present")
        return HandSample(
            path=path,
            split=str(data.pop("split", path.parent.parent.name)),
            subject=str(data.pop("subject", path.parent.name)),
            pose=str(data.pop("pose", pose)),
            view=str(data.pop("view", view)),
            family=str(data.pop("family", "unknown")),
            present=present,
            theta=theta,
            shape=shape,
            translation=translation,
            hand_model=str(data.pop("hand_model", "default")),
            camera=camera,
            lighting=str(data.pop("lighting", "home")),
            extra=data,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path} is not a sample of a hands data set: {error}") from None


def sample_json(
    *,
    split: str,
    subject: str,
    pose: str,
    view: str,
    family: str,
    present: np.ndarray,
    theta: np.ndarray,
    shape: np.ndarray,
    translation: np.ndarray,
    camera: Camera,
    lighting: str,
    **extra: Any,
) -> dict[str, Any]:
    """The JSON value of a sample; arguments as in :class:`HandSample`."""
    return {
        "split": split,
        "subject": subject,
        "pose": pose,
        "view": view,
        "family": family,
        "hand_model": "default",
        "sides": list(SIDES),
        "present": [bool(v) for v in present],
        "theta": np.round(theta, 7).tolist(),
        "shape": np.round(shape, 6).tolist(),
        "translation": np.round(translation, 7).tolist(),
        "camera": {
            "fx": camera.fx,
            "fy": camera.fy,
            "cx": camera.cx,
            "cy": camera.cy,
            "width": camera.width,
            "height": camera.height,
            "world_to_camera": camera.world_to_camera.tolist(),
        },
        "lighting": lighting,
        **extra,
    }


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write beside the target and rename, so that a reader never sees half a file."""
    write_bytes(path, (json.dumps(value, indent=1) + "\n").encode())


def write_picture(path: Path, pixels: np.ndarray, quality: int = 93) -> None:
    """Write uint8 pixels as the PNG or JPEG that the name says, then rename."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.fromarray(pixels)
    if path.suffix == ".jpg":
        picture.save(buffer, "JPEG", quality=quality)
    else:
        picture.save(buffer, "PNG", compress_level=4)
    write_bytes(path, buffer.getvalue())


def write_bytes(path: Path, data: bytes) -> None:
    """Write to a temporary file in the same folder, flush, rename."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def model_fingerprint() -> str:
    """Digest of the default hand's geometry; samples fit only the hand they were made with."""
    from ..hand_model import load_hand_model

    model = load_hand_model("default", "right")
    digest = hashlib.sha256()
    correctives = np.zeros(0) if model.pose_dirs is None else model.pose_dirs
    for array in (model.template, model.faces, model.weights, model.shape_dirs, correctives):
        digest.update(np.ascontiguousarray(np.round(np.asarray(array, np.float64), 6)).tobytes())
    return digest.hexdigest()[:16]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise FileFormatError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise FileFormatError(f"{path} holds a {type(value).__name__}; expected a JSON object")
    return value
