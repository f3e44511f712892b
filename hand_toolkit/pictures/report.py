"""The report of a fit: pictures that show what was understood, and the figures."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..animate import finger_pose
from ..core.cameras import orbit_camera, turntable
from ..core.files import atomic_path
from ..core.metrics import psnr_box, psnr_mask, ssim_box
from ..media import save_image
from .drawing import picture_of, points_of, shown_upright, source_view
from .report_views import GREY, ViewReport, view_reports

if TYPE_CHECKING:
    from ..avatar import Avatar
    from ..pipeline import FitResult


def write_report(result: FitResult, folder: Path, turntable_frames: int = 48) -> dict[str, object]:
    """Write photo, overlay, mask, fitted render, evidence, sheet, turntable and metrics.json.

    Of several photos the reference has these names, and each further one the same with its number.

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
    views = view_reports(result)
    pictures = report_pictures(result, views)
    for name, picture in pictures.items():
        save_image(folder / f"{name}.png", picture)
    avatar = result.avatar
    theta, where = shown_upright(avatar)
    cameras = turntable(points_of(avatar, theta, where), 512, 512, turntable_frames)
    renderer = AvatarRenderer(avatar, cameras[0], GREY, light="photo")
    write_video(folder / "turntable.mp4", renderer.stream((theta, where, c) for c in cameras), 24)
    metrics = fit_metrics(result, views)
    with atomic_path(folder / "metrics.json") as temporary:
        temporary.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return metrics


def fit_metrics(result: FitResult, views: Sequence[ViewReport] | None = None) -> dict[str, object]:
    """How the avatar reproduces its photos, and what it is.

    Args:
        result: what the fit made.
        views: its photos, where already drawn.
    """
    avatar, mask = result.avatar, result.mask > 0.5
    photo = result.photo.pixels / 255.0
    shown = picture_of(avatar, *source_view(avatar), None, "baked")
    color, alpha = shown[..., :3] / 255.0, shown[..., 3:] / 255.0
    views = view_reports(result) if views is None else views
    return {
        "psnr_mask": psnr_mask(color, photo, mask),
        "psnr_box": psnr_box(color * alpha, photo, mask),
        "ssim_box": ssim_box(color * alpha, photo, mask),
        **views[0].figures,
        "seconds": {k: round(v, 2) for k, v in result.seconds.items()},
        "hands": {
            h.side: {
                "observed": h.observed,
                "confidence": max(
                    (v.confidence[h.side] for v in views if h.side in v.confidence), default=None
                ),
                "splats": len(h),
                "mean_evidence": round(float(h.evidence.mean()), 4),
            }
            for h in avatar.hands
        },
        "photos": [
            {"name": v.name, "reference": v.reference, "confidence": v.confidence, **v.figures}
            for v in views
        ],
        "left_out": list(result.views.left_out),
    }


def report_pictures(
    result: FitResult, views: Sequence[ViewReport] | None = None
) -> dict[str, np.ndarray]:
    """uint8 pictures by name, ``sheet`` being all of them on one page.

    Args:
        result: what the fit made.
        views: its photos, where already drawn.
    """
    avatar = result.avatar
    views = view_reports(result) if views is None else views
    pictures: dict[str, np.ndarray] = {}
    cells: list[np.ndarray] = []
    for number, view in enumerate(views, 1):
        end = "" if view.reference else f"_{number:02d}"
        drawn = {"photo": view.photo, "overlay": view.overlay, "mask": view.mask,
                 "fitted": view.fitted}  # fmt: skip
        pictures |= {name + end: picture for name, picture in drawn.items()}
        cells += [_named(_fit_cell(p, CELL), name + end) for name, p in drawn.items()]
        cells.append(_notes(view.notes))
    for name, picture in zip(VIEWS, avatar_views(avatar, list(VIEWS.values()), CELL)):
        cells.append(_named(picture, name))
    turns = [name for name in VIEWS if VIEWS[name][1] is None]
    evidence = evidence_views(avatar, turns, CELL)
    pictures["evidence"] = np.concatenate(evidence, axis=1)
    cells += [_named(picture, f"evidence, {name}") for name, picture in zip(turns, evidence)]
    cells.append(_notes(_evidence_notes(result)))
    rows = [np.concatenate(cells[k : k + 5], axis=1) for k in range(0, len(cells), 5)]
    return {**pictures, "sheet": np.concatenate(rows, axis=0)}


def _evidence_notes(result: FitResult) -> list[str]:
    """What yellow and blue say, for each hand, and which photos are not used."""
    hands = [
        f"{h.side} hand: "
        + (f"{100 * h.evidence.mean():.0f} % shown" if h.observed else "invented")
        for h in result.avatar.hands
    ]
    out = [f"left out: {sentence}" for sentence in result.views.left_out]
    return ["yellow: a photo showed it", "blue: completed", *hands, *out]


CELL = 384
"""Pixels along the edge of a sheet's cell."""

LINE, LETTERS = 24, 42
"""Height of a line of notes, pixels, and how many letters fit in it."""

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


def evidence_views(avatar: Avatar, views: Sequence[str], size: int) -> list[np.ndarray]:
    """The avatar coloured by evidence, blue invented, yellow seen, in some of ``VIEWS``."""
    low, high = np.array([0.13, 0.16, 0.42]), np.array([0.98, 0.86, 0.20])
    hands = tuple(
        dataclasses.replace(h, color=(low + h.evidence[:, None] * (high - low)).astype(np.float32))
        for h in avatar.hands
    )
    marked = dataclasses.replace(avatar, hands=hands)
    return avatar_views(marked, [VIEWS[name] for name in views], size, light="baked")


def _named(cell: np.ndarray, name: str) -> np.ndarray:
    """The cell with its name in the corner."""
    import cv2

    for color, thick in ((20, 3), (240, 1)):
        shade = (color, color, color)
        cv2.putText(cell, name, (10, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.55, shade, thick, cv2.LINE_AA)
    return cell


def _notes(lines: Sequence[str]) -> np.ndarray:
    """A cell with lines of text; letters that the drawn font lacks become question marks."""
    cell: np.ndarray = np.full((CELL, CELL, 3), 41, np.uint8)
    broken = [part for line in lines for part in textwrap.wrap(line, LETTERS)]
    for number, line in enumerate(broken[: CELL // LINE - 1]):
        plain = line.encode("ascii", "replace").decode()
        _named(cell[number * LINE : (number + 2) * LINE], plain)
    return cell


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
