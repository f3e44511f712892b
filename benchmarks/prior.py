"""What the learned prior is worth: ablations of both stages, time, figures.

Usage:
    python benchmarks/prior.py stage-one DATA... --steps 600 --seeds 1 [--json FILE]
    python benchmarks/prior.py stage-two DATA... --seeds 1 [--json FILE] [--sheet DIR]
    python benchmarks/prior.py time [--json FILE]
    python benchmarks/prior.py figures DATA... --checkpoint FILE --out DIR

DATA are folders in the format of docs/synth.md. Stage one trains every variant from nothing
with the same steps, seed and data order, and scores poses of the training subjects that never
trained. Stage two fits one picture of each test subject with the given poses and scores its
other views (novel view) and poses (novel pose).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hand_toolkit.avatar import Avatar
from hand_toolkit.avatar.lighting import rotate
from hand_toolkit.core.files import atomic_write
from hand_toolkit.core.types import PoseEstimate
from hand_toolkit.systems.igsn.checkpoint import load_model
from hand_toolkit.systems.igsn.config import FIT_MODES, SMALL, FitConfig, TrainConfig
from hand_toolkit.systems.igsn.dataset import RenderedSet
from hand_toolkit.systems.igsn.evaluate import (
    METRICS,
    TRAINING_METRICS,
    Task,
    contact_row,
    drawer,
    estimate_of,
    fit_reference,
    score,
    tasks,
    training_pictures,
    write_sheet,
)
from hand_toolkit.systems.igsn.train import train
from hand_toolkit.systems.igsn.weights import Prior, load_prior

STAGE_ONE: dict[str, dict[str, Any]] = {
    "full": {},
    "without identity map": {"use_identity_map": False},
    "without IAttn": {"use_interaction": False},
    "without GRM": {"use_refinement": False},
}


PHOTO_METHODS = ("detail", "texture")
"""Rows of stage two beside the network's own modes: what the command line makes of a photo."""


def stage_one(data: list[Path], steps: int, seeds: int, scenes: int) -> list[dict[str, Any]]:
    """Rows of the stage-one table."""
    rows = []
    source = RenderedSet(data, SMALL)  # one for all runs: it keeps every scene's light
    for name, change in STAGE_ONE.items():
        config = dataclasses.replace(SMALL, **change)
        scores = []
        for seed in range(seeds):
            settings = TrainConfig(
                steps=steps,
                coarse_steps=steps,
                half_life=steps / 2,
                seed=seed,
                perceptual="gradient",
                checkpoint_every=steps,
            )
            with tempfile.TemporaryDirectory() as folder:
                out = train(config, source, Path(folder), settings=settings, device="cpu")
                model, state = load_model(out)
            slots = state["progress"]["slots"]
            held = [s for s in source.scan("held-out") if s.subject in slots][:scenes]
            scores.append(training_pictures(model, source, held, slots, fine=False)[0])
        rows.append({"method": name, **_mean_and_deviation(scores)})
        _print_row(rows[-1])
    return rows


def stage_two(
    data: list[Path],
    seeds: int,
    targets: int,
    modes: list[str],
    subjects: int,
    steps: int,
    sheet: Path | None,
) -> list[dict[str, Any]]:
    """Rows of the stage-two table, the texture fit among them."""
    prior = load_prior()
    source = RenderedSet(data, prior.config)
    rows = []
    for mode in modes:
        scores: dict[tuple[str, str], list[dict[str, float]]] = {}
        for seed in range(seeds):
            for name, values in one_mode(
                source, prior, mode, targets, subjects, steps, seed, sheet
            ):
                scores.setdefault(name, []).append(values)
        for (form, task), values_of in scores.items():
            row = {"method": f"{mode}, {form}", "task": task, **_mean_and_deviation(values_of)}
            rows.append(row)
            _print_row(row)
    return rows


def one_mode(
    source: RenderedSet,
    prior: Prior,
    mode: str,
    targets: int,
    subjects: int,
    steps: int,
    seed: int,
    sheet: Path | None,
) -> list[tuple[tuple[str, str], dict[str, float]]]:
    """((form, task), mean scores) of a mode over the test subjects."""
    sums: dict[tuple[str, str], list[dict[str, float]]] = {}
    rows = []
    for task in tasks(source, "test", 1, targets, seed)[:subjects]:
        begun = time.perf_counter()
        if mode in PHOTO_METHODS:
            avatar = photo_avatar(source, task, prior, mode)
            forms = {"baked": drawer(avatar), "baked, relit": drawer(avatar, avatar.light)}
        else:
            config = FitConfig(mode=mode, refine=False, seed=seed, steps=steps)
            avatar, live = fit_reference(source, task, prior, config)
            forms = {"baked": drawer(avatar), "baked, relit": drawer(avatar, avatar.light)}
            if live is not None:
                forms["neural"] = drawer(live)
        seconds = time.perf_counter() - begun
        wanted = {
            "source": (task.reference,),
            "novel view": task.novel_view,
            "novel pose": task.novel_pose,
        }
        for form, draw in forms.items():
            for name, pictures in wanted.items():
                scored = score(source, draw, pictures)
                if scored:
                    sums.setdefault((form, name), []).append({**scored, "seconds": seconds})
        if sheet is not None:
            rows.append(contact_row(source, forms.get("neural", forms["baked"]), task))
    if sheet is not None:
        write_sheet(rows, sheet / f"{mode}-{seed}.png", 160)
    return [
        (key, {m: float(np.mean([s[m] for s in scored])) for m in METRICS})
        for key, scored in sums.items()
    ]


