"""What one frame of the CPU renderer is made of: inputs, windows, gradients, aligned memory."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.types import Camera
from .options import RenderOptions
from .project import TILE_HEIGHT, TILE_WIDTH


def aligned_zeros(count: int, dtype: Any = np.float32) -> np.ndarray:
    """A flat array of zeros on a 64-byte boundary, as the aligned vector loads need."""
    size = count * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    offset = -raw.ctypes.data % 64
    return raw[offset : offset + size].view(dtype)


@dataclass
class Gradients:
    """Gradients of a picture with respect to N splats and the camera pose.

    Attributes:
        means, quats, scales, opacities, colors: float32, shaped as the splats' attributes.
        world_to_camera: (4, 4) float64; the last row is zero.
    """

    means: np.ndarray
    quats: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    colors: np.ndarray
    world_to_camera: np.ndarray

    def add(self, other: Gradients) -> None:
        for field in dataclasses.fields(self):
            getattr(self, field.name)[...] += getattr(other, field.name)


@dataclass(frozen=True)
class Window:
    """A rectangle of the picture, in pixels, rendered at a time."""

    left: int
    top: int
    width: int
    height: int

    @property
    def stride(self) -> int:
        """Width in whole tiles, pixels."""
        return -(-self.width // TILE_WIDTH) * TILE_WIDTH

    @property
    def columns(self) -> int:
        return self.stride // TILE_WIDTH

    @property
    def tiles(self) -> int:
        return self.columns * -(-self.height // TILE_HEIGHT)

    def halves(self) -> tuple[Window, Window]:
        """Two windows along a tile border near the middle, across the longer side."""
        rows = self.tiles // self.columns
        if rows == 1 or (self.columns > 1 and self.stride > rows * TILE_HEIGHT):
            cut = self.columns // 2 * TILE_WIDTH
            return (
                Window(self.left, self.top, cut, self.height),
                Window(self.left + cut, self.top, self.width - cut, self.height),
            )
        cut = rows // 2 * TILE_HEIGHT
        return (
            Window(self.left, self.top, self.width, cut),
            Window(self.left, self.top + cut, self.width, self.height - cut),
        )


@dataclass
class Inputs:
    """One frame as the kernels take it."""

    count: int
    flat: tuple[np.ndarray, ...]
    coefficients: int
    camera: Camera
    pose: np.ndarray
    background: np.ndarray
    options: RenderOptions
    keep: bool


@dataclass
class Drawn:
    """Where the last window's lists and planes are, for ``backward``."""

    window: Window
    view: np.ndarray
    slots: int
    planes: np.ndarray
    bounds: np.ndarray
