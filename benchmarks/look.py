"""What splats lose of the mesh: their outline, and the detail of a texture.

    python benchmarks/look.py [--texture PICTURE] [--avatars FILE ...]

The default hand is covered with splats as the fit lays them. Outline: mean distance in pixels
between where the picture's opacity is one half and the mesh's edge, positive outside, in three
poses. Detail: correlation of what a blur of 3 mm leaves of the picture with the same of the mesh
that wears the texture itself, and its strength over the texture's; of the whole hand and of a
finger's end. The texture is the shipped template of hidden skin (0.3 mm a texel), or a square
picture on the layout of MakeHuman's body. ``--avatars`` prints the outline of fitted ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hand_toolkit.animate import finger_pose
from hand_toolkit.avatar import Avatar, display_theta, surface
from hand_toolkit.core.cameras import look_at
from hand_toolkit.core.types import Camera
from hand_toolkit.export.bake import dilated
from hand_toolkit.geometry.colour import srgb_to_linear
from hand_toolkit.geometry.raster import rasterize_uv
from hand_toolkit.geometry.surfaces import at_surface
from hand_toolkit.skin.template import template_log_albedo
from hand_toolkit.testing.look import (
    Albedo,
    detail_correlation,
    laid_avatar,
    outline_offset_px,
)

POSES = (("flat", 0.4), ("fist", 3.0), ("relaxed", 1.3))
"""Pose and turn of the camera about the hand, radians."""

TEXELS = 2048


def template(uv: np.ndarray) -> np.ndarray:
    """Light skin."""
    return 0.35 * np.exp(template_log_albedo(uv, 0.3))


def picture(path: Path) -> Albedo:
    """A texture on the layout of MakeHuman's body, brought onto the hand's own."""
    import cv2

    read = cv2.imread(str(path))
    model = surface("default", "right", 1)
    if read is None or model.atlas_uvs is None:
        raise SystemExit(f"{path} is no picture; give one of MakeHuman's skins")
    body = srgb_to_linear(read[..., ::-1] / 255.0).astype(np.float32)
    face, weights = rasterize_uv(model.uvs, model.uv_faces, TEXELS, TEXELS)
    known = face >= 0
    at = at_surface(model.atlas_uvs, model.uv_faces, face[known], weights[known])
    image = np.zeros((TEXELS, TEXELS, 3), np.float32)
    image[known] = _sample(body, at)
    image = dilated(image, known, 16.0)
    return lambda uv: _sample(image, uv)


def _sample(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    at = [(1 - uv[:, 1]) * len(image) - 0.5, uv[:, 0] * len(image) - 0.5]
    channels = [map_coordinates(image[..., c], at, order=1, mode="nearest") for c in range(3)]
    return np.stack(channels, axis=1)


def view(
    avatar: Avatar, side: str, theta: np.ndarray, turn: float, size: int, close: bool
) -> Camera:
    """A camera on the whole hand, or on the end of its longest finger."""
    vertices = avatar.mesh(side, theta)
    centre = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    radius = np.linalg.norm(vertices - centre, axis=1).max()
    if close:
        centre = 0.8 * vertices[vertices[:, 1].argmin()] + 0.2 * centre
        radius = 0.03
    eye = centre + 4 * radius * np.array([np.sin(turn), 0, -np.cos(turn)])
    return look_at(eye, centre, size, size, 0.52)


def outline(avatar: Avatar) -> str:
    """The column of one avatar, at three sizes."""
    side, text = avatar.sides[0], ""
    for size in (256, 512, 1080):
        offsets = []
        for name, turn in POSES:
            fingers = None if name == "flat" else finger_pose(name)
            theta = display_theta(side, fingers)
            camera = view(avatar, side, theta, turn, size, False)
            offsets.append(outline_offset_px(avatar, {side: theta}, camera))
        text += f"{max(offsets, key=abs):+8.2f}"
    return text


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texture", type=Path)
    parser.add_argument("--avatars", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    albedo = template if arguments.texture is None else picture(arguments.texture)
    head = "".join(f"{s:>8}" for s in (256, 512, 1080))
    print(f"{'outline, pixels outside, worst of 3':38s}{head}")
    for per_face in (1, 4, 16):
        print(f"{f'{per_face} splats a triangle':38s}{outline(laid_avatar(per_face))}")
    for path in arguments.avatars:
        print(f"{path.stem:38s}{outline(Avatar.load(path))}")
    print(f"\n{'detail, correlation (strength)':38s}{'512':>14}{'1080':>14}{'finger, 512':>14}")
    for per_face in (1, 4, 16):
        avatar, theta = laid_avatar(per_face, albedo), display_theta("right")
        text = ""
        for size, close in ((512, False), (1080, False), (512, True)):
            camera = view(avatar, "right", theta, 0.0, size, close)
            alike, strength = detail_correlation(avatar, albedo, {"right": theta}, camera)
            text += f"{f'{alike:.3f} ({strength:.2f})':>14}"
        print(f"{f'{per_face} splats a triangle':38s}{text}")


if __name__ == "__main__":
    main()
