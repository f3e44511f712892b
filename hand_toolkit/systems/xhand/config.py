"""How XHand is fitted: the paper's settings where they carry over, and those that it leaves out."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import InputError

DECODERS = ("factored", "vertex")
RENDERERS = ("none", "mlp", "unet")
LAPLACIANS = ("parts", "plain")


@dataclass(frozen=True)
class XHandConfig:
    """Settings of a fit.

    Attributes:
        level: midpoint subdivisions of the hand's mesh: 1, 2 or 3, for the default hand 6,413,
            25,609 or 102,353 vertices (the paper's MANO has 49,281).
        size: longest side of the hands' box at which they are fitted, pixels.
        place_size: the same while poses, cameras and shape are refined.
        place_steps: steps of that; 0 leaves them as they were found.
        pose_sigma: how far the views' own poses and places are off, in parts of what one picture's
            fit is; 0: they are known, as where cameras and poses were measured, and only the shape
            is moved.
        depth_sigma_m: the same of the hands' depth, metres. From one camera's pictures a hand's
            depth and its size are known together only.
        steps: passes over the views in which displacement, weights, albedo and light are fitted.
        align: gather skin a second time, from pictures warped onto the hands as fitted by then.
        displacement, weights, pose_albedo: whether D, W and ρ follow the pose through their
            embeddings; without ``displacement`` there is no D at all, without ``pose_albedo``
            albedo is one for all poses. The latter two are off: they gained nothing
            (``benchmarks/xhand.py ablations``).
        decoder: "factored", one decoder of the pose whose output each vertex's code weighs, or
            "vertex", the decoder run with every vertex's code as the paper has it, which costs a
            graphics card.
        laplacian: "parts", weights by quantile, or "plain", one weight everywhere.
        renderer: "none", "mlp" (8 x 256) or "unet", the neural renderer.
        renderer_steps: pictures that it is trained on.
        refresh: passes after which average features take up the mean of their offsets.
        rate: of Adam, for the embeddings.
        seed: of every random choice.
        one_person: the views are one person's, however different their skins look.
    """

    level: int = 2
    size: int = 512
    place_size: int = 224
    place_steps: int = 40
    pose_sigma: float = 1.0
    depth_sigma_m: float = 0.02
    steps: int = 20
    align: bool = True
    displacement: bool = True
    weights: bool = False
    pose_albedo: bool = False
    decoder: str = "factored"
    laplacian: str = "parts"
    renderer: str = "none"
    renderer_steps: int = 160
    refresh: int = 4
    rate: float = 5e-4
    seed: int = 0
    one_person: bool = False

    def __post_init__(self) -> None:
        if self.level not in (1, 2, 3):
            raise InputError(f"level is {self.level}; accepted is 1 to 3")
        for name, accepted in (
            ("decoder", DECODERS), ("laplacian", LAPLACIANS), ("renderer", RENDERERS)
        ):  # fmt: skip
            if getattr(self, name) not in accepted:
                raise InputError(
                    f"unknown {name} {getattr(self, name)!r}; accepted are: {', '.join(accepted)}"
                )
        if not self.pose_sigma >= 0 or not self.depth_sigma_m > 0:
            raise InputError(
                f"pose_sigma is {self.pose_sigma} and depth_sigma_m {self.depth_sigma_m}; give 0 "
                "or more, and more than 0"
            )
        for name in ("size", "place_size"):
            if getattr(self, name) < 32:
                raise InputError(f"{name} is {getattr(self, name)}; give 32 pixels or more")
