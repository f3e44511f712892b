"""Skeletons to hands, one after the other, each by the diffusion model."""

from __future__ import annotations

import numpy as np

from ...core.errors import InputError
from ...core.types import Camera
from ...pose.camera import default_focal_px
from .made import MadeHands
from .uses import STEPS, fit_picture, fit_points

DEFAULT_SIGMA_PX, DEFAULT_SIGMA_M = 2.0, 0.002


def fit_skeletons(
    points: np.ndarray,
    *,
    size: tuple[int, int] | None = None,
    focal_px: float | None = None,
    sigma: float | None = None,
    side: str = "right",
    steps: int = STEPS,
    seed: int = 0,
) -> MadeHands:
    """Hands of many 2D or 3D skeletons.

    Args:
        points: (N, 21, 2) pixels or (N, 21, 3) metres, NaN where a point is not seen.
        size: (width, height) of the picture, for 2D.
        focal_px: its focal length; the usual one if None.
        sigma: how far off points may be, pixels or metres.
        side, steps, seed: see :func:`.uses.fit_points`.

    Raises:
        InputError: 2D points without a size, or a skeleton that is not accepted, by its number.
    """
    flat = points.shape[-1] == 2
    if flat and size is None:
        raise InputError("2D skeletons are pixels of a picture; give its size with --size WxH")
    made = []
    for number, skeleton in enumerate(points):
        try:
            if flat and size is not None:
                focal = focal_px or default_focal_px(size)
                camera = Camera(focal, focal, size[0] / 2, size[1] / 2, *size)
                noise = DEFAULT_SIGMA_PX if sigma is None else sigma
                found = fit_picture(
                    skeleton, camera, sigma_px=noise, side=side, steps=steps, seed=seed
                )
            else:
                noise = DEFAULT_SIGMA_M if sigma is None else sigma
                found = fit_points(skeleton, sigma_m=noise, side=side, steps=steps, seed=seed)
        except InputError as error:
            raise InputError(f"skeleton {number}: {error}") from error
        made.append(found)
    return joined(made)


def joined(made: list[MadeHands]) -> MadeHands:
    """Hands of one side as one; each keeps the likelihood that it had."""
    return MadeHands(
        made[0].side,
        *(
            np.concatenate([getattr(m, name) for m in made])
            for name in (
                "theta", "shape", "translation", "vertices", "residual_mm", "likelihood",
            )
        ),
    )  # fmt: skip
