"""Metric size from a thing of known size that lies beside the hand in the photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..avatar import Avatar
from ..core.errors import InputError
from .size import SHORTEST_M, UNITS_M, hand_length, photo_hand, with_hand_length

if TYPE_CHECKING:
    from ..core.types import Camera

CARD_M = (0.0856, 0.05398)
"""Bank, identity and travel cards: ISO/IEC 7810, ID-1."""

MARK_PX, FOUND_PX = 1.5, 0.4
"""How far off a corner is that somebody marks, and one that is found, of a picture 1000 pixels
long."""

TILT = np.radians(30.0)
"""How far the card's plane is from that of the palm beside it."""

WORST_FIT = 0.06
"""Mean distance of marked corners from those of a card, as part of its longer side, that passes."""

PALM = (0, 5, 9, 13, 17)
"""Keypoints of wrist and knuckles."""

HALF_M = 0.011
"""How far over the table the joints of an adult's flat hand are."""

MEASURED = ((0, 5), (0, 9), (0, 13), (0, 17), (5, 17), (5, 8), (9, 12), (13, 16), (17, 20))
"""Pairs of keypoints whose distances tell the size."""


def parse_points(text: str, count: int, what: str) -> np.ndarray:
    """(count, 2) pixels of ``X1,Y1,X2,Y2,...``.

    Raises:
        InputError: other than ``count`` points.
    """
    try:
        numbers = np.array([float(v) for v in text.replace(" ", "").split(",")])
    except ValueError:
        numbers = np.zeros(0)
    if len(numbers) != 2 * count or not np.isfinite(numbers).all():
        pairs = ",".join(f"X{k},Y{k}" for k in range(1, count + 1))
        raise InputError(f"{what} {text!r}; give {pairs} in the photo's pixels")
    return numbers.reshape(-1, 2)


def with_card(avatar: Avatar, corners: np.ndarray, off_px: float = MARK_PX) -> Avatar:
    """The avatar in metric size, from a card on what the hand lay on.

    The card's place follows from its corners and the photo's camera (a plane's pose from four
    points), with its plane taken to be near that of the palm, since few pixels of perspective tell
    a card's tilt. The hand is as large as its bones in the picture are on that plane, half a hand's
    thickness above it: distances in one plane depend little on the focal length, and not on how
    far from flat the fit took the hand to be.

    Args:
        avatar: fitted to the photo.
        corners: (4, 2) pixels of the photo, in any order.
        off_px: their usual error in a picture 1000 pixels long.

    Raises:
        InputError: no card has such corners, or the hand would have no hand's size.
    """
    joints = photo_joints(avatar)
    normal, middle = card_plane(corners, avatar.camera, palm_normal(joints), off_px)
    plane = normal, float(normal @ middle)
    return _on_plane(avatar, joints, plane, "a card in the photo")


def with_ruler(avatar: Avatar, ends: np.ndarray, metres: float) -> Avatar:
    """The avatar in metric size, from two points on what the hand lay on.

    Args:
        avatar: fitted to the photo.
        ends: (2, 2) pixels of the photo.
        metres: distance of the two, as known.

    Raises:
        InputError: the points or the length cannot be.
    """
    joints = photo_joints(avatar)
    if np.linalg.norm(ends[1] - ends[0]) < 8:
        raise InputError("the two marks are less than 8 pixels apart; mark a longer piece")
    if not 0.005 <= metres <= 2:
        raise InputError(f"{100 * metres:g} cm between the marks; accepted is 0.5 to 200 cm")
    normal = palm_normal(joints)
    rays = rays_of(ends, avatar.camera)
    # whatever its tilt, a plane shows the known distance and the hand in one proportion
    there = rays / (rays @ normal)[:, None]
    place = -metres / float(np.linalg.norm(there[1] - there[0]))
    return _on_plane(avatar, joints, (normal, place), "a known distance")


def parse_ruler(text: str) -> tuple[np.ndarray, float]:
    """Ends (2, 2) and metres of ``X1,Y1,X2,Y2=10cm``.

    Raises:
        InputError: it is none.
    """
    marks, _, length = text.partition("=")
    for unit in sorted(UNITS_M, key=len, reverse=True):
        number = length.strip().lower().removesuffix(unit)
        if number != length.strip().lower():
            try:
                return parse_points(marks, 2, "ruler"), float(number) * UNITS_M[unit]
            except ValueError:
                break
    raise InputError(f"ruler {text!r}; give X1,Y1,X2,Y2=LENGTH, as 120,80,640,95=10cm")


