"""What ``scripts/fuzz.py`` reads: for each format good files, a mutation, and the reader."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fuzz_mutations as mutations
import numpy as np


@dataclass(frozen=True)
class Target:
    """One border of the toolkit.

    Attributes:
        suffix: of the files.
        seeds: writes good files into a folder.
        mutate: damages a file's bytes.
        read: reads a file as users' commands do; raises a HandToolkitError or gives a value.
        most_memory: bytes a file may take, as a multiple of its size, beside ``ROOM``.
    """

    suffix: str
    seeds: Callable[[Path], list[bytes]]
    mutate: mutations.Mutation
    read: Callable[[Path], Any]
    most_memory: int = 40


ROOM = 256 << 20
"""Bytes that any file may take: libraries' tables, the largest small claim."""


def _avatar() -> Any:
    from hand_toolkit.testing.avatars import procedural_avatar

    return procedural_avatar(0, sides=("right", "left"), limit=24, level=0, sh_degree=1)


def _exported(*kinds: str) -> Callable[[Path], list[bytes]]:
    def make(folder: Path) -> list[bytes]:
        from hand_toolkit import export_avatar

        found = []
        for kind in kinds:
            path = folder / f"seed.{kind}"
            found.append(export_avatar(_avatar(), path, what="splats")[0].read_bytes())
        return found

    return make


def _compressed_ply() -> bytes:
    """The header and random words of a compressed PLY, which the toolkit reads but never writes."""
    bounds = [f"{end}_{name}" for name in ("x", "y", "z") for end in ("min", "max")]
    bounds += [f"{end}_scale_{name}" for name in ("x", "y", "z") for end in ("min", "max")]
    lines = ["ply", "format binary_little_endian 1.0", "element chunk 1"]
    lines += [f"property float {name}" for name in bounds]
    lines += ["element vertex 32"]
    lines += [f"property uint packed_{n}" for n in ("position", "rotation", "scale", "color")]
    chunk = np.array([0.0, 0.1] * 3 + [-7.0, -5.0] * 3, "<f4").tobytes()
    words = np.random.default_rng(0).integers(0, 1 << 32, (32, 4)).astype("<u4").tobytes()
    return "\n".join([*lines, "end_header", ""]).encode() + chunk + words


def _ply(folder: Path) -> list[bytes]:
    return [*_exported("ply")(folder), _compressed_ply()]


def _hand_files(folder: Path) -> list[bytes]:
    return [_avatar().save(folder / "seed.hand").read_bytes()]


def _motions(folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.2, (3, 2, 16, 3)).astype(np.float32)
    layouts: list[dict[str, Any]] = [
        {"poses": pose, "fps": 30.0},
        {"poses": pose[:, 0], "fps": 30, "side": "right", "translation": np.zeros((3, 3))},
        {"poses": np.zeros((3, 165)), "mocap_framerate": 60.0, "gender": "neutral"},
        {"global_orient": np.eye(3)[None, None].repeat(3, 0),
         "hand_pose": np.eye(3)[None, None].repeat(3, 0).repeat(15, 1), "is_right": np.ones(3)},
    ]  # fmt: skip
    found = []
    for layout in layouts:
        buffer = io.BytesIO()
        np.savez(buffer, **layout)
        found.append(buffer.getvalue())
    return found


def _motion_json(folder: Path) -> list[bytes]:
    frame = {"pose": [0.1] * 48, "shape": [0.0] * 10, "trans": [0.0] * 3}
    return [
        json.dumps({"0": {"0": {"right": frame, "left": frame}}}).encode(),
        json.dumps({"poses": [[[0.0, 0.1, 0.2]] * 16] * 2, "fps": 25, "side": "left"}).encode(),
    ]


