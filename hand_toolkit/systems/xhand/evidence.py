"""The views as a fit takes them: cut out, judged for sharpness, weighed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...core.errors import InputError
from ...geometry.colour import srgb_to_linear
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


TWO_PEOPLE = 0.6
SPREADS = 2.0
"""Step of log luminance or twice that of chromaticity between two groups of views, and how many
times each group's own mean step, from which they are taken for two people's. One person's photos
in one room spread over a whole unit without such a step."""


def check_one_person(shown: Sequence[Shown]) -> None:
    """Refuse views that fall into two groups whose skins lie far apart.

    Raises:
        InputError: two groups of at least two views each.
    """
    tone = np.array([_tone(s.crop) for s in shown])
    for values in (tone[:, 1], 2 * (tone[:, 0] - tone[:, 2])):
        order = np.argsort(values)
        steps = np.diff(values[order])
        if len(order) < 4 or not len(steps[1:-1]):
            continue
        cut = 2 + int(np.argmax(steps[1:-1]))
        groups = order[:cut], order[cut:]
        spread = max(float(np.ptp(values[g])) / max(len(g) - 1, 1) for g in groups)
        if steps[cut - 1] > max(TWO_PEOPLE, SPREADS * spread):
            one, two = (shown[int(g[0])].view.name for g in (groups[0], groups[1][::-1]))
            raise InputError(
                f"the pictures look like two people's hands ('{one}' and '{two}' differ most); fit "
                "each person's pictures alone, or say --set one_person=yes if they are one's"
            )


def _tone(crop: Crop) -> np.ndarray:
    """(3,) log of the mean linear colour of what is neither shadow nor highlight."""
    color = srgb_to_linear(crop.pixels[crop.mask > 0.9])
    if not len(color):
        return np.zeros(3)
    light = color.mean(1)
    low, high = np.quantile(light, [0.4, 0.9])
    return np.log(np.maximum(color[(light >= low) & (light <= high)].mean(0), 1e-4))


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
