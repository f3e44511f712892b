"""What a rendering process does: a unit of the plan at a time, to finished samples."""

from __future__ import annotations

import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..core.conventions import SIDES
from .config import SynthConfig
from .dataset import PICTURES, read_sample, sample_json, write_json, write_picture
from .develop import Development, compose_photo, develop, develop_albedo, meter
from .lighting import Lighting, sample_lighting
from .plan import Unit, solve_pose
from .scene import HandScene, Passes
from .skin import BakedSkin, bake, load_skin
from .solve import HandSolver, SolvedPose
from .subjects import Subject, find_skins, make_subjects
from .surface import load_surface, pose_surface
from .texels import build_texel_map
from .views import sample_view

SKIN_CACHE = 64
"""Subjects whose baked skins are kept; each takes ten megabytes or so at half precision."""

OTHER_LIGHT_SHARE = 0.4
"""Share of the poses that are seen in a light of their own instead of the subject's."""


class RenderWorker:
    """Renders units into a data folder.

    Args:
        out: data folder.
        config: what to render.
        seed: of the whole data set.
        scratch: folder for temporary files.
    """

    def __init__(self, out: Path, config: SynthConfig, seed: int, scratch: Path) -> None:
        self.out, self.config, self.seed = out, config, seed
        self.subjects = make_subjects(config, seed)
        self._skins = find_skins(config.skins)
        self._surfaces = {side: load_surface(side) for side in SIDES}
        self._texels = {
            side: build_texel_map(self._surfaces[side], config.texture_scale) for side in SIDES
        }
        self._scene = HandScene(
            self._surfaces, self._texels, scratch, config.samples, config.threads
        )
        self._baked: OrderedDict[int, dict[str, BakedSkin]] = OrderedDict()
        self._solvers: dict[int, HandSolver] = {}
        self._homes: dict[int, tuple[Lighting, Development]] = {}
        self._shown = -1

    def folder(self, subject: Subject) -> Path:
        """Where a subject's samples go."""
        return subject_folder(self.out, subject)

    def render_unit(self, unit: Unit) -> int:
        """Render the unfinished views of a unit; returns how many pictures were made."""
        subject = self.subjects[unit.subject]
        views = missing_views(self.out, self.config, subject, unit.pose)
        if not views:
            return 0
        folder = self.folder(subject)
        self._show_subject(subject)
        started = time.perf_counter()
        family, pose = self._pose(unit)
        solving = time.perf_counter() - started
        vertices = self._posed(subject, pose)
        count = self._surfaces["right"].hand_vertices
        points = np.concatenate([v[:count] for v in vertices.values()])
        center = 0.5 * (points.min(0) + points.max(0))
        forearms = np.stack([_forearm_direction(v[count:], v[:count]) for v in vertices.values()])
        self._scene.set_hands(vertices)

        rng = np.random.default_rng([self.seed, 5, unit.subject, unit.pose])
        own_light = bool(rng.random() < OTHER_LIGHT_SHARE) and unit.pose > 0
        own = sample_lighting(rng)
        cameras = [
            sample_view(rng, points, forearms, self.config.size) for _ in range(self.config.views)
        ]
        if own_light and len(cameras) > 1:
            # The same view in both lights shows which colour is light and which is skin.
            cameras[1] = cameras[0]
        own_development: Development | None = None
        for view in range(self.config.views):
            at_home = not own_light or view == 0
            needed_for_metering = own_light and view == 1 and own_development is None
            if view not in views and not needed_for_metering:
                continue
            self._scene.set_camera(cameras[view])
            begun = time.perf_counter()
            if at_home:
                lighting, development = self._homes[unit.subject]
                self._scene.set_lighting(lighting, center)
                passes = self._scene.render()
            else:
                lighting = own
                self._scene.set_lighting(own, center)
                passes = self._scene.render()
                if own_development is None:
                    own_development = meter(
                        passes, np.random.default_rng([self.seed, 6, unit.subject, unit.pose])
                    )
                development = own_development
            seconds = time.perf_counter() - begun
            if view not in views:
                continue
            noise = np.random.default_rng([self.seed, 7, unit.subject, unit.pose, view])
            stem = folder / _stem(unit.pose, view)
            photo = compose_photo(passes, development, lighting.environment, cameras[view], noise)
            self._write_pictures(stem, passes, development, photo)
            value = sample_json(
                split=subject.split,
                subject=subject.name,
                pose=f"{unit.pose:03d}",
                view=f"{view:02d}",
                family=family,
                present=np.array([side in pose.sides for side in SIDES]),
                theta=_by_side(pose, pose.theta),
                shape=subject.shape,
                translation=_by_side(pose, pose.translation),
                camera=cameras[view],
                lighting="home" if at_home else f"pose{unit.pose:03d}",
                wrist_bend=np.round(_by_side(pose, pose.wrist_bend), 6).tolist(),
                penetration_mm=round(pose.penetration_mm, 4),
                self_penetration_mm=round(pose.self_penetration_mm, 4),
                gap_mm=None if pose.gap_mm is None else round(pose.gap_mm, 4),
                gain=development.gain.tolist(),
                skin=subject.look.skin,
                unusual=subject.unusual,
                unseen_skin=subject.unseen_skin,
                render_seconds=round(seconds, 3),
                solve_seconds=round(solving, 3),
            )
            write_json(stem.with_name(stem.name + ".json"), value)
        return len(views)

    def _write_pictures(
        self, stem: Path, passes: Passes, development: Development, photo: np.ndarray
    ) -> None:
        pictures = {
            "image": develop(passes, development),
            "photo": photo,
            "labels": passes.labels,
            "albedo": develop_albedo(passes),
        }
        for kind, pixels in pictures.items():
            write_picture(stem.with_name(stem.name + PICTURES[kind]), pixels)

    def _show_subject(self, subject: Subject) -> None:
        """Load a subject's skin, its home lighting and the exposure that belongs to it."""
        if self._shown == subject.index:
            return
        if subject.index not in self._baked:
            skin = None
            if subject.look.skin is not None:
                skin = load_skin(self._skins[subject.look.skin])
            self._baked[subject.index] = {
                side: _half(bake(self._texels[side], subject.look, skin, side)) for side in SIDES
            }
            while len(self._baked) > SKIN_CACHE:
                self._baked.popitem(last=False)
        self._baked.move_to_end(subject.index)
        self._scene.set_subject(subject.index, subject.look, self._baked[subject.index])
        self._shown = subject.index
        if subject.index not in self._homes:
            self._homes[subject.index] = self._home(subject)
        self.folder(subject).mkdir(parents=True, exist_ok=True)
        description = self.folder(subject) / "subject.json"
        if not description.exists():
            write_json(description, subject.to_json())

    def _home(self, subject: Subject) -> tuple[Lighting, Development]:
        """The subject's own lighting, metered on its flat hands like a photographer's card."""
        rng = np.random.default_rng([self.seed, 8, subject.index])
        lighting = sample_lighting(rng)
        theta = np.zeros((16, 3))
        vertices = {}
        for side, shift in (("right", -0.02), ("left", 0.02)):
            place = np.array([shift, 0, 0])
            vertices[side] = pose_surface(
                self._surfaces[side], theta, subject.shape, place, np.zeros(3)
            )
        count = self._surfaces["right"].hand_vertices
        points = np.concatenate([v[:count] for v in vertices.values()])
        forearms = np.array([[0, 0, -1.0]])
        self._scene.set_hands(vertices)
        self._scene.set_lighting(lighting, points.mean(0))
        self._scene.set_camera(sample_view(rng, points, forearms, 96))
        return lighting, meter(self._scene.render(), rng)

    def _pose(self, unit: Unit) -> tuple[str, SolvedPose]:
        """Solve a pose, or take it from a view that is already there."""
        subject = self.subjects[unit.subject]
        for view in range(self.config.views):
            path = self.folder(subject) / f"{_stem(unit.pose, view)}.json"
            if path.exists():
                return _pose_of(read_sample(path))
        if unit.subject not in self._solvers:
            self._solvers[unit.subject] = HandSolver(subject.shape)
        return solve_pose(self._solvers[unit.subject], self.config, self.seed, unit)

    def _posed(self, subject: Subject, pose: SolvedPose) -> dict[str, np.ndarray]:
        return {
            side: pose_surface(
                self._surfaces[side],
                pose.theta[k],
                subject.shape,
                pose.translation[k],
                pose.wrist_bend[k],
            )
            for k, side in enumerate(pose.sides)
        }


