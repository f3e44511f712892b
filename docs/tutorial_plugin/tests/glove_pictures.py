"""Made pictures of a gloved hand, of which every marker's place is known."""

from __future__ import annotations

import colorsys

import numpy as np
from hand_toolkit_colour_glove.markers import FINGER_HUES, WRIST_HUES

from hand_toolkit import Photo, load_hand_model
from hand_toolkit.animate import finger_pose
from hand_toolkit.core.conventions import mirror_theta
from hand_toolkit.hand_model import pose_hand_numpy

SIZE = 640, 480
FOCAL = 600.0
"""Pixels."""

UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def true_keypoints(side: str, wrist: tuple[float, float, float], curl: float = 0.0) -> np.ndarray:
    """(21, 3) metres in the camera, palm to the camera, fingers up.

    Args:
        side: "right" or "left".
        wrist: its place in the camera, metres.
        curl: 0 flat to 1 fist.
    """
    import cv2

    model = load_hand_model("default", side)
    theta = curl * finger_pose("fist")
    if side == "left":
        theta = mirror_theta(theta)
    flip = np.diag([-1.0, 1.0, 1.0]) if side == "left" else np.eye(3)
    theta[0] = cv2.Rodrigues(flip @ UPRIGHT @ flip)[0].ravel()
    return pose_hand_numpy(model, theta, np.zeros(len(model.shape_names)), np.array(wrist))[2]


def project(points: np.ndarray) -> np.ndarray:
    """(21, 2) pixels of a camera that looks along +z."""
    return points[:, :2] / points[:, 2:] * FOCAL + np.array(SIZE) / 2


def draw(hands: dict[str, np.ndarray], radius: float = 6.0, value: float = 0.9) -> Photo:
    """A picture of markers, side -> (21, 3) keypoints, on grey felt with noise.

    Args:
        hands: what to draw, nearer markers over farther ones.
        radius: of a marker at 0.5 m, pixels.
        value: brightness of the markers, 0 to 1.
    """
    import cv2

    width, height = SIZE
    rng = np.random.default_rng(0)
    picture = np.repeat(rng.normal(110, 4, (height, width, 1)), 3, axis=2)
    dots = []
    for side, points in hands.items():
        hues = [WRIST_HUES[side], *(hue for hue in FINGER_HUES.values() for _ in range(4))]
        dots += list(zip(points[:, 2], project(points), hues))
    for depth, (x, y), hue in sorted(dots, key=lambda dot: -dot[0]):
        colour = np.array(colorsys.hsv_to_rgb(hue / 360, 0.9, value)) * 255
        center = round((x - 0.5) * 16), round((y - 0.5) * 16)
        size = round(radius * 0.5 / depth * 16)
        cv2.circle(picture, center, size, colour.tolist(), -1, cv2.LINE_AA, 4)
    return Photo(np.clip(picture, 0, 255).astype(np.uint8), name="glove.png")
