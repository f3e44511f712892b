"""What the training of the class network can be told."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import InputError
from ..learn import LoopSettings

SYSTEM = "eyes"

STRIDES = (0, 2, 4, 8, 16, 32)
"""What ``frozen_stride`` may be."""


@dataclass(frozen=True)
class EyesConfig:
    """What the weights depend on; the network has one size."""

    crop_px: int = 224


@dataclass(frozen=True)
class EyesSettings(LoopSettings):
    """How the class network is trained.

    Attributes:
        steps: as shipped; see :class:`LoopSettings` for it and the others.
        batch: samples of a step and process.
        rate: of the parts that start from nothing.
        tuned_rate: share of ``rate`` for the parts that start from MediaPipe's weights.
        start: safetensors weights of a class network to start from; "" starts from MediaPipe's.
        frozen_stride: features up to this stride stay as MediaPipe trained them; 0 trains all,
            32 none.
        fixed_filters: depthwise filters stay, too.
        pool: crops that are held ready at a time, 330 kB each on the device that trains.
        used_up: shards are deleted once they are taken up; for crops that are rendered while
            the network is trained.
        drawers: processes that draw backgrounds; 0 draws a few with each step.
        patches, bodies, environments, photos: files and folders as in docs/eyes.md; "" for none.
        photo_share: of the samples, where there are labelled photos.
    """

    steps: int = 3200
    average: float = 0.99
    batch: int = 16
    rate: float = 2e-3
    tuned_rate: float = 0.12
    start: str = ""
    frozen_stride: int = 8
    fixed_filters: bool = True
    pool: int = 4096
    used_up: bool = False
    drawers: int = 0
    patches: str = ""
    bodies: str = ""
    environments: str = ""
    photos: str = ""
    photo_share: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frozen_stride not in STRIDES:
            raise InputError(
                f"frozen_stride is {self.frozen_stride!r}; accepted are "
                f"{', '.join(map(str, STRIDES))}"
            )
        for name in ("batch", "pool"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)!r}; give a number from 1")
