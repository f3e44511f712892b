"""The report of a fit: pictures that show what was understood, and the figures."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..animate import finger_pose
from ..core.cameras import orbit_camera, turntable
from ..core.files import atomic_path
from ..core.metrics import psnr_box, psnr_mask, silhouette_iou, ssim_box
from ..media import save_image
from .drawing import picture_of, points_of, shown_upright, source_view

if TYPE_CHECKING:
    from ..avatar import Avatar
    from ..pipeline import FitResult

SKELETON = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (0, 9, 10, 11, 12), (0, 13, 14, 15, 16),
            (0, 17, 18, 19, 20))  # fmt: skip
COLORS = {"right": (66, 170, 255), "left": (255, 140, 60)}
GREY = (0.16, 0.16, 0.17)


def write_report(result: FitResult, folder: Path, turntable_frames: int = 48) -> dict[str, object]:
    """Write photo, overlay, mask, fitted render, evidence, sheet, turntable and metrics.json.

    Args:
        result: what the fit made.
        folder: created if missing.
        turntable_frames: length of turntable.mp4.

    Returns:
        The contents of metrics.json.
    """
    from ..media.video import write_video
    from ..render import AvatarRenderer

    folder.mkdir(parents=True, exist_ok=True)
    pictures = report_pictures(result)
    for name, picture in pictures.items():
        save_image(folder / f"{name}.png", picture)
    avatar = result.avatar
    theta, where = shown_upright(avatar)
    cameras = turntable(points_of(avatar, theta, where), 512, 512, turntable_frames)
    renderer = AvatarRenderer(avatar, cameras[0], GREY, light="photo")
    write_video(folder / "turntable.mp4", renderer.stream((theta, where, c) for c in cameras), 24)
    metrics = fit_metrics(result)
    with atomic_path(folder / "metrics.json") as temporary:
        temporary.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return metrics


def fit_metrics(result: FitResult) -> dict[str, object]:
    """How the avatar reproduces its photo, and what it is."""
    avatar, mask = result.avatar, result.mask > 0.5
    photo = result.photo.pixels / 255.0
    theta, where, camera = source_view(avatar)
    shown = picture_of(avatar, theta, where, camera, None, "baked")
    color, alpha = shown[..., :3] / 255.0, shown[..., 3:] / 255.0
    return {
        "psnr_mask": psnr_mask(color, photo, mask),
        "psnr_box": psnr_box(color * alpha, photo, mask),
        "ssim_box": ssim_box(color * alpha, photo, mask),
        "silhouette_iou": silhouette_iou(alpha[..., 0] > 0.5, mask),
        "seconds": {k: round(v, 2) for k, v in result.seconds.items()},
        "hands": {
            h.side: {
                "observed": h.observed,
                "confidence": None
                if (seen := result.estimate.hand(h.side)) is None
                else round(seen.confidence, 3),
                "splats": len(h),
                "mean_evidence": round(float(h.evidence.mean()), 4),
            }
            for h in avatar.hands
        },
    }


def report_pictures(result: FitResult) -> dict[str, np.ndarray]:
    """uint8 pictures by name, ``sheet`` being all of them side by side."""
    import cv2

    avatar, photo = result.avatar, result.photo.pixels
    theta, where, camera = source_view(avatar)
    over = overlay(result)
    seen = picture_of(avatar, theta, where, camera, None, "baked")
    alpha = seen[..., 3:] / 255.0
    fitted = (seen[..., :3] * alpha + np.array(GREY) * 255 * (1 - alpha)).astype(np.uint8)
    pictures = {
        "photo": photo,
        "overlay": over,
        "mask": np.repeat((result.mask * 255).astype(np.uint8)[..., None], 3, axis=2),
        "fitted": fitted,
        "evidence": _evidence(result),
    }
    side = 384
    views = dict(zip(VIEWS, avatar_views(avatar, list(VIEWS.values()), side)))
    cells = [_fit_cell(p, side) for p in [*pictures.values(), *views.values()]]
    while len(cells) % 5:
        cells.append(np.full((side, side, 3), 41, np.uint8))
    rows = [np.concatenate(cells[k : k + 5], axis=1) for k in range(0, len(cells), 5)]
    sheet = np.concatenate(rows, axis=0)
    names = [*pictures, *views]
    for k, name in enumerate(names):
        at = (10 + (k % 5) * side, 22 + (k // 5) * side)
        cv2.putText(sheet, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (20, 20, 20), 3, cv2.LINE_AA)
        cv2.putText(
            sheet, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (240, 240, 240), 1, cv2.LINE_AA
        )
    return {**pictures, "sheet": sheet}


VIEWS: dict[str, tuple[float, str | None]] = {
    "palm": (0.0, None),
    "side": (np.radians(60), None),
    "back": (np.pi, None),
    "other side": (np.radians(-70), None),
    "fist": (np.pi, "fist"),
}
"""Name -> azimuth, radians, and pose, None for relaxed."""


def avatar_views(
    avatar: Avatar,
    views: Sequence[tuple[float, str | None]],
    size: int,
    light: str = "photo",
) -> list[np.ndarray]:
    """The avatar upright, (size, size, 3) uint8 each, in views as those of ``VIEWS``."""
    from ..render import AvatarRenderer

    frames = []
    for azimuth, pose in views:
        theta, where = shown_upright(avatar, None if pose is None else finger_pose(pose))
        camera = orbit_camera(points_of(avatar, theta, where), size, size, azimuth)
        frames.append((theta, where, camera))
    renderer = AvatarRenderer(avatar, frames[0][2], GREY, light=light)
    return [picture.copy() for picture in renderer.stream(frames)]


def overlay(result: FitResult) -> np.ndarray:
    """The photo with each hand's fitted outline and skeleton."""
    import cv2

    from ..geometry import hand_silhouettes
    from ..skin.observe import hand_meshes

    picture = result.photo.pixels.copy()
    silhouettes, _ = hand_silhouettes(hand_meshes(result.estimate), result.estimate.camera)
    thick = max(1, round(max(picture.shape[:2]) / 400))
    for hand, silhouette in zip(result.estimate.hands, silhouettes):
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


def _evidence(result: FitResult) -> np.ndarray:
    """Front and back of the avatar coloured by evidence: blue invented, yellow seen."""
    avatar = result.avatar
    low, high = np.array([0.13, 0.16, 0.42]), np.array([0.98, 0.86, 0.20])
    hands = tuple(
        dataclasses.replace(h, color=(low + h.evidence[:, None] * (high - low)).astype(np.float32))
        for h in avatar.hands
    )
    marked = dataclasses.replace(avatar, hands=hands)
    return np.concatenate(
        avatar_views(marked, [VIEWS["palm"], VIEWS["back"]], 384, light="baked"), axis=1
    )


def _fit_cell(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture scaled into a grey square."""
    import cv2

    scale = side / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(
        picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    cell = np.full((side, side, 3), 41, np.uint8)
    y, x = (side - size[1]) // 2, (side - size[0]) // 2
    cell[y : y + size[1], x : x + size[0]] = small
    return cell
