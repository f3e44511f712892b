"""What all backends are given besides splats: options, and a camera with its background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.types import Camera

SPLAT_FIELDS = ("means", "quats", "scales", "opacities", "colors")


@dataclass(frozen=True)
class RenderOptions:
    """What the backends share.

    Attributes:
        antialiased: scale each opacity by the ratio of the footprint's area before and after
            the 0.3 px blur (Mip-Splatting; gsplat's ``rasterize_mode="antialiased"``).
        with_ids: also the splat with the largest weight in each pixel.
        with_median_depth: also the depth where the transmittance passes one half.
    """

    antialiased: bool = False
    with_ids: bool = False
    with_median_depth: bool = False


@dataclass(frozen=True)
class CameraView:
    """One camera as the backends take it.

    Attributes:
        camera: the pinhole; its ``world_to_camera`` is replaced by the field below.
        world_to_camera: (4, 4), numpy float64, or a torch tensor that may want gradients.
        background: (3,) colour behind the splats.
    """

    camera: Camera
    world_to_camera: Any
    background: Any
