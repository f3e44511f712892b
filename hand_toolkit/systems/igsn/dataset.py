"""Folders of rendered hands (docs/synth.md) as scenes: one pose of a subject, several views."""

from __future__ import annotations

import dataclasses
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...core.conventions import SIDES
from ...core.errors import InputError
from ...core.types import Camera
from ...geometry.colour import srgb_to_linear
from ...synth.dataset import HandDataset, HandSample, open_dataset, read_sample
from .config import PriorConfig
from .layers import unit
from .model import SceneBatch
from .points import PosedPoints, pose_points
from .rendering import normal_picture, render_view, surface_splats
from .shading import solve_light

MAX_CACHED_VIEWS = 4000

HOLD_OUT = 16
"""One scene in this many of the training subjects is kept for scoring stage one."""

MIDDLE_SKIN = (0.72, 0.54, 0.45)
"""sRGB albedo supposed where a data set has none: the mean of the CC0 skins."""

VISIBLE_M = 0.004
"""A point is hidden when it lies this much behind the surface that is seen there."""

FILL_TEXELS = 3.0

HAND_LABELS = (1, 2)
"""Labels of the right and the left hand; forearms, 3 and 4, are not part of the avatar."""


@dataclass(frozen=True)
class RenderedView:
    """One picture of a scene: its sample, camera, and the light that it was taken in."""

    sample: HandSample
    camera: Camera
    lighting: str


@dataclass(frozen=True)
class Scene:
    """One pose of one subject.

    Attributes:
        key: unique and stable within the folder.
        subject: the subject's name.
        split: "train" or "test".
        family: of the pose.
        sides: hands present, right first.
        theta: (H, 16, 3) radians, world.
        shape: (H, S).
        translation: (H, 3) metres, world.
        views: its pictures.
    """

    key: str
    subject: str
    split: str
    family: str
    sides: tuple[str, ...]
    theta: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    views: tuple[RenderedView, ...]


@dataclass(frozen=True)
class Picture:
    """One view's pixels, uint8: sRGB (h, w, 3) on black, hand mask (h, w), albedo or None."""

    image: np.ndarray
    mask: np.ndarray
    albedo: np.ndarray | None


