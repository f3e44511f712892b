"""The palm and landmark networks on views of a photo: numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .crops import Palm
from .networks import landmark_network, palm_network
from .views import Detection, View

BATCH = 8
"""Views that a network sees at once; more need memory and save nothing on a CPU."""

PALM_OVERLAP = 0.3
"""Palm boxes that overlap by more (intersection over union) are one palm."""


def _batches(pyramid: list[np.ndarray], views: list[View]) -> Iterator[tuple[list[View], object]]:
    """The views with their pictures as (B, 3, H, W) tensors."""
    import torch

    for start in range(0, len(views), BATCH):
        part = views[start : start + BATCH]
        pixels = torch.from_numpy(np.stack([view.cut(pyramid) for view in part]))
        yield part, pixels.permute(0, 3, 1, 2).float() / 255


def find_palms(pyramid: list[np.ndarray], views: list[View], least: float) -> list[list[Palm]]:
    """Palms in square views of 192 pixels.

    Args:
        pyramid: the photo, see :func:`hand_toolkit.see.views.build_pyramid`.
        views: what to look at.
        least: smallest score that counts, 0 to 1.

    Returns:
        per view its palms in photo pixels, best first.
    """
    import torch

    from .palm import anchor_centers

    anchors = anchor_centers()
    found: list[list[Palm]] = []
    for part, pictures in _batches(pyramid, views):
        with torch.inference_mode():
            out = palm_network()(pictures)
        scores = torch.sigmoid(out.scores.clamp(-100, 100)).numpy()
        for number, view in enumerate(part):
            good = np.flatnonzero(scores[number] >= least)
            boxes = out.boxes[number].numpy()[good]
            points = out.points[number].numpy()[good] + anchors[good][:, None]
            centers = boxes[:, :2] + anchors[good]
            merged = _merge_palms(scores[number][good], centers, boxes[:, 2:], points)
            found.append([_to_photo(palm, view) for palm in merged])
    return found


def _merge_palms(
    scores: np.ndarray, centers: np.ndarray, sizes: np.ndarray, points: np.ndarray
) -> list[Palm]:
    """Overlapping boxes averaged by score (BlazeFace's blending, Bazarevsky et al. 2019)."""
    low, high = centers - sizes / 2, centers + sizes / 2
    area = sizes.prod(axis=1)
    rest = np.argsort(-scores)
    palms = []
    while len(rest):
        best = rest[0]
        common = np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])
        shared = np.maximum(common, 0).prod(axis=1)
        same = shared > PALM_OVERLAP * (area[best] + area[rest] - shared)
        same[0] = True
        group, weight = rest[same], scores[rest[same]]
        size = np.average(sizes[group], axis=0, weights=weight)
        palms.append(
            Palm(
                score=float(scores[best]),
                center=np.average(centers[group], axis=0, weights=weight),
                side=float(size.max()),
                points=np.average(points[group], axis=0, weights=weight),
            )
        )
        rest = rest[~same]
    return palms


def _to_photo(palm: Palm, view: View) -> Palm:
    inverse = np.linalg.inv(view.matrix())
    return Palm(
        score=palm.score,
        center=palm.center @ inverse[:2, :2].T + inverse[:2, 2],
        side=palm.side * view.side / view.size,
        points=palm.points @ inverse[:2, :2].T + inverse[:2, 2],
    )


def find_landmarks(pyramid: list[np.ndarray], views: list[View]) -> list[Detection]:
    """One detection for each view of 224 pixels, in photo pixels; see its ``presence``."""
    import torch

    from .landmarks import DEPTH_UNIT

    found = []
    for part, pictures in _batches(pyramid, views):
        with torch.inference_mode():
            out = landmark_network()(pictures)
        points, world = out.points.double().numpy(), out.world.double().numpy()
        presence, right = torch.sigmoid(out.presence).numpy(), torch.sigmoid(out.right).numpy()
        for k, view in enumerate(part):
            seen = Detection(
                keypoints=points[k, :, :2],
                depth=points[k, :, 2] * DEPTH_UNIT,
                world=world[k],
                left=bool(right[k] < 0.5),
                score=float(max(right[k], 1 - right[k])),
                presence=float(presence[k]),
            )
            found.append(seen.back_from(view))
    return found
