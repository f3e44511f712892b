"""Make hand_toolkit/fit/skin_template.npz from a folder of MakeHuman skins (CC0).

The template says how skin colour varies over a hand relative to that hand's mean: palm
against back, knuckles, creases, nails. One map for light and one for dark skins, in log of
linear albedo, on the default hand's own UV layout, averaged over skins and both hands.

    python scripts/extract_skin_template.py SKIN_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, map_coordinates

from hand_toolkit.avatar.lighting import srgb_to_linear
from hand_toolkit.fit.texture import RANGE, SIZE, TEMPLATE_FILE
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.image.silhouette import rasterize_mesh
from hand_toolkit.types import Camera


def layout() -> tuple[np.ndarray, list[np.ndarray]]:
    """Covered texels (SIZE, SIZE) and each hand's atlas coordinates (SIZE, SIZE, 2)."""
    right, left = (load_hand_model("default", s, 1) for s in ("right", "left"))
    plane = np.concatenate([right.uvs * [1, -1] + [0, 1], np.ones((len(right.uvs), 1))], axis=1)
    camera = Camera(SIZE, SIZE, 0, 0, SIZE, SIZE)
    triangle = rasterize_mesh(plane, right.uv_faces, camera).triangle
    covered = triangle >= 0
    rows, columns = np.nonzero(covered)
    corners = plane[right.uv_faces[triangle[covered]]][..., :2] * SIZE
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
        full = np.zeros((SIZE, SIZE, 2))
        full[covered] = uv
        maps.append(full)
    return covered, maps


def main(folder: Path) -> None:
    covered, maps = layout()
    groups: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for path in sorted(folder.glob("*diffuse*.png")):
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
    np.savez_compressed(TEMPLATE_FILE, light=result[0], dark=result[1])
    print(f"{TEMPLATE_FILE}: {TEMPLATE_FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