class RenderedSet:
    """Folders of samples; finished ones only, so that they may grow while they are read.

    Subjects of the same name are the same person, whatever folder they are in.

    Args:
        folders: one data folder, or several that are read as one.
        config: network that will see the points (for fitting each picture's light).
        device: where batches go.

    Raises:
        InputError: no such folder.
        FileFormatError: a folder of another format.
    """

    def __init__(
        self,
        folders: Path | Sequence[Path],
        config: PriorConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        self.folders = [folders] if isinstance(folders, Path) else list(folders)
        for folder in self.folders:
            if not folder.is_dir():
                raise InputError(
                    f"{folder} is not a folder; give one that 'hand-toolkit synth' wrote"
                )
        self.config, self.device = config, torch.device(device)
        self._data: list[HandDataset] = [open_dataset(folder) for folder in self.folders]
        self._samples: dict[Path, HandSample] = {}
        self._pictures: OrderedDict[Path, Picture] = OrderedDict()
        self._lights: dict[tuple[str, str], torch.Tensor] = {}
        self._albedo_maps: dict[tuple[str, ...], torch.Tensor] = {}

    def scan(self, split: str | None = None) -> list[Scene]:
        """Finished scenes of a split, sorted by key.

        Args:
            split: "train", "test", "held-out" (one in HOLD_OUT of the training subjects'
                scenes, which never train) or None for all.
        """
        groups: dict[str, list[HandSample]] = {}
        for data in self._data:
            for path in sorted(data.root.glob("*/*/*_*.json")):
                if path not in self._samples:
                    self._samples[path] = read_sample(path)
                sample = self._samples[path]
                key = f"{data.root.name}/{sample.split}/{sample.subject}/{sample.pose}"
                groups.setdefault(key, []).append(sample)
        scenes = [_scene(key, samples) for key, samples in sorted(groups.items())]
        return [s for s in scenes if split is None or split_of(s) == split]

    def picture(self, view: RenderedView) -> Picture:
        """Pixels of one view (kept in memory, the oldest given up first)."""
        key = view.sample.path
        if key in self._pictures:
            self._pictures.move_to_end(key)
            return self._pictures[key]
        picture = read_picture(view.sample)
        self._pictures[key] = picture
        if len(self._pictures) > MAX_CACHED_VIEWS:
            self._pictures.popitem(last=False)
        return picture

    def batch(self, scene: Scene, views: Sequence[int], slot: int = 0) -> SceneBatch:
        """Pixels, masks and lights of some views of a scene."""

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self.device)

        chosen = [scene.views[v] for v in views]
        pictures = [self.picture(v) for v in chosen]
        albedo = [p.albedo for p in pictures if p.albedo is not None]
        whole = len(albedo) == len(pictures)
        return SceneBatch(
            slot=slot,
            sides=scene.sides,
            theta=tensor(scene.theta),
            shape=tensor(scene.shape),
            translation=tensor(scene.translation),
            cameras=tuple(v.camera for v in chosen),
            images=tensor(np.stack([p.image for p in pictures]) / 255.0),
            masks=tensor(np.stack([p.mask for p in pictures]) / 255.0),
            albedo=tensor(np.stack(albedo) / 255.0) if whole else None,
            lights=torch.stack([self.light(scene, v.lighting) for v in chosen]).to(self.device),
        )

    def light(self, scene: Scene, lighting: str) -> torch.Tensor:
        """(9, 3) light of a scene's views that share ``lighting``.

        Least squares over their hand pixels, given the albedo pictures and the model's
        normals: several views together see nearly every direction.
        """
        key = (scene.key, lighting)
        if key not in self._lights:
            config = dataclasses.replace(self.config, use_interaction=False)
            arrays = (scene.theta, scene.shape, scene.translation)
            tensors = (torch.from_numpy(a.astype(np.float32)) for a in arrays)
            points = pose_points(config, scene.sides, *tensors, fine=False)
            parts = []
            for view in scene.views:
                if view.lighting == lighting:
                    normals, alpha = normal_picture(points, view.camera)
                    parts.append(_lit_pixels(self.picture(view), normals, alpha))
            albedo, normals, color = (torch.cat(p) for p in zip(*parts))
            self._lights[key] = solve_light(albedo, normals, color, torch.ones(len(albedo)))
        return self._lights[key]

    @torch.no_grad()
    def albedo_map(self, scenes: Sequence[Scene]) -> torch.Tensor | None:
        """(2, 3, S, S) sRGB-encoded albedo that a subject's pictures show, in UV; right, left.

        Texels that no picture shows take the other hand's value, else the mean. None where the
        set has no albedo pictures.
        """
        key = tuple(scene.key for scene in scenes)
        if key in self._albedo_maps:
            return self._albedo_maps[key]
        config = dataclasses.replace(self.config, use_interaction=False)
        size = config.identity_size
        total = torch.zeros(2, size * size, 4)
        for scene in scenes:
            arrays = (scene.theta, scene.shape, scene.translation)
            tensors = (torch.from_numpy(a.astype(np.float32)) for a in arrays)
            points = pose_points(config, scene.sides, *tensors)
            cells = torch.from_numpy(points.topology.cells(size))
            for view in scene.views:
                picture = self.picture(view)
                if picture.albedo is None:
                    return None
                color, weight = visible_colors(points, view.camera, picture.albedo, picture.mask)
                for hand, side in enumerate(scene.sides):
                    both = torch.cat([color[hand], torch.ones(len(cells), 1)], 1)
                    total[SIDES.index(side)].index_add_(0, cells, both * weight[hand][:, None])
        result = fill_map(total).reshape(2, size, size, 3).permute(0, 3, 1, 2)
        self._albedo_maps[key] = result
        return result


