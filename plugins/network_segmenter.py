"""The segmenter of the toolkit's own class network, with GrabCut where it does not know a hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hand_toolkit.core.metrics import silhouette_iou
from hand_toolkit.core.types import HandPose, Photo, PoseEstimate

from .edges import sharpen
from .grabcut_segmenter import GrabcutSegmenter, above_wrist

WORK_PIXELS = 448
"""The hand's box is classified at about this size, twice the network's maps."""

BOX_MARGIN = 0.35
"""Of the silhouette's extent, around it on all sides."""

MIN_AGREEMENT = 0.4
"""Overlap with the mesh below which the map is not of this hand."""

REACH = 0.12
"""Pixels farther from the mesh than three times this, in units of its extent, are of something
else."""


class NetworkSegmenter:
    """Each hand's class map, laid on the photo's edges; forearms and other hands are left out.

    Where two hands meet, a pixel belongs to the hand whose map is surer of it. A hand whose map
    does not fit its mesh at all is cut out with GrabCut.
    """

    name = "network"
    description = "the toolkit's own class network, edges from the photo, else GrabCut (default)"

    def __init__(self) -> None:
        self.fallback = GrabcutSegmenter()

    def segment(
        self, photo: Photo, estimate: PoseEstimate, silhouettes: Sequence[np.ndarray]
    ) -> np.ndarray:
        """See :class:`hand_toolkit.see.Segmenter`."""
        result = np.zeros(photo.pixels.shape[:2], dtype=np.float32)
        for number, (hand, silhouette) in enumerate(zip(estimate.hands, silhouettes)):
            if not silhouette.any():
                continue
            others = [s for k, s in enumerate(silhouettes) if k != number]
            found = _own_pixels(photo.pixels, hand, silhouette, others)
            if found is None:
                alone = PoseEstimate((hand,), estimate.camera)
                result = np.maximum(result, self.fallback.segment(photo, alone, [silhouette]))
            else:
                rows, columns, mask = found
                result[rows, columns] = np.maximum(result[rows, columns], mask)
        return result


def _own_pixels(
    pixels: np.ndarray,
    hand: HandPose,
    silhouette: np.ndarray,
    others: Sequence[np.ndarray],
) -> tuple[slice, slice, np.ndarray] | None:
    """Rows, columns and soft mask of one hand's box; None where the map is of something else."""
    import cv2

    from hand_toolkit.see.classes import OTHER, OWN, class_network, predict_classes

    y, x = np.nonzero(silhouette)
    extent = float(max(np.ptp(x), np.ptp(y)) + 1)
    pad = int(BOX_MARGIN * extent) + 2
    rows = slice(max(0, y.min() - pad), min(silhouette.shape[0], y.max() + pad + 1))
    columns = slice(max(0, x.min() - pad), min(silhouette.shape[1], x.max() + pad + 1))
    crop = np.ascontiguousarray(pixels[rows, columns])
    ratio = min(1.0, WORK_PIXELS / max(crop.shape[:2]))
    size = (max(8, round(crop.shape[1] * ratio)), max(8, round(crop.shape[0] * ratio)))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA) if ratio < 1 else crop
    zoom = np.array(size) / [crop.shape[1], crop.shape[0]]
    points = (hand.keypoints_2d - [columns.start, rows.start]) * zoom
    region = predict_classes(class_network(), small, points, hand.side)
    own = region.whole((size[1], size[0]), OWN)
    mesh = _reduced(silhouette[rows, columns], size)
    allowed = above_wrist(points, size, mesh)
    if silhouette_iou((own > 0.5) & allowed, mesh) < MIN_AGREEMENT:
        return None
    for other in others:
        # What lies on another fitted hand is hand, whichever of the two the map gives it to.
        on_it = _reduced(other[rows, columns], size)
        if on_it.any():
            own = own + np.where(on_it, region.whole((size[1], size[0]), OTHER), 0)
            mesh, allowed = mesh | on_it, allowed | on_it
    near = _near(own > 0.5, mesh, REACH * extent * ratio)
    return rows, columns, sharpen(crop, np.where(near & allowed, own, 0).astype(np.float32))


def _reduced(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    return np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_AREA)) > 0


def _near(mask: np.ndarray, mesh: np.ndarray, reach: float) -> np.ndarray:
    """The parts of the mask that touch the mesh, as far as three times ``reach`` from it."""
    import cv2

    away = cv2.distanceTransform((~mesh).astype(np.uint8), cv2.DIST_L2, 5)
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    kept = np.zeros(count, dtype=bool)
    kept[np.unique(parts[mesh & mask])] = True
    kept[0] = False
    grown = np.asarray(cv2.dilate(kept[parts].astype(np.uint8), np.ones((5, 5), np.uint8)))
    return (grown > 0) & (away < 3 * reach)
