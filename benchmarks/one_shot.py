"""How far one photo is from all photos, and what estimated poses and masks cost.

Usage:
    python benchmarks/one_shot.py bound DATA... [--steps 150] [--subjects 8] [--sheet PNG]
    python benchmarks/one_shot.py robustness DATA... [--subjects 8] [--json FILE]

DATA are folders in the format of docs/synth.md. ``bound`` fits the same avatar (frozen network,
identity maps, texture-map bias, calibration, light) to every picture of a test subject that the
one-shot avatar is scored on, and scores both. ``robustness`` fits the reference as a photo before
a background, with the pose and mask given or found, and scores the baked avatar.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import prior as stages
import torch

from hand_toolkit.core.conventions import SIDES
from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.types import Camera, PoseEstimate
from hand_toolkit.geometry import hand_silhouettes
from hand_toolkit.learn.losses import gradient_loss, image_loss, mask_loss
from hand_toolkit.media import load_photo
from hand_toolkit.pose import estimate_pose
from hand_toolkit.see import label_hands, segment_photo
from hand_toolkit.skin.observe import hand_meshes
from hand_toolkit.systems.igsn.config import MAP_EPSILON, FitConfig
from hand_toolkit.systems.igsn.dataset import RenderedSet, Scene
from hand_toolkit.systems.igsn.evaluate import (
    METRICS,
    Draw,
    Task,
    contact_row,
    drawer,
    estimate_of,
    fit_reference,
    score,
    tasks,
    write_sheet,
)
from hand_toolkit.systems.igsn.fit import Fitting, fit_one_shot
from hand_toolkit.systems.igsn.gaussians import place, scene_colors
from hand_toolkit.systems.igsn.points import PosedPoints, pose_points
from hand_toolkit.systems.igsn.rendering import render_view, stack_views
from hand_toolkit.systems.igsn.weights import Prior, load_prior

RATE = 0.02


class ManyViews:
    """The prior's avatar fitted to many pictures of one subject, in one light.

    Args:
        data: the set.
        prior: frozen weights.
        task: the pictures: its reference and all targets.
        seed: of the order.
    """

    def __init__(self, data: RenderedSet, prior: Prior, task: Task, seed: int = 0) -> None:
        self.data, self.prior, self.seed = data, prior, seed
        self.views: dict[str, tuple[Scene, list[int]]] = {}
        for scene, view in (task.reference, *task.novel_view, *task.novel_pose):
            self.views.setdefault(scene.key, (scene, []))[1].append(view)
        scene, view = task.reference
        picture = data.picture(scene.views[view])
        camera = scene.views[view].camera
        start = Fitting(
            prior,
            estimate_of(scene, camera, prior.config.hand_model),
            picture.image / 255.0,
            picture.mask / 255.0,
            camera,
            FitConfig(refine=False),
        ).unknowns
        c = prior.config
        self.identity = torch.zeros(2, c.identity_channels, c.identity_size, c.identity_size)
        self.bias, self.log_gain, self.light = (
            t.detach().clone() for t in (start.bias, start.log_gain, start.light)
        )
        self._points: dict[str, PosedPoints] = {}

    def fit(self, steps: int) -> None:
        """Adam on maps, calibration and light, a random scene a step."""
        groups = [
            {"params": [self.identity, self.bias], "lr": RATE, "eps": MAP_EPSILON},
            {"params": [self.log_gain, self.light], "lr": RATE},
        ]
        for value in (self.identity, self.bias, self.log_gain, self.light):
            value.requires_grad_(True)
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        rng = np.random.default_rng(self.seed)
        names = sorted(self.views)
        for _ in range(steps):
            scene, views = self.views[names[int(rng.integers(len(names)))]]
            batch = self.data.batch(scene, views)
            image, alpha = stack_views(self._pictures(scene, batch.cameras))
            loss = image_loss(image, batch.images, batch.masks)
            loss = loss + 0.5 * gradient_loss(image, batch.images, batch.masks)
            loss = loss + 0.5 * mask_loss(alpha, batch.masks)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()

    def _pictures(self, scene: Scene, cameras: tuple[Camera, ...]) -> list[Any]:
        c, network = self.prior.config, self.prior.network
        if scene.key not in self._points:
            arrays = (scene.theta, scene.shape, scene.translation)
            tensors = (torch.from_numpy(a.astype(np.float32)) for a in arrays)
            self._points[scene.key] = pose_points(c, scene.sides, *tensors).detached()
        points = self._points[scene.key]
        maps = self.identity[[SIDES.index(s) for s in scene.sides]]
        attributes = network(points, maps, self.bias)
        geometry = place(c, attributes, points)
        color = scene_colors(network, points, attributes, geometry, self.light, self.log_gain.exp())
        return [render_view(geometry.splats(color), camera) for camera in cameras]

    @torch.no_grad()
    def draw(self, scene: Scene, camera: Camera) -> np.ndarray:
        """The subject in a scene's pose, (h, w, 3)."""
        return np.asarray(self._pictures(scene, (camera,))[0].color)


