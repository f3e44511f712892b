"""Driving avatars of one or several photos with the poses of other photos of the same hand.

Used by real_hand.py. In every target frame the pose is estimated, the avatar drawn there (what
``render --camera from-pose`` does) and compared with the photo, black outside the given mask.

What counts is the union of the given mask and the drawn hand, on black: skin drawn where the mask
has none and skin of the mask that is not drawn both cost, so neither a smaller hand nor a larger
one gains. ``given_*`` are the figures inside the given mask alone, which do not see what is drawn
outside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.avatar import Avatar
from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.core.metrics import psnr, psnr_box, psnr_mask, silhouette_iou, ssim_box
from hand_toolkit.core.types import Photo, PoseEstimate
from hand_toolkit.edit.size import photo_hand
from hand_toolkit.geometry.colour import linear_to_srgb, srgb_to_linear
from hand_toolkit.media import load_mask, load_photo, save_image
from hand_toolkit.pictures.drawing import picture_of, placed_like
from hand_toolkit.pipeline import fit_photos
from hand_toolkit.pose import estimate_pose
from hand_toolkit.pose.person import PersonSource

METHODS = ("igsn", "texture")
FIT_FRAMES = ("00054", "00102", "00150")
METRICS = (
    "psnr_union",
    "psnr_box",
    "psnr_picture",
    "ssim_box",
    "silhouette_iou",
    "given_psnr_mask",
    "given_psnr_box",
    "given_ssim_box",
)
MATCHED = ", exposure matched"
OWN_SHAPE = ", poses in its shape"
FLAT = "flat colour, outline of "
FLAT_GIVEN = "flat colour, given mask"


@dataclasses.dataclass(frozen=True)
class Frame:
    """One photo of the subject with its given mask (None where the set has none) and pose."""

    name: str
    photo: Photo
    mask: np.ndarray | None
    estimate: PoseEstimate

    @property
    def pixels(self) -> np.ndarray:
        """(H, W, 3) sRGB in [0, 1]."""
        return self.photo.pixels / 255.0


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A drawn hand.

    Attributes:
        picture: (H, W, 3) sRGB in [0, 1], on black.
        outline: (H, W) bool, where the hand covers more than half of the pixel.
    """

    picture: np.ndarray
    outline: np.ndarray


def load_frames(folder: Path, names: Sequence[str] | None = None) -> list[Frame]:
    """Frames of ``one_subject``, poses estimated as ``hand-toolkit pose`` does.

    Args:
        folder: with ``NAME.jpg`` and, for most, ``NAME_mask.png``.
        names: those to load; None loads every one.
    """
    frames = []
    for path in frame_paths(folder):
        if names is not None and path.stem not in names:
            continue
        photo = load_photo(path)
        mask_path = path.with_name(f"{path.stem}_mask.png")
        mask = load_mask(mask_path, photo.size) if mask_path.is_file() else None
        try:
            frames.append(Frame(path.stem, photo, mask, estimate_pose(photo, hands="left")))
        except HandToolkitError as error:
            print(f"  {path.stem}: {error}")
    return frames


def frame_paths(folder: Path) -> list[Path]:
    """The photos of ``one_subject`` in order."""
    return sorted(folder.glob("[0-9]*.jpg"))


def target_names(
    folder: Path, fit_frames: Sequence[str], which: str = "even", most: int | None = None
) -> list[str]:
    """Frames to drive to: with a given mask and in no fit.

    Args:
        folder: of the photos.
        fit_frames: frames that any avatar is fitted to.
        which: "all", "odd" (for choices) or "even" (for reporting), counted from 0 in order.
        most: no more than so many, evenly spread; None takes all.
    """
    names = [
        path.stem
        for number, path in enumerate(frame_paths(folder))
        if (which == "all" or number % 2 == (which == "odd"))
        and path.stem not in fit_frames
        and path.with_name(f"{path.stem}_mask.png").is_file()
    ]
    if most is not None and most < len(names):
        names = [names[k] for k in np.linspace(0, len(names) - 1, most).round().astype(int)]
    return names


