"""The views as a fit takes them: cut out, judged for sharpness, weighed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from ...core.errors import InputError
from ...geometry.silhouette import wrist_half_plane
from ...media.viewset import View, ViewSet
from ...skin.crop import Crop, crop_view

SMOOTH = 0.25
"""What the ratio of :func:`sharpness_of` is for a picture without any detail, where halving the
size quarters what a Laplacian takes."""

BLURRED = 0.35
"""Part of the views' median sharpness below which a view is left out."""

LEAST_PIXELS = 300
"""Pixels of mask in the crop below which a view shows too little of the hand."""


@dataclass(frozen=True)
class Shown:
    """One view.

    Attributes:
        view: as it was given.
        crop: its hands at working size.
        sharpness: see :func:`sharpness_of`.
        region: (H, W) in [0, 1], where the mask tells hand from background: not below the wrist.
        weight: how much the view counts, 0 to 1.
    """

    view: View
    crop: Crop
    sharpness: float
    region: np.ndarray = field(repr=False)
    weight: float = 1.0

    def reduced(self, size: int) -> Shown:
        """The same at a smaller working size."""
        import cv2

        crop = self.crop.reduced(size)
        shape = crop.mask.shape[::-1]
        region = cv2.resize(self.region.astype(np.float32), shape, interpolation=cv2.INTER_AREA)
        return dataclasses.replace(self, crop=crop, region=region)


def look_at(views: ViewSet, size: int) -> tuple[list[Shown], list[str]]:
    """Cut the views out; leave those out that are blurred or show too little.

    Args:
        views: outlined.
        size: working size, pixels.

    Returns:
        The views that are used, and a sentence for each that is not.

    Raises:
        InputError: none is left.
    """
    shown, left_out = [], []
    for view in views:
        if not view.hands:
            left_out.append(f"'{view.name}' shows no hand")
            continue
        crop = crop_view(view, size)
        if (crop.mask > 0.5).sum() < LEAST_PIXELS:
            left_out.append(f"'{view.name}' shows too little of the hand")
            continue
        shown.append(Shown(view, crop, sharpness_of(crop), _region(view, crop)))
    if not shown:
        raise InputError(
            f"none of the {len(views)} pictures shows a hand that can be used ({left_out[0]}); use "
            "pictures in which the hand is large and its outline is found"
        )
    usual = float(np.median([s.sharpness for s in shown]))
    kept = []
    for s in shown:
        if len(shown) > 2 and s.sharpness < BLURRED * usual:
            part = round(100 * s.sharpness / usual)
            left_out.append(f"'{s.view.name}' is blurred ({part} % as sharp as most)")
        else:
            weight = float(np.clip(s.sharpness / usual, 0.2, 1.0))
            kept.append(dataclasses.replace(s, weight=weight))
    return kept, left_out


def sharpness_of(crop: Crop) -> float:
    """How much a hand's picture bends from pixel to pixel, over how much it does at half the size.

    What a picture shows enters both alike, a plain back as creases; blur takes the finer one away.
    """
    import cv2

    small = crop.reduced(320)
    grey = small.pixels.mean(-1).astype(np.float32)
    near = cv2.dilate((small.mask > 0.5).astype(np.uint8), np.ones((5, 5), np.uint8))
    if near.sum() < 50:
        return 0.0
    half = (max(grey.shape[1] // 2, 1), max(grey.shape[0] // 2, 1))
    coarse = cv2.resize(grey, half, interpolation=cv2.INTER_AREA)
    coarse_near = cv2.resize(near, half, interpolation=cv2.INTER_NEAREST)
    fine = np.abs(cv2.Laplacian(grey, cv2.CV_32F))[near > 0].mean()
    wide = np.abs(cv2.Laplacian(coarse, cv2.CV_32F))[coarse_near > 0].mean()
    return max(0.0, float(fine / (wide + 1e-4)) - SMOOTH)


def _region(view: View, crop: Crop) -> np.ndarray:
    """Above every hand's wrist: below it the arm goes on, which no mesh shows."""
    size = crop.mask.shape[1], crop.mask.shape[0]
    above = np.zeros(crop.mask.shape, bool)
    for hand in view.hands:
        points = crop.camera.project(hand.joints_cam_m)
        above |= wrist_half_plane(points, size, margin=-0.02)
    return above.astype(np.float32)
