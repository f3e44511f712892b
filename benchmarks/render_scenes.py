"""The renderer benchmarks' scenes: two hands covered with splats, and an avatar of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hand_toolkit.avatar import Avatar, AvatarHand, SurfaceBinding, display_theta, surface
from hand_toolkit.core.types import Camera, Splats
from hand_toolkit.geometry.surfaces import triangle_frames

WORKLOADS = {
    "W1": (25_000, 0.8e-3, 512, 334),
    "W2": (100_000, 0.4e-3, 512, 334),
    "W3": (100_000, 0.4e-3, 1920, 1080),
}
"""Name to splats, their standard deviation along the surface in metres, width, height."""

AVATAR_WORKLOADS = {
    "avatar": (25_000, 0.8e-3, 512, 334),
    "avatar1080": (100_000, 0.4e-3, 1920, 1080),
}

THICKNESS = 0.2e-3
DISTANCE = 0.6
FILL = 0.92


def hands_avatar(count: int, sigma: float, seed: int = 0) -> Avatar:
    """Both default hands with ``count`` splats spread evenly over their surfaces."""
    rng = np.random.default_rng(seed)
    hands = []
    for side in ("right", "left"):
        model = surface("default", side, 1)
        vertices = model.template
        frames, area = triangle_frames(vertices, model.faces)
        n = count // 2
        cumulated = np.cumsum(area)
        triangle = np.searchsorted(cumulated, (np.arange(n) + rng.random(n)) / n * cumulated[-1])
        triangle = np.minimum(triangle, len(area) - 1)
        root = np.sqrt(rng.random(n))
        share = rng.random(n)
        barycentric = np.stack([1 - root, root * (1 - share), root * share], 1)
        scale = sigma * np.exp(0.15 * rng.standard_normal((n, 3)))
        scale[:, 2] = THICKNESS
        quat = np.zeros((n, 4))
        quat[:, 0] = 1
        points = np.einsum("nk,nkc->nc", barycentric, vertices[model.faces[triangle]])
        light = 0.6 + 0.4 * np.clip(frames[triangle, 1, 2], -1, 1)
        texture = 1 + 0.1 * np.sin(900 * points)
        color = np.clip(np.array([0.85, 0.62, 0.5]) * light[:, None] * texture, 0, 1)
        hands.append(
            AvatarHand(
                side=side,
                shape=np.zeros(len(model.shape_names)),
                binding=SurfaceBinding(triangle, barycentric, np.zeros((n, 3)), quat, scale),
                opacity=np.full(n, 0.9),
                color=color,
                albedo=color,
                evidence=np.ones(n),
            )
        )
    camera = Camera(500, 500, 256, 167, 512, 334)
    return Avatar("default", 1, tuple(hands), np.zeros((9, 3)), camera)


def hands_pose(seed: int | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """θ and translation of both hands upright before the camera; fingers bent by ``seed``."""
    theta, translation = {}, {}
    for side, x in (("right", -0.11), ("left", 0.11)):
        bend = np.zeros((16, 3))
        if seed is not None:
            bend = np.random.default_rng(seed).normal(0, 0.12, (16, 3))
        theta[side] = display_theta(side, bend)
        translation[side] = np.array([x, 0.085, DISTANCE])
    return theta, translation


def fitted_camera(points: np.ndarray, width: int, height: int) -> Camera:
    """The camera at the origin whose picture the points fill to 92 %."""
    x, y = (points[:, :2] / points[:, 2:]).T
    focal = FILL * min(width / np.ptp(x), height / np.ptp(y))
    center = (
        width / 2 - focal * (x.min() + x.max()) / 2,
        height / 2 - focal * (y.min() + y.max()) / 2,
    )
    return Camera(focal, focal, *center, width, height)


def workload(name: str, seed: int = 0) -> tuple[Splats, Camera]:
    """Splats, in random order, and the camera of W1, W2 or W3."""
    count, sigma, width, height = WORKLOADS[name]
    return hands_scene(count, sigma, width, height, seed)


def hands_scene(
    count: int, sigma: float, width: int, height: int, seed: int = 0
) -> tuple[Splats, Camera]:
    """Two hands of ``count`` splats of any size, and a camera that they fill."""
    splats = hands_avatar(count, sigma, seed).splats(*hands_pose())
    camera = fitted_camera(splats.means, width, height)
    order = np.random.default_rng(seed).permutation(len(splats))
    fields = ("means", "quats", "scales", "opacities", "colors")
    arrays = (np.ascontiguousarray(getattr(splats, n)[order], np.float32) for n in fields)
    return Splats(*arrays), camera
