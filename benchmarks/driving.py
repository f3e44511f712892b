"""Driving an avatar of one photo with the poses of other photos of the same hand.

Used by real_hand.py. Fit on one frame; in every other frame, estimate the pose, draw the avatar
there (what ``render --camera from-pose`` does) and compare with the photo inside its given mask.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.avatar import Avatar
from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.core.metrics import psnr_box, psnr_mask, ssim_box
from hand_toolkit.core.types import Photo, PoseEstimate
from hand_toolkit.geometry import hand_silhouettes
from hand_toolkit.media import load_mask, load_photo, save_image
from hand_toolkit.pictures.drawing import picture_of, placed_like
from hand_toolkit.pipeline import fit_photo
from hand_toolkit.pose import estimate_pose
from hand_toolkit.see import label_hands, segment_photo
from hand_toolkit.skin.observe import hand_meshes
from hand_toolkit.systems.texture.one_photo import TextureConfig, fit_texture
from hand_toolkit.systems.texture.optimize import OptimizeConfig

METHODS = ("prior", "texture")
FIT_FRAMES = ("00054", "00102", "00150")
METRICS = ("psnr_mask", "psnr_box", "ssim_box")


@dataclasses.dataclass(frozen=True)
class Frame:
    """One photo of the subject with its given mask (None where the set has none) and pose."""

    name: str
    photo: Photo
    mask: np.ndarray | None
    estimate: PoseEstimate


def load_frames(folder: Path) -> list[Frame]:
    """All frames of ``one_subject``, poses estimated as ``hand-toolkit pose`` does."""
    frames = []
    for path in sorted(folder.glob("[0-9]*.jpg")):
        photo = load_photo(path)
        mask_path = path.with_name(f"{path.stem}_mask.png")
        mask = load_mask(mask_path, photo.size) if mask_path.is_file() else None
        try:
            frames.append(Frame(path.stem, photo, mask, estimate_pose(photo, hands="left")))
        except HandToolkitError as error:
            print(f"  {path.stem}: {error}")
    return frames


def drive(avatar: Avatar, frame: Frame) -> np.ndarray:
    """The avatar in the frame's pose and place, (H, W, 3) in [0, 1] on black."""
    hand = frame.estimate.hands[0]
    where = placed_like(avatar, hand, frame.estimate.camera)
    picture = picture_of(avatar, {hand.side: hand.theta}, {hand.side: where}, frame.estimate.camera)
    return picture / 255.0


def score(picture: np.ndarray, frame: Frame) -> dict[str, float]:
    """The three metrics against the frame's photo inside its mask."""
    photo, mask = frame.photo.pixels / 255.0, given_mask(frame)
    return {
        "psnr_mask": psnr_mask(picture, photo, mask),
        "psnr_box": psnr_box(picture, photo, mask),
        "ssim_box": ssim_box(picture, photo, mask),
    }


def given_mask(frame: Frame) -> np.ndarray:
    """The frame's given mask; only frames that have one are scored."""
    if frame.mask is None:
        raise ValueError(f"{frame.name} has no mask")
    return frame.mask


def unoptimized(frame: Frame) -> Avatar:
    """The photo's texture on the mesh, without refinement."""
    silhouettes, nearest = hand_silhouettes(hand_meshes(frame.estimate), frame.estimate.camera)
    mask = segment_photo(frame.photo, frame.estimate, list(silhouettes))
    config = TextureConfig(optimize=OptimizeConfig(steps=0))
    return fit_texture(frame.photo, mask, label_hands(mask, nearest), frame.estimate, config)


def mean_color(frame: Frame, target: Frame) -> np.ndarray:
    """A picture of nothing but the fit frame's mean skin colour."""
    color = (frame.photo.pixels / 255.0)[given_mask(frame) > 0.5].mean(axis=0)
    return np.broadcast_to(color, target.photo.pixels.shape).copy()


def run(
    frames: list[Frame],
    methods: tuple[str, ...] = METHODS,
    fit_frames: tuple[str, ...] = FIT_FRAMES,
    pictures: Path | None = None,
) -> list[dict[str, object]]:
    """One row per fit frame and method: mean and worst of each metric over the other frames."""
    rows: list[dict[str, object]] = []
    for name in fit_frames:
        source = next(f for f in frames if f.name == name)
        targets = [f for f in frames if f is not source and f.mask is not None]
        drawn = {"mean skin colour": [mean_color(source, t) for t in targets]}
        plain = unoptimized(source)
        drawn["texture, not optimised"] = [drive(plain, t) for t in targets]
        for method in methods:
            avatar = fit_photo(source.photo, hands="left", method=method).avatar
            drawn[method] = [drive(avatar, t) for t in targets]
        for label, images in drawn.items():
            scores = [score(image, t) for image, t in zip(images, targets)]
            row: dict[str, object] = {"fit_frame": name, "method": label, "targets": len(targets)}
            for metric in METRICS:
                values = [s[metric] for s in scores]
                row[metric] = round(float(np.mean(values)), 3)
                row[f"{metric}_worst"] = round(float(np.min(values)), 3)
            rows.append(row)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            save_image(pictures / f"driving_{name}.png", sheet(targets, drawn))
    return rows


def sheet(targets: list[Frame], drawn: dict[str, list[np.ndarray]], count: int = 8) -> np.ndarray:
    """Photos above each method's drawings, inside the given masks."""
    chosen = np.linspace(0, len(targets) - 1, count).astype(int)
    lines = [np.concatenate([targets[k].photo.pixels / 255.0 for k in chosen], axis=1)]
    for images in drawn.values():
        cells = [images[k] * (targets[k].mask > 0.5)[..., None] for k in chosen]
        lines.append(np.concatenate(cells, axis=1))
    return np.concatenate(lines, axis=0)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    head = f"{'fit frame':<10}{'method':<26}" + "".join(f"{m:>18}" for m in METRICS)
    lines = [head + "   (mean / worst)"]
    for row in rows:
        cells = "".join(f"{row[m]:>10.2f} /{row[m + '_worst']:>6.2f}" for m in METRICS)
        lines.append(f"{row['fit_frame']:<10}{row['method']:<26}{cells}")
    for method in dict.fromkeys(str(r["method"]) for r in rows):
        own = [r for r in rows if r["method"] == method]
        cells = "".join(
            f"{np.mean([r[m] for r in own]):>10.2f} /{np.min([r[m + '_worst'] for r in own]):>6.2f}"
            for m in METRICS
        )
        lines.append(f"{'all':<10}{method:<26}{cells}")
    return "\n".join(lines)
