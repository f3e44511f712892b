"""Sizes of the learned prior and settings of its training and fitting."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import InputError
from ...learn import LoopSettings


@dataclass(frozen=True)
class PriorConfig:
    """Sizes of the network (IGSN, section 3).

    Points are face centroids of the hand model at the lowest subdivision level that has
    nine tenths of the wanted number, so one config serves every hand model.

    Attributes:
        name: "small", "paper", "tiny" or a name of your own.
        hand_model: hand model that the weights belong to.
        coarse_points: points per hand in the first part of training.
        points: points per hand afterwards and in use.
        identity_channels: channels of a subject's identity map, per hand.
        identity_size: side of the square identity map, texels.
        features: channels of the neural texture map and of a point's feature.
        texture_size: side of the neural texture map, texels; a multiple of ``token_size``.
        token_size: side of the grid of transformer tokens.
        width: channels of a token.
        geometry_layers: layers of the geometry decoder.
        texture_layers: layers of the texture decoder.
        heads: attention heads.
        pose_tokens: tokens that the pose embedding offers to cross-attention.
        point_width: channels of the PointNet.
        head_width: hidden channels of the attribute heads.
        interaction_points: points per hand on which contact is detected.
        neighbours: K nearest neighbours compared by the detection (Eq. 2).
        overlap: a point interacts when fewer than this share of its K neighbours on the posed
            hands are among its K neighbours on the flat hand (tau / K).
        interaction_limit: most detected points, over both hands, that attend to one another.
        interaction_layers: self-attention layers over the detected points.
        camera_input: whether the pose embedding also sees the camera, as the paper's does. One
            network pass then serves one view only.
        offset_bound_m: largest move of a point along each axis of its triangle's frame, metres.
        drop_below: validity below which a point is dropped.
        split_above: validity above which a point is split in two.
        use_identity_map: False replaces the map by one code for the whole hand (ablation).
        use_interaction: False removes detection and attention (ablation).
        use_refinement: False removes validity, splitting and offsets (ablation).
    """

    name: str = "small"
    hand_model: str = "default"
    coarse_points: int = 3_000
    points: int = 12_000
    identity_channels: int = 16
    identity_size: int = 128
    features: int = 48
    texture_size: int = 64
    token_size: int = 16
    width: int = 128
    geometry_layers: int = 2
    texture_layers: int = 3
    heads: int = 4
    pose_tokens: int = 4
    point_width: int = 32
    head_width: int = 64
    interaction_points: int = 1_500
    neighbours: int = 16
    overlap: float = 0.75
    interaction_limit: int = 384
    interaction_layers: int = 2
    camera_input: bool = False
    offset_bound_m: float = 0.004
    drop_below: float = 0.1
    split_above: float = 0.9
    use_identity_map: bool = True
    use_interaction: bool = True
    use_refinement: bool = True

    def __post_init__(self) -> None:
        if self.texture_size % self.token_size:
            raise InputError(
                f"texture_size {self.texture_size} is no multiple of token_size {self.token_size}"
            )
        if self.width % self.heads:
            raise InputError(f"width {self.width} cannot be divided into {self.heads} heads")
        if not 0 <= self.drop_below < self.split_above < 1:
            raise InputError(
                f"drop_below {self.drop_below} and split_above {self.split_above}; "
                "need 0 <= drop_below < split_above < 1"
            )


MAP_EPSILON = 3e-5
"""Adam's epsilon for identity and texture maps.

Texels that a picture does not show get gradients of 1e-9 through the transformer, shown ones
1e-4. With the usual 1e-8, Adam would move both alike, and hidden skin would turn to noise.
"""

SMALL = PriorConfig()
"""The shipped prior: a forward pass of two hands fits a laptop's CPU."""

PAPER = PriorConfig(
    name="paper",
    coarse_points=12_337,
    points=49_281,
    identity_channels=33,
    identity_size=64,
    features=80,
    texture_size=64,
    token_size=32,
    width=512,
    geometry_layers=10,
    texture_layers=10,
    heads=8,
    pose_tokens=8,
    point_width=128,
    head_width=256,
    interaction_points=12_337,
    neighbours=100,
    overlap=0.1,
    interaction_limit=4096,
    camera_input=True,
)
"""The sizes of the authors' code, for machines with GPUs."""

