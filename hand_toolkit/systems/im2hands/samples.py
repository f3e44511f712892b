"""Samples to train on: rendered pairs of hands, the features of their picture, and their truth.

``python -m hand_toolkit.systems.im2hands.samples OUT --contacts FOLDER --skins NPY ...`` writes
shards until its time is over.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.files import atomic_path
from ...core.types import Camera
from .image import ImageFeatures, crop_about, features_of
from .truth import parted, posed_pair, sample_places, signed_distance

if TYPE_CHECKING:
    import torch

    from ...see.backdrops import Backdrops
    from ...synth.crops.render import CropAssets

SHARD = 16
PLACES = 4096
"""Of each hand."""

APART_SHARE = 0.12
"""Of the pairs whose hands only come near each other."""

ARRAYS = (
    "coarse", "fine", "lens", "keypoints", "places", "distances", "theta", "shape",
    "translation", "predicted",
)  # fmt: skip


@dataclass(frozen=True)
class Samples:
    """N pairs of hands in camera axes, metres.

    Attributes:
        images: features of their pictures.
        keypoints: (N, 2, 21, 3) true ones, right and left.
        places: (N, 2, P, 3) about each hand.
        distances: (N, 2, 2, P) of the places about each hand from the right and the left one,
            negative inside.
        theta: (N, 2, 16, 3).
        shape: (N, S).
        translation: (N, 2, 3).
        predicted: (N, 2, 21, 3) what the toolkit's eyes found, NaN where they did not.
    """

    images: ImageFeatures
    keypoints: torch.Tensor
    places: torch.Tensor
    distances: torch.Tensor
    theta: torch.Tensor
    shape: torch.Tensor
    translation: torch.Tensor
    predicted: torch.Tensor

    def __len__(self) -> int:
        return len(self.keypoints)


def read_samples(folder: Path, limit: int | None = None) -> Samples:
    """All shards of a folder.

    Raises:
        InputError: there are none.
    """
    import torch

    from ...core.errors import InputError

    rows: dict[str, list[np.ndarray]] = {name: [] for name in ARRAYS}
    for path in sorted(Path(folder).glob("[0-9]*.npz")):
        with np.load(path, allow_pickle=False) as data:
            for name in ARRAYS:
                rows[name].append(data[name])
    if not rows["lens"]:
        raise InputError(
            f"{folder} has no samples; write some by 'python -m "
            "hand_toolkit.systems.im2hands.samples'"
        )
    whole = {n: torch.from_numpy(np.concatenate(v)[:limit]) for n, v in rows.items()}
    images = ImageFeatures(whole.pop("coarse"), whole.pop("fine"), whole.pop("lens"))
    return Samples(images, **{n: v.float() for n, v in whole.items()})


def draw_sample(
    rng: np.random.Generator,
    assets: CropAssets,
    backdrops: Backdrops,
    places: int = PLACES,
    predict: bool = False,
) -> dict[str, Any]:
    """One pair: its picture (``pixels``, ``focal_px``), the crop and its lens, and the truth.

    Args:
        rng: of all choices.
        assets: of scenes.
        backdrops: what is behind.
        places: about each hand.
        predict: also find the hands in the picture by the toolkit's own eyes.
    """
    import cv2
    import torch

    from ...see.backdrops import SIZE
    from ...see.cameras import photographed
    from ...synth.crops.mesh import load_crop_mesh
    from ...synth.crops.pairs import draw_pair
    from ...synth.crops.scenes import near_scene, touching_scene, with_moved

    sigmas = load_crop_mesh().model.shape_sigmas.astype(float)
    while True:
        if rng.random() < APART_SHARE:
            scene = near_scene(rng, assets.motion, sigmas)
        else:
            contact = assets.contacts[int(rng.integers(len(assets.contacts)))]
            scene = touching_scene(rng, contact, sigmas)
        theta = np.stack([hand.theta for hand in scene.hands])
        places_m = np.stack([hand.translation for hand in scene.hands])
        moved = parted(posed_pair(theta, scene.shape, places_m))
        if moved is not None:
            break
    picture = draw_pair(rng, with_moved(scene, 1, moved), assets)
    pair = posed_pair(picture.theta, picture.shape, picture.translation)
    size = picture.rgba.shape[0]
    alpha = picture.rgba[..., 3:].astype(np.float32) / 255
    back = cv2.resize(backdrops.sample(rng), (size, size))
    pixels = back + (picture.rgba[..., :3] - back) * alpha
    flat = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32))[None]
    if size > 2 * SIZE:
        flat = torch.nn.functional.avg_pool2d(flat, 2)
    ready = photographed(rng, flat)[0].permute(1, 2, 0).clamp(0, 255).byte().numpy()
    scale = ready.shape[0] / size
    focal, half = picture.focal_px * scale, ready.shape[0] / 2
    camera = _camera(focal, pair.keypoints, picture.keypoints * scale, half)
    seen = picture.keypoints.reshape(-1, 2) * scale
    seen = seen + rng.normal(size=seen.shape) * 0.01 * np.ptp(seen, axis=0).max()
    crop, lens = crop_about(ready, camera, seen, float(rng.uniform(1.15, 1.45)))
    about = [sample_places(rng, v, f, places) for v, f in zip(pair.vertices, pair.faces)]
    distances = [
        [signed_distance(a, v, f)[0] for v, f in zip(pair.vertices, pair.faces)] for a in about
    ]
    found = np.full((2, 21, 3), np.nan, np.float32)
    if predict:
        found = _predicted(ready, focal, camera)
    return {
        "pixels": ready, "crop": crop, "lens": lens, "camera": camera,
        "keypoints": pair.keypoints.astype(np.float32), "places": np.asarray(about, np.float32),
        "distances": np.asarray(distances, np.float32), "theta": np.float32(picture.theta),
        "shape": np.float32(picture.shape), "translation": np.float32(picture.translation),
        "predicted": found,
    }  # fmt: skip


def _camera(focal: float, points: np.ndarray, flat: np.ndarray, half: float) -> Camera:
    """The picture's camera; its principal point is where the points are projected from."""
    shift = (flat - focal * points[..., :2] / points[..., 2:]).reshape(-1, 2).mean(0)
    return Camera(focal, focal, float(shift[0]), float(shift[1]), round(2 * half), round(2 * half))


