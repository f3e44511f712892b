"""Cameras to look at hands with, and their files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .errors import PARSER_FAULTS, FileFormatError, InputError, first_line
from .types import Camera

DEFAULT_FOV = np.radians(28.0)
"""Vertical field of view of the cameras made here: a portrait lens, little distortion."""


def look_at(
    eye: np.ndarray, target: np.ndarray, width: int, height: int, fov: float = DEFAULT_FOV
) -> Camera:
    """A camera at ``eye`` that looks at ``target`` (metres), world -y up in the picture."""
    forward = np.asarray(target, float) - np.asarray(eye, float)
    forward /= np.linalg.norm(forward)
    down = np.array([0.0, 1.0, 0.0])
    if abs(forward @ down) > 0.999:
        down = np.array([0.0, 0.0, 1.0])
    right = np.cross(down, forward)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = -matrix[:3, :3] @ np.asarray(eye, float)
    focal = 0.5 * min(width, height) / np.tan(0.5 * fov)
    return Camera(focal, focal, width / 2, height / 2, width, height, matrix)


def orbit_camera(
    points: np.ndarray,
    width: int,
    height: int,
    azimuth: float = 0.0,
    elevation: float = 0.0,
    margin: float = 1.08,
    fov: float = DEFAULT_FOV,
) -> Camera:
    """A camera around ``points`` (N, 3) that keeps all of them in the picture from every azimuth.

    Args:
        points: what must be seen, metres.
        width, height: picture size.
        azimuth: radians around the vertical; 0 looks along +z.
        elevation: radians upward.
        margin: room around the points.
        fov: field of view of the shorter side.
    """
    points = np.asarray(points, float)
    low, high = points.min(axis=0), points.max(axis=0)
    centre = 0.5 * (low + high)
    across = np.linalg.norm((points - centre)[:, [0, 2]], axis=1).max()
    up = 0.5 * (high[1] - low[1])
    half = np.tan(0.5 * fov) / min(width, height)
    distance = across + margin * max(across / (half * width), up / (half * height))
    direction = np.array(
        [
            -np.sin(azimuth) * np.cos(elevation),
            -np.sin(elevation),
            -np.cos(azimuth) * np.cos(elevation),
        ]
    )
    return look_at(centre + distance * direction, centre, width, height, fov)


def turntable(points: np.ndarray, width: int, height: int, count: int) -> list[Camera]:
    """``count`` cameras once around ``points``, a little from above."""
    return [
        orbit_camera(points, width, height, azimuth, elevation=np.radians(8))
        for azimuth in np.arange(count) * 2 * np.pi / count
    ]


def camera_to_dict(camera: Camera) -> dict[str, object]:
    """What a camera file holds."""
    keys = ("fx", "fy", "cx", "cy", "width", "height")
    return {
        **{k: getattr(camera, k) for k in keys},
        "world_to_camera": camera.world_to_camera.tolist(),
    }


def load_cameras(path: str | Path) -> list[Camera]:
    """Cameras of a JSON file: one object, or a list with one per frame.

    Each has ``fx fy cx cy width height`` in pixels and optionally ``world_to_camera`` (4, 4).

    Raises:
        InputError: the file does not exist.
        FileFormatError: it holds no camera.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"unknown camera {str(path)!r}; give front, back, orbit:DEGREES, photo, turntable, "
            "from-pose or a .json file"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return [camera_from_dict(entry) for entry in (data if isinstance(data, list) else [data])]
    except PARSER_FAULTS as error:
        detail = f"{error} is missing" if isinstance(error, KeyError) else first_line(error)
        raise FileFormatError(
            f"{path.name} holds no camera ({detail}); give fx, fy, cx, cy, width, height and "
            "optionally world_to_camera (4x4)"
        ) from error


def camera_from_dict(data: dict[str, object]) -> Camera:
    """The camera of :func:`camera_to_dict`'s dictionary; KeyError, TypeError or InputError."""
    numbers = {k: data[k] for k in ("fx", "fy", "cx", "cy", "width", "height")}
    matrix = np.asarray(data.get("world_to_camera", np.eye(4)), dtype=np.float64)
    return Camera(**numbers, world_to_camera=matrix)  # type: ignore[arg-type]