def _keypoints(folder: Path) -> list[bytes]:
    points = [[40.0 + 3 * k, 30.0 + 2 * k] for k in range(21)]
    flat = [v for x, y in points for v in (x, y, 0.9)]
    landmarks = [{"x": x / 128, "y": y / 96, "z": 0.0} for x, y in points]
    return [
        json.dumps({"hands": [{"side": "right", "keypoints_2d": points}]}).encode(),
        json.dumps([{"is_right": 1, "keypoints_2d": points, "pose": [0.0] * 48}]).encode(),
        json.dumps({"people": [{"hand_right_keypoints_2d": flat}]}).encode(),
        json.dumps({"landmarks": [landmarks], "handedness": [[{"categoryName": "Left"}]]}).encode(),
    ]


def _bvh(folder: Path) -> list[bytes]:
    from hand_toolkit import export_avatar, load_motion

    motion = folder / "seed.npz"
    motion.write_bytes(_motions(folder)[0])
    path = export_avatar(_avatar(), folder / "seed.bvh", motion=load_motion(motion))[0]
    return [path.read_bytes()]


def _pickles(folder: Path) -> list[bytes]:
    content = {
        "v_template": np.zeros((8, 3)), "f": np.zeros((4, 3), np.uint32), "n": 3, "name": "x",
        "kintree_table": np.zeros((2, 16), np.int64), "hands_mean": [0.0, 0.5], "none": None,
    }  # fmt: skip
    return [pickle.dumps(content, protocol) for protocol in (2, 4)]


def _pictures(*formats: str) -> Callable[[Path], list[bytes]]:
    def make(folder: Path) -> list[bytes]:
        from PIL import Image

        rng = np.random.default_rng(0)
        rgb = Image.fromarray(rng.integers(0, 255, (72, 80, 3), np.uint8))
        kinds = {
            "JPEG": rgb, "WEBP": rgb, "TIFF": rgb, "BMP": rgb, "GIF": rgb, "AVIF": rgb,
            "PNG": rgb.convert("RGBA"),
        }  # fmt: skip
        found = []
        for name in formats:
            buffer = io.BytesIO()
            kinds[name].save(buffer, name)
            found.append(buffer.getvalue())
        if "PNG" in formats:
            for mode in ("P", "L", "1", "I;16"):
                buffer = io.BytesIO()
                rgb.convert("L").convert(mode).save(buffer, "PNG")
                found.append(buffer.getvalue())
        return found

    return make


def _videos(folder: Path) -> list[bytes]:
    from hand_toolkit.media.video import write_video

    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (64, 80, 3), np.uint8) for _ in range(6)]
    return [write_video(folder / "seed.mp4", iter(frames), 10).read_bytes()]


def _read_video(path: Path) -> int:
    from hand_toolkit.media.video import read_video

    _, frames = read_video(path)
    return sum(1 for _, _ in zip(frames, range(20)))


def _cameras(folder: Path) -> list[bytes]:
    from hand_toolkit.core.cameras import camera_to_dict, orbit_camera

    cameras = [camera_to_dict(orbit_camera(np.eye(3), 80, 60, 30.0 * k))
               for k in range(2)]  # fmt: skip
    return [json.dumps(cameras).encode(), json.dumps(cameras[0]).encode()]


def _lights(folder: Path) -> list[bytes]:
    return [json.dumps({"sh": [[0.8, 0.7, 0.6]] * n}).encode() for n in (1, 4, 9, 16)]


def _skeletons(folder: Path) -> list[bytes]:
    points = np.random.default_rng(0).normal(0, 0.05, (2, 21, 3)).round(4)
    return [
        json.dumps({"keypoints": points.tolist()}).encode(),
        json.dumps(points[0, :, :2].tolist()).encode(),
    ]


def _messages(folder: Path) -> list[bytes]:
    from hand_toolkit.worker import protocol

    arrays = {"a": np.zeros((4, 3), np.float32), "b": np.arange(5)}
    return [
        protocol.encode({"type": "hello", "protocol": 1}),
        protocol.encode(
            {"type": "request", "id": 1, "method": "render", "params": {"x": 1}}, arrays
        ),
    ]


