"""Fit every photo of a folder and show what came of it, one row a photo.

    python scripts/contact_sheet.py PHOTO_FOLDER -o sheet.png [--avatars FOLDER] [--json FILE]

A row is the photo, the outline found, the avatar in the photo's view, turned by 60 degrees, the
other side, a fist, and a forefinger from very near. ``--avatars`` keeps the .hand files.

Photos that cannot be fitted show the toolkit's message instead. Beside the fit's own figures it
prints how the avatar shows what the photo saw: PSNR where both lie, PSNR away from outlines, and
how the detail there, what a blur of 4 pixels leaves, correlates with the photo's.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from hand_toolkit.avatar import Avatar
from hand_toolkit.core.cameras import look_at
from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.core.metrics import psnr
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.pictures.drawing import (
    picture_of,
    points_of,
    shown_upright,
    shows_back,
    source_view,
)
from hand_toolkit.pictures.report import avatar_views, fit_metrics
from hand_toolkit.pictures.report_views import GREY, overlay
from hand_toolkit.pipeline import FitResult, fit_photo

SIDE = 256
COLUMNS = (
    "photo", "overlay", "same view", "turned 60 degrees", "other side", "fist", "finger"
)  # fmt: skip
FINGER = (6, 8)
"""Keypoints between which the last column looks: the forefinger's middle joint and tip."""


def row(result: FitResult) -> list[np.ndarray]:
    """The pictures of one fit, in the order of ``COLUMNS``."""
    avatar = result.avatar
    theta, where, camera = source_view(avatar)
    same = picture_of(avatar, theta, where, camera, GREY, "baked")
    points = points_of(avatar, theta, where)
    centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
    distance = 6.2 * np.linalg.norm(points - centre, axis=1).max() / 2

    def turned(degrees: float) -> np.ndarray:
        turn = np.radians(degrees)
        eye = centre + distance * np.array([np.sin(turn), 0, -np.cos(turn)])
        return picture_of(avatar, theta, where, look_at(eye, centre, SIDE, SIDE, 0.7), GREY)

    back = shows_back(avatar, avatar.sides)
    (fist,) = avatar_views(avatar, [(np.pi if back else 0.0, "fist")], SIDE)
    finger = finger_picture(avatar, back)
    return [
        result.photo.pixels,
        overlay(result.photo, result.estimate),
        same,
        turned(60),
        turned(180),
        fist,
        finger,
    ]


def finger_picture(avatar: Avatar, back: bool) -> np.ndarray:
    """A forefinger's end from very near, on the side that the photo saw."""
    theta, where = shown_upright(avatar)
    side = next(iter(theta))
    model = load_hand_model(avatar.hand_model, side, 0)
    joints = pose_hand_numpy(model, theta[side], avatar.hand(side).shape, where[side])[2]
    centre = joints[list(FINGER)].mean(axis=0)
    eye = centre + np.array([0.0, 0.0, 0.14 if back else -0.14])
    return picture_of(avatar, theta, where, look_at(eye, centre, SIDE, SIDE, 0.4), GREY)


def seen_alike(result: FitResult) -> dict[str, float]:
    """The avatar in the photo's view where both show the hand.

    Returns:
        ``psnr_seen``, ``psnr_inside``, more than 1.5 % of the hand from outlines, dB;
        ``detail_inside``, correlation; ``covered``, part of the mask that the avatar covers.
    """
    from scipy.ndimage import binary_erosion, gaussian_filter

    avatar, mask = result.avatar, result.mask > 0.5
    theta, where, camera = source_view(avatar)
    shown = picture_of(avatar, theta, where, camera, None, "baked") / 255.0
    photo = result.photo.pixels / 255.0
    rows, columns = np.nonzero(mask)
    size = max(np.ptp(rows), np.ptp(columns))
    both = mask & (shown[..., 3] > 0.98)
    inside = binary_erosion(both, iterations=max(2, round(0.015 * size)))
    fine = [
        (p - gaussian_filter(p, (4, 4, 0)))[inside].mean(axis=1) for p in (shown[..., :3], photo)
    ]
    return {
        "psnr_seen": psnr(shown[both][:, :3], photo[both]),
        "psnr_inside": psnr(shown[inside][:, :3], photo[inside]),
        "detail_inside": float(np.corrcoef(*fine)[0, 1]),
        "covered": float(both.sum() / mask.sum()),
    }


def cell(picture: np.ndarray) -> Image.Image:
    """The picture scaled into a square."""
    image = Image.fromarray(picture)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (SIDE, SIDE), (41, 41, 43))
    square.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return square


def message_cell(text: str) -> Image.Image:
    """A square with the words of an error."""
    square = Image.new("RGB", (SIDE, SIDE), (60, 30, 30))
    ImageDraw.Draw(square).text((8, 8), textwrap.fill(text, 38), fill=(250, 230, 230))
    return square


def _said(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--quality", default="standard")
    parser.add_argument("--across", type=int, default=1, help="photos side by side")
    parser.add_argument("--avatars", type=Path, help="folder that keeps the .hand files")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    paths = sorted(p for p in options.folder.rglob("*.jpg"))
    rows = []
    figures: dict[str, dict[str, object]] = {}
    told: list[dict[str, float]] = []
    for path in paths:
        name = str(path.relative_to(options.folder))
        try:
            result = fit_photo(path, method=options.method, quality=options.quality)
            if options.avatars:
                options.avatars.mkdir(parents=True, exist_ok=True)
                result.avatar.save(options.avatars / f"{path.stem}.hand")
            cells = [cell(p) for p in row(result)]
            alike = seen_alike(result)
            whole = fit_metrics(result)
            figures[name] = {**whole, **alike}
            told.append({"psnr_mask": float(str(whole["psnr_mask"])), **alike})
            print(f"{name}: {_said(told[-1])}", flush=True)
        except HandToolkitError as error:
            photo = Image.open(path).convert("RGB")
            cells = [cell(np.asarray(photo)), message_cell(str(error))]
            figures[name] = {"error": str(error)}
            print(f"{name}: {error}", flush=True)
        line = Image.new("RGB", (SIDE * len(COLUMNS), SIDE), (41, 41, 43))
        for k, image in enumerate(cells):
            line.paste(image, (k * SIDE, 0))
        ImageDraw.Draw(line).text((6, 4), name, fill=(255, 255, 0))
        rows.append(line)
    if told:
        means = {name: float(np.mean([one[name] for one in told])) for name in told[0]}
        print(f"mean of {len(told)}: {_said(means)}")
    across = options.across
    height = -(-len(rows) // across)
    sheet = Image.new("RGB", (SIDE * len(COLUMNS) * across, SIDE * height), (20, 20, 20))
    for k, line in enumerate(rows):
        sheet.paste(line, ((k // height) * line.width, (k % height) * SIDE))
    sheet.save(options.output)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