def drive(avatar: Avatar, frame: Frame) -> Drawn:
    """The avatar in the frame's pose and place."""
    hand = frame.estimate.hands[0]
    where = {hand.side: placed_like(avatar, hand, frame.estimate.camera)}
    theta = {hand.side: hand.theta}
    shown = picture_of(avatar, theta, where, frame.estimate.camera, background=None) / 255.0
    return Drawn(shown[..., :3] * shown[..., 3:], shown[..., 3] > 0.5)


def in_shape(avatar: Avatar, frame: Frame) -> Frame:
    """The frame with its pose estimated in the avatar's shape, as ``pose --avatar`` does."""
    source = PersonSource.of("network", photo_hand(avatar).shape, avatar.hand_model)
    return dataclasses.replace(
        frame, estimate=estimate_pose(frame.photo, hands="left", source=source)
    )


def flat(color: np.ndarray, outline: np.ndarray) -> Drawn:
    """One colour (3,) inside an outline (H, W)."""
    inside = np.asarray(outline) > 0.5
    return Drawn(inside[..., None] * color, inside)


def expose(drawn: Drawn, photo: np.ndarray, mask: np.ndarray) -> Drawn:
    """The drawn hand times the one gain of linear light that fits the photo best.

    Least squares over the pixels of both the given mask and the drawn hand, so that the outlines'
    disagreement does not darken the hand; left as it is where they do not meet.

    Args:
        drawn: the hand.
        photo: (H, W, 3) sRGB in [0, 1].
        mask: (H, W), the given one.
    """
    both = drawn.outline & (mask > 0.5)
    light, target = srgb_to_linear(drawn.picture), srgb_to_linear(photo[both])
    energy = float((light[both] ** 2).sum())
    if energy <= 0:
        return drawn
    gain = float((light[both] * target).sum()) / energy
    return dataclasses.replace(drawn, picture=linear_to_srgb(gain * light))


