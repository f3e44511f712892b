"""What the training of the class network can be told."""

from __future__ import annotations

from dataclasses import dataclass

from ..learn import LoopSettings

SYSTEM = "eyes"


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
        patches, bodies, environments, photos: files and folders as in docs/eyes.md; "" for none.
        photo_share: of the samples, where there are labelled photos.
    """

    steps: int = 3200
    average: float = 0.99
    batch: int = 16
    rate: float = 2e-3
    tuned_rate: float = 0.12
    patches: str = ""
    bodies: str = ""
    environments: str = ""
    photos: str = ""
    photo_share: float = 0.3
