"""The part of a photo that shows hands, at the size that a fit works at."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..core.types import Camera, PoseEstimate
from ..media.viewset import View


@dataclass(frozen=True)
class Crop:
    """The part of the photo that shows hands, at working size.

    Attributes:
        pixels: (H, W, 3) sRGB in [0, 1].
        labels: (H, W) int32 index of the hand each pixel shows, -1 for none.
        mask: (H, W) in [0, 1].
        camera: the photo's camera, cropped and scaled.
        doubt: (H, W) in [0, 1], 1 where the skin is not to be believed; None: nowhere.
    """

    pixels: np.ndarray
    labels: np.ndarray
    mask: np.ndarray
    camera: Camera
    doubt: np.ndarray | None = None

    def reduced(self, max_size: int) -> Crop:
        """The same part at a smaller working size; itself where it is small enough."""
        height, width = self.mask.shape
        factor = max_size / max(height, width)
        if factor >= 1:
            return self
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        return _scaled(self.pixels, self.mask, self.labels, self.camera, size, self.doubt)


def crop_view(view: View, max_size: int) -> Crop:
    """Read a view's picture and cut its hands out.

    Raises:
        InputError: its hands are not outlined.
    """
    mask, labels = view.outlined()
    pixels = view.read().pixels
    return crop_to_hands(pixels, mask, labels, view.estimate, max_size, view.doubt)


def crop_to_hands(
    pixels: np.ndarray,
    mask: np.ndarray,
    labels: np.ndarray,
    estimate: PoseEstimate,
    max_size: int,
    doubt: np.ndarray | None = None,
) -> Crop:
    """Cut the hands' box (mask and keypoints, plus a margin) and scale it to working size."""
    height, width = mask.shape
    points = np.concatenate([h.keypoints_2d for h in estimate.hands])
    rows, columns = np.nonzero(mask > 0.5)
    xs, ys = np.concatenate([points[:, 0], columns]), np.concatenate([points[:, 1], rows])
    margin = 0.08 * max(np.ptp(xs), np.ptp(ys)) + 4
    x0, x1 = int(max(0, xs.min() - margin)), int(min(width, xs.max() + margin + 1))
    y0, y1 = int(max(0, ys.min() - margin)), int(min(height, ys.max() + margin + 1))
    if x1 - x0 < 8 or y1 - y0 < 8:
        x0, y0, x1, y1 = 0, 0, width, height
    factor = min(1.0, max_size / max(x1 - x0, y1 - y0))
    size = (max(1, round((x1 - x0) * factor)), max(1, round((y1 - y0) * factor)))
    camera = estimate.camera
    cut = dataclasses.replace(
        camera, cx=camera.cx - x0, cy=camera.cy - y0, width=x1 - x0, height=y1 - y0
    )
    box = (slice(y0, y1), slice(x0, x1))
    return _scaled(
        pixels[box], mask[box], labels[box], cut, size, None if doubt is None else doubt[box]
    )


def _scaled(
    pixels: np.ndarray,
    mask: np.ndarray,
    labels: np.ndarray,
    camera: Camera,
    size: tuple[int, int],
    doubt: np.ndarray | None = None,
) -> Crop:
    """Pictures at another (width, height), pixels as floats in [0, 1]."""
    import cv2

    smaller = size[0] < mask.shape[1] or size[1] < mask.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    scale = 255.0 if pixels.dtype == np.uint8 else 1.0
    small = cv2.resize(pixels, size, interpolation=how).astype(np.float64) / scale
    small_mask = cv2.resize(mask.astype(np.float32), size, interpolation=how)
    small_labels = cv2.resize(labels.astype(np.int16), size, interpolation=cv2.INTER_NEAREST)
    if doubt is not None:
        doubt = np.clip(cv2.resize(doubt.astype(np.float32), size, interpolation=how), 0, 1)
    return Crop(
        small,
        small_labels.astype(np.int32),
        np.clip(small_mask, 0, 1),
        camera.resized(*size),
        doubt,
    )
