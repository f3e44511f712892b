"""Finding a bank card's corners in a photo."""

from __future__ import annotations

import numpy as np

from ..avatar import Avatar
from ..core.errors import InputError
from ..core.types import Camera, Photo
from ..media import load_photo
from .metric import (
    CARD_M,
    FOUND_PX,
    card_plane,
    palm_normal,
    parse_points,
    photo_joints,
    rays_of,
    with_card,
)

SIDE = 1400
"""Longest side, pixels, at which cards are looked for."""

SMALLEST, LARGEST = 0.004, 0.5
"""Of the picture that a card covers."""

REACH_PX = 5.0
"""How far off an outline is that is moved to where the picture changes."""

SAME_PX = 1.5
"""Outlines of several thresholds whose corners are this near are one."""

STRAIGHT = (0.2, 0.8)
"""Part of each edge that its line is fitted to, clear of the rounded corners."""

FULL = 0.9
"""Least area of the outline, as part of that of its four lines: others are no card's."""

NEAR_CARD = 0.03
"""Mean distance of corners from a card's, as part of its longer side, that still is one."""


def with_card_of(avatar: Avatar, told: str) -> Avatar:
    """The avatar in metric size, from a card that lay beside the hand.

    Args:
        avatar: fitted to the photo.
        told: the photo, in which the card is looked for, or X1,Y1,...,X4,Y4 of its corners.

    Raises:
        InputError: no card is there, another photo, or no size of a hand.
    """
    if not set(told) - set("0123456789.,-+ "):
        return with_card(avatar, parse_points(told, 4, "card"))
    photo = load_photo(told)
    height, width = photo.pixels.shape[:2]
    camera = avatar.camera
    if abs(width * camera.height - height * camera.width) > 0.01 * width * camera.height:
        raise InputError(
            f"{photo.name} is {width}x{height} pixels, and the photo that the avatar was fitted to "
            f"{camera.width}x{camera.height}; give that photo"
        )
    corners = find_card(photo, camera, palm_normal(photo_joints(avatar)))
    corners = corners * [camera.width / width, camera.height / height]
    return with_card(avatar, corners, FOUND_PX)


