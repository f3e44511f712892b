"""Pictures that training batches are made of, kept on the device that trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .crops import crop_of_points

IGNORED = 255
"""Label of a pixel that the loss leaves out."""

PHOTO_PX = 320
"""Longest edge of a labelled photo, pixels."""


@dataclass(frozen=True)
class LabelledPhoto:
    """A real photo of one hand with classes that several judges agree on.

    Attributes:
        picture: (H, W, 3) uint8, mirrored if the hand is a left one.
        labels: (H, W) uint8, IGNORED where they disagree.
        points: (21, 2) keypoints, pixels.
    """

    picture: np.ndarray
    labels: np.ndarray
    points: np.ndarray


class Ring:
    """Rows of several arrays in one place; when it is full, new rows replace the oldest.

    Args:
        capacity: rows.
        device: where they lie.
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.capacity, self.device = capacity, device
        self.arrays: dict[str, torch.Tensor] = {}
        self.seen = 0

    def __len__(self) -> int:
        return min(self.seen, self.capacity)

    def add(self, rows: dict[str, np.ndarray]) -> None:
        """Take rows in; every array has the same number of them."""
        count = len(next(iter(rows.values())))
        for name, values in rows.items():
            source = torch.from_numpy(np.ascontiguousarray(values)[-self.capacity :])
            if name not in self.arrays:
                shape = (self.capacity, *source.shape[1:])
                self.arrays[name] = torch.empty(shape, dtype=source.dtype, device=self.device)
            start = (self.seen + count - len(source)) % self.capacity
            first = min(len(source), self.capacity - start)
            self.arrays[name][start : start + first] = source[:first].to(self.device)
            self.arrays[name][: len(source) - first] = source[first:].to(self.device)
        self.seen += count

    def take(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """Those rows of every array."""
        return {name: values[rows] for name, values in self.arrays.items()}


def crop_rows(shard: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rendered crops as a :class:`Ring` keeps them.

    Args:
        shard: of ``synth.crops.shards.read_shard``, N crops.

    Returns:
        ``rgba`` (N, S, S, 4) and ``labels`` (N, S, S) uint8, ``frame`` (N, 2, 3) from the
        crop's pixels to the network's, ``points`` and ``other`` (N, 21, 2) pixels of the own
        and the other hand's keypoints, ``depth`` (N, 21) metres; NaN where there is none;
        ``own`` (N,) bool.
    """
    keypoints = np.asarray(shard["keypoints"], np.float32)
    return {
        "rgba": shard["rgba"],
        "labels": shard["labels"],
        "frame": np.stack([frame_of(points) for points in keypoints[:, 0]]),
        "points": keypoints[:, 0],
        "other": keypoints[:, 1],
        "depth": np.asarray(shard["depth"], np.float32)[:, 0],
        "own": shard["own"],
    }


def frame_of(points: np.ndarray) -> np.ndarray:
    """(2, 3) float32 from the pixels of (21, 2) keypoints to the crop that shows their hand."""
    return crop_of_points(points.astype(float)).matrix()[:2].astype(np.float32)


def photo_rows(photos: Sequence[LabelledPhoto]) -> dict[str, np.ndarray]:
    """Labelled photos as a :class:`Ring` keeps them, in the corner of a square.

    Returns:
        ``picture`` (N, P, P, 3) and ``labels`` (N, P, P) uint8, ``size`` (N, 2) width and
        height, ``frame`` (N, 2, 3).
    """
    pictures = np.zeros((len(photos), PHOTO_PX, PHOTO_PX, 3), np.uint8)
    labels = np.full((len(photos), PHOTO_PX, PHOTO_PX), IGNORED, np.uint8)
    for row, photo in enumerate(photos):
        high, wide = photo.labels.shape
        pictures[row, :high, :wide], labels[row, :high, :wide] = photo.picture, photo.labels
    return {
        "picture": pictures,
        "labels": labels,
        "size": np.array([photo.labels.shape[::-1] for photo in photos], np.float32),
        "frame": np.stack([frame_of(photo.points) for photo in photos]),
    }


def write_labelled(path: Path, photo: LabelledPhoto) -> None:
    """Keep one labelled photo as an NPZ."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, picture=photo.picture, labels=photo.labels, points=photo.points)
    unfinished.replace(path)


def read_labelled(folder: Path) -> list[LabelledPhoto]:
    """All labelled photos of a folder."""
    photos = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as data:
            photos.append(LabelledPhoto(data["picture"], data["labels"], data["points"]))
    return photos
