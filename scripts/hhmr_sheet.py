"""Draws a sheet of random hands, of completions and of hypotheses of the diffusion model.

python scripts/hhmr_sheet.py OUT.png [--weights FILE] [--seed 0]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hand_toolkit.core.types import Camera
from hand_toolkit.geometry.raster import rasterize_mesh
from hand_toolkit.geometry.surfaces import vertex_normals
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.hand_model.limits import decompose
from hand_toolkit.synth.poses import family_angles, rest_theta
from hand_toolkit.systems.hhmr.evaluate import self_intersections
from hand_toolkit.systems.hhmr.poses import penetration
from hand_toolkit.systems.hhmr.uses import complete, fit_picture, generate, kept_joints
from hand_toolkit.systems.hhmr.weights import load_network, read_network

TILE = 220
SKIN, KEPT = np.array([0.85, 0.66, 0.55]), np.array([0.45, 0.62, 0.85])
LIGHT = np.array([0.3, -0.5, -0.8]) / np.linalg.norm([0.3, -0.5, -0.8])
FACING = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
"""Fingers up, the palm to the camera."""

TURN = np.radians(25.0)
COMPLETED = (
    ("pinch", ("thumb", "index")), ("point", ("index",)), ("ok", ("thumb", "index")),
    ("fist", ("ring", "pinky")), ("horns", ("index", "pinky")), ("asl_v", ("index", "middle")),
    ("claw", ("middle",)), ("thumbs_up", ("thumb",)), ("spread", ("thumb", "pinky")),
    ("hook", ("index", "middle", "ring")),
)  # fmt: skip


def tile(vertices: np.ndarray, faces: np.ndarray, color: np.ndarray) -> np.ndarray:
    """(TILE, TILE, 3) uint8 of a hand in its own axes.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3).
        color: (F, 3) or (3,).
    """
    cos, sin = np.cos(TURN), np.sin(TURN)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]) @ FACING
    middle = np.array([-0.075, 0, 0])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, -turn @ middle + [0, 0, 0.8]
    camera = Camera(6.4 * TILE, 6.4 * TILE, TILE, 1.05 * TILE, 2 * TILE, 2 * TILE, matrix)
    raster = rasterize_mesh(vertices, faces, camera)
    normals = vertex_normals(vertices @ turn.T, faces)[faces].mean(1)
    shade = np.clip(normals @ LIGHT, 0, 1)
    shaded = np.broadcast_to(color, (len(faces), 3)) * (0.35 + 0.65 * shade[:, None])
    picture = np.ones((2 * TILE, 2 * TILE, 3))
    hit = raster.triangle >= 0
    picture[hit] = shaded[raster.triangle[hit]]
    picture = picture.reshape(TILE, 2, TILE, 2, 3).mean((1, 3))
    return np.round(255 * picture).astype(np.uint8)


def rows_of(tiles: list[np.ndarray], wide: int) -> np.ndarray:
    """The tiles in rows, white where the last one is not full."""
    while len(tiles) % wide:
        tiles.append(np.full_like(tiles[0], 255))
    return np.concatenate(
        [np.concatenate(tiles[k : k + wide], 1) for k in range(0, len(tiles), wide)]
    )


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--mesh", action="store_true", help="the sampled meshes, not their θ")
    options = parser.parse_args()
    network = read_network(options.weights)[0] if options.weights else load_network()
    model = load_hand_model("default", "right", 0 if options.mesh else 1)
    faces = model.faces
    told: dict[str, list[tuple[float, float]]] = {}

    def of_theta(theta: np.ndarray, shape: np.ndarray, row: str) -> np.ndarray:
        theta = theta.copy()
        theta[0] = 0
        angles = torch.as_tensor(decompose(theta)[None], dtype=torch.float32)
        vertices = pose_hand_numpy(model, theta, shape, np.zeros(3))[0]
        crossing = 100 * self_intersections(vertices, faces)
        told.setdefault(row, []).append((1e3 * float(penetration(angles)), crossing))
        return vertices

    tiles = []
    made = generate(20, seed=options.seed, steps=options.steps, network=network)
    for k in range(20):
        shown = (
            made.vertices[k] if options.mesh else of_theta(made.theta[k], made.shape[k], "random")
        )
        tiles.append(tile(shown, faces, SKIN))
    owner = model.weights.argmax(1)
    for number, (name, fingers) in enumerate(COMPLETED):
        found = complete(
            rest_theta(family_angles(name)),
            fingers,
            seed=options.seed + number,
            steps=options.steps,
            network=network,
        )
        kept = np.isin(owner, kept_joints(fingers))[faces].all(1)
        color = np.where(kept[:, None], KEPT, SKIN)
        tiles.append(tile(of_theta(found.theta[0], found.shape[0], "completed"), faces, color))
    # hypotheses of a hand whose index and middle fingers are hidden
    theta = rest_theta(family_angles("asl_w"))
    theta[0] = [0.0, 0.0, 0.0]
    points = pose_hand_numpy(model, theta, made.shape[0] * 0, np.zeros(3))[2]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = FACING, [0, 0.07, 0.6]
    camera = Camera(900.0, 900.0, 240.0, 240.0, 480, 480)
    seen = camera.project(points @ matrix[:3, :3].T + matrix[:3, 3])
    seen[6:9], seen[10:13] = np.nan, np.nan
    found = fit_picture(
        seen, camera, count=10, seed=options.seed, steps=options.steps, network=network
    )
    for k in range(10):
        tiles.append(tile(of_theta(found.theta[k], found.shape[k], "hypotheses"), faces, SKIN))
    Image.fromarray(rows_of(tiles, 10)).save(options.out)
    for row, values in told.items():
        overlap, crossing = np.array(values).T
        print(f"{row}: {len(values)} hands, bones of fingers overlap by {overlap.max():.1f} mm at "
              f"most (mean {overlap.mean():.1f}), faces through others {crossing.mean():.2f} %, "
              f"most {crossing.max():.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