TINY = PriorConfig(
    name="tiny",
    coarse_points=3_000,
    points=3_000,
    identity_channels=4,
    identity_size=32,
    features=16,
    texture_size=32,
    token_size=8,
    width=32,
    geometry_layers=1,
    texture_layers=1,
    heads=2,
    pose_tokens=2,
    point_width=16,
    head_width=32,
    interaction_points=600,
    interaction_limit=64,
    interaction_layers=1,
)
"""For tests: every part, nothing large."""

PRESETS = {c.name: c for c in (SMALL, PAPER, TINY)}


def preset(name: str) -> PriorConfig:
    """The named config.

    Raises:
        InputError: no such name.
    """
    if name not in PRESETS:
        raise InputError(f"unknown prior config {name!r}; accepted are: {', '.join(PRESETS)}")
    return PRESETS[name]


@dataclass(frozen=True)
class TrainConfig(LoopSettings):
    """Stage one (IGSN, sections 3.2.3 and 4.1); the loop's settings beside its own.

    Attributes:
        coarse_steps: steps on ``coarse_points`` before ``points`` are used.
        scenes_per_step: scenes (one pose of one subject, all its views) per step and process.
        views_per_scene: most views of a scene rendered per step.
        learning_rate: Adam's rate for the network.
        identity_rate: Adam's rate for the identity maps.
        half_life: steps in which both rates halve.
        warmup: steps over which both rates rise from zero.
        weight_perceptual, weight_mask, weight_albedo: loss weights beside the image L1.
        weight_offset, weight_split, weight_shadow, weight_identity: regularisers.
        hide_identity: share of the steps in which a part of the identity map is hidden, so that
            the network learns to complete what one photo does not show.
        subject_slots: identity maps set aside; the data may not have more training subjects.
        perceptual: "auto" (VGG where its weights are in the cache), "vgg" or "gradient".
    """

    coarse_steps: int = 2_000
    scenes_per_step: int = 1
    views_per_scene: int = 3
    learning_rate: float = 1.5e-3
    identity_rate: float = 5e-3
    half_life: float = 6_000.0
    warmup: int = 100
    weight_perceptual: float = 0.5
    weight_mask: float = 0.5
    weight_albedo: float = 0.3
    weight_offset: float = 0.01
    weight_split: float = 0.01
    weight_shadow: float = 0.01
    weight_identity: float = 0.002
    hide_identity: float = 0.5
    subject_slots: int = 64
    perceptual: str = "auto"


@dataclass(frozen=True)
class FitConfig:
    """Stage two (IGSN, section 3.3 and Eq. 4-5).

    Attributes:
        mode: "full", "code" (identity code instead of the map), "no-bias", "no-calibration",
            "no-inversion" or "ohta" (code inversion, then fine-tuning with view
            regularisation).
        steps: optimisation steps.
        learning_rate: Adam's rate of maps and calibration at the start.
        halve_at: steps at which every rate halves.
        patience: steps without a better loss after which fitting stops; 0 never stops early.
        size: longest side in pixels of the crop that is fitted.
        weight_perceptual, weight_mask, weight_bias: loss weights (Eq. 4 and 5).
        refine: whether θ, shape and camera move too (for estimated poses).
        refine_rate: rate of θ (radians) relative to ``learning_rate``.
        seed: of every random choice.
    """

    mode: str = "full"
    steps: int = 50
    learning_rate: float = 0.01
    halve_at: tuple[int, ...] = (2, 5, 10, 20, 35)
    patience: int = 15
    size: int = 256
    weight_perceptual: float = 0.5
    weight_mask: float = 0.5
    weight_bias: float = 0.01
    refine: bool = True
    refine_rate: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in FIT_MODES:
            raise InputError(
                f"unknown fit mode {self.mode!r}; accepted are: {', '.join(FIT_MODES)}"
            )


FIT_MODES = ("full", "code", "no-bias", "no-calibration", "no-inversion", "ohta")