def _predicted(pixels: np.ndarray, focal: float, camera: Camera) -> np.ndarray:
    """(2, 21, 3) keypoints by the toolkit's own eyes in the true camera; NaN where not found."""
    from ...core.conventions import SIDES
    from ...core.errors import HandToolkitError
    from ...core.types import Photo
    from ...pose import estimate_pose

    out = np.full((2, 21, 3), np.nan, np.float32)
    try:
        hands = estimate_pose(Photo(pixels, focal_px=focal), hands="both").hands
    except HandToolkitError:
        return out
    for hand in hands:
        points = hand.joints_cam_m.copy()
        # the eyes take the principal point to be the middle
        points[:, 0] += (camera.width / 2 - camera.cx) / focal * points[:, 2]
        points[:, 1] += (camera.height / 2 - camera.cy) / focal * points[:, 2]
        out[SIDES.index(hand.side)] = points
    return out


def write_samples(
    out: Path, assets: CropAssets, backdrops: Backdrops, seed: int, count: int, until: float,
    predict: bool,
) -> int:  # fmt: skip
    """Write shards until there are ``count`` samples or a time has come; returns how many."""
    import torch

    out.mkdir(parents=True, exist_ok=True)
    done = 0
    for number in range(-(-count // SHARD)):
        path = out / f"{seed:04d}_{number:05d}.npz"
        if time.monotonic() > until:
            break
        rng = np.random.default_rng([seed, number, 67])
        rows = [draw_sample(rng, assets, backdrops, predict=predict) for _ in range(SHARD)]
        coarse, fine = features_of(torch.from_numpy(np.stack([r["crop"] for r in rows])))
        arrays = {n: np.stack([r[n] for r in rows]) for n in ARRAYS if n in rows[0]}
        with atomic_path(path) as temporary:
            np.savez(
                temporary, coarse=coarse.half().numpy(), fine=fine.half().numpy(),
                crop=np.stack([r["crop"] for r in rows]), **arrays,
            )  # fmt: skip
        done += SHARD
    return done


def main(arguments: list[str] | None = None) -> int:
    """Write samples into a folder."""
    from ...see.backdrops import Backdrops
    from ...synth.crops.contacts import read_contacts
    from ...synth.crops.light import read_environments
    from ...synth.crops.render import CropAssets

    parser = argparse.ArgumentParser(prog="python -m hand_toolkit.systems.im2hands.samples")
    parser.add_argument("out", type=Path)
    parser.add_argument("--contacts", type=Path, nargs="+", required=True, help="solved poses")
    parser.add_argument("--part", default="train", choices=("train", "test"))
    parser.add_argument("--skins", type=Path, required=True, help="NPY of baked skins")
    parser.add_argument("--environments", type=Path, help="folder of EXR maps")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--predict", action="store_true", help="find the hands in the pictures")
    options = parser.parse_args(arguments)
    contacts = split_contacts(
        [c for folder in options.contacts for c in read_contacts(folder)], options.part
    )
    skins = np.load(options.skins, mmap_mode="r", allow_pickle=False)
    assets = CropAssets(
        contacts, np.zeros((0, 26)), read_environments(options.environments),
        np.asarray(skins, np.float32),
    )  # fmt: skip
    backdrops = Backdrops([], np.zeros((0, 1, 1, 3), np.uint8), np.zeros((0, 1, 1, 4), np.uint8))
    until = time.monotonic() + 60 * options.minutes
    count = write_samples(
        options.out, assets, backdrops, options.seed, options.count, until, options.predict
    )
    print(count, "samples")
    return 0


def split_contacts(contacts: Sequence[Any], part: str) -> list[Any]:
    """Every eighth solved pose never trains."""
    return [c for n, c in enumerate(contacts) if (n % 8 == 7) == (part == "test")]


if __name__ == "__main__":
    sys.exit(main())
