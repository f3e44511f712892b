"""A small rendered set, made with the toolkit's own renderer in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.avatar.lighting import constant_light, shade
from hand_toolkit.core.types import Camera, Splats
from hand_toolkit.geometry.colour import linear_to_srgb, srgb_to_linear
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy, vertex_normals
from hand_toolkit.render import render
from hand_toolkit.synth.dataset import FORMAT, VERSION, sample_json, write_json, write_picture

SIZE = 64


def textured_hand(side: str, theta: np.ndarray, shape: np.ndarray, place: np.ndarray, tone: float):
    """Round splats on the faces, striped across the hand; (means, scales, albedo, normals)."""
    model = load_hand_model("default", side, 1)
    vertices = pose_hand_numpy(model, theta, shape, place)[0]
    corners = vertices[model.faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    normals = vertex_normals(vertices, model.faces)[model.faces].mean(1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    stripes = 0.12 * np.sin(40 * model.uvs[model.uv_faces].mean(1)[:, :1])
    albedo = np.clip(tone * np.array([1.0, 0.75, 0.62]) + stripes, 0.02, 1)
    scales = np.sqrt(area / 2)[:, None] * np.full(3, 0.5)
    return corners.mean(1), scales, albedo, normals


def write_scene(
    root: Path, split: str, subject: str, pose: int, tone: float, views: int = 3
) -> None:
    """One pose of a striped hand from ``views`` sides in the synth format."""
    rng = np.random.default_rng([pose, int(tone * 1000)])
    shape = np.zeros(len(load_hand_model("default", "right", 0).shape_names))
    present = np.array([True, pose % 2 == 1])
    theta = np.zeros((2, 16, 3))
    theta[:, 1:] = rng.normal(size=(15, 3)) * 0.1
    translation = np.array([[-0.07, 0, 0], [0.07, 0, 0]]) * present[:, None]
    theta *= present[:, None, None]
    parts = [
        textured_hand(side, theta[k], shape, translation[k], tone)
        for k, side in enumerate(("right", "left"))
        if present[k]
    ]
    means, scales, albedo, normals = (np.concatenate(p).astype(np.float32) for p in zip(*parts))
    light = constant_light(0.8)
    light[2] += 0.3
    lit = linear_to_srgb(srgb_to_linear(albedo) * shade(light, normals)).astype(np.float32)
    quats = np.tile(np.array([1, 0, 0, 0], np.float32), (len(means), 1))
    opacities = np.full(len(means), 0.97, np.float32)
    folder = root / split / subject
    folder.mkdir(parents=True, exist_ok=True)
    for view in range(views):
        angle = 2 * np.pi * view / views + 0.3
        turn = np.array(
            [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
        )
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        matrix[:3, 3] = -turn @ means.mean(0) + [0, 0, 0.6]
        focal = SIZE * (1.6 if present.sum() == 2 else 2.2)
        camera = Camera(focal, focal, SIZE / 2, SIZE / 2, SIZE, SIZE, matrix)
        stem = folder / f"{pose:03d}_{view:02d}"
        pictures = {}
        for name, colors in (("", lit), ("_albedo", albedo)):
            drawn = render(Splats(means, quats, scales, opacities, colors), camera)
            alpha = np.asarray(drawn.alpha)[..., None]
            straight = np.asarray(drawn.color) / np.maximum(alpha, 1e-3)
            if not name:
                straight = np.concatenate([straight, alpha], -1)
            pictures[name] = (np.clip(straight, 0, 1) * 255 + 0.5).astype(np.uint8)
        for name, pixels in pictures.items():
            write_picture(folder / f"{stem.name}{name}.png", pixels)
        write_json(
            folder / f"{stem.name}.json",
            sample_json(
                split=split,
                subject=subject,
                pose=f"{pose:03d}",
                view=f"{view:02d}",
                family="test",
                present=present,
                theta=theta,
                shape=shape,
                translation=translation,
                camera=camera,
                lighting="home",
            ),
        )


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training subjects and one test subject, three poses each."""
    root = tmp_path_factory.mktemp("rendered")
    write_json(root / "dataset.json", {"format": FORMAT, "version": VERSION})
    for split, subject, tone in (("train", "a", 0.5), ("train", "b", 0.75), ("test", "c", 0.6)):
        for pose in range(3):
            write_scene(root, split, subject, pose, tone)
    return root
