"""Scenes of random pictures, the same on every machine: they ask no renderer for anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from hand_toolkit.core.types import Camera
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.systems.igsn.dataset import Scene
from hand_toolkit.systems.igsn.model import SceneBatch

SIZE, VIEWS, MAP = 32, 3, 32
HAND = "default_1"  # which no change of the default hand touches


class FixedScenes:
    """Two subjects with three poses each, one hand or two; a source as ``train`` takes it."""

    def scan(self, split: str) -> list[Scene]:
        """The scenes; there is nothing but the training split."""
        betas = len(load_hand_model(HAND, "right", 0).shape_names)
        scenes = []
        for number in range(6):
            rng = np.random.default_rng([11, number])
            sides = ("right", "left")[: 1 + number % 2]
            theta = rng.normal(size=(len(sides), 16, 3)) * 0.2
            place = np.array([[-0.06, -0.05, 0.0], [0.06, -0.05, 0.0]])[: len(sides)]
            scenes.append(
                Scene(
                    key=f"{number:03d}",
                    subject="ab"[number // 3],
                    split=split,
                    family="fixed",
                    sides=sides,
                    theta=theta,
                    shape=np.zeros((len(sides), betas)),
                    translation=place,
                    views=(None,) * VIEWS,  # type: ignore[arg-type]
                )
            )
        return scenes

    def batch(self, scene: Scene, views: Sequence[int], slot: int) -> SceneBatch:
        """Random pictures on a disc, and cameras around the hands."""
        row, column = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
        disc = (np.hypot(row, column) < SIZE / 3).astype(np.float32)
        cameras, images, albedo, lights = [], [], [], []
        for view in views:
            rng = np.random.default_rng([12, int(scene.key), view])
            angle = 2 * np.pi * view / VIEWS
            matrix = np.eye(4)
            matrix[:3, :3] = [
                [np.cos(angle), 0, np.sin(angle)],
                [0, 1, 0],
                [-np.sin(angle), 0, np.cos(angle)],
            ]
            matrix[2, 3] = 0.5
            cameras.append(Camera(48.0, 48.0, SIZE / 2, SIZE / 2, SIZE, SIZE, matrix))
            images.append(rng.random((SIZE, SIZE, 3), np.float32) * disc[..., None])
            albedo.append(rng.random((SIZE, SIZE, 3), np.float32) * disc[..., None])
            light = rng.normal(size=(9, 3)) * 0.1
            light[0] = 2.5
            lights.append(light.astype(np.float32))

        def tensor(values: Sequence[np.ndarray] | np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.asarray(values, np.float32))

        return SceneBatch(
            slot=slot,
            sides=scene.sides,
            theta=tensor(scene.theta),
            shape=tensor(scene.shape),
            translation=tensor(scene.translation),
            cameras=tuple(cameras),
            images=tensor(images),
            masks=tensor([disc] * len(cameras)),
            albedo=tensor(albedo),
            lights=tensor(lights),
        )

    def albedo_map(self, scenes: Sequence[Scene]) -> torch.Tensor:
        """Random skin of the subject."""
        rng = np.random.default_rng([13, ord(scenes[0].subject)])
        return torch.from_numpy(rng.random((2, 3, MAP, MAP), np.float32))
