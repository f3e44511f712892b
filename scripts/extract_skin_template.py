"""Make hand_toolkit/skin/skin_template.npz from a folder of MakeHuman skins (CC0).

The template says how skin colour varies over a hand relative to that hand's mean: palm
against back, knuckles, creases, nails. One map for light and one for dark skins, in log of
linear albedo, on the default hand's own UV layout, averaged over skins and both hands.

Its third map, ``detail``, is what is too fine for the skins and for the learned prior: nails with
lunula and free edge, knuckle folds, flexion and palm creases, drawn as for the rendered hands
(``hand_toolkit.synth.skin``), relative to the colour around them.

    python scripts/extract_skin_template.py SKIN_FOLDER [--without WORD ...] [--out FILE]

``--without female`` leaves skins out, for a benchmark that must not know them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from hand_toolkit.core.types import Camera
from hand_toolkit.geometry.colour import srgb_to_linear
from hand_toolkit.geometry.silhouette import rasterize_mesh
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.skin.template import DETAIL_RANGE, DETAIL_SIZE, RANGE, SIZE, TEMPLATE_FILE
from hand_toolkit.synth.appearance import Appearance
from hand_toolkit.synth.skin import bake
from hand_toolkit.synth.surface import load_surface
from hand_toolkit.synth.texels import SKIN_SIZE, build_texel_map

AROUND_MM = 9.0
"""Standard deviation of the colour that detail is relative to."""

BLUR_MM = 0.45
"""Finer detail than a splat would alias."""

TEXELS_PER_MM = 4.0
"""Of a baked skin at scale 1 (``hand_toolkit.synth.texels``)."""

LOOK = Appearance(
    mottling=0.0,
    wrinkles=1.0,
    creases=0.7,
    veins=0.25,
    tendons=0.0,
    moles=0.0,
    redness=0.15,
    nail=(1.24, 1.34, 1.30),
    nail_length=0.2,
    seed=3,
)


def layout(size: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Covered texels (size, size) and each hand's atlas coordinates (size, size, 2)."""
    right, left = (load_hand_model("default", s, 1) for s in ("right", "left"))
    plane = np.concatenate([right.uvs * [1, -1] + [0, 1], np.ones((len(right.uvs), 1))], axis=1)
    camera = Camera(size, size, 0, 0, size, size)
    triangle = rasterize_mesh(plane, right.uv_faces, camera).triangle
    covered = triangle >= 0
    rows, columns = np.nonzero(covered)
    corners = plane[right.uv_faces[triangle[covered]]][..., :2] * size
    point = np.stack([columns + 0.5, rows + 0.5], axis=1)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = np.cross(b - a, c - a)
    weights = (
        np.stack([np.cross(b - point, c - point), np.cross(c - point, a - point)], axis=1)
        / area[:, None]
    )
    weights = np.concatenate([weights, 1 - weights.sum(1, keepdims=True)], axis=1)
    maps = []
    for model, faces in ((right, right.uv_faces), (left, left.uv_faces)):
        if model.atlas_uvs is None:
            raise SystemExit("the default hand has no atlas coordinates; extract it again")
        # the left's corners 0 and 1 are swapped
        order = [0, 1, 2] if model.side == "right" else [1, 0, 2]
        uv = np.einsum("nk,nkc->nc", weights, model.atlas_uvs[faces[triangle[covered]][:, order]])
        full = np.zeros((size, size, 2))
        full[covered] = uv
        maps.append(full)
    return covered, maps


def detail() -> np.ndarray:
    """(DETAIL_SIZE, DETAIL_SIZE, 3) log albedo relative to the colour around."""
    covered, (uv, _) = layout(DETAIL_SIZE)
    texels = build_texel_map(load_surface("right"), 1.0)
    log = np.log(np.maximum(bake(texels, LOOK, None, "right").albedo, 0.004)).astype(np.float64)
    known = np.zeros(texels.shape)
    known.ravel()[texels.index] = 1
    around = gaussian_filter(known, AROUND_MM * TEXELS_PER_MM)[..., None] + 1e-6
    for c in range(3):
        sharp = gaussian_filter(log[..., c], BLUR_MM * TEXELS_PER_MM)
        log[..., c] = sharp - (
            gaussian_filter(log[..., c] * known, AROUND_MM * TEXELS_PER_MM) / around[..., 0]
        )
    island = texels.islands[0]
    low, high = np.array(island.source[:2]), np.array(island.source[2:])
    start, end = np.array(island.target[:2]), np.array(island.target[2:])
    atlas = uv * [SKIN_SIZE, -SKIN_SIZE] + [0, SKIN_SIZE]
    inside = covered & ((atlas >= low) & (atlas <= high)).all(2)
    place = (atlas - low) / (high - low) * (end - start) + start
    at = [place[..., 1] - 0.5, place[..., 0] - 0.5]
    picture = np.stack(
        [map_coordinates(log[..., c], at, order=1, mode="nearest") for c in range(3)], -1
    )
    nearest = distance_transform_edt(~inside, return_distances=False, return_indices=True)
    print(f"detail: {inside.sum() / covered.sum():.1%} of the hand, ", end="")
    print(f"log range {picture[inside].min():.2f} to {picture[inside].max():.2f}")
    return picture[nearest[0], nearest[1]]


def main(folder: Path, without: list[str], out: Path) -> None:
    covered, maps = layout(SIZE)
    groups: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for path in sorted(folder.glob("*diffuse*.png")):
        if any(word in path.name for word in without):
            continue
        skin = np.asarray(Image.open(path).convert("RGB")) / 255.0
        height, width = skin.shape[:2]
        for uv in maps:
            at = [(1 - uv[..., 1]) * height - 0.5, uv[..., 0] * width - 0.5]
            texture = np.stack(
                [map_coordinates(skin[..., c], at, order=1, mode="nearest") for c in range(3)], -1
            )
            log = np.log(np.maximum(srgb_to_linear(texture), 0.004))
            log -= np.median(log[covered], axis=0)
            groups["dark" in path.name].append(log)
    result = []
    for dark in (False, True):
        mean = np.mean(groups[dark], axis=0)
        nearest = distance_transform_edt(~covered, return_distances=False, return_indices=True)
        mean = mean[nearest[0], nearest[1]]
        result.append(np.clip(np.round((mean / RANGE + 1) * 127.5), 0, 255).astype(np.uint8))
        print(f"{'dark' if dark else 'light'}: {len(groups[dark])} maps, ", end="")
        print(f"log range {mean.min():.2f} to {mean.max():.2f}")
    fine = np.clip(np.round((detail() / DETAIL_RANGE + 1) * 127.5), 0, 255).astype(np.uint8)
    np.savez_compressed(out, light=result[0], dark=result[1], detail=fine)
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", nargs="*", default=[], help="words of file names to leave out")
    parser.add_argument("--out", type=Path, default=TEMPLATE_FILE)
    given = parser.parse_args()
    main(given.folder, given.without, given.out)
