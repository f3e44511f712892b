"""Sizes of the network, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import InputError
from ...learn.config import LoopSettings

SYSTEM = "hhmr"

UNIT_M = 0.03
"""Metres in the unit that meshes are diffused in: vertices then have a spread of about one."""

STEPS = 1000
"""Noise levels in training."""

BETA_FIRST, BETA_LAST = 1e-4, 0.02
"""Linear schedule of Ho et al. 2020, section 4. Mesh vertices are so alike that the hand shows
through iid noise until late; a schedule that ends in less noise would never choose a pose."""


@dataclass(frozen=True)
class HhmrConfig:
    """What the weights depend on.

    Attributes:
        hand_model: whose mesh is diffused.
        channels: of the three levels of the mesh pyramid, finest first.
        ratio: vertices of a level over those of the next.
        middle_blocks: blocks at the coarsest level.
        chebyshev: order of the graph convolution.
        head_width: channels of an attention head.
        condition_width: of the space that conditions share.
        image_layers: transformer layers over the image patches.
        image_channels: of the feature map that patches are cut from.
        patches: patches along each side of that map.
        self_attention: False leaves it out, for the ablation.
    """

    hand_model: str = "default"
    channels: tuple[int, ...] = (64, 128, 256)
    ratio: int = 4
    middle_blocks: int = 3
    chebyshev: int = 3
    head_width: int = 32
    condition_width: int = 256
    image_layers: int = 2
    image_channels: int = 192
    patches: int = 7
    self_attention: bool = True

    def __post_init__(self) -> None:
        if any(c % self.head_width for c in self.channels[1:]):
            raise InputError(
                f"channels are {self.channels}; all but the first must be multiples of "
                f"head_width {self.head_width}"
            )


@dataclass(frozen=True)
class HhmrSettings(LoopSettings):
    """How it is trained.

    Attributes:
        batch: hands of a step and process.
        rate: AdamW's, after the warm-up; it falls to a hundredth along half a cosine.
        decay: AdamW's weight decay.
        bank: poses that are drawn once and kept on the device.
        image_share: part of a batch that shows rendered crops, where there are any.
        masks: False shows every condition whole, for the ablation.
        drop_all: chance that all conditions are masked.
        drop_image, drop_2d, drop_3d: chances that one modality is.
        drop_finger, drop_patch: chances that a finger or a patch is, in half of the hands.
        joint_weight, normal_weight, edge_weight: of the losses beside the vertices' L1.
        start: weights to begin with; a path, or "shipped"; empty begins anew.
        scored: held-out hands of a scoring.
        autocast: compute in bfloat16 on CUDA.
    """

    steps: int = 1_000_000
    checkpoint_every: int = 2000
    log_every: int = 100
    average: float = 0.999
    batch: int = 256
    rate: float = 1e-3
    decay: float = 0.01
    bank: int = 300_000
    image_share: float = 0.25
    masks: bool = True
    drop_all: float = 0.15
    drop_image: float = 0.3
    drop_2d: float = 0.4
    drop_3d: float = 0.5
    drop_finger: float = 0.25
    drop_patch: float = 0.2
    joint_weight: float = 1.0
    normal_weight: float = 0.1
    edge_weight: float = 1.0
    start: str = ""
    scored: int = 128
    autocast: bool = True


PRESETS = {
    "default": HhmrConfig(),
    "tiny": HhmrConfig(
        channels=(8, 32, 32), chebyshev=2, middle_blocks=1, condition_width=32, image_layers=1
    ),
}
