"""Scores of the prior on a rendered set: novel view and novel pose, table and contact sheet."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...avatar import Drawable
from ...avatar.lighting import Light
from ...core.errors import InputError
from ...core.files import atomic_path
from ...core.flip import flip
from ...core.metrics import psnr, psnr_box, psnr_mask, ssim_box
from ...core.types import Camera, PoseEstimate
from ...pose.estimate import known_hand
from ...render import AvatarRenderer
from .config import FitConfig
from .dataset import RenderedSet, Scene
from .evidence import PhotoView
from .neural import NeuralAvatar
from .stage_two import Fitting
from .weights import Prior, load_prior

log = logging.getLogger(__name__)

Draw = Callable[[Scene, Camera], np.ndarray]
"""Draws an avatar in a scene's pose, seen by a camera: (h, w, 4), colour on black and coverage."""

METRICS = ("psnr_box", "ssim_box", "flip", "psnr_union", "psnr_picture")
"""The first three inside the true mask; then both hands on black, over the union of the true mask
and what was drawn, and over the whole picture."""

TRAINING_METRICS = (*METRICS, "psnr_touching", "psnr_albedo")
"""Of training subjects also the pixels of skin that another hand is near, and the skin without
light, where there are any."""


@dataclass(frozen=True)
class Task:
    """One reference picture and the pictures to predict from it.

    Attributes:
        reference: scene and view that the avatar is made from.
        novel_view: further (scene, view) of the same pose.
        novel_pose: (scene, view) of other poses of the same subject.
    """

    reference: tuple[Scene, int]
    novel_view: tuple[tuple[Scene, int], ...]
    novel_pose: tuple[tuple[Scene, int], ...]


def tasks(
    data: RenderedSet, split: str = "test", per_subject: int = 1, targets: int = 6, seed: int = 0
) -> list[Task]:
    """Reference pictures and targets of a split, the same for the same seed.

    Of each subject, pictures in one light are taken, the one that most of its poses were seen
    in: an avatar of one photo cannot know how another lamp is coloured. The reference is one of
    the half that show most lit skin; a hand seen from its shadow side tells little of its skin.

    Args:
        data: the set.
        split: "test", "train" or "held-out".
        per_subject: references per subject.
        targets: most novel poses per reference.
        seed: of the choice.

    Raises:
        InputError: the split has no scenes.
    """
    scenes = data.scan(split)
    if not scenes:
        names = ", ".join(str(folder) for folder in data.folders)
        raise InputError(f"{names} has no '{split}' scenes; give a folder that has")
    result = []
    for subject in sorted({s.subject for s in scenes}):
        own = [s for s in scenes if s.subject == subject]
        rng = np.random.default_rng([seed, len(own)])
        light = _usual_light(own)
        lit = {s.key: _views_in(s, light) for s in own}
        own = [s for s in own if lit[s.key]]
        shown = _well_shown(data, own, lit)
        for _ in range(per_subject):
            reference, view = shown[int(rng.integers(len(shown)))]
            others = [s for s in own if s.key != reference.key]
            rng.shuffle(others)  # type: ignore[arg-type]
            # a hand that the reference does not show is predicted by mirroring, and counts
            poses = tuple((s, int(rng.choice(lit[s.key]))) for s in others[:targets])
            views = tuple((reference, v) for v in lit[reference.key] if v != view)
            result.append(Task((reference, view), views, poses))
    return result


def _usual_light(scenes: Sequence[Scene]) -> str:
    """The light that most of a subject's scenes have a view in."""
    counts = Counter(name for s in scenes for name in {v.lighting for v in s.views})
    return max(sorted(counts), key=lambda name: counts[name])


