"""What to render: sizes, counts and places, validated before Blender starts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import InputError


@dataclass(frozen=True)
class SynthConfig:
    """A rendered data set.

    Attributes:
        size: width and height of the pictures, pixels.
        samples: Cycles samples a pixel; 8 with the denoiser is 40 dB from converged.
        train_subjects, test_subjects: how many; test subjects never train.
        poses: poses a train subject.
        test_poses: poses a test subject.
        views: cameras a pose.
        two_hands: share of the poses that show two hands.
        skins: folder with the MakeHuman skins; None draws procedural skins only.
        texture_scale: resolution of the baked skins, 1 is about a quarter millimetre a texel.
        threads: of each worker's Cycles.
    """

    size: int = 256
    samples: int = 8
    train_subjects: int = 40
    test_subjects: int = 8
    poses: int = 30
    test_poses: int = 16
    views: int = 5
    two_hands: float = 0.5
    skins: str | None = None
    texture_scale: float = 1.0
    threads: int = 2

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "size": (32, 4096),
            "samples": (1, 4096),
            "train_subjects": (0, 100000),
            "test_subjects": (0, 100000),
            "poses": (0, 100000),
            "test_poses": (0, 100000),
            "views": (1, 1000),
            "two_hands": (0, 1),
            "texture_scale": (0.1, 4),
            "threads": (1, 1024),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not low <= value <= high:
                raise InputError(f"{name} is {value!r}; accepted is {low} to {high}")
        if self.train_subjects + self.test_subjects == 0:
            raise InputError("there are no subjects; give train_subjects or test_subjects")
        if self.skins is not None and not Path(self.skins).is_dir():
            raise InputError(
                f"the skins folder {self.skins} does not exist; give a folder with MakeHuman "
                "skins, or none for procedural skins"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)