def _read_message(path: Path) -> Any:
    from hand_toolkit.worker import protocol

    with path.open("rb") as stream:
        return protocol.read(stream)


def _read_avatar(path: Path) -> Any:
    from hand_toolkit import Avatar

    return Avatar.load(path)


def _import(path: Path) -> Any:
    from hand_toolkit.export import import_file

    return import_file(path)


def _read_motion(path: Path) -> Any:
    from hand_toolkit import load_motion

    return load_motion(path)


def _read_photo(path: Path) -> Any:
    from hand_toolkit.media.load import load_photo

    return load_photo(path)


def _read_keypoints(path: Path) -> Any:
    from hand_toolkit_plugins.file_source import read_hands

    from hand_toolkit.core.types import Photo

    return read_hands(path, Photo(pixels=np.zeros((96, 128, 3), np.uint8), name="p"))


def _read_pickle(path: Path) -> Any:
    from hand_toolkit.hand_model.restricted_pickle import read_restricted_pickle

    return read_restricted_pickle(path)


def _read_cameras(path: Path) -> Any:
    from hand_toolkit.core.cameras import load_cameras

    return load_cameras(path)


def _read_light(path: Path) -> Any:
    from hand_toolkit.avatar.lighting import load_light

    return load_light(str(path))


def _read_skeletons(path: Path) -> Any:
    from hand_toolkit.systems.hhmr.files import read_skeletons

    return read_skeletons(path)


def _gltf(folder: Path) -> list[bytes]:
    import base64

    data = _exported("glb")(folder)[0]
    size = int.from_bytes(data[12:16], "little")
    document = json.loads(data[20 : 20 + size])
    encoded = base64.b64encode(data[28 + size :]).decode()
    document["buffers"][0]["uri"] = "data:application/octet-stream;base64," + encoded
    outside = {**document, "buffers": [{**document["buffers"][0], "uri": "../seed.bin"}]}
    return [json.dumps(document).encode(), json.dumps(outside).encode()]


BIG_PICTURE = 4000
"""A small picture file may tell of a hundred megapixels: compression is the format's purpose."""

TARGETS: dict[str, Target] = {
    "hand": Target(".hand", _hand_files, mutations.safetensors, _read_avatar),
    "ply": Target(".ply", _ply, mutations.mutate_bytes, _import),
    "splat": Target(".splat", _exported("splat"), mutations.mutate_bytes, _import),
    "spz": Target(".spz", _exported("spz"), mutations.gzip_stream, _import, 2000),
    "glb": Target(".glb", _exported("glb"), mutations.glb, _import),
    "gltf": Target(".gltf", _gltf, mutations.json_text, _import),
    "npz": Target(".npz", _motions, mutations.zip_members, _read_motion, 2000),
    "motion-json": Target(".json", _motion_json, mutations.json_text, _read_motion),
    "keypoints": Target(".json", _keypoints, mutations.json_text, _read_keypoints),
    "bvh": Target(".bvh", _bvh, mutations.text_lines, _read_motion),
    "pickle": Target(".pkl", _pickles, mutations.mutate_bytes, _read_pickle),
    "png": Target(".png", _pictures("PNG"), mutations.png_chunks, _read_photo, BIG_PICTURE),
    "picture": Target(
        ".jpg", _pictures("JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"), mutations.mutate_bytes,
        _read_photo, BIG_PICTURE,
    ),
    "video": Target(".mp4", _videos, mutations.mutate_bytes, _read_video, BIG_PICTURE),
    "cameras": Target(".json", _cameras, mutations.json_text, _read_cameras),
    "light": Target(".json", _lights, mutations.json_text, _read_light),
    "skeletons": Target(".json", _skeletons, mutations.json_text, _read_skeletons),
    "worker": Target(".bin", _messages, mutations.message, _read_message),
}  # fmt: skip