def find_card(photo: Photo, camera: Camera, palm: np.ndarray | None = None) -> np.ndarray:
    """(4, 2) pixels where the straight edges of a bank card would meet.

    Outlines at several thresholds that have four straight edges are held against a card's
    proportions as this camera would show them; the one that fits best and is largest is taken.

    Args:
        photo: the picture.
        camera: its camera, of the same proportions.
        palm: (3,) unit normal that the card's plane is near, or None.

    Raises:
        InputError: no card is seen.
    """
    import cv2

    height, width = photo.pixels.shape[:2]
    ratio = min(1.0, SIDE / max(height, width))
    small = cv2.resize(photo.pixels, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    at = camera.resized(small.shape[1], small.shape[0])
    best, score = None, np.inf
    tried: list[np.ndarray] = []
    for outline in _outlines(small):
        corners = _corners(outline, small.shape[0] * small.shape[1])
        if corners is None or any(np.abs(corners - t).max() < SAME_PX for t in tried):
            continue
        tried.append(corners)
        fit = _card_misfit(corners, at, palm)
        # of a card's outline and its stripe or print, the larger is the card
        own = fit - 0.02 * np.sqrt(cv2.contourArea(corners.astype(np.float32)) / small[..., 0].size)
        if fit < NEAR_CARD and own < score:
            best, score = corners, own
    if best is None:
        raise InputError(
            f"no bank card was found in {photo.name}; give its corners instead, as "
            "--card X1,Y1,X2,Y2,X3,Y3,X4,Y4, in pixels, where its straight edges would meet"
        )
    for _ in range(2):
        best = _sharpened(best, small)
    return np.asarray(best * [width / small.shape[1], height / small.shape[0]])


def _sharpened(corners: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(4, 2) corners whose edges lie where the picture changes most, to a part of a pixel."""
    import cv2

    picture = cv2.GaussianBlur(pixels, (3, 3), 0).astype(np.float32)
    steps = np.arange(-REACH_PX, REACH_PX + 0.01, 0.25)
    lines = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0)):
        along = (end - start) / np.linalg.norm(end - start)
        across = np.array([-along[1], along[0]])
        places = start + np.linspace(*STRAIGHT, 60)[:, None] * (end - start)
        sampled = places[:, None] + steps[:, None] * across - 0.5
        x, y = (sampled[..., k].astype(np.float32) for k in range(2))
        profile = cv2.remap(picture, x, y, cv2.INTER_LINEAR)
        change = np.square(np.diff(profile, axis=1)).sum(axis=2).mean(axis=0)
        middle = (steps[1:] + steps[:-1]) / 2
        peak = int(change.argmax())
        near = slice(max(0, peak - 4), peak + 5)
        line = along, start + across * np.average(middle[near], weights=change[near])
        every = np.square(np.diff(profile, axis=1)).sum(axis=2)[:, near]
        if every.sum(axis=1).min() > 0:
            own = (every * middle[near]).sum(axis=1) / every.sum(axis=1)
            fitted = cv2.fitLine(
                (places + own[:, None] * across).astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01
            ).ravel()
            line = fitted[:2], fitted[2:]
        (vx, vy), (px, py) = line
        lines.append(np.array([-vy, vx, vy * px - vx * py]))
    meets = [np.cross(lines[k - 1], lines[k]) for k in range(4)]
    return np.array([m[:2] / m[2] for m in meets])


def _card_misfit(corners: np.ndarray, camera: Camera, palm: np.ndarray | None) -> float:
    """Mean distance of corners from those of a card, as part of its longer side."""
    try:
        normal, middle = card_plane(corners, camera, palm)
    except InputError:
        return np.inf
    rays = rays_of(corners, camera)
    there = rays * ((normal @ middle) / (rays @ normal))[:, None]
    edges = np.linalg.norm(np.diff(there[[0, 1, 2, 3, 0]], axis=0), axis=1)
    pairs = np.sort([(edges[0] + edges[2]) / 2, (edges[1] + edges[3]) / 2])[::-1]
    unequal = (abs(edges[0] - edges[2]) + abs(edges[1] - edges[3])) / 2
    return float((np.abs(pairs - CARD_M).mean() + unequal / 2) / CARD_M[0])


def _outlines(pixels: np.ndarray) -> list[np.ndarray]:
    """Closed outlines (N, 1, 2) at several thresholds of lightness and of colour."""
    import cv2

    lab = cv2.cvtColor(cv2.GaussianBlur(pixels, (5, 5), 0), cv2.COLOR_RGB2LAB)
    found: list[np.ndarray] = []
    close = np.ones((3, 3), np.uint8)
    for k in range(3):
        channel = lab[..., k]
        for high in (30, 60, 120):
            edges = cv2.dilate(cv2.Canny(channel, high / 2, high), close)
            found += cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
        levels = np.unique(np.percentile(channel, np.arange(8, 96, 8)).astype(int))
        for level in levels:
            over = (channel > level).astype(np.uint8)
            found += cv2.findContours(over, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
    return found


def _corners(outline: np.ndarray, pixels: int) -> np.ndarray | None:
    """(4, 2) where the four straight edges of an outline meet; None where it has no four."""
    import cv2

    area = cv2.contourArea(outline)
    if not SMALLEST * pixels < area < LARGEST * pixels:
        return None
    hull = cv2.convexHull(outline)
    rough = cv2.approxPolyDP(hull, 0.035 * cv2.arcLength(hull, True), True)
    if len(rough) != 4:
        return None
    points, rough = outline[:, 0].astype(float), rough[:, 0].astype(float)
    lines = []
    for start, end in zip(rough, np.roll(rough, -1, axis=0)):
        along = (end - start) / np.linalg.norm(end - start)
        across = np.array([-along[1], along[0]])
        part = (points - start) @ along / np.linalg.norm(end - start)
        near = np.abs((points - start) @ across) < 0.03 * np.linalg.norm(end - start) + 2
        on = points[near & (part > STRAIGHT[0]) & (part < STRAIGHT[1])]
        if len(on) < 8:
            return None
        vx, vy, x, y = cv2.fitLine(on.astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
        off = np.abs((on - [x, y]) @ [-vy, vx])
        if np.median(off) > 1.2:
            return None
        lines.append(np.array([-vy, vx, vy * x - vx * y]))
    meets = [np.cross(lines[k - 1], lines[k]) for k in range(4)]
    if min(abs(m[2]) for m in meets) < 1e-6:
        return None
    corners = np.array([m[:2] / m[2] for m in meets])
    full = cv2.contourArea(corners.astype(np.float32))
    if not (cv2.isContourConvex(corners.astype(np.float32)) and area > FULL * full):
        return None
    return corners + 0.5
