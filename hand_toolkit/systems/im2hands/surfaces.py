"""Two interacting hands as surfaces: what callers ask the networks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...core.conventions import SIDES
from ...core.errors import InputError
from ...core.types import Camera, PoseEstimate
from .config import TAU_M
from .extract import extract_surface

if TYPE_CHECKING:
    from .network import Im2HandsNetwork

BOX_MARGIN_M = 0.045
"""The box of a hand's keypoints is widened by this to hold its flesh."""

SIZES_DIFFER = 1.35
"""Hands of one person differ less in size than by this factor."""

SHORTEST_M, LONGEST_M = 0.03, 0.4
"""From a wrist to the middle knuckle and its fingertip: what is no hand in metres."""


@dataclass(frozen=True)
class HandSurface:
    """One closed surface.

    Attributes:
        vertices: (V, 3) metres, camera axes.
        faces: (F, 3) counter-clockwise seen from outside.
    """

    vertices: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class TwoHands:
    """Two hands as the networks see them.

    Attributes:
        keypoints: (2, 21, 3) that the surfaces follow, right and left, metres, camera axes.
        surfaces: of the right and the left hand.
    """

    keypoints: np.ndarray
    surfaces: tuple[HandSurface, HandSurface]


def checked_keypoints(keypoints: np.ndarray) -> np.ndarray:
    """Keypoints (2, 21, 3) of a right and a left hand of one person before the camera.

    Raises:
        InputError: another shape, missing values, no hand's size, or hands of two people.
    """
    points = np.asarray(keypoints, np.float64)
    if points.shape == (21, 3) or points.shape == (1, 21, 3):
        raise InputError(
            "keypoints of one hand were given; two-hand surfaces need a right and a left hand, "
            "(2, 21, 3)"
        )
    if points.shape != (2, 21, 3):
        raise InputError(
            f"the keypoints have shape {points.shape}; accepted is (2, 21, 3), right and left, "
            "metres in the camera"
        )
    if not np.isfinite(points).all():
        missing = int((~np.isfinite(points)).any(-1).sum())
        raise InputError(
            f"{missing} of 42 keypoints are not numbers; two-hand surfaces need all of them, so "
            "fit the hand model first"
        )
    if points[..., 2].min() <= 0.02:
        raise InputError("keypoints lie behind the camera; give metres in its axes, z forward")
    spans = np.linalg.norm(np.diff(points[:, [0, 9, 12]], axis=1), axis=-1).sum(1)
    lengths = [np.linalg.norm(points[k, 1:] - points[k, _parents()], axis=1).sum() for k in (0, 1)]
    if spans.min() < SHORTEST_M or spans.max() > LONGEST_M:
        raise InputError(
            f"the keypoints span {1e3 * spans.min():.0f} to {1e3 * spans.max():.0f} mm, which no "
            "hand does; give metres"
        )
    if max(lengths) > SIZES_DIFFER * min(lengths):
        raise InputError(
            f"one hand is {max(lengths) / min(lengths):.1f} times as large as the other, so they "
            "are of two people; give both hands of one person"
        )
    return points


def _parents() -> np.ndarray:
    from ...core.conventions import KEYPOINT_PARENTS

    return KEYPOINT_PARENTS[1:]


def pair_keypoints(estimate: PoseEstimate) -> np.ndarray:
    """(2, 21, 3) keypoints of a fitted right and left hand.

    Raises:
        InputError: other hands than one of each side.
    """
    hands = {hand.side: hand for hand in estimate.hands}
    if set(hands) != set(SIDES) or len(estimate.hands) != 2:
        seen = " and ".join(hand.side for hand in estimate.hands) or "no"
        raise InputError(
            f"two-hand surfaces need a right and a left hand; the photo shows {seen} alone"
        )
    return checked_keypoints(np.stack([hands[side].joints_cam_m for side in SIDES]))


def reconstruct_pair(
    pixels: np.ndarray | None,
    camera: Camera | None,
    keypoints: np.ndarray,
    *,
    resolution: int = 128,
    refine: bool = True,
    refine_keypoints: bool = True,
    network: Im2HandsNetwork | None = None,
) -> TwoHands:
    """The surfaces of two interacting hands.

    Args:
        pixels: (H, W, 3) uint8 of the picture, any size; None looks at no picture.
        camera: of the picture.
        keypoints: (2, 21, 3) of the right and the left hand, metres, camera axes.
        resolution: cells along the longest edge of a hand's box, a power of two from 32.
        refine: False takes each hand by itself.
        refine_keypoints: False takes the keypoints as they are; without a picture they are.
        network: the shipped one if None.

    Raises:
        InputError: keypoints or a resolution that are not accepted, or no weights.
    """
    import torch

    from .image import ImageFeatures, crop_about, features_of
    from .weights import load_network

    given = torch.as_tensor(checked_keypoints(keypoints)).float()[None]
    network = load_network() if network is None else network
    images = None
    if pixels is not None and camera is not None:
        flat = camera.project(keypoints.reshape(-1, 3))
        crop, lens = crop_about(pixels, camera, flat)
        coarse, fine = features_of(torch.from_numpy(crop)[None])
        images = ImageFeatures(coarse, fine, torch.from_numpy(lens)[None])
    with torch.no_grad():
        if refine_keypoints and images is not None:
            given = network.keypoints(given, images)
        hands = network.frame(given, images)
        context = network.context(hands) if refine else None
        surfaces = []
        for side in (0, 1):
            points = given[0, side].numpy()

            def field(places: np.ndarray, side: int = side) -> np.ndarray:
                asked = torch.from_numpy(places).float()
                return network.side_logits(hands, context, side, asked).numpy()

            low, high = points.min(0) - BOX_MARGIN_M, points.max(0) + BOX_MARGIN_M
            surfaces.append(HandSurface(*extract_surface(field, low, high, resolution, TAU_M)))
    return TwoHands(given[0].numpy().astype(np.float64), (surfaces[0], surfaces[1]))
