"""Figures of docs/im2hands.md: two hands as surfaces, repaired motions, photos of hands that touch.

Samples are those of ``python -m hand_toolkit.systems.im2hands.samples OUT --part test --predict``.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_toolkit.hand_model.crossing import TOUCH_M
from hand_toolkit.systems.im2hands.config import TAU_M
from hand_toolkit.systems.im2hands.truth import PosedPair, posed_pair, signed_distance

PLACES = 6000
"""Of each hand, to measure overlap at."""

ON_SURFACE = 3000
GRID_M = 0.002
CELLS = 64
KEYED = "keyed-clasp"
FILM, FILM_STEP = 320, 2
"""Edge of a film's tile, pixels, and of how many frames it shows one."""

UNBOUND = "two hands, contact not kept"


@dataclass(frozen=True)
class Bodies:
    """Two closed meshes.

    Attributes:
        vertices, faces: of the right and the left hand.
    """

    vertices: tuple[np.ndarray, np.ndarray]
    faces: tuple[np.ndarray, np.ndarray]


def true_pair(one: Any) -> PosedPair:
    """Both hands of a sample, from its θ."""
    theta, shape, place = (a[0].numpy().astype(float) for a in
                           (one.theta, one.shape, one.translation))  # fmt: skip
    return posed_pair(theta, shape, place)


def moved(bodies: Bodies, shift: np.ndarray) -> Bodies:
    """Both meshes moved by (3,) metres."""
    return Bodies((bodies.vertices[0] + shift, bodies.vertices[1] + shift), bodies.faces)


def scores(rng: np.random.Generator, found: Bodies, truth: PosedPair) -> dict[str, float]:
    """IoU, Chamfer-L1 (mm), penetration (cm3), touching (1 or 0) of two bodies."""
    ious, chamfers = [], []
    for k in range(2):
        low, high = truth.vertices[k].min(0) - 0.01, truth.vertices[k].max(0) + 0.01
        places = rng.uniform(low, high, (PLACES, 3))
        own = signed_distance(places, found.vertices[k], found.faces[k])[0] < 0
        real = signed_distance(places, truth.vertices[k], truth.faces[k])[0] < 0
        ious.append((own & real).sum() / max((own | real).sum(), 1))
        there = np.abs(signed_distance(_spread(rng, truth.vertices[k], truth.faces[k]),
                                       found.vertices[k], found.faces[k])[0])  # fmt: skip
        back = np.abs(signed_distance(_spread(rng, found.vertices[k], found.faces[k]),
                                      truth.vertices[k], truth.faces[k])[0])  # fmt: skip
        chamfers.append(0.5e3 * (there.mean() + back.mean()))
    volume, gap = penetration(found)
    return {
        "IoU": float(np.mean(ious)), "Chamfer mm": float(np.mean(chamfers)),
        "crossing cm3": volume, "touch": float(gap < TOUCH_M),
    }  # fmt: skip


