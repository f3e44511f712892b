"""The mean adult hand from published measures, and the flat hand brought to it.

- ANSUR II: Gordon et al. 2014, *2012 Anthropometric Survey of U.S. Army Personnel*,
  NATICK/TR-15/007: 4082 men and 1986 women, here the mean of both sexes.
- Buchholz, Armstrong and Goldstein 1992, *Anthropometric data for describing the kinematics of
  the human hand*, Ergonomics 35(3): lengths between joint centres as shares of hand length.
- Buryanov and Kotiuk 2010, *Proportions of hand segments*, Int. J. Morphol. 28(3): the soft
  tissue beyond the last bone.
- Pheasant 1996, *Bodyspace*, 2nd edition: breadth of the index finger at its middle joint.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .directions import bone_direction, palm_direction, thickness_direction
from .rest import FINGERS, FlatHand

ANSUR_MM = {
    "hand length": ((193.3, 9.9), (181.1, 10.1)),
    "hand breadth": ((88.3, 4.4), (78.2, 3.8)),
    "palm length": ((116.5, 6.2), (108.7, 5.9)),
    "hand circumference": ((212.3, 10.2), (186.6, 8.8)),
}
"""Mean and standard deviation of men, then of women, millimetres."""

SEGMENTS = (
    (0.251, 0.196, 0.158),
    (0.245, 0.143, 0.097),
    (0.266, 0.170, 0.108),
    (0.244, 0.165, 0.107),
    (0.204, 0.117, 0.093),
)
"""Buchholz: each bone of thumb to little finger as a share of hand length; the last one ends
at the tip of the bone. The thumb's first is its metacarpal."""

SOFT_TIP_M = (0.0057, 0.0038, 0.0040, 0.0040, 0.0037)
"""Buryanov and Kotiuk: soft tissue beyond the tip of each last bone."""


INDEX_BREADTH = 0.5 * (21 + 18) / (0.5 * (189 + 174))
"""Pheasant: breadth of the index finger at its middle joint as a share of hand length, British
adults, from the means of men and women."""


def adult_mean_m(measure: str) -> float:
    """Mean of men and women of one of ``ANSUR_MM``, metres."""
    return float(np.mean([mean for mean, _ in ANSUR_MM[measure]])) / 1000


def adult_deviation(measure: str) -> float:
    """Relative standard deviation among adults, as many men as women."""
    (men, men_sd), (women, women_sd) = ANSUR_MM[measure]
    variance = 0.5 * (men_sd**2 + women_sd**2) + 0.25 * (men - women) ** 2
    return float(np.sqrt(variance)) / (0.5 * (men + women))


def hand_length(flat: FlatHand) -> float:
    """From the wrist's crease, where the wrist joint lies, to the middle finger's end, metres."""
    return float(-flat.vertices[flat.tip_vertices[2], 0])


def hand_breadth(flat: FlatHand) -> float:
    """Across the heads of the second to the fifth metacarpal, metres."""
    points, across = _knuckle_section(flat)
    return float(np.ptp(points @ across))


def hand_circumference(flat: FlatHand) -> float:
    """Of a tape around the same section, metres."""
    from scipy.spatial import ConvexHull

    points, across = _knuckle_section(flat)
    plane = np.stack([points @ across, points[:, 1]], 1)
    return float(ConvexHull(plane).area)


def index_breadth(flat: FlatHand) -> float:
    """Of the index finger across its middle joint, metres."""
    bone = flat.keypoints[6] - flat.keypoints[5]
    bone /= np.linalg.norm(bone)
    points = _section(flat, flat.keypoints[6], bone, flat.weights[:, 1:4].sum(1) > 0.5)
    return float(np.ptp(points @ np.cross(bone, [0.0, 1.0, 0.0])))


def to_mean_adult(flat: FlatHand) -> FlatHand:
    """``flat`` at ANSUR II's hand length and circumference, each phalanx in Buchholz's
    proportion, the fingers as thick as Pheasant's index finger.

    The breadth needs no change: it comes out as ANSUR II's. Shape directions are scaled with
    the whole hand.
    """
    goal = adult_mean_m("hand length")
    flat = _scaled(flat, goal / hand_length(flat))
    for finger in range(FINGERS):
        for bone in range(3):
            share = SEGMENTS[finger][bone] * goal + (SOFT_TIP_M[finger] if bone == 2 else 0.0)
            joints = flat.keypoints[1 + 4 * finger + bone : 3 + 4 * finger + bone]
            growth = share / float(np.linalg.norm(joints[1] - joints[0])) - 1
            flat = _grown(flat, growth, *bone_direction(flat, finger, bone))
    flat = _scaled(flat, goal / hand_length(flat))
    growth = INDEX_BREADTH * goal / index_breadth(flat) - 1
    thicker = np.sum([thickness_direction(flat, finger) for finger in range(FINGERS)], axis=0)
    flat = _grown(flat, growth, thicker)
    vertices, _ = palm_direction(flat, axis=1)
    trial = hand_circumference(_grown(flat, 0.1, vertices)) - hand_circumference(flat)
    missing = adult_mean_m("hand circumference") - hand_circumference(flat)
    return _grown(flat, 0.1 * missing / trial, vertices)


def _grown(
    flat: FlatHand, amount: float, vertices: np.ndarray, keypoints: np.ndarray | float = 0.0
) -> FlatHand:
    return dataclasses.replace(
        flat,
        vertices=flat.vertices + amount * vertices,
        keypoints=flat.keypoints + amount * keypoints,
    )


def _scaled(flat: FlatHand, factor: float) -> FlatHand:
    names = ("vertices", "keypoints", "vertex_dirs", "keypoint_dirs")
    return dataclasses.replace(flat, **{name: factor * getattr(flat, name) for name in names})


def _knuckle_section(flat: FlatHand) -> tuple[np.ndarray, np.ndarray]:
    """Points (K, 3) where mesh edges pass the plane through the outer knuckles that stands on
    the palm, and the unit direction from the little finger's to the index finger's."""
    across = flat.keypoints[5] - flat.keypoints[17]
    across[1] = 0
    across /= np.linalg.norm(across)
    normal = np.cross(across, [0.0, 1.0, 0.0])
    hand = flat.weights[:, 13:].sum(1) < 0.5
    return _section(flat, flat.keypoints[17], normal, hand), across


def _section(flat: FlatHand, point: np.ndarray, normal: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Points (K, 3) where the kept vertices' mesh edges pass the plane through ``point``."""
    edges = np.concatenate([flat.quads[:, [k, (k + 1) % 4]] for k in range(4)])
    edges = edges[keep[edges].all(1)]
    height = (flat.vertices - point) @ normal
    a, b = edges[np.sign(height[edges[:, 0]]) != np.sign(height[edges[:, 1]])].T
    t = height[a] / (height[a] - height[b])
    return flat.vertices[a] + t[:, None] * (flat.vertices[b] - flat.vertices[a])
