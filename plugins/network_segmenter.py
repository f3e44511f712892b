"""The segmenter of the toolkit's own class network, with GrabCut where it does not know a hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

WRIST_MARGIN = 0.05
"""The hand ends so far below the wrist, in lengths from it to the middle knuckle, except where its
mesh goes on: heels of hands that point at the camera lie below their wrist in the picture."""

DOUBTFUL = (0.1, 0.9)
"""Probabilities between which the photo's colours decide: cuffs, shadows, what is seen through a
ring of fingers."""

OTHER_BESIDE = 0.1
"""Chance of another hand above which they do not: its skin has the same colour."""

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
        for rows, columns, mask in self._parts(photo, estimate, silhouettes):
            result[rows, columns] = np.maximum(result[rows, columns], mask)
        return result

    def separate(
        self, photo: Photo, estimate: PoseEstimate, silhouettes: Sequence[np.ndarray]
    ) -> np.ndarray:
        """See :class:`hand_toolkit.see.segment.SeparatingSegmenter`."""
        shares = np.zeros((len(silhouettes), *photo.pixels.shape[:2]), dtype=np.float32)
        for share, part in zip(shares, self._parts(photo, estimate, silhouettes)):
            rows, columns, mask = part
            share[rows, columns] = mask
        return shares

    def _parts(
        self, photo: Photo, estimate: PoseEstimate, silhouettes: Sequence[np.ndarray]
    ) -> list[tuple[slice, slice, np.ndarray]]:
        """Rows, columns and soft mask of every hand's box; a pixel belongs to one hand."""
        boxes = [_classified(photo.pixels, h, s) for h, s in zip(estimate.hands, silhouettes)]
        nowhere = slice(0, 0), slice(0, 0), np.zeros((0, 0), np.float32)
        parts = []
        for number, (hand, silhouette) in enumerate(zip(estimate.hands, silhouettes)):
            box = boxes[number]
            if box is None:
                parts.append(nowhere)
                continue
            others = [b for k, b in enumerate(boxes) if k != number and b is not None]
            mask = _own_pixels(photo.pixels, box, others)
            if mask is None:
                alone = PoseEstimate((hand,), estimate.camera)
                whole = self.fallback.segment(photo, alone, [silhouette])
                mask = whole[box.rows, box.columns]
            parts.append((box.rows, box.columns, mask))
        return parts


@dataclass(frozen=True)
class _Box:
    """One hand's surroundings, classified.

    Attributes:
        rows, columns: of the photo.
        zoom: (2,) pixels of the small picture for one of the photo.
        own, other, forearm: (h, w) probabilities.
        mesh: (h, w) bool, what the fitted hand covers.
        allowed: (h, w) bool, above the wrist or on the mesh.
        extent: of the hand, photo pixels.
    """

    rows: slice
    columns: slice
    zoom: np.ndarray
    own: np.ndarray
    other: np.ndarray
    forearm: np.ndarray
    mesh: np.ndarray
    allowed: np.ndarray
    extent: float

    def seen_from(self, other: _Box, values: np.ndarray) -> np.ndarray:
        """A picture of another box, on the pixels of this one; 0 outside."""
        import cv2

        scale = self.zoom / other.zoom
        corner = np.array([other.columns.start - self.columns.start,
                           other.rows.start - self.rows.start])  # fmt: skip
        matrix = np.column_stack([np.diag(scale), corner * self.zoom + 0.5 * scale - 0.5])
        size = (self.own.shape[1], self.own.shape[0])
        return np.asarray(cv2.warpAffine(values.astype(np.float32), matrix, size))


def _classified(pixels: np.ndarray, hand: HandPose, silhouette: np.ndarray) -> _Box | None:
    """The class map of one hand's box; None for a hand outside the picture."""
    import cv2

    from hand_toolkit.see.classes import FOREARM, OTHER, OWN, class_network, predict_classes

    y, x = np.nonzero(silhouette)
    if not len(y):
        return None
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
    shape = (size[1], size[0])
    mesh = _reduced(silhouette[rows, columns], size)
    return _Box(
        rows, columns, zoom, region.whole(shape, OWN), region.whole(shape, OTHER),
        region.whole(shape, FOREARM), mesh,
        above_wrist(points, size, mesh, WRIST_MARGIN) | mesh, extent,
    )  # fmt: skip


def _own_pixels(pixels: np.ndarray, box: _Box, others: Sequence[_Box]) -> np.ndarray | None:
    """Soft mask of one hand's box; None where the map is of something else.

    Where boxes overlap, each map speaks of both hands: what one calls its own and the other
    calls another hand's belongs to the first.
    """
    own, lost = box.own, np.zeros(box.own.shape, bool)
    known = box.mesh & box.allowed
    for other in others:
        theirs = box.seen_from(other, other.own)
        covered = box.seen_from(other, np.ones_like(other.own)) > 0.5
        mine = box.own + np.where(covered, box.seen_from(other, other.other), 0)
        lost |= covered & (mine < theirs + box.other)
        known &= ~(box.seen_from(other, other.mesh) > 0.5)
    own = np.where(lost, 0.0, own)
    mesh = box.mesh
    if known.sum() > 0.3 * mesh.sum():
        agreement = silhouette_iou((own > 0.5) & box.allowed, mesh & ~lost)
    else:
        agreement = 1.0  # hidden for the most part: only the maps can tell
    if agreement < MIN_AGREEMENT:
        return None
    near = _near(own > 0.5, mesh & ~lost, REACH * box.extent * float(box.zoom[0]))
    crop = np.ascontiguousarray(pixels[box.rows, box.columns])
    # what the wrist's cut takes off is skin, as the forearm is
    low, high = DOUBTFUL
    skin = (box.forearm > high) | ((own > high) & ~box.allowed)
    mask = np.where(near & box.allowed, own, 0).astype(np.float32)
    doubt = (mask > low) & (mask < high) & (box.other < OTHER_BESIDE)
    return sharpen(crop, mask, skin, doubt)


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
