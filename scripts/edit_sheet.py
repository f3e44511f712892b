"""Draw every edit, before and after, on some avatars.

python scripts/edit_sheet.py FOLDER AVATAR.hand ... [--only tone lacquer ...]

A picture for each edit: a row for each avatar, the avatar first, palm and back in one studio light.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from hand_toolkit import edit
from hand_toolkit.avatar import Avatar, display_theta
from hand_toolkit.core.cameras import look_at, orbit_camera
from hand_toolkit.media import save_image
from hand_toolkit.pictures.drawing import picture_of, points_of, shown_upright

SIZE = 420
GROUND = (0.34, 0.34, 0.35)


def henna() -> np.ndarray:
    """(800, 800, 4) uint8: rings of petals in brown on nothing."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGBA", (800, 800), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    brown = (120, 52, 22, 255)
    for ring, (radius, petal, count) in enumerate(((90, 60, 8), (210, 70, 14), (330, 60, 22))):
        box = (400 - radius, 400 - radius, 400 + radius, 400 + radius)
        pen.ellipse(box, outline=brown, width=8)
        for k in range(count):
            angle = 2 * np.pi * (k + 0.5 * (ring % 2)) / count
            x, y = 400 + radius * np.cos(angle), 400 + radius * np.sin(angle)
            pen.ellipse((x - petal, y - petal, x + petal, y + petal), outline=brown, width=8)
            pen.ellipse((x - 12, y - 12, x + 12, y + 12), fill=brown)
    pen.ellipse((370, 370, 430, 430), fill=brown)
    return np.asarray(picture)


def badge() -> np.ndarray:
    """(600, 600, 4) uint8: a disc with a triangle that points up."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGBA", (600, 600), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((10, 10, 590, 590), fill=(235, 235, 230, 255))
    pen.ellipse((50, 50, 550, 550), fill=(30, 70, 150, 255))
    pen.polygon([(300, 110), (160, 440), (440, 440)], fill=(250, 215, 60, 255))
    return np.asarray(picture)


def painted(avatar: Avatar) -> Avatar:
    """A stroke of war paint over the back and a spot on the palm."""
    from PIL import Image, ImageDraw

    layer = Image.new("RGBA", (2048, 2048), (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    for k, colour in enumerate(((200, 30, 30, 255), (240, 240, 230, 255), (20, 40, 110, 255))):
        pen.line(
            (1000 + 50 * k, 1150 - 50 * k, 1400 + 50 * k, 1450 - 50 * k), fill=colour, width=36
        )
    pen.ellipse((600, 480, 720, 600), fill=(220, 160, 30, 255))
    side = next(h.side for h in avatar.hands if h.observed)
    return edit.painted(avatar, np.asarray(layer), side)


EDITS: dict[str, tuple[Callable[[Avatar], Avatar], ...]] = {
    "tone": tuple(
        partial(edit.toned, tone=f"monk:{n}") for n in (2, 4, 6, 8, 10)
    ),
    "blood": tuple(
        partial(edit.toned, tone=t)
        for t in ("melanin=0.5", "haemoglobin=0.4", "haemoglobin=-0.3")
    ),
    "lacquer": (
        lambda a: edit.lacquered(a, "#a00818"),
        lambda a: edit.lacquered(a, "#0d3b66,ring=#d8b040"),
        lambda a: edit.lacquered(a, "none"),
        lambda a: edit.lacquered(edit.toned(a, "monk:8"), "#a00818"),
    ),
    "decal": (
        lambda a: edit.decalled(a, edit.Decal(henna(), "back", 58, 0, True)),
        lambda a: edit.decalled(a, edit.Decal(henna(), "palm", 60, 0, True)),
        lambda a: edit.decalled(a, edit.Decal(badge(), "back", 40, 30)),
        lambda a: edit.decalled(a, edit.Decal(badge(), "middle", 14)),
    ),
    "marks": (
        lambda a: edit.freckled(a, 1),
        lambda a: edit.freckled(a, 2.5),
        lambda a: edit.veined(a, 1),
        lambda a: edit.haired(a, 1),
        lambda a: edit.haired(a, 2),
    ),
    "paint": (painted,),
    "shape": tuple(
        partial(edit.shaped, changes=c)
        for c in (
            {"finger_length": 2.5},
            {"finger_length": -2.5},
            {"finger_diameter": 3.0},
            {"age": 3.0},
            {"gender": 2.5},
        )
    ),
}  # fmt: skip


def looks(avatar: Avatar, tips: bool) -> np.ndarray:
    """Palm and back, or the tips of two fingers from the back."""
    side = next((h.side for h in avatar.hands if h.observed), avatar.sides[0])
    theta, where = shown_upright(avatar, sides=(side,))
    points = points_of(avatar, theta, where)
    cameras = [orbit_camera(points, SIZE, SIZE, turn) for turn in (0.0, np.pi)]
    pictures = [picture_of(avatar, theta, where, c, GROUND, "studio").copy() for c in cameras]
    if tips:
        flat = {side: display_theta(side)}
        centre = points_of(avatar, flat, where)
        top = centre[centre[:, 1].argmin()] + [0, 0.018, 0]
        camera = look_at(top + np.array([0.0, -0.05, 0.30]), top, SIZE, SIZE, 0.24)
        pictures[0] = picture_of(avatar, flat, where, camera, GROUND, "studio").copy()
    return np.concatenate(pictures, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw every edit, before and after.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("avatars", type=Path, nargs="+")
    parser.add_argument("--only", nargs="+", choices=list(EDITS), default=list(EDITS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    loaded = [Avatar.load(path) for path in arguments.avatars]
    for name in arguments.only:
        rows = []
        for avatar in loaded:
            shown = [avatar, *(change(avatar) for change in EDITS[name])]
            rows.append(np.concatenate([looks(a, name == "lacquer") for a in shown], axis=1))
        save_image(arguments.folder / f"{name}.png", np.concatenate(rows))
        print(arguments.folder / f"{name}.png", flush=True)


if __name__ == "__main__":
    main()
