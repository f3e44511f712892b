"""Drawing an avatar: where it stands, a picture of it, its preview."""

from __future__ import annotations

import io

import numpy as np

from ..animate import finger_pose
from ..avatar import Avatar, Drawable, display_theta, surface
from ..avatar.lighting import Light
from ..core.cameras import orbit_camera
from ..core.conventions import SIDES, UPRIGHT_WRISTS_M, mirror_theta
from ..core.types import Camera, HandPose
from ..geometry.surfaces import face_normals
from ..hand_model import rest_hand


def source_view(avatar: Avatar) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Camera]:
    """θ, translation and camera of the photo that the avatar was fitted to, observed hands."""
    hands = [h for h in avatar.hands if h.observed] or list(avatar.hands)
    return (
        {h.side: h.source_theta for h in hands},
        {h.side: h.source_translation for h in hands},
        avatar.camera,
    )


FLAT = 0.7
"""Least cosine between a face's normal and the side's own for the face to count as of that side."""


def evidence_of_sides(avatar: Avatar, side: str) -> dict[str, float]:
    """Mean evidence, 0 invented to 1 seen, of the "palm" and of the "back" of a hand.

    Args:
        avatar: the avatar.
        side: of its hand.
    """
    hand = avatar.hand(side)
    model = surface(avatar.hand_model, side, avatar.level)
    up = face_normals(rest_hand(model, hand.shape)[0], model.faces)[0][hand.binding.triangle, 1]
    of = {"palm": hand.evidence[up < -FLAT], "back": hand.evidence[up > FLAT]}
    return {name: float(part.mean()) if len(part) else 0.0 for name, part in of.items()}


CLEARLY = 0.1
"""Evidence by which the back must be seen better than the palm for a picture to show it."""


def shows_back(avatar: Avatar, sides: tuple[str, ...]) -> bool:
    """Whether the photo showed the backs of these hands better than their palms."""
    seen = [evidence_of_sides(avatar, h.side) for h in avatar.hands
            if h.observed and h.side in sides]  # fmt: skip
    return bool(seen) and all(e["back"] > e["palm"] + CLEARLY for e in seen)


def shown_upright(
    avatar: Avatar, theta: np.ndarray | None = None, sides: tuple[str, ...] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """θ and translation of the avatar's hands standing side by side, palms to the camera.

    Args:
        avatar: the avatar.
        theta: (16, 3) finger pose of a right hand; the left gets its mirror image. None: relaxed.
        sides: which hands; None takes those the photo showed.
    """
    base = finger_pose("relaxed", 4.0) if theta is None else theta
    if sides is None:
        sides = tuple(h.side for h in avatar.hands if h.observed) or avatar.sides
    poses = {s: display_theta(s, base if s == "right" else mirror_theta(base)) for s in sides}
    rest = UPRIGHT_WRISTS_M
    where = {s: rest[SIDES.index(s)] * (len(sides) > 1) for s in sides}
    return poses, where


def picture_of(
    drawable: Drawable,
    theta: dict[str, np.ndarray],
    translation: dict[str, np.ndarray],
    camera: Camera,
    background: tuple[float, float, float] | None = (0.0, 0.0, 0.0),
    light: Light = "photo",
) -> np.ndarray:
    """One picture; of several, keep an ``AvatarRenderer``, whose arguments these are.

    Returns:
        (H, W, 3) or, transparent, (H, W, 4) uint8 with straight alpha.
    """
    from ..render import AvatarRenderer

    return AvatarRenderer(drawable, camera, background, light=light).render(theta, translation)


def points_of(
    avatar: Avatar, theta: dict[str, np.ndarray], translation: dict[str, np.ndarray]
) -> np.ndarray:
    """(V, 3) vertices of the posed hands, for a camera to look at."""
    return np.concatenate([avatar.mesh(s, theta[s], translation[s]) for s in theta])


def preview_png(avatar: Avatar, size: int = 256) -> bytes:
    """A PNG of the avatar standing upright."""
    from PIL import Image

    theta, where = shown_upright(avatar)
    camera = orbit_camera(points_of(avatar, theta, where), size, size)
    buffer = io.BytesIO()
    Image.fromarray(picture_of(avatar, theta, where, camera, (0.16, 0.16, 0.17))).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()


def placed_like(avatar: Avatar, hand: HandPose, camera: Camera) -> np.ndarray:
    """Wrist translation (3,) that puts the avatar's hand where another photo shows one.

    The avatar keeps its own shape; under the photo's θ it is moved (not turned) so that its
    projected surface agrees best with that of the hand as fitted to the photo.

    Args:
        avatar: the avatar.
        hand: the hand as estimated in the other photo.
        camera: that photo's camera.
    """
    from ..hand_model import load_hand_model, pose_hand_numpy

    model = load_hand_model(avatar.hand_model, hand.side, 0)
    shape = avatar.hand(hand.side).shape
    own = pose_hand_numpy(model, hand.theta, shape, np.zeros(3))
    if hand.hand_model == avatar.hand_model and len(hand.shape) == len(shape):
        points = own[0]
        shown = pose_hand_numpy(model, hand.theta, hand.shape, hand.translation)[0]
        target = shown[:, :2] / shown[:, 2:]
    else:
        points = own[2]
        target = (hand.keypoints_2d - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    # the projection (p + t).xy / (p + t).z = target is linear in t
    count = len(points)
    matrix = np.zeros((2 * count, 3))
    matrix[:count, 0] = matrix[count:, 1] = 1
    matrix[:count, 2], matrix[count:, 2] = -target[:, 0], -target[:, 1]
    right = np.concatenate([target[:, k] * points[:, 2] - points[:, k] for k in (0, 1)])
    return np.linalg.lstsq(matrix, right, rcond=None)[0]
