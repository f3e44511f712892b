"""A warm-up set drawn by the toolkit's own rasterizer: the subjects of a Cycles set, in seconds.

Cycles spends seconds on a picture; splats with the same baked skins, lit by clamped cosines
and splat shadow maps, cost a twentieth of that and teach the prior most of what it must know:
who the subjects are, where skin is hidden, how light and contact darken it. Subsurface
scattering, gloss and forearms are missing, so training ends on the Cycles set. The folder has
the same format (docs/synth.md) and the same subjects by name, test subjects in the test split.

Run it as ``python -m hand_toolkit.systems.igsn.warmup OUT --skins FOLDER``.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.conventions import SIDES
from ...core.errors import HandToolkitError
from ...core.types import Camera, Splats
from ...geometry.colour import linear_to_srgb
from ...geometry.rotations import quat_from_matrix
from ...geometry.surfaces import triangle_frames, vertex_normals
from ...hand_model import load_hand_model, pose_hand_numpy, subdivide
from ...hand_model.limits import theta_from_joint_angles
from ...render import render
from ...synth.config import SynthConfig
from ...synth.dataset import FORMAT, VERSION, sample_json, write_json, write_picture
from ...synth.poses import FAMILIES, sample_angles
from ...synth.skin import bake, load_skin
from ...synth.subjects import Subject, find_skins, make_subjects
from ...synth.surface import load_surface
from ...synth.texels import TexelMap, build_texel_map
from ...synth.views import sample_view

log = logging.getLogger(__name__)

LEVEL = 2
"""Subdivision of the drawn hands: 51,136 splats each."""

TEXTURE_SCALE = 0.4
"""Resolution of the baked skins; a splat covers about one such texel."""

ENVIRONMENT_LIGHTS = 10
SHADOW_PX = 128
SHADOW_EVERY = 4
"""Every fourth splat, twice as large, casts the shadows."""

SHADOW_BIAS_M = 0.004


@dataclass(frozen=True)
class Skin:
    """Linear albedo (F, 3) of every face at LEVEL, by side."""

    albedo: dict[str, np.ndarray]


def face_uvs(side: str, texels: TexelMap) -> np.ndarray:
    """(F, 2) coordinates in the baked texture of face centroids at LEVEL, right-hand order."""
    surface = load_surface(side)
    model = load_hand_model("default", "right", 0)
    if model.quads is None:
        raise HandToolkitError("the default hand has no quads; this is a fault of its data file")
    quads = surface.quads[: surface.hand_quads]
    uv_quads = surface.uv_quads[: surface.hand_quads]
    # a left hand lists the corners of a quad the other way round; go by vertex
    order = (model.quads[:, :, None] == quads[:, None, :]).argmax(2)
    aligned = np.take_along_axis(uv_quads, order, 1).astype(np.int32)
    dressed = dataclasses.replace(
        model,
        uvs=texels.uvs.astype(np.float32),
        uv_quads=aligned,
        uv_faces=aligned[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3),
        atlas_uvs=None,
    )
    fine = subdivide(dressed, LEVEL)
    return fine.uvs[fine.uv_faces].mean(1)


def sample_texture(picture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear values of a picture (row 0 on top) at uv (origin lower left)."""
    from scipy.ndimage import map_coordinates

    height, width = picture.shape[:2]
    at = [(1 - uv[:, 1]) * height - 0.5, uv[:, 0] * width - 0.5]
    channels = [
        map_coordinates(picture[..., c], at, order=1, mode="nearest")
        for c in range(picture.shape[2])
    ]
    return np.stack(channels, 1)