def photo_avatar(data: RenderedSet, task: Task, prior: Prior, method: str) -> Avatar:
    """What ``hand-toolkit fit`` makes of the reference with the pose given.

    Args:
        data: the set.
        task: which picture.
        prior: weights.
        method: "texture", or "detail" for the prior with the photo's detail on it.
    """
    from hand_toolkit.core.types import Photo
    from hand_toolkit.systems.igsn.fit import fit_one_shot
    from hand_toolkit.systems.texture.one_photo import TextureConfig, fit_texture

    scene, view = task.reference
    chosen = scene.views[view]
    picture = data.picture(chosen)
    estimate = in_camera(estimate_of(scene, chosen.camera, prior.config.hand_model))
    mask = picture.mask / 255.0
    labels = _labels(chosen.sample, scene.sides, mask)
    photo = Photo(picture.image)
    texture = TextureConfig()
    if method == "texture":
        avatar = fit_texture(photo, mask, labels, estimate, texture)
    else:
        config = FitConfig(refine=False)
        avatar = fit_one_shot(photo, mask, labels, estimate, config, prior=prior, texture=texture)
    # the fit's light is in the camera's axes, the targets are in the world's
    turn = chosen.camera.world_to_camera[:3, :3].T
    return dataclasses.replace(avatar, light=rotate(avatar.light, turn))


def in_camera(estimate: PoseEstimate) -> PoseEstimate:
    """The estimate in axes of its camera, as photos are fitted."""
    from scipy.spatial.transform import Rotation

    camera = estimate.camera
    turn, shift = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    hands = []
    for hand in estimate.hands:
        theta = hand.theta.copy()
        theta[0] = (Rotation.from_matrix(turn) * Rotation.from_rotvec(theta[0])).as_rotvec()
        hands.append(
            dataclasses.replace(
                hand,
                theta=theta,
                translation=turn @ hand.translation + shift,
                joints_cam_m=hand.joints_cam_m @ turn.T + shift,
            )
        )
    return PoseEstimate(tuple(hands), dataclasses.replace(camera, world_to_camera=np.eye(4)))


def _labels(sample: Any, sides: tuple[str, ...], mask: np.ndarray) -> np.ndarray:
    """(H, W) index of the hand that each pixel shows, -1 for none."""
    result = np.full(mask.shape, -1, np.int32)
    if not sample.picture_path("labels").is_file():
        result[mask > 0.5] = 0
        return result
    found = sample.picture("labels")
    for k, side in enumerate(sides):
        result[(found == (1 if side == "right" else 2)) & (mask > 0.5)] = k
    return result


