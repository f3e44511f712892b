"""Rendered crops of hands with their θ and shape, and the features that the network reads.

Crops are those of :mod:`hand_toolkit.synth.crops` cut and photographed as for the eyes; their
features are the coarsest map of the landmark network's backbone, whose weights stay as they are.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.conventions import mirror_theta
from ...core.files import atomic_path
from ...hand_model.limits import compose
from .config import HhmrConfig
from .poses import draw_bank, held_out_poses
from .recordings import read_recordings

if TYPE_CHECKING:
    import torch

    from ...see.backdrops import Backdrops
    from ...synth.crops.render import CropAssets
    from ...synth.crops.scenes import PlacedHand

SHARD = 64
"""Rendered crops of a shard."""

CUTS = 2
"""Samples that are cut from each rendered crop, with other backgrounds and cameras."""

STRIDE = 32
"""Of the feature map; 7 x 7 patches of a crop."""

FOLDER, HELD_OUT_FOLDER = "images", "held_out_images"
POSES = 6000
"""Poses that a process renders."""

PATCH_QUALITY = 85


@dataclass(frozen=True)
class Assets:
    """What crops are rendered from, small enough to take along.

    Attributes:
        skins: (K, H, W, 3) uint8, square roots of linear albedo.
        environments: (E, 32, 64, 3) linear radiance.
        patches: parts of real photos without hands, (h, w, 3) uint8.
    """

    skins: np.ndarray
    environments: np.ndarray
    patches: list[np.ndarray]


def write_assets(path: Path, assets: Assets) -> None:
    """Keep assets in one NPZ, the patches as JPEG."""
    import cv2

    patches = {}
    for k, patch in enumerate(assets.patches):
        quality = [cv2.IMWRITE_JPEG_QUALITY, PATCH_QUALITY]
        patches[f"patch{k:04d}"] = cv2.imencode(".jpg", patch[..., ::-1], quality)[1]
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary, skins=assets.skins, environments=assets.environments.astype(np.float16),
            **patches,
        )  # fmt: skip


def read_assets(path: Path) -> Assets:
    """The inverse of :func:`write_assets`."""
    import cv2

    with np.load(path, allow_pickle=False) as data:
        names = sorted(n for n in data.files if n.startswith("patch"))
        patches = [cv2.imdecode(data[n], cv2.IMREAD_COLOR)[..., ::-1].copy() for n in names]
        return Assets(data["skins"], data["environments"].astype(np.float64), patches)


def scene_sources(assets: Assets) -> tuple[CropAssets, Backdrops]:
    """What the crop renderer and the backgrounds draw from."""
    from ...see.backdrops import Backdrops
    from ...synth.crops.render import CropAssets

    skins = (assets.skins.astype(np.float32) / 255) ** 2
    nothing = np.zeros((0, 1, 1, 3), np.uint8)
    return (
        CropAssets([], np.zeros((0, 26)), assets.environments, skins),
        Backdrops(assets.patches, nothing, np.zeros((0, 1, 1, 4), np.uint8)),
    )


def sample_images(
    rng: np.random.Generator,
    sources: CropAssets,
    backdrops: Backdrops,
    poses: np.ndarray,
    count: int,
) -> dict[str, np.ndarray]:
    """Samples of ``count`` rendered crops, ``CUTS`` of each.

    Args:
        rng: of all choices.
        sources: of scenes.
        backdrops: what is behind.
        poses: (N, 26) finger angles that hands take.
        count: crops.

    Returns:
        ``image`` (N, 224, 224, 3) uint8; ``theta`` (N, 16, 3) of the right (or mirrored left)
        hand in the crop's axes; ``shape`` (N, S); ``flat`` (N, 21, 2) keypoints, crop pixels.
    """
    from ...synth.crops.light import sample_crop_light
    from ...synth.crops.mesh import load_crop_mesh
    from ...synth.crops.render import render_scene
    from ...synth.crops.scenes import sample_scene

    sigmas = load_crop_mesh().model.shape_sigmas.astype(float)
    rows: dict[str, list[np.ndarray]] = {"image": [], "theta": [], "shape": [], "flat": []}
    done = 0
    while done < count:
        scene = sample_scene(rng, sources.contacts, sources.motion, sigmas)
        scene = replace(scene, hands=tuple(_posed(rng, hand, poses) for hand in scene.hands))
        light = sample_crop_light(rng, sources.environments)
        crop = render_scene(rng, scene, light, sources.skins)
        if not crop.own:
            continue
        done += 1
        for _ in range(CUTS):
            image, theta, flat = _cut(rng, crop, backdrops)
            for name, value in (("image", image), ("theta", theta), ("flat", flat)):
                rows[name].append(value)
            rows["shape"].append(scene.shape.astype(np.float32))
    return {name: np.stack(values) for name, values in rows.items()}


def _posed(rng: np.random.Generator, hand: PlacedHand, poses: np.ndarray) -> PlacedHand:
    """The hand with fingers of ``poses``: a scene's own may be of families that never train."""
    theta = compose(poses[rng.integers(len(poses))].astype(np.float64))
    if hand.side == "left":
        theta = mirror_theta(theta)
    theta[0] = hand.theta[0]
    return replace(hand, theta=theta)


