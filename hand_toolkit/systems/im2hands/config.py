"""Sizes of the networks, and how they are trained."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import InputError
from ...learn.config import LoopSettings

SYSTEM = "im2hands"

PARTS = ("initial", "refinement", "keypoints")
"""What is trained; the refinement reads the initial occupancy."""

TAU_M = 0.001
"""Metres in the unit of occupancy logits: near the surface a logit is about minus the signed
distance in this unit, and the probability goes from outside to inside within some of it."""

CROP_PX = 224
"""Edge of the crop that the image features are taken from."""

FAR_LOGIT = -40.0
"""Of places that no part of a hand reaches."""


@dataclass(frozen=True)
class Im2HandsConfig:
    """What the weights depend on.

    Attributes:
        hand_model: whose surfaces are learned.
        width: of the layers of each part's occupancy.
        layers: hidden layers of it.
        context: of the code of a hand's bones.
        image_width: of what a query takes from the picture.
        image_attention: False leaves the picture out of the initial occupancy, for the ablation.
        points: of a hand's surface that the refinement reads.
        anchors: of them, those that have a latent.
        latent: of the refinement.
        neighbours: anchors of each hand that a query looks at.
        keypoint_width: of the keypoint refinement.
        keypoint_layers: of its self-attention.
    """

    hand_model: str = "default"
    width: int = 48
    layers: int = 2
    context: int = 64
    image_width: int = 16
    image_attention: bool = True
    points: int = 192
    anchors: int = 64
    latent: int = 64
    neighbours: int = 4
    keypoint_width: int = 96
    keypoint_layers: int = 3

    def __post_init__(self) -> None:
        if self.anchors > self.points:
            raise InputError(
                f"anchors is {self.anchors} of {self.points} points; give at most as many"
            )


@dataclass(frozen=True)
class Im2HandsSettings(LoopSettings):
    """How it is trained.

    Attributes:
        part: which of ``PARTS`` is trained, the others stay as they are; "all" takes turns.
        start: weights or a checkpoint to begin with; empty begins anew.
        batch: pairs of a step; the refinement takes half, the keypoints twice as many.
        queries: of each hand and step; the refinement takes a quarter.
        rate: AdamW's, after the warm-up; it falls to a hundredth along half a cosine.
        decay: AdamW's weight decay.
        penetration_weight: of the loss of places that both hands claim.
        noise_share: part of the pairs that the refinement meets with noisy keypoints.
        drop_features: share of the picture's channels that a pair does not see.
        drop_picture: share of the initial occupancy's steps that see no picture.
        scored: held-out pairs of a scoring.
    """

    steps: int = 20_000
    checkpoint_every: int = 200
    log_every: int = 50
    average: float = 0.995
    part: str = "all"
    start: str = ""
    batch: int = 8
    queries: int = 512
    rate: float = 2e-3
    decay: float = 1e-4
    penetration_weight: float = 0.5
    noise_share: float = 0.5
    drop_features: float = 0.3
    drop_picture: float = 0.15
    scored: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.part not in ("all", *PARTS):
            raise InputError(f"part is {self.part!r}; accepted are all, {', '.join(PARTS)}")


PRESETS = {
    "default": Im2HandsConfig(),
    "plain": Im2HandsConfig(image_attention=False),
    "tiny": Im2HandsConfig(
        width=16, layers=2, context=16, points=64, anchors=16, latent=16, neighbours=3,
        keypoint_width=32, keypoint_layers=1,
    ),
}  # fmt: skip