def bound(
    data: list[Path], steps: int, subjects: int, targets: int, sheet: Path | None
) -> list[dict[str, Any]]:
    """Rows: one photo against all photos, by task."""
    prior = load_prior()
    source = RenderedSet(data, prior.config)
    sums: dict[tuple[str, str], list[dict[str, float]]] = {}
    rows = []
    for task in tasks(source, "test", 1, targets)[:subjects]:
        avatar, live = fit_reference(source, task, prior, FitConfig(refine=False))
        many = ManyViews(source, prior, task)
        many.fit(steps)
        draws: dict[str, Draw] = {"one photo": drawer(live or avatar), "all photos": many.draw}
        for name, draw in draws.items():
            _add(sums, name, source, draw, task)
        rows += [contact_row(source, draw, task) for draw in draws.values()]
    if sheet is not None:
        write_sheet(rows, sheet, 160)
    return _print(sums)


def robustness(data: list[Path], subjects: int, targets: int) -> list[dict[str, Any]]:
    """Rows: pose and mask, each given or found."""
    prior = load_prior()
    source = RenderedSet(data, prior.config)
    sums: dict[tuple[str, str], list[dict[str, float]]] = {}
    missed = 0
    used = 0
    for task in tasks(source, "test", 1, targets):
        scene, view = task.reference
        chosen = scene.views[view]
        photo = load_photo(chosen.sample.picture_path("photo"))
        mask = source.picture(chosen).mask / 255.0
        given = stages.in_camera(estimate_of(scene, chosen.camera, prior.config.hand_model))
        try:
            found = estimate_pose(photo, hands="both" if len(scene.sides) == 2 else scene.sides[0])
        except HandToolkitError:
            missed += 1
            continue
        if {h.side for h in found.hands} != set(scene.sides):
            missed += 1
            continue
        for pose_name, estimate in (("given pose", given), ("estimated pose", found)):
            silhouettes, nearest = hand_silhouettes(hand_meshes(estimate), estimate.camera)
            cut = segment_photo(photo, estimate, list(silhouettes))
            for mask_name, outline in (("given mask", mask), ("GrabCut", cut)):
                avatar = _fit(photo, outline, label_hands(outline, nearest), estimate, prior)
                _add(sums, f"{pose_name}, {mask_name}", source, drawer(avatar), task)
        used += 1
        if used == subjects:
            break
    print(f"{used} references; in {missed} more no hand, or another hand, was found")
    return _print(sums)


def _fit(
    photo: Any, mask: np.ndarray, labels: np.ndarray, estimate: PoseEstimate, prior: Prior
) -> Any:
    refine = estimate.hands[0].confidence < 1.0
    return fit_one_shot(photo, mask, labels, estimate, FitConfig(refine=refine), prior=prior)


def _add(
    sums: dict[tuple[str, str], list[dict[str, float]]],
    name: str,
    source: RenderedSet,
    draw: Draw,
    task: Task,
) -> None:
    for kind, wanted in (("novel view", task.novel_view), ("novel pose", task.novel_pose)):
        scored = score(source, draw, wanted)
        if scored:
            sums.setdefault((name, kind), []).append(scored)


def _print(sums: dict[tuple[str, str], list[dict[str, float]]]) -> list[dict[str, Any]]:
    rows = []
    for (name, kind), values in sums.items():
        row: dict[str, Any] = {"fit": name, "task": kind, "subjects": len(values)}
        row |= {m: float(np.mean([v[m] for v in values])) for m in METRICS}
        rows.append(row)
        figures = "  ".join(f"{m} {row[m]:7.3f}" for m in METRICS)
        print(f"{name:28s} {kind:11s} {figures}  ({len(values)} subjects)")
    return rows


def main() -> None:
    """Parse the command line and run one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("bound", "robustness"))
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--subjects", type=int, default=8)
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.part == "bound":
        rows = bound(options.data, options.steps, options.subjects, options.targets, options.sheet)
    else:
        rows = robustness(options.data, options.subjects, options.targets)
    if options.json is not None:
        atomic_write(options.json, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