def _cut(
    rng: np.random.Generator, crop: Any, backdrops: Backdrops
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import cv2
    import torch
    from scipy.spatial.transform import Rotation

    from ...see.backdrops import SIZE
    from ...see.cameras import photographed

    points = crop.keypoints[0].astype(float)
    frame = _frame(rng, points, SIZE)
    matrix = frame.copy()
    matrix[:, 2] += frame[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV counts centres as whole numbers
    rgba = cv2.warpAffine(
        crop.rgba, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = rgba[..., 3:].astype(np.float32) / 255
    picture = backdrops.sample(rng)
    picture = picture + (rgba[..., :3] - picture) * alpha
    turn = np.eye(3)
    turn[:2, :2] = frame[:, :2] / np.sqrt(abs(np.linalg.det(frame[:, :2])))
    theta = crop.theta.astype(np.float64).copy()
    theta[0] = Rotation.from_matrix(turn @ Rotation.from_rotvec(theta[0]).as_matrix()).as_rotvec()
    flat = points @ frame[:, :2].T + frame[:, 2]
    pictures = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))[None]
    image = photographed(rng, pictures)[0].permute(1, 2, 0).clamp(0, 255)
    return image.byte().numpy(), theta.astype(np.float32), flat.astype(np.float32)


def _frame(rng: np.random.Generator, points: np.ndarray, size: int) -> np.ndarray:
    """(2, 3) from picture pixels to a crop as far off as detected keypoints put it."""
    from ...see.crops import crop_of_points

    spread = float((points.max(0) - points.min(0)).max())
    frame = crop_of_points(points + rng.normal(size=points.shape) * 0.015 * spread).matrix()[:2]
    angle = rng.normal() * (0.12 if rng.random() < 0.65 else 0.45)
    scale = float(np.exp(rng.normal() * 0.12 - 0.04))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = turn @ frame
    moved[:, 2] += size / 2 - turn @ [size / 2, size / 2] + rng.normal(size=2) * 0.05 * size
    return np.asarray(moved)


def image_features(images: torch.Tensor) -> torch.Tensor:
    """(B, 49, 192) patches of crops (B, 224, 224, 3) uint8, by the landmark network's backbone."""
    import torch

    from ...see.networks import landmark_network

    network = landmark_network().backbone.to(images.device)
    with torch.no_grad():
        crops = images.permute(0, 3, 1, 2).float() / 255
        found: torch.Tensor = network(crops)[STRIDE]
    return found.flatten(2).transpose(1, 2)


class ImageBank:
    """Samples with their features, on the device; grows while shards are written.

    Args:
        folder: of shards.
        config: of the network.
        device: where tensors lie.
        capacity: most samples.
    """

    def __init__(
        self, folder: Path, config: HhmrConfig, device: torch.device, capacity: int = 80_000
    ) -> None:
        import torch

        from ...hand_model import load_hand_model

        self._folder, self._device, self._capacity = Path(folder), device, capacity
        self._known: set[str] = set()
        self._count = 0
        shapes = len(load_hand_model(config.hand_model, "right", 0).shape_names)
        self._theta = torch.zeros(0, 16, 3, device=device)
        self._shape = torch.zeros(0, shapes, device=device)
        self._flat = torch.zeros(0, 21, 2, device=device)
        self._patches = torch.zeros(
            0, config.patches**2, config.image_channels, dtype=torch.float16, device=device
        )

    def __len__(self) -> int:
        return len(self._theta)

    def refresh(self, most: int = 20) -> int:
        """Read up to ``most`` new shards; returns how many samples there are."""
        import torch

        found = {n: [getattr(self, f"_{n}")] for n in ("theta", "shape", "flat", "patches")}
        for path in sorted(self._folder.glob("[0-9]*.npz"))[: self._capacity]:
            if path.name in self._known or len(self) >= self._capacity or most <= 0:
                continue
            most -= 1
            self._known.add(path.name)
            with np.load(path, allow_pickle=False) as data:
                images = torch.from_numpy(data["image"]).to(self._device)
                found["patches"].append(image_features(images).half())
                for name in ("theta", "shape", "flat"):
                    found[name].append(torch.from_numpy(data[name]).to(self._device))
        for name, parts in found.items():
            if len(parts) > 1:
                setattr(self, f"_{name}", torch.cat(parts))
        return len(self)

    def take(
        self, rows: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """θ (B, 16, 3), shapes (B, S), keypoints (B, 21, 2) and patches (B, P, C) of rows."""
        return self._theta[rows], self._shape[rows], self._flat[rows], self._patches[rows]


def render_shards(folder: Path, assets: Assets, poses: np.ndarray, seed: int, until: float) -> int:
    """Write shards of hands in these poses until a time (``time.monotonic``); returns how many."""
    sources, backdrops = scene_sources(assets)
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    while time.monotonic() < until:
        rng = np.random.default_rng([seed, number, 41])
        samples = sample_images(rng, sources, backdrops, poses, SHARD)
        with atomic_path(folder / f"{seed:04d}_{number:05d}.npz") as temporary:
            np.savez(temporary, **samples)  # type: ignore[arg-type]
        number += 1
    return number


def main(arguments: list[str] | None = None) -> int:
    """``python -m hand_toolkit.systems.hhmr.crops``: pack assets, or render shards."""
    parser = argparse.ArgumentParser(prog="python -m hand_toolkit.systems.hhmr.crops")
    jobs = parser.add_subparsers(dest="job", required=True)
    pack = jobs.add_parser("assets", help="pack skins, light and patches into one file")
    pack.add_argument("out", type=Path)
    pack.add_argument("--skins", type=Path, required=True, help="NPY of baked skins")
    pack.add_argument("--every", type=int, default=3, help="texels are averaged over so many")
    pack.add_argument("--looks", type=int, default=40, help="skins to keep")
    pack.add_argument("--environments", type=Path, help="folder of EXR maps")
    pack.add_argument("--patches", type=Path, help="NPZ of parts of photos")
    pack.add_argument("--patch-count", type=int, default=80)
    draw = jobs.add_parser("render", help="render shards into DATA/images")
    draw.add_argument("data", type=Path, help="folder with poses.npz")
    draw.add_argument("--assets", type=Path, required=True)
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--minutes", type=float, default=5.0)
    draw.add_argument("--held-out", action="store_true", help="poses that never train")
    options = parser.parse_args(arguments)
    if options.job == "assets":
        _pack(options)
        return 0
    rng, recordings = np.random.default_rng([options.seed, 61]), read_recordings(options.data)
    if options.held_out:
        poses = held_out_poses(rng, recordings, POSES)
    else:
        poses = draw_bank(rng, recordings, POSES).numpy()
    folder = options.data / (HELD_OUT_FOLDER if options.held_out else FOLDER)
    until = time.monotonic() + 60 * options.minutes
    assets = read_assets(options.assets)
    print(render_shards(folder, assets, poses, options.seed, until), "shards")
    return 0


def _pack(options: argparse.Namespace) -> None:
    from ...synth.crops.light import read_environments

    bank = np.load(options.skins, mmap_mode="r", allow_pickle=False)
    bank = np.asarray(bank[: options.looks], np.float32)
    n = options.every
    high, wide = bank.shape[1] // n, bank.shape[2] // n
    small = bank[:, : high * n, : wide * n].reshape(len(bank), high, n, wide, n, 3).mean((2, 4))
    skins = np.round(255 * np.sqrt(np.clip(small, 0, 1))).astype(np.uint8)
    patches: list[np.ndarray] = []
    if options.patches is not None:
        import cv2

        with np.load(options.patches, allow_pickle=False) as data:
            names = data.files[:: max(len(data.files) // options.patch_count, 1)]
            for name in names[: options.patch_count]:
                patch = data[name]
                scale = min(1.0, 256 / max(patch.shape[:2]))
                patches.append(cv2.resize(patch, None, fx=scale, fy=scale,
                                          interpolation=cv2.INTER_AREA))  # fmt: skip
    write_assets(options.out, Assets(skins, read_environments(options.environments), patches))


if __name__ == "__main__":
    sys.exit(main())
