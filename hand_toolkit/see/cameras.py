"""Bad cameras: what turns clean pictures into photos as people have them, a batch at a time.

What differs from picture to picture cheaply (colour, noise) is drawn for each; what needs a
filter of its own (blur, scaling, JPEG) is drawn for a part of the batch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional

PARTS = 16
"""A batch is cut into so many parts that share their filters."""

SHRUNK, BLURRED, MOVED, CODED = 0.3, 0.25, 0.1, 0.35
"""Shares of the pictures."""

LUMINANCE_TABLE = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
"""Steps of the cosine coefficients (ITU-T T.81, table K.1)."""

COLOUR_TABLE = np.full((8, 8), 99)
COLOUR_TABLE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
"""Steps of the colour differences' (table K.2)."""

TO_COLOURS = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
"""Red, green and blue to luminance and colour differences (ITU-T T.871)."""


def photographed(rng: np.random.Generator, pictures: torch.Tensor) -> torch.Tensor:
    """Pictures with blur, colour cast, contrast, noise and JPEG blocks, each now and then.

    Args:
        rng: of what is drawn for parts of the batch; it seeds what is drawn for each picture.
        pictures: (B, 3, S, S) in [0, 255], sRGB; S a multiple of 16.

    Returns:
        (B, 3, S, S) in [0, 255].
    """
    generator = torch.Generator(pictures.device)
    generator.manual_seed(int(rng.integers(1 << 62)))
    count = len(pictures)
    parts = pictures.split(max(1, count // PARTS))
    pictures = torch.cat([_softened(rng, part) for part in parts])
    pictures = _coloured(generator, pictures)
    parts = pictures.split(max(1, count // PARTS))
    return torch.cat([
        coded(part, int(rng.integers(22, 95))) if rng.random() < CODED else part.round()
        for part in parts
    ])  # fmt: skip


def _softened(rng: np.random.Generator, pictures: torch.Tensor) -> torch.Tensor:
    """Scaled down and up, out of focus, or moved."""
    size = pictures.shape[-1]
    if rng.random() < SHRUNK:
        small = int(rng.uniform(0.2, 0.8) * size)
        shrunk = functional.interpolate(pictures, (small, small), mode="area")
        how = "bilinear" if rng.random() < 0.5 else "bicubic"
        pictures = functional.interpolate(shrunk, (size, size), mode=how).clamp(0, 255)
    if rng.random() < BLURRED:
        pictures = blurred(pictures, float(rng.uniform(0.5, 2.8)))
    if rng.random() < MOVED:
        pictures = _filtered(pictures, _motion_kernel(rng))
    return pictures


def blurred(pictures: torch.Tensor, sigma: float) -> torch.Tensor:
    """(B, C, H, W) under a Gaussian, its borders repeated."""
    reach = max(1, int(np.ceil(2.5 * sigma)))
    x = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    line = (x / x.sum()).astype(np.float32)
    return _filtered(_filtered(pictures, line[None]), line[:, None])


def _filtered(pictures: torch.Tensor, kernel: np.ndarray) -> torch.Tensor:
    """(B, C, H, W) under one kernel of odd size."""
    high, wide = kernel.shape
    batch, channels = pictures.shape[:2]
    weight = torch.as_tensor(kernel, dtype=pictures.dtype).to(pictures.device)[None, None]
    one = pictures.reshape(batch * channels, 1, *pictures.shape[2:])
    padded = functional.pad(one, (wide // 2, wide // 2, high // 2, high // 2), mode="replicate")
    return functional.conv2d(padded, weight).view_as(pictures)


def _motion_kernel(rng: np.random.Generator) -> np.ndarray:
    """A line's blur."""
    import cv2

    length = 2 * int(rng.integers(1, 8)) + 1
    kernel = np.zeros((length, length), np.float32)
    way = rng.normal(size=2)
    way = way / np.linalg.norm(way) * length / 2
    first, last = ((int(length / 2 + sign * way[0]), int(length / 2 + sign * way[1]))
                   for sign in (-1, 1))  # fmt: skip
    cv2.line(kernel, first, last, (1.0,))
    return kernel / max(float(kernel.sum()), 1.0)


def _coloured(generator: torch.Generator, pictures: torch.Tensor) -> torch.Tensor:
    """Saturation, cast, brightness and contrast as affine maps of colours; noise; gamma."""
    device, count = pictures.device, len(pictures)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(count, *shape, generator=generator, device=device)

    def chance(share: float) -> torch.Tensor:
        return torch.rand(count, 1, 1, generator=generator, device=device) < share

    saturation = torch.where(chance(0.1), 0.0, (0.3 * normal(1, 1)).exp())
    unit = torch.eye(3, device=device)
    matrix = saturation * unit + (1 - saturation) / 3
    matrix = (0.1 * normal(3, 1) + 0.22 * normal(1, 1)).exp() * matrix
    mean = pictures.mean((2, 3))[..., None]
    middle = (matrix @ mean).mean(1, keepdim=True)
    contrast = (0.2 * normal(1, 1)).exp()
    offset = middle * (1 - contrast) + 8 * normal(1, 1)
    flat = (contrast * matrix) @ pictures.flatten(2) + offset
    out = flat.view_as(pictures)
    grain = torch.randn(out.shape, generator=generator, device=device, dtype=out.dtype)
    out = (out + 6 * normal(1, 1, 1).abs() * grain).clamp(0, 255)
    power = torch.where(chance(0.4), (0.3 * normal(1, 1)).exp(), 1.0)[..., None]
    return 255 * (out / 255) ** power


def coded(pictures: torch.Tensor, quality: int) -> torch.Tensor:
    """Pictures as JPEG keeps them, colours at half the size (ITU-T T.81, annexes A and K).

    Args:
        pictures: (B, 3, S, S) in [0, 255]; S a multiple of 16.
        quality: 1 to 100, as libjpeg counts.

    Returns:
        (B, 3, S, S) whole numbers in [0, 255].
    """
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    to_colours = pictures.new_tensor(TO_COLOURS)
    planes = torch.einsum("ij,bjhw->bihw", to_colours, pictures.round())
    light = _quantized(planes[:, :1] - 128, _steps(LUMINANCE_TABLE, scale)) + 128
    colour = functional.avg_pool2d(planes[:, 1:], 2)
    colour = _quantized(colour, _steps(COLOUR_TABLE, scale))
    colour = functional.interpolate(colour, scale_factor=2, mode="bilinear")
    back = pictures.new_tensor(np.linalg.inv(TO_COLOURS))
    out = torch.einsum("ij,bjhw->bihw", back, torch.cat([light, colour], 1))
    return out.round().clamp(0, 255)


def _steps(table: np.ndarray, scale: float) -> np.ndarray:
    return np.clip(np.floor((table * scale + 50) / 100), 1, 255)


@lru_cache(maxsize=1)
def _cosines() -> np.ndarray:
    """(8, 8) orthonormal cosine transform, rows are frequencies."""
    k, n = np.arange(8)[:, None], np.arange(8)[None]
    out = np.cos(np.pi * (2 * n + 1) * k / 16) / 2
    out[0] /= np.sqrt(2)
    return out


def _quantized(planes: torch.Tensor, steps: np.ndarray) -> torch.Tensor:
    """(B, C, H, W), each 8 x 8 block's cosine coefficients rounded to whole steps."""
    batch, channels, high, wide = planes.shape
    cosines, step = planes.new_tensor(_cosines()), planes.new_tensor(steps)
    blocks = planes.view(batch, channels, high // 8, 8, wide // 8, 8).transpose(3, 4)
    found = cosines @ blocks @ cosines.T
    out = cosines.T @ (torch.round(found / step) * step) @ cosines
    return out.transpose(3, 4).reshape(planes.shape)
