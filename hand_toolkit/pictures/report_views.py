"""Each photo of a fit beside the avatar in that photo's view, and how far the two agree."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..core.metrics import silhouette_iou
from ..core.types import Photo, PoseEstimate
from ..geometry import hand_silhouettes, wrist_half_plane
from ..skin.observe import hand_meshes
from .drawing import picture_of, placed_like, source_view

if TYPE_CHECKING:
    from ..avatar import Avatar
    from ..media.viewset import View
    from ..pipeline import FitResult

SKELETON = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (0, 9, 10, 11, 12), (0, 13, 14, 15, 16),
            (0, 17, 18, 19, 20))  # fmt: skip
COLORS = {"right": (66, 170, 255), "left": (255, 140, 60)}
GREY = (0.16, 0.16, 0.17)


@dataclass(frozen=True)
class ViewReport:
    """One photo of a fit.

    Attributes:
        name: of the photo.
        reference: the avatar has this photo's light and camera.
        confidence: per side that the photo shows, the probability that the hand is right.
        figures: ``silhouette_iou``, of avatar and outline, ``silhouette_iou_above_wrist``, the same
            without what lies below the wrists, and ``avatar_outside_outline`` and
            ``outline_outside_avatar``, the parts of the two that the other lacks.
        photo: (H, W, 3) uint8.
        overlay: (H, W, 3) uint8 with the fitted outlines and skeletons.
        mask: (H, W, 3) uint8.
        fitted: (H, W, 3) uint8 the avatar alone.
    """

    name: str
    reference: bool
    confidence: dict[str, float]
    figures: dict[str, float]
    photo: np.ndarray
    overlay: np.ndarray
    mask: np.ndarray
    fitted: np.ndarray

    @property
    def notes(self) -> list[str]:
        """Lines that say what the pictures show."""
        figures = self.figures
        return [
            self.name,
            *(f"{side} hand, confidence {value:.2f}" for side, value in self.confidence.items()),
            f"outline and avatar: IoU {figures['silhouette_iou']:.2f}",
            f"above the wrist: IoU {figures['silhouette_iou_above_wrist']:.2f}",
            f"avatar outside the outline: {100 * figures['avatar_outside_outline']:.0f} %",
            f"outline outside the avatar: {100 * figures['outline_outside_avatar']:.0f} %",
        ]


def view_reports(result: FitResult) -> list[ViewReport]:
    """Every photo of a fit, the reference first."""
    order = sorted(range(len(result.views)), key=lambda k: k != result.views.reference)
    return [_view_report(result, k) for k in order]


def _view_report(result: FitResult, index: int) -> ViewReport:
    view, reference = result.views[index], index == result.views.reference
    photo = result.photo if reference else view.read()
    shown = avatar_in_view(result.avatar, view, reference)
    alpha = shown[..., 3:] / 255.0
    mask = view.outlined()[0]
    return ViewReport(
        name=view.name,
        reference=reference,
        confidence={hand.side: round(hand.confidence, 3) for hand in view.hands},
        figures=silhouette_figures(alpha[..., 0] > 0.5, mask > 0.5, view.estimate, photo.size),
        photo=photo.pixels,
        overlay=overlay(photo, view.estimate),
        mask=np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2),
        fitted=(shown[..., :3] * alpha + np.array(GREY) * 255 * (1 - alpha)).astype(np.uint8),
    )


def avatar_in_view(avatar: Avatar, view: View, reference: bool) -> np.ndarray:
    """(H, W, 4) uint8: the avatar in its reference photo's light where a photo shows its hands.

    Args:
        avatar: of all photos.
        view: one of them.
        reference: it is the one whose camera and pose the avatar keeps.
    """
    theta, where, camera = source_view(avatar)
    if not reference:
        camera = view.camera
        hands = [hand for hand in view.hands if hand.side in avatar.sides]
        theta = {hand.side: hand.theta for hand in hands}
        # in the camera's own axes the avatar's own shape is put where the photo's hand lies
        plain = np.allclose(camera.world_to_camera, np.eye(4))
        where = {
            h.side: placed_like(avatar, h, camera) if plain else h.translation for h in hands
        }  # fmt: skip
        if not hands:
            return np.zeros((camera.height, camera.width, 4), np.uint8)
    return picture_of(avatar, theta, where, camera, None, "baked")


def silhouette_figures(
    drawn: np.ndarray, outline: np.ndarray, estimate: PoseEstimate, size: tuple[int, int]
) -> dict[str, float]:
    """How far an avatar and the outline of the photo's hands agree.

    A sleeve or a thing before the hand hides what the avatar has: that lowers the first IoU and
    is in ``avatar_outside_outline``; a wrong pose is in both parts.

    Args:
        drawn: (H, W) bool pixels of the avatar.
        outline: (H, W) bool pixels of the photo's hands.
        estimate: those hands.
        size: (width, height) pixels.
    """
    above = np.zeros_like(outline)
    for hand in estimate.hands:
        above |= wrist_half_plane(hand.keypoints_2d, size, 0.0)
    return {
        "silhouette_iou": silhouette_iou(drawn, outline),
        "silhouette_iou_above_wrist": silhouette_iou(drawn, outline, above),
        "avatar_outside_outline": float((drawn & ~outline).sum() / max(drawn.sum(), 1)),
        "outline_outside_avatar": float((outline & ~drawn).sum() / max(outline.sum(), 1)),
    }


def overlay(photo: Photo, estimate: PoseEstimate) -> np.ndarray:
    """The photo with each hand's fitted outline and skeleton."""
    import cv2

    picture = photo.pixels.copy()
    silhouettes, _ = hand_silhouettes(hand_meshes(estimate), estimate.camera)
    thick = max(1, round(max(picture.shape[:2]) / 400))
    for hand, silhouette in zip(estimate.hands, silhouettes):
        color = COLORS[hand.side]
        outline, _ = cv2.findContours(
            silhouette.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(picture, outline, -1, color, thick, cv2.LINE_AA)
        points = np.round(hand.keypoints_2d * 16).astype(int)
        for chain in SKELETON:
            for a, b in itertools.pairwise(chain):
                ends = (points[a].tolist(), points[b].tolist())
                cv2.line(picture, *ends, (255, 255, 255), thick, cv2.LINE_AA, 4)
        for x, y in points.tolist():
            cv2.circle(picture, (x, y), 16 * (thick + 1), color, -1, cv2.LINE_AA, 4)
    return picture
