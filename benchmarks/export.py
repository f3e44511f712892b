"""Figures of the export: baked textures against the splats, sizes and seconds, skin weights.

    python benchmarks/export.py [--avatar FILE.hand] [--splat-transform PROGRAM]

Prints three Markdown tables: PSNR of the textured mesh against the splats in three poses, file
size and seconds of every format beside splat-transform's for the same splats, and how far four
skin weights a vertex are from all of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit import Avatar, Camera, builtin_motion, export_avatar
from hand_toolkit.animate import MOTIONS
from hand_toolkit.export.axes import points_y_up
from hand_toolkit.export.bake import bake_textures
from hand_toolkit.export.scene import ExportScene, build_scene
from hand_toolkit.export.surface_mesh import strongest
from hand_toolkit.geometry.silhouette import rasterize_mesh
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.render import render
from hand_toolkit.testing.avatars import procedural_avatar

HERE = Path(__file__).resolve().parents[1]
LOCAL = HERE / "tests/interop/node_modules/@playcanvas/splat-transform/bin/cli.mjs"
POSES = ("flat", "relaxed", "fist")
SIZE, FOCAL, DISTANCE = 512, 900.0, 0.62
BACKGROUND = np.array([0.5, 0.5, 0.5])
SUPER = 2


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--avatar", type=Path, help=".hand file; default a procedural avatar")
    parser.add_argument("--splat-transform", type=Path, default=None)
    parser.add_argument("--pictures", type=Path, help="folder for the compared pictures")
    args = parser.parse_args()
    avatar = Avatar.load(args.avatar) if args.avatar else procedural_avatar(0, splats_per_face=3)
    print(f"avatar with {len(avatar)} splats, {', '.join(avatar.sides)}\n")
    print(baked_quality(avatar, args.pictures), "\n")
    print(sizes(avatar, args.splat_transform), "\n")
    print(weights())


def baked_quality(avatar: Avatar, pictures: Path | None) -> str:
    """Table 1."""
    side = avatar.sides[0]
    lines = [
        "| pose | view | PSNR, whole picture | PSNR, inside both silhouettes | silhouette IoU |",
        "|---|---|---|---|---|",
    ]
    for pose in POSES:
        scene = build_scene(avatar, pose=pose, sides=(side,))
        textures = bake_textures(avatar, scene.hand(side), 1024, "photo")
        for view, yaw in (("palm", 0.0), ("back", np.pi)):
            camera = camera_at(scene, yaw)
            rendered = render(scene.splats(0), camera, BACKGROUND)
            splats = np.asarray(rendered.color)
            mesh, there = draw_textured(scene, side, textures.color, camera)
            inside = there & (np.asarray(rendered.alpha) > 0.9)
            union = there | (np.asarray(rendered.alpha) > 0.5)
            overlap = (there & (np.asarray(rendered.alpha) > 0.5)).sum() / union.sum()
            whole, close = psnr(splats, mesh), psnr(splats[inside], mesh[inside])
            lines.append(f"| {pose} | {view} | {whole:.1f} dB | {close:.1f} dB | {overlap:.3f} |")
            if pictures is not None:
                save(np.concatenate([splats, mesh], 1), pictures / f"bake_{pose}_{view}.png")
    return "\n".join(lines)


def camera_at(scene: ExportScene, yaw: float) -> Camera:
    """A camera that circles the hand's middle at eye level."""
    points = scene.splats(0).means
    center = (points.min(0) + points.max(0)) / 2
    c, s = np.cos(yaw), np.sin(yaw)
    matrix = np.eye(4)
    matrix[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    matrix[:3, 3] = -matrix[:3, :3] @ center
    matrix[2, 3] += DISTANCE * 0.75
    return Camera(FOCAL, FOCAL, SIZE / 2, SIZE / 2, SIZE, SIZE, matrix)


def draw_textured(
    scene: ExportScene, side: str, texture: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """The unlit textured mesh (H, W, 3), supersampled, and where it is (H, W)."""
    hand = scene.hand(side)
    fine = camera.resized(SIZE * SUPER, SIZE * SUPER)
    vertices = points_y_up(hand.posed_vertices(0))
    face = rasterize_mesh(vertices, hand.model.faces, fine).triangle
    color = np.broadcast_to(BACKGROUND, (*face.shape, 3)).copy()
    hit = face >= 0
    # where each pixel's ray meets its triangle: corners @ weights = ray, up to the depth
    turned = vertices @ fine.world_to_camera[:3, :3].T + fine.world_to_camera[:3, 3]
    y, x = np.nonzero(hit)
    pixels = np.stack([x + 0.5, y + 0.5, np.ones(len(x))], 1)
    rays = pixels @ np.linalg.inv(fine.intrinsics).T
    corners = turned[hand.model.faces[face[hit]]].transpose(0, 2, 1)
    bary = np.linalg.solve(corners, rays[..., None])[..., 0]
    bary /= bary.sum(1, keepdims=True)
    uv = np.einsum("pk,pkc->pc", bary, hand.model.uvs[hand.model.uv_faces[face[hit]]])
    color[hit] = sampled(texture, uv)
    small = color.reshape(SIZE, SUPER, SIZE, SUPER, 3).mean((1, 3))
    there = hit.reshape(SIZE, SUPER, SIZE, SUPER).mean((1, 3)) > 0.5
    return small, there


def sampled(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear texture lookups (P, 3) in [0, 1] at (P, 2), origin lower left."""
    size = len(texture)
    x, y = uv[:, 0] * size - 0.5, (1 - uv[:, 1]) * size - 0.5
    x0, y0 = (
        np.clip(np.floor(x), 0, size - 2).astype(int),
        np.clip(np.floor(y), 0, size - 2).astype(int),
    )
    fx, fy = np.clip(x - x0, 0, 1)[:, None], np.clip(y - y0, 0, 1)[:, None]
    t = texture.astype(np.float64) / 255
    top = t[y0, x0] * (1 - fx) + t[y0, x0 + 1] * fx
    bottom = t[y0 + 1, x0] * (1 - fx) + t[y0 + 1, x0 + 1] * fx
    return top * (1 - fy) + bottom * fy


def sizes(avatar: Avatar, program: Path | None) -> str:
    """Table 2."""
    lines = [
        "| format | what | writer | seconds | bytes | bytes a splat |",
        "|---|---|---|---|---|---|",
    ]
    motion = builtin_motion("open-close")
    jobs: list[tuple[str, str, dict[str, Any]]] = [
        ("ply", "splats", {}),
        ("splat", "splats", {}),
        ("spz", "splats", {}),
        ("glb", "splats", {"what": "splats", "options": {"binding": False, "splat_skin": "never"}}),
        ("glb", "splats with skin and binding", {"what": "splats"}),
        ("glb", "textured mesh, motion", {"what": "mesh", "motion": motion}),
        ("glb", "all, motion", {"motion": motion}),
        ("usdz", "all, one pose", {"pose": "relaxed"}),
        ("usdc", "all, motion", {"motion": motion}),
        ("obj", "textured mesh", {}),
        ("bvh", "motion", {"motion": motion}),
        ("npz", "motion", {"motion": motion}),
    ]
    n = len(avatar)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_avatar(avatar, folder / "warm.glb", lod=4, options={"texture_size": 64})
        for k, (suffix, what, keywords) in enumerate(jobs):
            start = time.perf_counter()
            paths = export_avatar(avatar, folder / f"{k}.{suffix}", **keywords)
            seconds = time.perf_counter() - start
            size = sum(p.stat().st_size for p in paths)
            each = f"{size / n:.1f}" if "splats" in what or "all" in what else ""
            lines.append(f"| {suffix} | {what} | hand-toolkit | {seconds:.2f} | {size} | {each} |")
        command = transform_command(program)
        if command is not None:
            for suffix in ("ply", "spz", "glb", "sog"):
                out = folder / f"t.{suffix}"
                start = time.perf_counter()
                subprocess.run(
                    [*command, "-q", "-w", "-g", "cpu", str(folder / "0.ply"), str(out)],
                    check=True, capture_output=True, env={**os.environ, "NODE_NO_WARNINGS": "1"},
                )  # fmt: skip
                seconds, size = time.perf_counter() - start, out.stat().st_size
                figures = f"{seconds:.2f} | {size} | {size / n:.1f}"
                lines.append(f"| {suffix} | splats | splat-transform | {figures} |")
    return "\n".join(lines)


def transform_command(program: Path | None) -> list[str] | None:
    """How to call splat-transform, or None."""
    if program is not None:
        return [str(program)]
    if LOCAL.is_file() and shutil.which("node"):
        return ["node", str(LOCAL)]
    found = shutil.which("splat-transform")
    return [found] if found else None


def weights() -> str:
    """Table 3."""
    lines = ["| level | motion | largest error | 99th percentile | mean |", "|---|---|---|---|---|"]
    for level in (0, 1):
        model = load_hand_model("default", "right", level)
        joints, values = strongest(model.weights, 4)
        four = np.zeros(model.weights.shape)
        np.add.at(four, (np.arange(len(four))[:, None], joints.astype(int)), values)

        pruned = dataclasses.replace(model, weights=four)
        shape, where = np.zeros(len(model.shape_names)), np.zeros(3)
        for name in MOTIONS:
            motion = builtin_motion(name)
            errors = [
                np.linalg.norm(
                    pose_hand_numpy(model, theta, shape, where)[0]
                    - pose_hand_numpy(pruned, theta, shape, where)[0],
                    axis=1,
                )
                for theta in motion.theta[::5, 0]
            ]
            e = np.concatenate(errors) * 1000
            lines.append(
                f"| {level} | {name} | {e.max():.2f} mm | {np.percentile(e, 99):.3f} mm | "
                f"{e.mean():.4f} mm |"
            )
    return "\n".join(lines)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """dB of values in [0, 1]."""
    return float(-10 * np.log10(np.mean((np.clip(a, 0, 1) - np.clip(b, 0, 1)) ** 2) + 1e-12))


def save(picture: np.ndarray, path: Path) -> None:
    """Write (H, W, 3) in [0, 1]."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)).save(path)


if __name__ == "__main__":
    main()
