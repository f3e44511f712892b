"""Random splats and cameras for the renderer tests."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_toolkit.core.types import Camera, Splats

FIELDS = ("means", "quats", "scales", "opacities", "colors")


@dataclasses.dataclass(frozen=True)
class Scene:
    """Splats, a camera, a background and whether to antialias."""

    splats: Splats
    camera: Camera
    background: np.ndarray
    antialiased: bool


def random_splats(
    count: int, seed: int = 0, coefficients: int = 0, ties: bool = False, size: float = 0.02
) -> Splats:
    """Splats within half a metre of the origin, some needles, some opaque.

    Args:
        count: how many.
        seed: of the random numbers.
        coefficients: 0 for colours, else 1, 4, 9 or 16 SH coefficients.
        ties: put every mean on one of four depths.
        size: typical standard deviation, metres.
    """
    rng = np.random.default_rng(seed)
    means = rng.uniform(-0.5, 0.5, (count, 3))
    if ties:
        means[:, 2] = np.round(means[:, 2] * 4) / 4
    scales = size * np.exp(rng.normal(0, 0.7, (count, 3)))
    opacities = rng.uniform(0.02, 1.0, count)
    if coefficients:
        colors = 0.3 * rng.standard_normal((count, coefficients, 3))
        colors[:, 0] = rng.standard_normal((count, 3))
    else:
        colors = rng.random((count, 3))
    arrays = (means, rng.standard_normal((count, 4)), scales, opacities, colors)
    return Splats(*(a.astype(np.float32) for a in arrays))


def random_camera(width: int, height: int, seed: int = 0, turned: bool = True) -> Camera:
    """A camera about 1.2 m from the origin, looking roughly at it."""
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    if turned:
        pose[:3, :3] = Rotation.from_rotvec(rng.normal(0, 0.8, 3)).as_matrix()
    pose[:3, 3] = [*rng.normal(0, 0.05, 2), rng.uniform(0.9, 1.5)]
    focal = 0.9 * max(width, height) * rng.uniform(0.7, 1.5)
    center = (width * rng.uniform(0.3, 0.7), height * rng.uniform(0.3, 0.7))
    return Camera(focal, focal * rng.uniform(0.9, 1.1), *center, width, height, pose)


@st.composite
def scenes(draw: st.DrawFn, largest: int = 150) -> Scene:
    """Scenes of any size, SH degree and camera; with ties in depth half of the time."""
    seed = draw(st.integers(0, 2**31))
    ties = draw(st.booleans())
    width, height = draw(st.integers(1, 96)), draw(st.integers(1, 80))
    splats = random_splats(
        draw(st.integers(1, largest)),
        seed,
        draw(st.sampled_from([0, 1, 4, 9, 16])),
        ties,
        draw(st.sampled_from([0.002, 0.02, 0.1])),
    )
    background = np.random.default_rng(seed).random(3).astype(np.float32)
    camera = random_camera(width, height, seed, turned=not ties)
    return Scene(splats, camera, background, draw(st.booleans()))


def in_torch(splats: Splats, dtype: str, requires_grad: bool = False) -> Splats:
    """The same splats as torch leaves."""
    import torch

    return Splats(
        *(
            torch.tensor(getattr(splats, n), dtype=getattr(torch, dtype)).requires_grad_(
                requires_grad
            )
            for n in FIELDS
        )
    )


def psnr(image: np.ndarray, reference: np.ndarray, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio, dB; 200 for equal images."""
    error = float(np.mean((np.asarray(image, np.float64) - reference) ** 2))
    return 200.0 if error == 0 else float(10 * np.log10(peak**2 / error))