def _half(skin: BakedSkin) -> BakedSkin:
    return BakedSkin(skin.albedo.astype(np.float16), skin.detail.astype(np.float16))


def _stem(pose: int, view: int) -> str:
    return f"{pose:03d}_{view:02d}"


def _forearm_direction(arm: np.ndarray, hand: np.ndarray) -> np.ndarray:
    direction = arm[-20:].mean(0) - hand.mean(0)
    return direction / np.linalg.norm(direction)


def _by_side(pose: SolvedPose, values: np.ndarray) -> np.ndarray:
    """(2, ...) values of the right and the left hand; zeros for an absent one."""
    out = np.zeros((2, *values.shape[1:]))
    for k, side in enumerate(pose.sides):
        out[SIDES.index(side)] = np.round(values[k], 7)
    return out


def _pose_of(sample: Any) -> tuple[str, SolvedPose]:
    held = [k for k in range(2) if sample.present[k]]
    extra = sample.extra
    return sample.family, SolvedPose(
        sides=tuple(SIDES[k] for k in held),
        theta=sample.theta[held],
        translation=sample.translation[held],
        wrist_bend=np.asarray(extra["wrist_bend"], dtype=float)[held],
        penetration_mm=float(extra["penetration_mm"]),
        self_penetration_mm=float(extra["self_penetration_mm"]),
        gap_mm=extra["gap_mm"],
    )


@contextmanager
def rendering(out: Path, config: SynthConfig, seed: int) -> Iterator[Callable[[Unit], int]]:
    """Work of :mod:`hand_toolkit.jobs`: gives the function that renders a unit's pictures."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="hand-toolkit-synth-") as scratch:
        yield RenderWorker(out, config, seed, Path(scratch)).render_unit


def missing_views(out: Path, config: SynthConfig, subject: Subject, pose: int) -> list[int]:
    """Views of a subject's pose that are not finished."""
    folder = subject_folder(out, subject)
    return [v for v in range(config.views) if not (folder / f"{_stem(pose, v)}.json").exists()]


def subject_folder(out: Path, subject: Subject) -> Path:
    """Where a subject's samples go."""
    return out / subject.split / subject.name
