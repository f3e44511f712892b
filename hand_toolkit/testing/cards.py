"""Drawn photos of a hand beside a bank card on a table, with known truth."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..avatar import Avatar, surface
from ..core.types import Photo, PoseEstimate
from ..edit.guides import placed_hands
from ..edit.metric import CARD_M, palm_normal
from ..geometry.rotations import axis_angle_from_quat, matrix_from_axis_angle, quat_from_matrix
from ..hand_model import pose_hand_numpy
from ..pictures.drawing import picture_of
from ..systems.forearm import add_forearms

TEXTURE = (856, 540)
WIDER = 0.62
"""Focal length over that which shows the hand alone."""

CORNER = 32
"""Pixels of the texture, of ID-1's 3.18 mm."""


@dataclass(frozen=True)
class CardPhoto:
    """A drawn photo.

    Attributes:
        photo: the picture; its ``focal_px`` is the camera's where it was asked for.
        pose: the true hand and camera.
        corners: (4, 2) true pixels of the card's corners.
    """

    photo: Photo
    pose: PoseEstimate
    corners: np.ndarray


def card_photo(
    avatar: Avatar, seed: int, size: tuple[int, int] = (960, 720), tilt_deg: float = 25.0
) -> CardPhoto:
    """The avatar's hand flat on a table, seen from above, with a card 3 cm beside it.

    Args:
        avatar: of the default hand, whose size is the truth.
        seed: tilt, turn, table, card and light.
        size: (width, height).
        tilt_deg: most that the camera leans.
    """
    rng = np.random.default_rng([seed, 41])
    placed = placed_hands("flat", view="back", size=size, avatar=avatar)
    hand, camera = placed.hands[0], placed.camera
    camera = dataclasses.replace(camera, fx=WIDER * camera.fx, fy=WIDER * camera.fy)
    turn = matrix_from_axis_angle(
        np.radians([rng.uniform(-1, 1) * tilt_deg, rng.uniform(-1, 1) * tilt_deg, 0.0])
    ) @ matrix_from_axis_angle(np.array([0, 0, rng.uniform(-0.6, 0.6)]))
    theta = np.array(hand.theta)
    theta[0] = axis_angle_from_quat(quat_from_matrix(turn @ matrix_from_axis_angle(theta[0])))
    model = surface(avatar.hand_model, hand.side, 0)
    shape = avatar.hand(hand.side).shape
    middle = pose_hand_numpy(model, hand.theta, shape, hand.translation)[0].mean(axis=0)
    place = middle - pose_hand_numpy(model, theta, shape, np.zeros(3))[0].mean(axis=0)
    posed = pose_hand_numpy(model, theta, shape, place)
    skin, joints = posed[0], posed[2]
    normal = matrix_from_axis_angle(rng.normal(0, np.radians(2.5), 3)) @ palm_normal(joints)
    height = float((skin @ normal).min())
    along = joints[9] - joints[0]
    along -= normal * (along @ normal)
    along /= np.linalg.norm(along)
    across = np.cross(normal, along)
    if across[0] < 0:
        across = -across
    reach = max((skin - middle) @ across) + 0.03 + CARD_M[0] / 2
    centre = middle + across * reach + along * rng.uniform(-0.03, 0.03)
    centre = centre + normal * (height - centre @ normal)
    spin = rng.uniform(0, 2 * np.pi)
    first = np.cos(spin) * across + np.sin(spin) * along
    second = np.cross(first, normal)
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array(CARD_M) / 2
    corners = camera.project(centre + half[:, :1] * first + half[:, 1:] * second)
    pixels = _table(rng, size)
    pixels = _laid(pixels, _card(rng), corners)
    # hands end in arms: eyes take a stump's end for the wrist
    armed = add_forearms(avatar, None)
    bent = np.vstack([theta, np.zeros(3)])
    drawn = picture_of(armed, {hand.side: bent}, {hand.side: place}, camera, None, "studio")
    alpha = drawn[..., 3:].astype(float) / 255
    shown = alpha * drawn[..., :3] + (1 - alpha) * pixels + rng.normal(0, 2.0, pixels.shape)
    true = dataclasses.replace(
        hand,
        theta=theta,
        translation=place,
        keypoints_2d=camera.project(joints),
        joints_cam_m=joints,
    )
    photo = Photo(np.clip(shown, 0, 255).astype(np.uint8), camera.fx, name=f"card{seed}.png")
    return CardPhoto(photo, PoseEstimate((true,), camera), corners)


def _table(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) wood or cloth, with grain."""
    import cv2

    width, height = size
    base = rng.uniform(60, 200) * rng.uniform([0.9, 0.8, 0.65], [1.1, 1.0, 0.95])
    grain = cv2.resize(rng.normal(0, 1, (height // 4, width // 60)), size)
    fine = cv2.resize(rng.normal(0, 1, (height // 3, width // 3)), size)
    fall = np.linspace(-1, 1, width) * rng.uniform(-18, 18)
    return np.asarray(base + (9 * grain + 4 * fine + fall)[..., None])


def _card(rng: np.random.Generator) -> np.ndarray:
    """(540, 856, 4) a bank card: plain colour, stripe, chip, numbers."""
    import cv2

    width, height = TEXTURE
    card = np.zeros((height, width, 4), np.uint8)
    ink = tuple(int(v) for v in rng.uniform(20, 235, 3))
    for x in (CORNER, width - 1 - CORNER):
        for y in (CORNER, height - 1 - CORNER):
            cv2.circle(card, (x, y), CORNER, (*ink, 255), -1)
    cv2.rectangle(card, (CORNER, 0), (width - 1 - CORNER, height - 1), (*ink, 255), -1)
    cv2.rectangle(card, (0, CORNER), (width - 1, height - 1 - CORNER), (*ink, 255), -1)
    light = tuple(255 - v if abs(2 * v - 255) > 60 else 250 for v in ink)
    cv2.rectangle(card, (90, 190), (200, 280), (200, 170, 90, 255), -1)
    cv2.putText(card, "4929 1234 5678 9012", (90, 370), 0, 1.9, (*light, 255), 4, cv2.LINE_AA)
    cv2.putText(card, "A CARD HOLDER", (90, 470), 0, 1.2, (*light, 255), 3, cv2.LINE_AA)
    return card


def _laid(pixels: np.ndarray, card: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The picture with the card warped to its corners (4, 2)."""
    import cv2

    height, width = pixels.shape[:2]
    finer = 3
    source = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * np.array(TEXTURE, np.float32)
    warp = cv2.getPerspectiveTransform(source, (finer * corners).astype(np.float32))
    large = cv2.warpPerspective(card, warp, (finer * width, finer * height))
    small = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA).astype(float)
    alpha = small[..., 3:] / 255
    return np.asarray(pixels * (1 - alpha) + small[..., :3])