def _spread(rng: np.random.Generator, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    chosen = corners[rng.choice(len(faces), ON_SURFACE, p=area / area.sum())]
    return np.asarray((rng.dirichlet((1, 1, 1), ON_SURFACE)[..., None] * chosen).sum(1))


def penetration(bodies: Bodies) -> tuple[float, float]:
    """Cubic centimetres inside both bodies, by a grid, and the smallest signed gap, metres."""
    low = np.maximum(bodies.vertices[0].min(0), bodies.vertices[1].min(0))
    high = np.minimum(bodies.vertices[0].max(0), bodies.vertices[1].max(0))
    gaps = [
        signed_distance(bodies.vertices[k], bodies.vertices[1 - k], bodies.faces[1 - k])[0].min()
        for k in range(2)
    ]
    if (high <= low).any() or min(gaps) >= 0:
        return 0.0, float(min(gaps))
    axes = [np.arange(a + GRID_M / 2, b, GRID_M) for a, b in zip(low, high)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    inside = np.ones(len(places), bool)
    for k in range(2):
        row = np.flatnonzero(inside)
        if len(row):
            gap = signed_distance(places[row], bodies.vertices[k], bodies.faces[k])[0]
            inside[row] = gap < 0
    return float(inside.sum() * (100 * GRID_M) ** 3), float(min(gaps))


def model_bodies(keypoints: np.ndarray) -> Bodies:
    """The hand model's meshes, fitted to keypoints (2, 21, 3): the baseline."""
    from scipy.spatial.transform import Rotation

    from hand_toolkit.core.conventions import SIDES
    from hand_toolkit.core.types import Camera
    from hand_toolkit.geometry.closing import closed_mesh
    from hand_toolkit.hand_model import load_hand_model
    from hand_toolkit.pose.fit import hand_chain, kabsch
    from hand_toolkit.pose.kinematics import PALM
    from hand_toolkit.pose.parting import MIRRORS, HandPair
    from hand_toolkit.systems.im2hands.contact import ContactWeights, _followed

    chain = hand_chain("default")
    theta = np.zeros((1, 2, 16, 3))
    for k in range(2):
        own = keypoints[k] * MIRRORS[k]
        turn = kabsch(chain.rest[PALM] - chain.rest[PALM].mean(0), own[PALM] - own[PALM].mean(0))
        wrist = Rotation.from_matrix(turn).as_rotvec()
        theta[0, k, 0] = wrist if k == 0 else wrist * [1, -1, -1]
    pair = HandPair(theta, keypoints[None, :, 0].copy(), np.zeros((2, chain.shape_count)))
    camera = Camera(1000, 1000, 0, 0, 1000, 1000)
    weights = ContactWeights(keypoint_m=0.0015, image_m=1.0, shape=1.0)
    for _ in range(5):  # each call begins anew from where it is
        pair = _followed(pair, keypoints, keypoints, camera, None, weights)
    vertices, faces = [], []
    for k, side in enumerate(SIDES):
        v, f = closed_mesh(pair.vertices(0)[k], load_hand_model("default", side).faces)
        vertices.append(v)
        faces.append(f.astype(np.int64))
    return Bodies((vertices[0], vertices[1]), (faces[0], faces[1]))


def network_bodies(
    network: Any, keypoints: Any, images: Any, refine: bool, cells: int = CELLS
) -> Bodies:
    """The network's surfaces of one pair of keypoints (1, 2, 21, 3)."""
    import torch

    from hand_toolkit.systems.im2hands.extract import extract_surface
    from hand_toolkit.systems.im2hands.surfaces import BOX_MARGIN_M

    with torch.no_grad():
        hands = network.frame(keypoints, images)
        context = network.context(hands) if refine else None
        vertices, faces = [], []
        for side in range(2):

            def field(places: np.ndarray, side: int = side) -> np.ndarray:
                asked = torch.from_numpy(places).float()
                return np.asarray(network.side_logits(hands, context, side, asked))

            points = keypoints[0, side].numpy()
            v, f = extract_surface(
                field, points.min(0) - BOX_MARGIN_M, points.max(0) + BOX_MARGIN_M, cells, TAU_M
            )
            vertices.append(v)
            faces.append(f)
    return Bodies((vertices[0], vertices[1]), (faces[0], faces[1]))


def surfaces(options: argparse.Namespace) -> None:
    """Tables of surfaces and of joints."""
    import torch

    from hand_toolkit.systems.im2hands.batches import USABLE_M, centred, taken
    from hand_toolkit.systems.im2hands.noise import noisy_keypoints
    from hand_toolkit.systems.im2hands.samples import read_samples
    from hand_toolkit.systems.im2hands.weights import load_network

    network = load_network(options.weights)
    samples = read_samples(options.samples)
    order = torch.arange(len(samples))
    if options.eyes:
        off = centred(samples.predicted) - centred(samples.keypoints)
        order = order[off.norm(dim=-1).mean((1, 2)) < USABLE_M]
    samples = taken(samples, order[: options.count])
    rows: dict[str, list[dict[str, float]]] = {}
    joints: dict[str, list[float]] = {}
    contact: list[float] = []
    seen = 0
    torch.manual_seed(3)
    for number in range(len(samples)):
        one = taken(samples, torch.tensor([number]))
        truth = true_pair(one)
        gap = penetration(Bodies(truth.vertices, truth.faces))[1]
        touches = gap < TOUCH_M
        contact.append(float(touches))
        middle = one.keypoints.mean((1, 2))[0].numpy()
        sources = {"true": one.keypoints, "noisy": noisy_keypoints(one.keypoints, torch.ones(1))}
        off = (centred(one.predicted) - centred(one.keypoints)).norm(dim=-1).mean()
        if off < USABLE_M:
            sources["found"] = one.predicted
            seen += 1
        for source, given in sources.items():
            better = network.keypoints(given, one.images)
            ungated = network.keypoints(given, one.images, gate=False)
            for name, points in (("given", given), ("refined", better), ("no gate", ungated)):
                error = (centred(points) - centred(one.keypoints)).norm(dim=-1).mean()
                alone = points - points[:, :, :1] - one.keypoints + one.keypoints[:, :, :1]
                joints.setdefault(f"{source}, {name}, pair", []).append(1e3 * float(error))
                wrist = 1e3 * float(alone.norm(dim=-1).mean())
                joints.setdefault(f"{source}, {name}, wrist", []).append(wrist)
            # name, keypoints, picture, whether both hands are refined; no network without a flag
            variants: list[tuple[str, Any, Any, bool | None]] = [
                ("hand model", given, None, None),
                ("single hands", given, one.images, False),
                ("without picture", given, None, True),
                ("two hands", given, one.images, True),
                (UNBOUND, given, one.images, True),
            ]
            if source != "true":
                variants.append(("hand model, joints refined", better, None, None))
                variants.append(("two hands, joints refined", better, one.images, True))
            for name, points, images, refine in variants:
                network.keeps_touch = name != UNBOUND
                if refine is None:
                    bodies = model_bodies(points[0].numpy().astype(float))
                else:
                    bodies = network_bodies(network, points, images, refine)
                shift = middle - points.mean((1, 2))[0].numpy()
                found = scores(np.random.default_rng(number), moved(bodies, shift), truth)
                found["touch"] = found["touch"] if touches else np.nan
                rows.setdefault(f"{source}: {name}", []).append(found)
    print(f"{len(samples)} pairs, {int(sum(contact))} touch; the eyes found {seen} of them")
    print(f"{'keypoints: surface':<38}{'IoU':>7}{'Chamfer mm':>12}{'crossing cm3':>14}{'touch':>8}")
    for name, values in rows.items():
        mean = {key: np.nanmean([v[key] for v in values]) for key in values[0]}
        print(f"{name:<38}{mean['IoU']:7.3f}{mean['Chamfer mm']:12.2f}"
              f"{mean['crossing cm3']:14.3f}{100 * mean['touch']:7.0f}%")  # fmt: skip
    print("joints, mm off the true ones about the pair's middle, and about each wrist")
    network.keeps_touch = True
    for name, errors in joints.items():
        print(f"{name:<38}{np.mean(errors):7.1f}   median {np.median(errors):5.1f}")


def resolution(options: argparse.Namespace) -> None:
    """Overlap, seconds and memory by cells."""
    import torch

    from hand_toolkit.systems.im2hands.batches import taken
    from hand_toolkit.systems.im2hands.samples import read_samples
    from hand_toolkit.systems.im2hands.weights import load_network

    network = load_network(options.weights)
    samples = read_samples(options.samples, options.count)
    torch.set_num_threads(1)
    print(
        f"{'cells':>6}{'IoU':>8}{'Chamfer mm':>12}{'faces':>9}{'s of a hand':>13}{'peak MiB':>10}"
    )
    for cells in (64, 128, 256):
        found, seconds, faces = [], [], []
        for number in range(len(samples)):
            one = taken(samples, torch.tensor([number]))
            truth = true_pair(one)
            begun = time.process_time()
            bodies = network_bodies(network, one.keypoints, one.images, True, cells)
            seconds.append((time.process_time() - begun) / 2)
            faces.append(len(bodies.faces[0]))
            found.append(scores(np.random.default_rng(number), bodies, truth))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        iou, chamfer = (np.mean([f[key] for f in found]) for key in ("IoU", "Chamfer mm"))
        print(f"{cells:6}{iou:8.3f}{chamfer:12.2f}{np.mean(faces):9.0f}{np.mean(seconds):13.2f}"
              f"{peak:10.0f}")  # fmt: skip


def motion(options: argparse.Namespace) -> None:
    """Volume that both hands claim, frame by frame, by a grid; before and after repair."""
    from hand_toolkit.animate import find_motion
    from hand_toolkit.animate.builtin import keyed_clasp
    from hand_toolkit.pictures.plots import write_lines
    from hand_toolkit.pose.repair import compare_motions, repair_motion

    given = keyed_clasp() if options.motion == KEYED else find_motion(options.motion)
    begun = time.process_time()
    if options.after:
        repaired = compare_motions(given, find_motion(options.after))
    else:
        repaired = repair_motion(given)
    seconds = time.process_time() - begun
    count = 34
    volumes = np.zeros((2, len(given)))
    for row, moves in enumerate((given, repaired.motion)):
        for t in range(len(given)):
            if repaired.depth_mm[t, row] > 0:
                pair = posed_pair(moves.theta[t], np.zeros(count), moves.translation[t])
                volumes[row, t] = penetration(Bodies(pair.vertices, pair.faces))[0]
    change = repaired.motion.theta - given.theta
    bend = np.degrees(np.abs(np.diff(change, 2, axis=0)).max())
    print(f"{options.motion}: {len(given)} frames, {seconds:.0f} CPU s")
    for name, row in (("before", 0), ("after", 1)):
        print(f"  {name:<7} most {volumes[row].max():7.2f} cm3, mean {volumes[row].mean():6.3f}, "
              f"deepest {repaired.depth_mm[:, row].max():5.1f} mm")  # fmt: skip
    print(f"  contact kept in {100 * repaired.kept:.0f} % of {int(repaired.contact[:, 0].sum())} "
          f"frames; wrists moved by up to {repaired.moved_mm.max():.1f} mm, joints by "
          f"{repaired.turned_deg.max():.0f} degrees; second difference of the change up to "
          f"{bend:.1f} degrees a frame")  # fmt: skip
    if options.plot:
        write_lines(options.plot, volumes, ("before", "after"), "inside both hands, cm3")
    if options.video:
        _film(options, given, repaired.motion)


def _film(options: argparse.Namespace, before: Any, after: Any) -> None:
    """Both motions side by side, drawn by the toolkit, from the front and the side."""
    from hand_toolkit.avatar import Avatar
    from hand_toolkit.core.cameras import look_at
    from hand_toolkit.core.conventions import SIDES
    from hand_toolkit.edit.pairs import with_both_hands
    from hand_toolkit.media.video import write_video
    from hand_toolkit.render import AvatarRenderer

    avatar = with_both_hands(Avatar.load(options.avatar))
    middle = before.translation[len(before) // 2].mean(0) - np.array([0, 0.08, 0])
    views = [
        AvatarRenderer(avatar, look_at(middle + 0.75 * np.array(way), middle, FILM, FILM, 0.5),
                       (0.16, 0.16, 0.17))
        for way in ((0.0, 0, -1), (0.87, -0.2, -0.45))
    ]  # fmt: skip

    def frames() -> Iterator[np.ndarray]:
        for t in range(0, len(before), FILM_STEP):
            rows = []
            for motion in (before, after):
                posed = [{s: a[t, k] for k, s in enumerate(SIDES)}
                         for a in (motion.theta, motion.translation)]  # fmt: skip
                rows.append(np.concatenate([view.render(posed[0], posed[1]) for view in views]))
            yield np.concatenate(rows, 1)

    write_video(options.video, frames(), before.fps / FILM_STEP)


def apart(options: argparse.Namespace) -> None:
    """How far surfaces move by the refinement where hands are apart."""
    import torch

    from hand_toolkit.systems.im2hands.batches import taken
    from hand_toolkit.systems.im2hands.samples import read_samples
    from hand_toolkit.systems.im2hands.weights import load_network

    network = load_network(options.weights)
    samples = read_samples(options.samples, options.count)
    worst = 0.0
    for number in range(min(len(samples), 8)):
        one = taken(samples, torch.tensor([number]))
        points = one.keypoints.clone()
        points[:, 1, :, 0] += 0.25
        alone, both = (network_bodies(network, points, one.images, r) for r in (False, True))
        for k in range(2):
            gap = signed_distance(both.vertices[k], alone.vertices[k], alone.faces[k])[0]
            worst = max(worst, 1e3 * float(np.abs(gap).max()))
    print(f"hands apart: surfaces differ by at most {worst:.4f} mm")


def main() -> int:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path)
    jobs = parser.add_subparsers(dest="job", required=True)
    for name, job in (("surfaces", surfaces), ("resolution", resolution), ("apart", apart)):
        part = jobs.add_parser(name, help=job.__doc__)
        part.add_argument("samples", type=Path)
        part.add_argument("--count", type=int, default=48)
        part.add_argument("--eyes", action="store_true", help="pairs that the eyes found, alone")
        part.set_defaults(run=job)
    part = jobs.add_parser("motion", help=motion.__doc__)
    part.add_argument("motion", nargs="?", default=KEYED)
    part.add_argument("--after", help="compare with this motion instead of repairing")
    part.add_argument("--video", type=Path, help="MP4 of both, side by side")
    part.add_argument("--avatar", type=Path, help=".hand file that the video shows")
    part.add_argument("--plot", type=Path)
    part.set_defaults(run=motion)
    options = parser.parse_args()
    options.run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