def score(drawn: Drawn, photo: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The metrics of one drawn hand.

    Args:
        drawn: the hand.
        photo: (H, W, 3) sRGB in [0, 1].
        mask: (H, W), the given one; the photo is black outside it.
    """
    given = mask > 0.5
    union = given | drawn.outline
    target = photo * given[..., None]
    picture = drawn.picture
    return {
        "psnr_union": psnr_mask(picture, target, union),
        "psnr_box": psnr_box(picture, target, union),
        "psnr_picture": psnr(picture, target),
        "ssim_box": ssim_box(picture, target, union),
        "silhouette_iou": silhouette_iou(drawn.outline, given),
        "given_psnr_mask": psnr_mask(picture, photo, given),
        "given_psnr_box": psnr_box(picture, photo, given),
        "given_ssim_box": ssim_box(picture, photo, given),
    }


def given_mask(frame: Frame) -> np.ndarray:
    """The frame's given mask; only frames that have one are scored or give a mean colour."""
    if frame.mask is None:
        raise ValueError(f"{frame.name} has no mask; choose a frame with one")
    return frame.mask


def mean_color(sources: Sequence[Frame]) -> np.ndarray:
    """(3,) sRGB, the mean inside the given masks of the fit frames."""
    return np.concatenate([f.pixels[given_mask(f) > 0.5] for f in sources]).mean(axis=0)


@dataclasses.dataclass(frozen=True)
class Entry:
    """An avatar to drive: its name in the table and the frames that it was fitted to."""

    label: str
    avatar: Avatar
    sources: tuple[Frame, ...]


def fit_entries(sources: Sequence[Frame], methods: Sequence[str], views: int) -> list[Entry]:
    """Avatars of each fit frame alone and, for several views, one of the first so many together."""
    groups: list[tuple[Frame, ...]] = [(frame,) for frame in sources]
    if views > 1:
        groups.append(tuple(sources[:views]))
    entries = []
    for method in methods:
        for group in groups:
            photos = [frame.photo for frame in group]
            avatar = fit_photos(photos, hands="left", method=method).avatar
            count = "one photo" if len(group) == 1 else f"{len(group)} photos"
            entries.append(Entry(f"{method}, {count}", avatar, group))
            print(f"  fitted {method} to {', '.join(f.name for f in group)}", flush=True)
    return entries


def run(
    targets: Sequence[Frame],
    entries: Sequence[Entry],
    exposure: bool = False,
    pictures: Path | None = None,
    own_shape: bool = False,
) -> list[dict[str, object]]:
    """One row per avatar, and one of its outline filled with its fit frames' mean skin colour.

    And one per single fit frame of the given mask filled so, whose outline is right by definition.

    Args:
        targets: frames with a given mask that no avatar was fitted to.
        entries: the avatars.
        exposure: score each also with one gain per frame; see :func:`expose`.
        pictures: folder for a sheet of the drawn hands.
        own_shape: drive each also by poses that were estimated in its own shape.

    Returns:
        Per row ``fit_frames``, ``method``, ``targets``, and mean and worst of each metric.
    """
    rows: list[dict[str, object]] = []
    lines: dict[str, list[Drawn]] = {}
    filled: set[str] = set()
    for entry in entries:
        names = "+".join(f.name for f in entry.sources)
        color = mean_color(entry.sources)
        hands = [drive(entry.avatar, t) for t in targets]
        lines[f"{entry.label} {names}"] = hands
        drawn = {
            entry.label: hands,
            FLAT + entry.label: [flat(color, hand.outline) for hand in hands],
        }
        if own_shape:
            known = [drive(entry.avatar, in_shape(entry.avatar, t)) for t in targets]
            lines[f"{entry.label}{OWN_SHAPE} {names}"] = known
            drawn[entry.label + OWN_SHAPE] = known
            drawn[FLAT + entry.label + OWN_SHAPE] = [flat(color, hand.outline) for hand in known]
        if len(entry.sources) == 1 and names not in filled:
            filled.add(names)
            drawn[FLAT_GIVEN] = [flat(color, given_mask(t)) for t in targets]
        for label, images in drawn.items():
            rows.append(_row(names, label, images, targets))
            if exposure:
                matched = [expose(d, t.pixels, given_mask(t)) for d, t in zip(images, targets)]
                rows.append(_row(names, label + MATCHED, matched, targets))
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        save_image(pictures / "driving.png", sheet(targets, list(lines.values())))
        print("rows of driving.png: photos; " + "; ".join(lines))
    return rows


def _row(
    names: str, label: str, images: Sequence[Drawn], targets: Sequence[Frame]
) -> dict[str, object]:
    scores = [score(d, t.pixels, given_mask(t)) for d, t in zip(images, targets)]
    row: dict[str, object] = {"fit_frames": names, "method": label, "targets": len(targets)}
    for metric in METRICS:
        values = [s[metric] for s in scores]
        row[metric] = round(float(np.mean(values)), 3)
        row[f"{metric}_worst"] = round(float(np.min(values)), 3)
    return row


def sheet(targets: Sequence[Frame], drawn: Sequence[Sequence[Drawn]], count: int = 8) -> np.ndarray:
    """Photos inside their given masks above each avatar's drawings, (H, W, 3) in [0, 1]."""
    chosen = np.linspace(0, len(targets) - 1, min(count, len(targets))).astype(int)
    photos = [targets[k].pixels * (given_mask(targets[k]) > 0.5)[..., None] for k in chosen]
    lines = [photos, *([hands[k].picture for k in chosen] for hands in drawn)]
    return np.concatenate([np.concatenate(line, axis=1) for line in lines], axis=0)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text, and the mean over fit frames of each kind of row."""
    wide = max(len(str(r["method"])) for r in rows) + 2
    own = max(len(str(r["fit_frames"])) for r in rows) + 2
    head = f"{'fit frames':<{own}}{'method':<{wide}}" + "".join(f"{m:>17}" for m in METRICS)
    lines = [head + "   (mean / worst)"]
    lines += [_line(str(r["fit_frames"]), own, str(r["method"]), wide, [r]) for r in rows]
    for method in dict.fromkeys(str(r["method"]) for r in rows):
        alike = [r for r in rows if r["method"] == method]
        if len(alike) > 1:
            lines.append(_line("mean", own, method, wide, alike))
    return "\n".join(lines)


def _line(name: str, own: int, method: str, wide: int, rows: Sequence[dict[str, Any]]) -> str:
    cells = ""
    for m in METRICS:
        mean, worst = np.mean([r[m] for r in rows]), np.min([r[f"{m}_worst"] for r in rows])
        digits = 2 if "psnr" in m else 3
        cells += f"{mean:>10.{digits}f} /{worst:>5.{digits}f}"
    return f"{name:<{own}}{method:<{wide}}{cells}"