def card_plane(
    corners: np.ndarray, camera: Camera, palm: np.ndarray | None, off_px: float = MARK_PX
) -> tuple[np.ndarray, np.ndarray]:
    """Unit normal (3,), toward the camera, and middle (3,) of a card, in metres and camera axes.

    Args:
        corners: (4, 2) pixels, in any order.
        camera: the photo's.
        palm: (3,) unit normal that the card's is near, or None for the corners alone.
        off_px: as in :func:`with_card`.

    Raises:
        InputError: no card has such corners.
    """
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    if len(np.unique(corners, axis=0)) < 4:
        raise InputError("two of the card's corners are the same; mark all four")
    centre = corners.mean(axis=0)
    around = np.argsort(np.arctan2(*(corners - centre).T[::-1]))
    seen = rays_of(corners[around], camera)[:, :2]
    pixel = off_px * max(camera.width, camera.height) / 1000 / camera.fx
    size = np.linalg.norm(np.diff(seen[[0, 1, 2, 3, 0]], axis=0), axis=1)
    best: tuple[float, np.ndarray, np.ndarray, float] | None = None
    for sides in (CARD_M, CARD_M[::-1]):
        half = np.array(sides) / 2
        card = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * [*half, 0.0]
        away = 2 * sum(CARD_M) / size.sum()
        turn = np.arctan2(*(seen[1] - seen[0])[::-1])
        for tilt in ([0.0, 0.0], [0.4, 0.0], [-0.4, 0.0], [0.0, 0.4], [0.0, -0.4]):
            first = Rotation.from_euler("z", turn) * Rotation.from_rotvec([*tilt, 0.0])
            start = np.r_[first.as_rotvec(), np.r_[seen.mean(axis=0), 1.0] * away]

            def off(x: np.ndarray, card: np.ndarray = card) -> np.ndarray:
                turned = Rotation.from_rotvec(x[:3])
                points = turned.apply(card) + x[3:]
                wrong = (points[:, :2] / np.maximum(points[:, 2:], 1e-3) - seen).ravel() / pixel
                if palm is None:
                    return np.asarray(wrong)
                facing = -turned.as_matrix()[:, 2]
                return np.r_[wrong, np.arccos(np.clip(facing @ palm, -1, 1)) / TILT]

            found = least_squares(off, start, method="lm")
            if best is None or found.cost < best[0]:
                error = np.linalg.norm(found.fun[:8].reshape(4, 2), axis=1).mean() * pixel
                facing = -Rotation.from_rotvec(found.x[:3]).as_matrix()[:, 2]
                best = found.cost, facing, found.x[3:], float(error / size.max())
    assert best is not None
    _, normal, middle, error = best
    if error > WORST_FIT or middle[2] <= 0:
        raise InputError(
            f"a card's corners would be {100 * error:.0f}% of its length away from these four "
            "points; mark the corners where its straight edges would meet"
        )
    return (normal if normal @ middle < 0 else -normal), middle


def photo_joints(avatar: Avatar) -> np.ndarray:
    """(21, 3) keypoints of the photo's hand, in camera axes."""
    from ..avatar import surface
    from ..hand_model import pose_hand_numpy

    hand = photo_hand(avatar)
    model = surface(avatar.hand_model, hand.side, 0)
    theta = hand.source_theta[:16]
    return pose_hand_numpy(model, theta, hand.shape, hand.source_translation)[2]


def palm_normal(joints: np.ndarray) -> np.ndarray:
    """(3,) of the plane of wrist and knuckles, toward the camera."""
    points = joints[list(PALM)]
    middle = points.mean(axis=0)
    normal: np.ndarray = np.linalg.svd(points - middle)[2][2]
    return normal if normal @ middle < 0 else -normal


def rays_of(pixels: np.ndarray, camera: Camera) -> np.ndarray:
    """(N, 3) directions of depth 1."""
    flat = (pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)


def _on_plane(
    avatar: Avatar, joints: np.ndarray, plane: tuple[np.ndarray, float], words: str
) -> Avatar:
    """The avatar as large as its bones in the picture are on a plane that it lies on.

    Args:
        avatar: fitted to the photo.
        joints: (21, 3) of the hand, as fitted.
        plane: unit normal (3,) toward the camera, and its product with points of the plane, metres.
        words: what told the plane.
    """
    normal, place = plane
    palm = palm_normal(joints)
    flat = joints - (joints @ palm)[:, None] * palm
    rays = joints / joints[:, 2:]
    factor = 1.0
    for _ in range(3):
        there = rays * ((place + factor * HALF_M) / (rays @ normal))[:, None]
        shown, fitted = (
            sum(np.linalg.norm(p[a] - p[b]) for a, b in MEASURED) for p in (there, flat)
        )
        factor = float(shown / fitted)
    length = hand_length(avatar, photo_hand(avatar).side) * factor
    if not (np.isfinite(length) and 2 * SHORTEST_M <= length <= 0.3):
        raise InputError(
            f"by {words} the hand would be {100 * length:.1f} cm long; was the mark on what the "
            "hand lies on, and the avatar fitted to this very photo?"
        )
    return with_hand_length(avatar, length, words)