def timing() -> list[dict[str, Any]]:
    """Forward pass of two hands: medians of wall and processor time on this machine."""
    from hand_toolkit.systems.igsn.network import PriorNetwork
    from hand_toolkit.systems.igsn.points import pose_points

    torch.manual_seed(0)
    network = PriorNetwork(SMALL).eval()
    count = len(pose_shape())
    theta = torch.randn(2, 16, 3) * 0.2
    place = torch.tensor([[-0.05, 0, 0.5], [0.05, 0, 0.5]])
    maps = torch.zeros(2, SMALL.identity_channels, SMALL.identity_size, SMALL.identity_size)
    clocks: dict[str, list[tuple[float, float]]] = {"points": [], "network": []}

    def timed(part: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        clocks[part].append((time.perf_counter() - wall, time.process_time() - cpu))
        return result

    with torch.no_grad():
        for _ in range(12):
            points = timed(
                "points",
                lambda: pose_points(SMALL, ("right", "left"), theta, torch.zeros(2, count), place),
            )
            timed("network", partial(network, points, maps))
    rows = []
    for part, values in clocks.items():
        wall, cpu = 1000 * np.median(np.array(values[2:]), axis=0)
        rows.append({"part": part, "median_wall_ms": float(wall), "median_cpu_ms": float(cpu)})
        print(f"{part:10s} wall {wall:8.1f} ms, processor {cpu:8.1f} ms")
    print(f"parameters {sum(p.numel() for p in network.parameters()) / 1e6:.2f} M")
    return rows


def pose_shape() -> tuple[str, ...]:
    """Names of the default hand's shape parameters."""
    from hand_toolkit.hand_model import load_hand_model

    return load_hand_model("default", "right", 0).shape_names


def figures(data: list[Path], checkpoint: Path, out: Path) -> None:
    """Target | picture | albedo target | albedo | shadow of held-out poses; and of hands that
    touch, target | contact | density before | after refinement.
    """
    from hand_toolkit.systems.igsn.gaussians import place
    from hand_toolkit.systems.igsn.points import pose_points
    from hand_toolkit.systems.igsn.rendering import render_view, surface_splats

    out.mkdir(parents=True, exist_ok=True)
    model, state = load_model(checkpoint)
    source = RenderedSet(data, model.config)
    slots = state["progress"]["slots"]
    held = [s for s in source.scan("held-out") if s.subject in slots]
    table, rows = training_pictures(model, source, held[:8], slots)
    print(f"held-out poses at step {state['progress']['step']}: {table}")
    write_sheet(rows, out / "shadow.png", 256)
    two = [s for s in source.scan() if len(s.sides) == 2]
    touching = sorted(two, key=lambda s: s.family not in ("clasp", "interlaced", "prayer"))[:4]
    cells = []
    for scene in touching:
        batch = source.batch(scene, [0])
        with torch.no_grad():
            points = pose_points(
                model.config, batch.sides, batch.theta, batch.shape, batch.translation
            )
            near = torch.from_numpy(points.topology.nearest)
            label = points.contact[:, near, None].float()
            color = label * torch.tensor([0.9, 0.2, 0.1]) + (1 - label) * torch.tensor(
                [0.6, 0.6, 0.65]
            )
            flat = (points.normals @ torch.tensor([0.3, -0.5, 0.8])).abs()[..., None] * 0.5 + 0.5
            detected = render_view(surface_splats(points, color * flat), batch.cameras[0])
            maps = model.identity(slots.get(scene.subject, 0), batch.sides)
            attributes = model.network(points, maps)
            geometry = place(model.config, attributes, points)
            even = surface_splats(points, points.normals * 0.5 + 0.5)
            before = render_view(
                dataclasses.replace(even, scales=even.scales * 0.25), batch.cameras[0]
            )
            dots = dataclasses.replace(geometry, scales=geometry.scales * 0.25)
            after = render_view(dots.splats(geometry.normals * 0.5 + 0.5), batch.cameras[0])
            print(
                f"{scene.key}: {float(label.mean()):.1%} of the points interact, "
                f"{len(geometry.means)} splats of {points.world.shape[0] * points.world.shape[1]}"
            )
        cells.append(
            [batch.images[0].numpy(), *(p.color.numpy() for p in (detected, before, after))]
        )
    if cells:
        write_sheet(cells, out / "contact.png", 256)


def _mean_and_deviation(scores: list[dict[str, float]]) -> dict[str, float]:
    row = {}
    for metric in (m for m in TRAINING_METRICS if all(m in s for s in scores)):
        values = [s[metric] for s in scores]
        row[metric] = float(np.mean(values))
        row[f"{metric}_deviation"] = float(np.std(values))
    return row


def _print_row(row: dict[str, Any]) -> None:
    label = f"{row['method']:28s} {row.get('task', ''):11s}"
    metrics = [m for m in TRAINING_METRICS if m in row]
    cells = [f"{m} {row[m]:7.3f} ±{row[f'{m}_deviation']:.3f}" for m in metrics]
    print(label + "  ".join(cells), flush=True)


def main() -> None:
    """Parse the command line and run one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("stage-one", "stage-two", "time", "figures"))
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--scenes", type=int, default=24, help="held-out scenes scored")
    parser.add_argument("--modes", default=",".join([*FIT_MODES, *PHOTO_METHODS]))
    parser.add_argument("--subjects", type=int, default=8, help="test subjects")
    parser.add_argument("--fit-steps", type=int, default=50)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--out", type=Path, default=Path("prior-figures"))
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.part == "stage-one":
        rows = stage_one(options.data, options.steps, options.seeds, options.scenes)
    elif options.part == "stage-two":
        if options.sheet is not None:
            options.sheet.mkdir(parents=True, exist_ok=True)
        modes = options.modes.split(",")
        rows = stage_two(
            options.data,
            options.seeds,
            options.targets,
            modes,
            options.subjects,
            options.fit_steps,
            options.sheet,
        )
    elif options.part == "time":
        rows = timing()
    else:
        if options.checkpoint is None:
            parser.error("figures needs --checkpoint")
        figures(options.data, options.checkpoint, options.out)
    if options.json is not None:
        atomic_write(options.json, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