def _well_shown(
    data: RenderedSet, scenes: Sequence[Scene], lit: dict[str, list[int]]
) -> list[tuple[Scene, int]]:
    """The pictures that show most lit skin, half of all: what one would take a photo of.

    Pictures whose pose has another view in the same light come first.
    """
    pairs = [(s, v) for s in scenes for v in lit[s.key] if len(lit[s.key]) > 1]
    pairs = pairs or [(s, v) for s in scenes for v in lit[s.key]]

    def amount(pair: tuple[Scene, int]) -> float:
        picture = data.picture(pair[0].views[pair[1]])
        return float((picture.image.mean(2) * picture.mask).sum())

    return sorted(pairs, key=amount)[len(pairs) // 2 :]


def _views_in(scene: Scene, light: str) -> list[int]:
    return [v for v, view in enumerate(scene.views) if view.lighting == light]


def estimate_of(scene: Scene, camera: Camera, hand_model: str) -> PoseEstimate:
    """The scene's given pose as a pose estimate in world axes."""
    hands = [
        known_hand(side, scene.theta[k], scene.shape[k], scene.translation[k], hand_model, camera)
        for k, side in enumerate(scene.sides)
    ]
    return PoseEstimate(tuple(hands), camera)


def score(data: RenderedSet, draw: Draw, targets: Sequence[tuple[Scene, int]]) -> dict[str, float]:
    """Mean metrics of an avatar over targets (issue A's definitions)."""
    rows = []
    for scene, view in targets:
        picture = data.picture(scene.views[view])
        mask = picture.mask / 255.0
        if not (mask > 0.5).any():
            continue
        target = picture.image / 255.0
        drawn = np.clip(draw(scene, scene.views[view].camera), 0, 1)
        rows.append(_scores(drawn[..., :3], drawn[..., 3], target, mask))
    if not rows:
        return {}
    means = np.mean(rows, axis=0)
    return {name: float(value) for name, value in zip(METRICS, means)}


def _scores(
    image: np.ndarray, coverage: np.ndarray, target: np.ndarray, mask: np.ndarray
) -> tuple[float, ...]:
    """The values of ``METRICS`` for one picture (H, W, 3) on black and its mask (H, W)."""
    inside = mask > 0.5
    shown = target * inside[..., None]
    return (
        psnr_box(image, target, mask),
        ssim_box(image, target, mask),
        flip(image * inside[..., None], shown, inside),
        psnr_mask(image, shown, inside | (coverage > 0.5)),
        psnr(image, shown),
    )


def fit_reference(
    data: RenderedSet, task: Task, prior: Prior, config: FitConfig
) -> tuple[Any, NeuralAvatar | None]:
    """The avatar of a task's reference picture, and its neural form where it has one."""
    scene, view = task.reference
    camera = scene.views[view].camera
    picture = data.picture(scene.views[view])
    estimate = estimate_of(scene, camera, prior.config.hand_model)
    photo = PhotoView(estimate, picture.image / 255.0, picture.mask / 255.0, camera)
    fitting = Fitting(prior, [photo], config)
    fitting.run()
    avatar = fitting.avatar(scene.views[view].sample.path.stem, camera)
    return avatar, NeuralAvatar(avatar, prior) if "prior.identity" in avatar.extras else None


def drawer(drawable: Drawable, light: Light = "baked") -> Draw:
    """Draws an avatar or its neural form in a scene's pose, the light fixed in the world."""
    renderer: list[AvatarRenderer] = []

    def draw(scene: Scene, camera: Camera) -> np.ndarray:
        if not renderer:
            renderer.append(AvatarRenderer(drawable, camera, light=light))
        theta = dict(zip(scene.sides, scene.theta))
        place = dict(zip(scene.sides, scene.translation))
        planes = renderer[0].render_planes(theta, place, camera)
        return np.concatenate([planes.color, planes.alpha[..., None]], axis=2)

    return draw


def evaluate(
    data: Path | RenderedSet,
    *,
    prior: Prior | None = None,
    config: FitConfig | None = None,
    split: str = "test",
    per_subject: int = 1,
    targets: int = 6,
    seed: int = 0,
    neural: bool = True,
    sheet: Path | None = None,
) -> dict[str, dict[str, float]]:
    """One-shot fit on each reference, scored on its targets.

    Args:
        data: folder of rendered or photographed hands (docs/synth.md), or a set.
        prior: trained weights; the shipped ones by default.
        config: how to fit; given poses are refined only if it says so.
        split, per_subject, targets, seed: see :func:`tasks`.
        neural: draw by the network per pose, else the baked splats.
        sheet: a PNG to write: reference, then pairs of target and prediction, a row per task.

    Returns:
        "novel view" and "novel pose" to mean metrics.

    Raises:
        InputError: no scenes, or a folder of another format.
    """
    prior = prior or load_prior()
    config = config or FitConfig(refine=False)
    source = RenderedSet(Path(data), prior.config) if not isinstance(data, RenderedSet) else data
    sums: dict[str, list[dict[str, float]]] = {"novel view": [], "novel pose": []}
    rows = []
    for number, task in enumerate(tasks(source, split, per_subject, targets, seed)):
        seeded = dataclasses.replace(config, seed=config.seed + number)
        avatar, live = fit_reference(source, task, prior, seeded)
        draw = drawer(live if neural and live is not None else avatar)
        for name, wanted in (("novel view", task.novel_view), ("novel pose", task.novel_pose)):
            scored = score(source, draw, wanted)
            if scored:
                sums[name].append(scored)
        if sheet is not None:
            rows.append(contact_row(source, draw, task))
        log.info("task %d of subject %s done", number + 1, task.reference[0].subject)
    if sheet is not None:
        write_sheet(rows, sheet)
    return {
        name: {m: float(np.mean([s[m] for s in scored])) for m in METRICS}
        for name, scored in sums.items()
        if scored
    }


def contact_row(data: RenderedSet, draw: Draw, task: Task, pairs: int = 3) -> list[np.ndarray]:
    """Pictures of a task: reference and its fit, then pairs of target and prediction."""
    cells = []
    scene, view = task.reference
    cells.append(data.picture(scene.views[view]).image / 255.0)
    cells.append(draw(scene, scene.views[view].camera))
    wanted = (*task.novel_view[:1], *task.novel_pose[: pairs - 1])
    for target, v in wanted:
        cells.append(data.picture(target.views[v]).image / 255.0)
        cells.append(draw(target, target.views[v].camera))
    return cells


def write_sheet(rows: Sequence[Sequence[np.ndarray]], path: Path, cell: int = 192) -> None:
    """A PNG of pictures in rows, each scaled to ``cell`` pixels square."""
    from PIL import Image

    width = max(len(r) for r in rows)
    sheet = Image.new("RGB", (width * cell, len(rows) * cell))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            pixels = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
            image = Image.fromarray(pixels[..., :3])
            image.thumbnail((cell, cell))
            sheet.paste(image, (x * cell, y * cell))
    with atomic_path(path) as temporary:
        sheet.save(temporary)


def training_pictures(
    model: Any,
    data: RenderedSet,
    scenes: Sequence[Scene],
    slots: dict[str, int],
    fine: bool = True,
) -> tuple[dict[str, float], list[list[np.ndarray]]]:
    """Stage one's score: training subjects, their own maps, poses that never trained.

    Returns:
        Mean metrics, and rows of target | picture | albedo target | albedo | shadow.
    """
    from .gaussians import place, scene_colors
    from .points import pose_points
    from .rendering import render_view
    from .shading import linear_to_srgb

    rows, scores = [], []
    for scene in scenes:
        batch = data.batch(scene, [0], slots[scene.subject])
        with torch.no_grad():
            posed = (batch.sides, batch.theta, batch.shape, batch.translation)
            points = pose_points(model.config, *posed, fine=fine)
            touches = points.contact
            if not model.config.use_interaction:  # such a model does not look for contact
                looking = dataclasses.replace(model.config, use_interaction=True)
                touches = pose_points(looking, *posed, fine=fine).contact
            attributes = model.network(points, model.identity(batch.slot, batch.sides))
            geometry = place(model.config, attributes, points)
            color = scene_colors(model.network, points, attributes, geometry, batch.lights[0])
            shadow = model.network.shadow(points, attributes, batch.lights[0])
            near = torch.from_numpy(points.topology.nearest)
            touching = touches[:, near].to(shadow)
            at, near_other = (
                plane[geometry.hand, geometry.parent][:, None].expand(-1, 3).contiguous()
                for plane in (shadow / 1.25, touching)
            )
            albedo = linear_to_srgb(geometry.albedo)
            drawn = [
                render_view(geometry.splats(c), batch.cameras[0])
                for c in (color, albedo, at, near_other)
            ]
        pictures = [d.color.clamp(0, 1).numpy() for d in drawn]
        mask = batch.masks[0].numpy()
        target = batch.images[0].numpy()
        known = batch.albedo[0].numpy() if batch.albedo is not None else np.zeros_like(target)
        inside = mask > 0.5
        if inside.any():
            where = inside & (pictures[3][..., 0] > 0.5)
            scores.append(
                (
                    *_scores(pictures[0], drawn[0].alpha.numpy(), target, mask),
                    psnr_mask(pictures[0], target, where) if where.any() else np.nan,
                    psnr_mask(pictures[1], known, inside) if batch.albedo is not None else np.nan,
                )
            )
        rows.append([target, pictures[0], known, pictures[1], pictures[2]])
    columns = np.asarray(scores or [(np.nan,) * len(TRAINING_METRICS)]).T
    means = [float(c[~np.isnan(c)].mean()) if not np.isnan(c).all() else np.nan for c in columns]
    table = dict(zip(TRAINING_METRICS, means))
    return {m: v for m, v in table.items() if m in METRICS or not np.isnan(v)}, rows
