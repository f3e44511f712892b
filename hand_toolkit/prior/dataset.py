"""Reads folders of rendered hands (docs/synth.md) as scenes: one pose, several views."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import FileFormatError, InputError
from ..types import Camera
from .config import PriorConfig
from .model import SceneBatch
from .points import pose_points
from .rendering import normal_picture
from .shading import solve_light, srgb_to_linear

log = logging.getLogger(__name__)

MAX_CACHED_VIEWS = 4000


@dataclass(frozen=True)
class Scene:
    """One pose of one subject in one light.

    Attributes:
        key: unique and stable within the folder.
        subject: the subject's id.
        split: "train" or "test".
        sides: hands present, right first.
        theta: (H, 16, 3) radians, world.
        shape: (H, S).
        translation: (H, 3) metres, world.
        views: file stem and camera of each picture.
    """

    key: str
    subject: str
    split: str
    sides: tuple[str, ...]
    theta: np.ndarray
    shape: np.ndarray
    translation: np.ndarray
    views: tuple[tuple[Path, Camera], ...]


@dataclass(frozen=True)
class Picture:
    """One view's pixels: sRGB (h, w, 3) on black, mask (h, w), albedo or None; uint8."""

    image: np.ndarray
    mask: np.ndarray
    albedo: np.ndarray | None


class RenderedSet:
    """A folder of scenes; finished ones only, so that it may grow while it is read.

    Args:
        folder: the data.
        config: network that will see the points (for fitting each picture's light).
        device: where batches go.

    Raises:
        InputError: no such folder.
    """

    def __init__(self, folder: Path, config: PriorConfig, device: torch.device | str = "cpu"):
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; give one that 'hand-toolkit synth' wrote")
        self.folder, self.config, self.device = folder, config, torch.device(device)
        self._scenes: dict[Path, Scene] = {}
        self._pictures: OrderedDict[Path, Picture] = OrderedDict()
        self._lights: dict[Path, torch.Tensor] = {}

    def scan(self, split: str | None = None) -> list[Scene]:
        """Finished scenes of a split ("train", "test"; None is all), sorted by key."""
        for path in sorted(self.folder.glob("scenes/*/scene.json")):
            if path not in self._scenes:
                self._scenes[path] = read_scene(path)
        found = [s for s in self._scenes.values() if split is None or s.split == split]
        return sorted(found, key=lambda s: s.key)

    def picture(self, stem: Path) -> Picture:
        """Pixels of one view (kept in memory, the oldest given up first)."""
        if stem in self._pictures:
            self._pictures.move_to_end(stem)
            return self._pictures[stem]
        picture = read_picture(stem)
        self._pictures[stem] = picture
        if len(self._pictures) > MAX_CACHED_VIEWS:
            self._pictures.popitem(last=False)
        return picture

    def batch(self, scene: Scene, views: Sequence[int], slot: int = 0) -> SceneBatch:
        """Pixels, masks and lights of some views of a scene."""

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self.device)

        pictures = [self.picture(scene.views[v][0]) for v in views]
        albedo = [p.albedo for p in pictures if p.albedo is not None]
        whole = len(albedo) == len(pictures)
        theta, shape = tensor(scene.theta), tensor(scene.shape)
        translation = tensor(scene.translation)
        return SceneBatch(
            slot=slot,
            sides=scene.sides,
            theta=theta,
            shape=shape,
            translation=translation,
            cameras=tuple(scene.views[v][1] for v in views),
            images=tensor(np.stack([p.image for p in pictures]) / 255.0),
            masks=tensor(np.stack([p.mask for p in pictures]) / 255.0),
            albedo=tensor(np.stack(albedo) / 255.0) if whole else None,
            lights=torch.stack([self.light(scene, v) for v in views]),
        )

    def light(self, scene: Scene, view: int) -> torch.Tensor:
        """(9, 3) light of one view, fitted once to its picture, albedo and surface normals."""
        stem, camera = scene.views[view]
        if stem not in self._lights:
            config = dataclasses.replace(self.config, use_interaction=False)
            tensors = (torch.from_numpy(a.astype(np.float32)) for a in
                       (scene.theta, scene.shape, scene.translation))
            points = pose_points(config, scene.sides, *tensors, fine=False)
            normals, alpha = normal_picture(points, camera)
            self._lights[stem] = picture_light(self.picture(stem), normals, alpha)
        return self._lights[stem].to(self.device)


MIDDLE_SKIN = (0.72, 0.54, 0.45)
"""sRGB albedo supposed where a data set has none: the mean of the CC0 skins."""


def picture_light(picture: Picture, normals: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """(9, 3) light that explains a picture, by least squares over its hand pixels."""
    image = torch.from_numpy(picture.image).float() / 255
    if picture.albedo is None:
        albedo = torch.tensor(MIDDLE_SKIN).expand_as(image)
    else:
        albedo = torch.from_numpy(picture.albedo).float() / 255
    # burnt-out pixels say nothing about how much light there was
    use = (torch.from_numpy(picture.mask) > 250) & (alpha > 0.95) & (image.amax(2) < 0.98)
    if int(use.sum()) < 50:
        use = torch.from_numpy(picture.mask) > 127
    return solve_light(
        srgb_to_linear(albedo[use]),
        normals[use],
        srgb_to_linear(image[use]),
        torch.ones(int(use.sum())),
    )


def read_scene(path: Path) -> Scene:
    """One ``scene.json`` (docs/synth.md).

    Raises:
        FileFormatError: the file is damaged or lacks an entry.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        views = []
        for view in data["views"]:
            c = view["camera"]
            camera = Camera(
                c["fx"], c["fy"], c["cx"], c["cy"], c["width"], c["height"],
                np.asarray(c["world_to_camera"]),
            )
            views.append((path.parent / view["name"], camera))
        sides = tuple(data["sides"])
        theta = np.asarray(data["theta"], np.float64).reshape(len(sides), 16, 3)
        return Scene(
            key=path.parent.name,
            subject=str(data["subject"]),
            split=str(data["split"]),
            sides=sides,
            theta=theta,
            shape=np.asarray(data["shape"], np.float64).reshape(len(sides), -1),
            translation=np.asarray(data["translation"], np.float64).reshape(len(sides), 3),
            views=tuple(views),
        )
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise FileFormatError(f"{path} is no scene file ({error}); see docs/synth.md") from error


def read_picture(stem: Path) -> Picture:
    """``STEM.png`` (RGBA: hand pixels and mask) and, where it exists, ``STEM_albedo.png``."""
    from PIL import Image

    try:
        with Image.open(stem.with_name(stem.name + ".png")) as file:
            rgba = np.array(file.convert("RGBA"))
        albedo = None
        albedo_path = stem.with_name(stem.name + "_albedo.png")
        if albedo_path.is_file():
            with Image.open(albedo_path) as file:
                albedo = np.array(file.convert("RGB"))
    except OSError as error:
        raise FileFormatError(f"{stem}.png cannot be read ({error}); render it again") from error
    mask = rgba[..., 3:].astype(np.float32) / 255
    image = np.round(rgba[..., :3] * mask).astype(np.uint8)
    if albedo is not None:
        albedo = np.round(albedo * mask).astype(np.uint8)
    return Picture(image, rgba[..., 3], albedo)