class Painter:
    """Draws poses of subjects.

    Args:
        config: sizes and counts, as for Cycles.
        seed: of the Cycles set whose subjects these are.
    """

    def __init__(self, config: SynthConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.subjects = make_subjects(config, seed)
        self._skins = find_skins(config.skins)
        self._texels = {s: build_texel_map(load_surface(s), TEXTURE_SCALE) for s in SIDES}
        self._uvs = {s: face_uvs(s, self._texels[s]) for s in SIDES}
        self._baked: dict[int, Skin] = {}

    def skin(self, subject: Subject) -> Skin:
        """The subject's albedo on the faces."""
        if subject.index not in self._baked:
            source = subject.look.skin
            picture = load_skin(self._skins[source]) if source is not None else None
            self._baked[subject.index] = Skin(
                {
                    side: sample_texture(
                        bake(self._texels[side], subject.look, picture, side).albedo,
                        self._uvs[side],
                    )
                    for side in SIDES
                }
            )
        return self._baked[subject.index]

    def draw(self, subject: Subject, pose: int, folder: Path) -> int:
        """Write all views of one pose; returns how many pictures were made."""
        rng = np.random.default_rng([self.seed, 17, subject.index, pose])
        sides, family, theta, translation = self._pose(rng)
        skin = self.skin(subject)
        hands = [
            _surface_splats(side, theta[k], subject.shape, translation[k], skin.albedo[side])
            for k, side in enumerate(SIDES)
            if side in sides
        ]
        means, quats, scales, albedo, normals = (np.concatenate(p) for p in zip(*hands))
        opacities = np.full(len(means), 0.97, np.float32)
        solid = Splats(means, quats, scales, opacities, albedo)
        colors = linear_to_srgb(_tone(albedo * _irradiance(rng, solid, normals)))
        size = self.config.size
        points = means[::7].astype(np.float64)
        forearms = np.stack(
            [_forearm(theta[k], 1.0 - 2 * k) for k, s in enumerate(SIDES) if s in sides]
        )
        folder.mkdir(parents=True, exist_ok=True)
        for view in range(self.config.views):
            camera = sample_view(rng, points, forearms, size)
            stem = f"{900 + pose:03d}_{view:02d}"
            self._write(folder / stem, solid, colors, albedo, camera)
            write_json(
                folder / f"{stem}.json",
                sample_json(
                    split=subject.split,
                    subject=subject.name,
                    pose=f"{900 + pose:03d}",
                    view=f"{view:02d}",
                    family=family,
                    present=np.array([s in sides for s in SIDES]),
                    theta=theta,
                    shape=subject.shape,
                    translation=translation,
                    camera=camera,
                    lighting=f"warm-up {pose}",
                ),
            )
        return self.config.views

    def _pose(
        self, rng: np.random.Generator
    ) -> tuple[tuple[str, ...], str, np.ndarray, np.ndarray]:
        """Sides, family, θ (2, 16, 3) and translation (2, 3); two hands are near, not touching."""
        from scipy.spatial.transform import Rotation

        two = bool(rng.random() < self.config.two_hands)
        sides = SIDES if two else (str(rng.choice(SIDES)),)
        theta, translation = np.zeros((2, 16, 3)), np.zeros((2, 3))
        names = [*FAMILIES, "random"]
        family = ""
        for k, side in enumerate(SIDES):
            if side not in sides:
                continue
            family = str(rng.choice(names))
            angles = sample_angles(rng, family)
            wrist = Rotation.random(random_state=int(rng.integers(1 << 31))).as_rotvec()
            theta[k] = theta_from_joint_angles(angles, wrist, side)
        if two:
            apart = rng.normal(size=3)
            apart *= rng.uniform(0.09, 0.16) / np.linalg.norm(apart)
            for k in range(2):
                # the palm, not the wrist, sits at the chosen place
                turn = Rotation.from_rotvec(theta[k, 0]).as_matrix()
                palm = turn @ np.array([-0.09 if k == 0 else 0.09, 0, 0])
                translation[k] = apart * (k - 0.5) - palm
        return tuple(sides), family, theta, translation

    def _write(
        self, stem: Path, solid: Splats, colors: np.ndarray, albedo: np.ndarray, camera: Camera
    ) -> None:
        for ending, values in (("", colors), ("_albedo", linear_to_srgb(albedo))):
            drawn = render(dataclasses.replace(solid, colors=values.astype(np.float32)), camera)
            alpha = np.clip(np.asarray(drawn.alpha), 0, 1)[..., None]
            straight = np.asarray(drawn.color) / np.maximum(alpha, 1e-3) * (alpha > 0.004)
            if not ending:
                straight = np.concatenate([straight, alpha], -1)
            pixels = (np.clip(straight, 0, 1) * 255 + 0.5).astype(np.uint8)
            write_picture(stem.with_name(f"{stem.name}{ending}.png"), pixels)


def _surface_splats(
    side: str, theta: np.ndarray, shape: np.ndarray, place: np.ndarray, albedo: np.ndarray
) -> tuple[np.ndarray, ...]:
    model = load_hand_model("default", side, LEVEL)
    vertices = pose_hand_numpy(model, theta, shape, place)[0]
    frames, area = triangle_frames(vertices, model.faces)
    normals = vertex_normals(vertices, model.faces)[model.faces].mean(1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    scales = np.sqrt(area)[:, None] * [0.62, 0.62, 0.15]
    parts = (vertices[model.faces].mean(1), quat_from_matrix(frames), scales, albedo, normals)
    return tuple(p.astype(np.float32) for p in parts)


def _irradiance(rng: np.random.Generator, solid: Splats, normals: np.ndarray) -> np.ndarray:
    """(M, 3) light on every splat: a key light and a dome of weak ones, each with shadows."""
    total = np.zeros((len(normals), 3))
    tint = np.exp(rng.normal(size=3) * 0.08)
    directions = rng.normal(size=(ENVIRONMENT_LIGHTS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    weights = np.exp(rng.normal(size=ENVIRONMENT_LIGHTS) * 0.6)
    ambient = rng.uniform(0.35, 1.0)
    weights *= ambient * 2.0 / weights.sum()
    key = rng.normal(size=3)
    every = slice(None, None, SHADOW_EVERY)
    caster = Splats(
        solid.means[every],
        solid.quats[every],
        solid.scales[every] * np.float32(SHADOW_EVERY**0.5),
        solid.opacities[every],
        solid.colors[every],
    )
    lights = [*zip(directions, weights), (key / np.linalg.norm(key), rng.uniform(0.3, 1.1))]
    for direction, weight in lights:
        facing = np.maximum(normals @ direction, 0)
        open_ = _unshadowed(caster, solid.means, direction)
        color = np.exp(rng.normal(size=3) * [0.10, 0.03, 0.12]) * tint
        total += weight * (facing * open_)[:, None] * color
    bounce = rng.uniform(0.04, 0.12) * np.array([1.15, 0.95, 0.85])
    total += bounce
    return total * rng.uniform(0.75, 1.1) / max(float(np.percentile(total, 70)), 0.2)


def _unshadowed(caster: Splats, means: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """(M,) share of a distant light that reaches each of ``means``, from a depth picture."""
    center = means.mean(0)
    radius = float(np.linalg.norm(means - center, axis=1).max())
    distance = 30 * radius
    up = np.array([0.0, 0, 1]) if abs(direction[2]) < 0.9 else np.array([0.0, 1, 0])
    right = np.cross(up, direction)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(-direction, right), -direction])
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = -axes @ (center + direction * distance)
    focal = 0.48 * SHADOW_PX * distance / radius
    half = SHADOW_PX / 2
    camera = Camera(focal, focal, half, half, SHADOW_PX, SHADOW_PX, matrix)
    drawn = render(caster, camera, with_median_depth=True)
    depth = np.asarray(drawn.median_depth)
    pixel = camera.project(means.astype(np.float64))
    own = (means @ axes.T + matrix[:3, 3])[:, 2]
    total = np.zeros(len(own))
    # four taps soften the edge of the shadow to about the size of its pixels
    for dx, dy in ((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)):
        x = np.clip((pixel[:, 0] + dx).astype(int), 0, SHADOW_PX - 1)
        y = np.clip((pixel[:, 1] + dy).astype(int), 0, SHADOW_PX - 1)
        first = depth[y, x]
        total += (first <= 0) | (own < first + SHADOW_BIAS_M)
    return total / 4


def _tone(linear: np.ndarray) -> np.ndarray:
    """The Cycles set's shoulder: identity to 0.6, then a roll-off below 1."""
    rest = 0.4
    return np.where(linear < 0.6, linear, 0.6 + rest * (1 - np.exp(-(linear - 0.6) / rest)))


def _forearm(theta: np.ndarray, side_sign: float) -> np.ndarray:
    """Direction from the wrist into the forearm; a left hand's flat fingers point along +x."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(theta[0]).apply([side_sign, 0, 0]))


def make_warmup(
    out: Path, config: SynthConfig, poses: int, seed: int = 0, limit_s: float | None = None
) -> int:
    """Draw poses of every subject; finished poses are kept.

    Subjects take turns, so that every prefix of the work is a useful set.

    Args:
        out: folder; made if it does not exist.
        config: as for the Cycles set (size, subjects, views, share of two hands, skins).
        poses: per training subject; ``config.test_poses`` per test subject.
        seed: of the Cycles set.
        limit_s: stop after this many seconds.

    Returns:
        Pictures made.
    """
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "dataset.json").is_file():
        write_json(out / "dataset.json", {"format": FORMAT, "version": VERSION, "seed": seed})
    painter = Painter(config, seed)
    started, made = time.monotonic(), 0
    for pose in range(max(poses, config.test_poses)):
        for subject in painter.subjects:
            if pose >= (config.test_poses if subject.split == "test" else poses):
                continue
            if limit_s is not None and time.monotonic() - started > limit_s:
                return made
            folder = out / subject.split / subject.name
            last = folder / f"{900 + pose:03d}_{config.views - 1:02d}.json"
            if not last.is_file():
                made += painter.draw(subject, pose, folder)
        log.info("pose %d drawn, %d pictures", pose + 1, made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m hand_toolkit.systems.igsn.warmup``."""
    parser = argparse.ArgumentParser(prog="hand_toolkit.systems.igsn.warmup", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the set")
    parser.add_argument("--skins", help="folder of MakeHuman skins, as for the Cycles set")
    parser.add_argument("--subjects", type=int, default=40, help="training subjects")
    parser.add_argument("--test-subjects", type=int, default=8, help="that never train")
    parser.add_argument("--test-poses", type=int, default=4, help="poses a test subject")
    parser.add_argument("--poses", type=int, default=12, help="poses a subject")
    parser.add_argument("--views", type=int, default=4, help="views a pose")
    parser.add_argument("--size", type=int, default=256, help="width and height, pixels")
    parser.add_argument("--two-hands", type=float, default=0.3, help="share of two-hand poses")
    parser.add_argument("--seed", type=int, default=0, help="seed of the Cycles set")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    try:
        config = SynthConfig(
            size=options.size,
            train_subjects=options.subjects,
            test_subjects=options.test_subjects,
            test_poses=options.test_poses,
            views=options.views,
            two_hands=options.two_hands,
            skins=options.skins,
        )
        made = make_warmup(options.out, config, options.poses, options.seed)
    except HandToolkitError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    log.info("%d pictures drawn", made)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
