"""The skin as pictures to paint on, and paint read back into the splats.

What is read back is the difference to the picture that would be written now. So a picture that
nobody painted on changes nothing, and where it was painted the splats move by the paint.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ..avatar import Avatar, AvatarHand, surface
from ..avatar.mirror import dressed, same_skin
from ..core.errors import InputError
from ..export.bake import bake_color, bake_textures
from ..export.scene import build_scene
from ..geometry.colour import linear_to_srgb, srgb_to_linear
from ..hand_model import HandModel
from ..skin.uv_layout import bilinear
from .apply import linear_albedo, recorded, with_albedo
from .refine import is_loose, refined, splat_uv

SIZE = 2048
SMALLEST, LARGEST = 256, 8192
PAINTED = 1.5 / 255
"""Difference from the written picture above which a texel counts as painted."""

BLUR = 1.0
"""Texels of a 2048 picture by which paint is blurred before splats take it, half their distance."""

ROUNDS = 2
"""How often what the splats still lack of the paint is added: they blur what they show."""

MARGIN = 6
"""Texels of a 2048 picture by which skin is written beyond the layout, for filtering."""


def export_textures(avatar: Avatar, folder: str | Path, size: int = SIZE) -> list[Path]:
    """Write each hand's ``SIDE_albedo.png``, ``_normal``, ``_roughness`` and ``_guide.png``.

    The albedo's alpha is the layout. The guide is transparent: the mesh's edges, to lay over the
    albedo while painting. A hand that mirrors the other has no pictures of its own.

    Args:
        avatar: the avatar.
        folder: made if it is not there.
        size: side of the pictures, texels.

    Raises:
        InputError: a size that is not accepted, or a folder that cannot be written.
    """
    from ..media import save_image

    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"texture size {size}; accepted is {SMALLEST} to {LARGEST}")
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder for the textures")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for side in avatar.sides:
        if same_skin(avatar, side):
            continue
        scene = build_scene(avatar, sides=(side,))
        baked = bake_textures(avatar, scene.hands[0], size)
        alpha = 255 * _grown(baked.covered, max(1, MARGIN * size // SIZE))
        pictures = {
            "albedo": np.dstack([baked.color, alpha.astype(np.uint8)]),
            "normal": baked.normal,
            "roughness": baked.roughness,
            "guide": guide(surface(avatar.hand_model, side, 0), size),
        }
        for name, picture in pictures.items():
            written.append(folder / f"{side}_{name}.png")
            save_image(written[-1], picture)
    return written


def guide(model: HandModel, size: int) -> np.ndarray:
    """(S, S, 4) uint8 transparent picture of a mesh's edges (of quads, if any) in its layout."""
    from PIL import Image, ImageDraw

    faces = model.uv_faces if model.uv_quads is None else model.uv_quads
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)
    edges, count = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    scale = 2
    at = model.uvs.astype(np.float64) * [1, -1] + [0, 1]
    at = at * size * scale
    lines = Image.new("L", (size * scale, size * scale), 0)
    draw = ImageDraw.Draw(lines)
    for (a, b), number in zip(edges, count):
        # an edge of one face alone is where the layout ends
        width, ink = (3, 255) if number == 1 else (1, 150)
        draw.line([*at[a], *at[b]], fill=ink, width=max(1, width * size // 1024))
    alpha = np.asarray(lines.resize((size, size), Image.Resampling.BOX))
    return np.dstack(
        [np.zeros_like(alpha), np.full_like(alpha, 90), np.full_like(alpha, 200), alpha]
    )


def read_paint(path: str | Path) -> np.ndarray:
    """(S, S, 4) uint8 of a painted picture.

    Raises:
        InputError: no picture, not square, of a size that is not accepted, or without alpha.
    """
    from PIL import Image

    path = Path(path)
    if not path.is_file():
        raise InputError(f"the painted picture {path} does not exist; check the path")
    try:
        with Image.open(path) as picture:
            wide, high = picture.size
            if wide != high or not SMALLEST <= wide <= LARGEST:
                raise InputError(
                    f"{path.name} is {wide}x{high}; paint is a square picture of {SMALLEST} to "
                    f"{LARGEST} texels in the layout that --export-textures writes"
                )
            transparent = "A" in picture.getbands() or "transparency" in picture.info
            if not transparent:
                raise InputError(
                    f"{path.name} has no transparency, so paint and empty layout cannot be told "
                    "apart; save a PNG that keeps the alpha of SIDE_albedo.png, or a layer that is "
                    "transparent where nothing was painted"
                )
            return np.asarray(picture.convert("RGBA"))
    except OSError as error:
        raise InputError(f"cannot read {path.name}: {error}; give a PNG") from None


def painted(avatar: Avatar, paint: str | Path | np.ndarray, side: str | None = None) -> Avatar:
    """The avatar with paint on its skin.

    Args:
        avatar: the avatar.
        paint: a picture as :func:`export_textures` writes the albedo, painted over, or a layer that
            is transparent elsewhere; a file or (S, S, 4) uint8.
        side: whose skin; None takes it from a file named ``right_...`` or ``left_...``, and both
            hands where one mirrors the other or is alone.

    Raises:
        InputError: a picture or side that cannot be used.
    """
    name = "paint" if isinstance(paint, np.ndarray) else Path(paint).name
    pixels = paint if isinstance(paint, np.ndarray) else read_paint(paint)
    chosen = _side_of(avatar, name, side)
    hand = avatar.hand(chosen)
    changed = _painted_hand(avatar, hand, pixels)
    record = f"paint {name} on the {chosen} hand"
    new = {chosen: changed}
    for other in avatar.sides:
        if other != chosen and side is None and same_skin(avatar, other) == chosen:
            new[other] = dressed(avatar.hand(other), changed)
            record = f"paint {name} on both hands"
    hands = tuple(new.get(h.side, h) for h in avatar.hands)
    return recorded(dataclasses.replace(avatar, hands=hands), record)


def _side_of(avatar: Avatar, name: str, side: str | None) -> str:
    if side is not None:
        return avatar.hand(side).side
    own = [s for s in avatar.sides if same_skin(avatar, s) is None]
    named = next((s for s in own if name.lower().startswith(s)), None)
    if named is None and len(own) > 1:
        raise InputError(
            f"{name} does not say which hand it is for, and the two hands differ; give --side, or "
            "let its name begin with right or left"
        )
    return named or own[0]


def _painted_hand(avatar: Avatar, hand: AvatarHand, pixels: np.ndarray) -> AvatarHand:
    size = len(pixels)
    model = surface(avatar.hand_model, hand.side, avatar.level)
    alpha = pixels[..., 3:] / 255
    rgb = pixels[..., :3] / 255
    scene = build_scene(avatar, sides=(hand.side,)).hands[0]
    now = bake_color(avatar, scene, size) / 255
    goal = alpha * rgb + (1 - alpha) * now
    new = np.abs(goal - now).max(axis=2) > PAINTED
    if not new.any():
        return hand
    touched = _faces_at(model, new)
    hand = refined(avatar, hand, touched)
    on = touched[hand.binding.triangle] & ~is_loose(hand)
    at = splat_uv(model, hand)[on] * [1, -1] + [0, 1]
    mask = _grown(new, 2)[..., None].astype(np.float64)
    for k in range(ROUNDS):
        if k:
            other = dataclasses.replace(avatar, hands=(hand,))
            now = bake_color(other, scene, size) / 255
        lack = np.concatenate([(goal - now) * mask, mask], axis=2)
        found = bilinear(_blurred(lack, BLUR * size / SIZE), at * size)
        shown = linear_to_srgb(linear_albedo(hand))
        shown[on] = np.clip(shown[on] + found[:, :3], 0, 1)
        hand = with_albedo(hand, srgb_to_linear(shown))
    return hand


def _faces_at(model: HandModel, texels: np.ndarray) -> np.ndarray:
    """(F,) bool: triangles that show one of the texels (S, S) bool."""
    from ..geometry.raster import rasterize_uv

    size = len(texels)
    face = rasterize_uv(model.uvs, model.uv_faces, size, size)[0]
    result = np.zeros(len(model.faces), bool)
    result[np.unique(face[texels & (face >= 0)])] = True
    return result


def _grown(mask: np.ndarray, texels: int) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, iterations=texels))


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(picture, (sigma, sigma, 0)))
