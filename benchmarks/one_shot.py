"""How far one photo is from all photos, and what estimated poses and masks cost.

Usage:
    python benchmarks/one_shot.py bound DATA... [--steps 150] [--subjects 8] [--sheet PNG]
    python benchmarks/one_shot.py robustness DATA... [--subjects 8] [--json FILE]

DATA are folders in the format of docs/synth.md. ``bound`` fits the same avatar (frozen network,
identity maps, texture-map bias, calibration; each picture in a light of its own) to every picture
of a test subject that the one-shot avatar is scored on, and scores both. ``robustness`` fits the
reference as a photo before a background, with the pose and mask given or found, and scores the
baked avatar.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import prior as stages

from hand_toolkit.core.errors import HandToolkitError
from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.types import PoseEstimate
from hand_toolkit.geometry import hand_silhouettes
from hand_toolkit.media import load_photo
from hand_toolkit.pose import estimate_pose
from hand_toolkit.see import label_hands, segment_photo
from hand_toolkit.skin.observe import hand_meshes
from hand_toolkit.systems.igsn.config import FitConfig
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
from hand_toolkit.systems.igsn.evidence import PhotoView
from hand_toolkit.systems.igsn.fit import fit_one_shot
from hand_toolkit.systems.igsn.neural import NeuralAvatar
from hand_toolkit.systems.igsn.stage_two import Fitting
from hand_toolkit.systems.igsn.weights import Prior, load_prior

RATE = 0.02


def fit_all(data: RenderedSet, task: Task, prior: Prior, steps: int) -> NeuralAvatar:
    """The same avatar fitted to the reference and every target, by the toolkit's many-photo fit.

    Args:
        data: the set.
        task: the pictures.
        prior: frozen weights.
        steps: of the fit; of several photos fewer rounds, see ``stage_two.MOST_COST``.
    """
    shown = [task.reference, *task.novel_view, *task.novel_pose]
    # the first photo's light is the one that is drawn, and only its hands are baked
    shown.sort(key=lambda pair: -len(pair[0].sides))
    photos = [_photo_view(data, scene, view, prior) for scene, view in shown]
    halve_at = tuple(int(part * steps) for part in (0.4, 0.6, 0.8, 0.9))
    config = FitConfig(steps=steps, learning_rate=RATE, halve_at=halve_at, patience=0, refine=False)
    fitting = Fitting(prior, photos, config)
    fitting.run()
    scene, view = shown[0]
    name = scene.views[view].sample.path.stem
    return NeuralAvatar(fitting.avatar(name, photos[0].camera), prior)


def _photo_view(data: RenderedSet, scene: Scene, view: int, prior: Prior) -> PhotoView:
    """One picture of the set with its given pose, in world axes."""
    camera = scene.views[view].camera
    picture = data.picture(scene.views[view])
    estimate = estimate_of(scene, camera, prior.config.hand_model)
    return PhotoView(estimate, picture.image / 255.0, picture.mask / 255.0, camera)


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
        many = fit_all(source, task, prior, steps)
        draws = {"one photo": drawer(live or avatar), "all photos": drawer(many)}
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
