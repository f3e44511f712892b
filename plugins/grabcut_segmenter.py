"""The fallback segmenter: GrabCut seeded by the projected hand mesh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hand_toolkit.core.metrics import silhouette_iou
from hand_toolkit.core.types import HandPose, Photo, PoseEstimate

from .edges import sharpen

WORK_PIXELS = 320
"""The hand's box is segmented at about this size; its edge is then sharpened in the photo."""

MIN_AGREEMENT = 0.55
"""Below this overlap with the mesh, colour does not tell the hand from its background."""


class GrabcutSegmenter:
    """GrabCut (Rother et al. 2004) from the mesh: its core is hand, its far outside is not.

    The result keeps to the parts that touch the mesh's core and ends at the wrist. Where
    colours cannot separate the hand (a face behind it), it stays close to the mesh.
    """

    name = "grabcut"
    description = "GrabCut seeded by the fitted mesh"

    def segment(
        self, photo: Photo, estimate: PoseEstimate, silhouettes: Sequence[np.ndarray]
    ) -> np.ndarray:
        """See :class:`hand_toolkit.media.Segmenter`."""
        result = np.zeros(photo.pixels.shape[:2], dtype=np.float32)
        everything = np.any(silhouettes, axis=0)
        for hand, silhouette in zip(estimate.hands, silhouettes):
            if silhouette.any():
                rows, columns, mask = _segment_hand(photo.pixels, hand, silhouette, everything)
                result[rows, columns] = np.maximum(result[rows, columns], mask)
        return result


def _segment_hand(
    pixels: np.ndarray, hand: HandPose, silhouette: np.ndarray, everything: np.ndarray
) -> tuple[slice, slice, np.ndarray]:
    """Rows, columns and soft mask of one hand's box."""
    import cv2

    y, x = np.nonzero(silhouette)
    extent = max(np.ptp(x), np.ptp(y)) + 1
    pad = int(0.25 * extent) + 2
    rows = slice(max(0, y.min() - pad), min(silhouette.shape[0], y.max() + pad + 1))
    columns = slice(max(0, x.min() - pad), min(silhouette.shape[1], x.max() + pad + 1))
    crop = pixels[rows, columns]
    ratio = min(1.0, WORK_PIXELS / max(crop.shape[:2]))
    size = (max(8, round(crop.shape[1] * ratio)), max(8, round(crop.shape[0] * ratio)))
    shift = np.array([columns.start, rows.start])
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    own = _resize_mask(silhouette[rows, columns], size)
    any_hand = _resize_mask(everything[rows, columns], size)
    zoom = np.array(size) / [crop.shape[1], crop.shape[0]]
    keypoints = (hand.keypoints_2d - shift) * zoom
    unit = float(extent * ratio / 190.0)  # one pixel of a hand 190 pixels long, as tuned
    allowed = above_wrist(keypoints, size, own)
    mask = _grabcut(small, own, any_hand & ~own, allowed, keypoints, unit)
    if silhouette_iou(mask, own & allowed) < MIN_AGREEMENT:
        mask = own & allowed
    full = mask.shape == crop.shape[:2]
    soft = mask.astype(np.float32) if full else sharpen(crop, mask)
    return rows, columns, soft


def _grabcut(
    image: np.ndarray,
    own: np.ndarray,
    other: np.ndarray,
    allowed: np.ndarray,
    keypoints: np.ndarray,
    unit: float,
) -> np.ndarray:
    """(H, W) bool."""
    import cv2

    inner = cv2.distanceTransform(own.astype(np.uint8), cv2.DIST_L2, 5)
    outer = cv2.distanceTransform((~own).astype(np.uint8), cv2.DIST_L2, 5)
    labels = np.full(own.shape, cv2.GC_BGD, dtype=np.uint8)
    labels[outer < 16 * unit] = cv2.GC_PR_BGD
    labels[outer < 2 * unit] = cv2.GC_PR_FGD
    core = inner > 5 * unit
    labels[core] = cv2.GC_FGD
    for a, b in _BONES:
        # The bones are hand even where a thin finger has no core.
        first, last = keypoints[a], keypoints[b]
        if np.isfinite([first, last]).all() and np.abs([first, last]).max() < 1e5:
            line: Any = np.zeros(own.shape, dtype=np.uint8)
            width = max(1, round(3 * unit))
            cv2.line(line, _pixel(first), _pixel(last), (1,), width)
            labels[(line > 0) & own] = cv2.GC_FGD
    labels[other] = cv2.GC_BGD
    labels[~allowed] = cv2.GC_BGD
    if not ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).any():
        return own & allowed
    if not ((labels == cv2.GC_BGD) | (labels == cv2.GC_PR_BGD)).any():
        return own & allowed
    cv2.setRNGSeed(0)
    cv2.grabCut(
        cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
        labels,
        (0, 0, 1, 1),
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        4,
        cv2.GC_INIT_WITH_MASK,
    )
    mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    return _touching(opened > 0, core) | (core & allowed)


_BONES = tuple(
    (0 if k == 0 else 4 * finger + k, 4 * finger + k + 1) for finger in range(5) for k in range(4)
)


def above_wrist(
    keypoints: np.ndarray, size: tuple[int, int], silhouette: np.ndarray, margin: float = 0.12
) -> np.ndarray:
    """Pixels that may be hand: not past the wrist, where the arm goes on in the same colour.

    Args:
        keypoints: (21, 2) pixels.
        size: width and height.
        silhouette: (H, W) bool of the hand's mesh.
        margin: as for :func:`hand_toolkit.geometry.wrist_half_plane`.
    """
    from hand_toolkit.geometry.silhouette import wrist_half_plane

    inside = wrist_half_plane(keypoints, size, margin)
    # A hand that points at the camera has no useful axis in the picture.
    lost = (silhouette & ~inside).sum() / max(1, silhouette.sum())
    return inside if lost < 0.2 else np.ones_like(inside)


def _touching(mask: np.ndarray, core: np.ndarray) -> np.ndarray:
    """The connected parts of ``mask`` that hold some of ``core``, holes closed."""
    import cv2

    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    keep = np.zeros(count, dtype=bool)
    keep[np.unique(parts[core & mask])] = True
    keep[0] = False
    kept = keep[parts]
    # Small holes are shine and nails; large ones are gaps between fingers.
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        (~kept).astype(np.uint8), connectivity=4
    )
    small = stats[:, cv2.CC_STAT_AREA] < 0.01 * max(1, int(core.sum()))
    small[0] = False
    return kept | small[parts]


def _resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return int(np.floor(point[0])), int(np.floor(point[1]))