def visible_colors(
    points: PosedPoints, camera: Camera, pixels: np.ndarray, mask: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours (H, N, 3) in [0, 1] at the points' pixels, and how far to trust them (H, N).

    Trust is the cosine of the viewing angle, and 0 for points turned away, hidden behind
    others (by the depth of the plain surface), or outside the mask.
    """
    flat = points.world.reshape(-1, 3)
    depth_picture = render_view(surface_splats(points, points.normals), camera).depth
    matrix = points.world.new_tensor(camera.world_to_camera)
    local = flat @ matrix[:3, :3].T + matrix[:3, 3]
    x = local[:, 0] / local[:, 2] * camera.fx + camera.cx
    y = local[:, 1] / local[:, 2] * camera.fy + camera.cy
    inside = (x >= 0) & (y >= 0) & (x < camera.width) & (y < camera.height) & (local[:, 2] > 0)
    column = x.long().clamp(0, camera.width - 1)
    row = y.long().clamp(0, camera.height - 1)
    toward = unit(-local) @ matrix[:3, :3]
    cosine = (toward * points.normals.reshape(-1, 3)).sum(1)
    front = local[:, 2] < depth_picture[row, column] + VISIBLE_M
    solid = torch.from_numpy(mask)[row, column] > 250
    weight = (cosine - 0.2).clamp_min(0) * (inside & front & solid)
    color = torch.from_numpy(pixels)[row, column].float() / 255
    shape = points.world.shape[:2]
    return color.view(*shape, 3), weight.view(*shape)


def fill_map(total: torch.Tensor) -> torch.Tensor:
    """Weighted means (2, T, 3) of sums (2, T, 4) on a square map, gaps filled.

    Gaps up to FILL_TEXELS wide lie between points; they take the nearest texel. Wider ones take
    the other hand's texel, or the mean where that is unknown too.
    """
    from scipy.ndimage import distance_transform_edt

    weight = total[..., 3:].numpy()
    color = total[..., :3].numpy() / np.maximum(weight, 1e-6)
    mean = total[..., :3].sum((0, 1)).numpy() / max(float(weight.sum()), 1e-6)
    size = round(color.shape[1] ** 0.5)
    near = np.zeros_like(color)
    known = np.zeros(weight.shape, bool)
    for hand in range(2):
        gap = (weight[hand, :, 0] <= 0.05).reshape(size, size)
        if gap.all():
            continue
        distance, (rows, columns) = distance_transform_edt(gap, return_indices=True)
        near[hand] = color[hand].reshape(size, size, 3)[rows, columns].reshape(-1, 3)
        known[hand, :, 0] = distance.ravel() <= FILL_TEXELS
    filled = np.where(known, near, np.where(known[::-1], near[::-1], mean))
    return torch.from_numpy(filled.astype(np.float32))


def split_of(scene: Scene) -> str:
    """ "train", "held-out" or the scene's own split; by the key, so that it never changes."""
    if scene.split == "train" and zlib.crc32(scene.key.encode()) % HOLD_OUT == 0:
        return "held-out"
    return scene.split


def _scene(key: str, samples: Sequence[HandSample]) -> Scene:
    first = samples[0]
    present = [k for k in range(2) if first.present[k]]
    return Scene(
        key=key,
        subject=first.subject,
        split=first.split,
        family=first.family,
        sides=tuple(SIDES[k] for k in present),
        theta=first.theta[present],
        shape=np.tile(first.shape, (len(present), 1)),
        translation=first.translation[present],
        views=tuple(RenderedView(s, s.camera, s.lighting) for s in samples),
    )


def _lit_pixels(
    picture: Picture, normals: torch.Tensor, alpha: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Linear albedo, normals and linear colours of the pixels that tell the light."""
    image = torch.from_numpy(picture.image).float() / 255
    if picture.albedo is None:
        albedo = torch.tensor(MIDDLE_SKIN).expand_as(image)
    else:
        albedo = torch.from_numpy(picture.albedo).float() / 255
    # burnt-out pixels say nothing about how much light there was
    mask = torch.from_numpy(picture.mask)
    use = (mask > 250) & (alpha > 0.95) & (image.amax(2) < 0.98)
    return srgb_to_linear(albedo[use]), normals[use], srgb_to_linear(image[use])


def read_picture(sample: HandSample) -> Picture:
    """A sample's hand pixels; forearms and background are black and outside the mask.

    Without a label picture, the whole alpha of the image is hand; without an albedo picture,
    none is supposed.

    Raises:
        FileFormatError: the image is missing or unreadable.
    """
    rgba = sample.picture("image")
    mask = rgba[..., 3].astype(np.float32) / 255
    if sample.picture_path("labels").is_file():
        mask = mask * np.isin(sample.picture("labels"), HAND_LABELS)
    albedo = None
    if sample.picture_path("albedo").is_file():
        albedo = np.round(sample.picture("albedo") * mask[..., None]).astype(np.uint8)
    image = np.round(rgba[..., :3] * mask[..., None]).astype(np.uint8)
    return Picture(image, np.round(mask * 255).astype(np.uint8), albedo)
