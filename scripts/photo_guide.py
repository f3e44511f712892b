"""Make the pictures of docs/photos.md: photos of known hands, and what becomes of them.

    python scripts/photo_guide.py [--images docs/images] [--json FILE]

An avatar fitted to the picture that comes with the project is drawn in several situations; each
drawing is then fitted as a photo would be. As the true pose is known, so is the error.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from contact_sheet import cell, message_cell, row
from PIL import Image, ImageDraw
from scipy.spatial.transform import Rotation

from hand_toolkit.animate import finger_pose
from hand_toolkit.avatar import Avatar, display_theta
from hand_toolkit.avatar.lighting import constant_light, sh_basis
from hand_toolkit.core.conventions import mirror_theta
from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.core.metrics import pa_mpjpe_mm, psnr_mask
from hand_toolkit.core.types import Camera
from hand_toolkit.media import photo_from_array
from hand_toolkit.media.demo import PICTURE
from hand_toolkit.pictures.drawing import picture_of, source_view
from hand_toolkit.pipeline import fit_photo

SIZE = 480
CAMERA = Camera(1.2 * SIZE, 1.2 * SIZE, SIZE / 2, SIZE / 2, SIZE, SIZE)


@dataclass(frozen=True)
class Situation:
    """One photo to try.

    Attributes:
        name: file-name part and row label.
        theta, where: by side.
        light: shading SH, or None for the colours as photographed.
        background: (H, W, 3) in [0, 1].
        shrink: the picture is made so many times smaller.
    """

    name: str
    theta: dict[str, np.ndarray]
    where: dict[str, np.ndarray]
    light: np.ndarray | None = None
    background: np.ndarray | None = None
    shrink: int = 1


def turned(theta: np.ndarray, axis: str, degrees: float) -> np.ndarray:
    """θ with the whole hand turned about a camera axis."""
    out = theta.copy()
    turn = Rotation.from_euler(axis, degrees, degrees=True)
    out[0] = (turn * Rotation.from_rotvec(theta[0])).as_rotvec()
    return out


def room(seed: int) -> np.ndarray:
    """A blurred, cool background."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(SIZE, SIZE)), 30)
    noise = (noise - noise.min()) / np.ptp(noise)
    return 0.25 + 0.35 * noise[..., None] * np.array([0.8, 0.95, 1.0])


def harsh_light() -> np.ndarray:
    """A lamp from the right and little else."""
    basis = sh_basis(np.array([0.9, -0.2, -0.4]), 9) * np.pi
    bands = np.array([1, 2 / 3, 2 / 3, 2 / 3, *[0.25] * 5])
    return constant_light(0.12) + (basis * bands)[:, None] * np.array([1.5, 1.4, 1.25])


def situations(side: str) -> list[Situation]:
    """Good ones first."""

    def posed(name: str, spread: float = 6.0) -> np.ndarray:
        pose = finger_pose(name, spread)
        return display_theta(side, pose if side == "right" else mirror_theta(pose))

    def one(name: str, theta: np.ndarray, z: float = 0.45, **more: object) -> Situation:
        return Situation(name, {side: theta}, {side: np.array([0.0, 0.08, z])}, **more)  # type: ignore[arg-type]

    flat = posed("flat", 10)
    skin = np.full((SIZE, SIZE, 3), [0.72, 0.5, 0.42])
    other = "left" if side == "right" else "right"
    both = {side: turned(posed("relaxed"), "y", 80 if side == "right" else -80)}
    both[other] = mirror_theta(both[side])
    s = -1.0 if side == "right" else 1.0
    return [
        one("open palm", flat),
        one("back of the hand", turned(flat, "y", 180)),
        one("relaxed, turned 35 degrees", turned(posed("relaxed"), "y", 35)),
        one("small in the picture", turned(flat, "y", 160), z=1.6, shrink=3),
        one("fingers toward the camera", turned(flat, "x", -75), z=0.5),
        one("fist from the side", turned(posed("fist"), "y", 95)),
        one("hard light from one side", turned(flat, "y", 180), light=harsh_light()),
        one("background of skin colour", flat, background=skin),
        Situation(
            "hands pressed together",
            both,
            {side: np.array([s * 0.02, 0.08, 0.45]), other: np.array([-s * 0.02, 0.08, 0.45])},
        ),
    ]  # fmt: skip


def draw(avatar: Avatar, situation: Situation, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The photo (H, W, 3) uint8 and the hands' mask."""
    shown = (
        picture_of(avatar, situation.theta, situation.where, CAMERA, None, situation.light) / 255.0
    )
    background = room(seed) if situation.background is None else situation.background
    alpha = shown[..., 3:]
    picture = shown[..., :3] * alpha + background * (1 - alpha)
    noise = np.random.default_rng(seed).normal(0, 0.006, picture.shape)
    image = Image.fromarray((np.clip(picture + noise, 0, 1) * 255).astype(np.uint8))
    if situation.shrink > 1:
        size = SIZE // situation.shrink
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(image), alpha[..., 0] > 0.5


def try_out(
    avatar: Avatar, situation: Situation, seed: int, tell: Callable[[str], None]
) -> tuple[Image.Image, dict[str, object]]:
    """A row of pictures and the figures of one situation."""
    from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy

    photo, _ = draw(avatar, situation, seed)
    figures: dict[str, object] = {"situation": situation.name}
    try:
        result = fit_photo(
            photo_from_array(photo, name=situation.name), focal_px=CAMERA.fx / situation.shrink
        )
        cells = [cell(p) for p in row(result)]
        errors = []
        for hand in result.estimate.hands:
            if hand.side in situation.theta:
                model = load_hand_model(avatar.hand_model, hand.side, 0)
                truth = pose_hand_numpy(
                    model,
                    situation.theta[hand.side],
                    avatar.hand(hand.side).shape,
                    situation.where[hand.side],
                )[2]
                errors.append(float(pa_mpjpe_mm(hand.joints_cam_m, truth)))
        found = [h.side for h in result.estimate.hands]
        theta, where, camera = source_view(result.avatar)
        shown = picture_of(result.avatar, theta, where, camera, light="baked") / 255.0
        figures |= {
            "found": found,
            "expected": sorted(situation.theta, reverse=True),
            "pa_mpjpe_mm": round(float(np.mean(errors)), 2) if errors else None,
            "confidence": [round(h.confidence, 2) for h in result.estimate.hands],
            "psnr_mask": round(psnr_mask(shown, photo / 255.0, result.mask > 0.5), 2),
        }
    except HandToolkitError as error:
        cells = [cell(photo), message_cell(str(error))]
        figures["error"] = str(error)
    line = Image.new("RGB", (256 * 5, 256), (41, 41, 43))
    for k, image in enumerate(cells):
        line.paste(image, (k * 256, 0))
    ImageDraw.Draw(line).text((6, 4), situation.name, fill=(255, 255, 0))
    tell(str(figures))
    return line, figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, default=Path("docs/images"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", help="situations whose name has this in it")
    options = parser.parse_args()
    avatar = fit_photo(PICTURE).avatar
    side = next(h.side for h in avatar.hands if h.observed)
    lines, figures = [], []
    for seed, situation in enumerate(situations(side)):
        if options.only and options.only not in situation.name:
            continue
        line, numbers = try_out(avatar, situation, seed, print)
        lines.append(line)
        figures.append(numbers)
    sheet = Image.new("RGB", (lines[0].width, 256 * len(lines)))
    for k, line in enumerate(lines):
        sheet.paste(line, (0, 256 * k))
    options.images.mkdir(parents=True, exist_ok=True)
    sheet.save(options.images / "photo_guide.jpg", quality=88)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
