"""The diffusion model of hand meshes against PCA and against the pose solver.

python benchmarks/hhmr.py DATA [--sections generate,inpaint,...] [--weights FILE] [--device cuda]

DATA is a folder with ``poses.npz`` (``python -m hand_toolkit.systems.hhmr.recordings``); the
hands are of recordings and families that never train. Sections: ``generate`` and ``inpaint``
(APD, self-intersecting faces), ``flat`` (hands of 2D skeletons), ``hidden`` (one to three
fingers covered), ``images`` (rendered crops in DATA/held_out_images), ``real``
(PHOTOS/one_subject), ``time``. Each prints one JSON line per row.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hhmr_pca import fit_pca, seen_hand, solved

from hand_toolkit.core.types import Camera, HandObservation
from hand_toolkit.geometry.rotations import matrix_from_axis_angle
from hand_toolkit.hand_model import load_hand_model
from hand_toolkit.hand_model.limits import FREE_HIGHEST, FREE_LOWEST, compose, decompose
from hand_toolkit.pose.fit import HandFit, fit_hand, hand_chain, make_starts
from hand_toolkit.pose.kinematics import State
from hand_toolkit.pose.solver import FitWeights, solve
from hand_toolkit.systems.hhmr import evaluate
from hand_toolkit.systems.hhmr.conditions import Conditions
from hand_toolkit.systems.hhmr.config import UNIT_M
from hand_toolkit.systems.hhmr.diffusion import Guidance, sample
from hand_toolkit.systems.hhmr.guidance import joint_misfit, projection_misfit
from hand_toolkit.systems.hhmr.hands import posed, random_shapes
from hand_toolkit.systems.hhmr.made import MadeHands
from hand_toolkit.systems.hhmr.network import HhmrNetwork
from hand_toolkit.systems.hhmr.poses import draw_bank, penetration
from hand_toolkit.systems.hhmr.recordings import Recordings, read_recordings
from hand_toolkit.systems.hhmr.theta import fit_meshes
from hand_toolkit.systems.hhmr.weights import load_network, read_network

MM = 1000.0
FINGER_ROWS = {f: list(range(1 + 4 * f, 5 + 4 * f)) for f in range(5)}
"""Keypoints of each finger, thumb first."""

CROSSED_M = 0.006
"""Overlap of finger bones from which fingers count as passing through each other."""

PCA_POSES = 2000

STARTS = 4
"""Hypotheses that the solver also begins at."""


class Bench:
    """What the sections share."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.device = torch.device(arguments.device)
        network = read_network(arguments.weights)[0] if arguments.weights else load_network()
        self.network: HhmrNetwork = network.to(self.device)
        self.recordings: Recordings = read_recordings(arguments.data)
        self.faces = self.network.pyramid.faces
        self.model = load_hand_model("default", "right", 0)
        self.steps = [int(n) for n in arguments.steps.split(",")]
        self.bank = draw_bank(np.random.default_rng(3), self.recordings, PCA_POSES)

    def say(self, section: str, **row: Any) -> None:
        """Print a row."""
        rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
        print(json.dumps({"section": section, **rounded}), flush=True)

    def spread(self, section: str, name: str, mesh: torch.Tensor, **more: Any) -> None:
        """APD, self-intersecting faces and crossed fingers of meshes in ``UNIT_M``."""
        mesh = mesh.cpu()
        crossing = [evaluate.self_intersections(m, self.faces) for m in mesh.numpy()]
        angles = fit_meshes(mesh.numpy() * UNIT_M).state.angles
        crossed = penetration(torch.as_tensor(angles, dtype=torch.float32)) > CROSSED_M
        self.say(
            section,
            name=name,
            hands=len(mesh),
            apd_mm=evaluate.diversity_mm(mesh[:, ::4]),
            self_intersecting_percent=100 * float(np.mean(crossing)),
            crossed_percent=100 * float(crossed.float().mean()),
            **more,
        )

    def meshes(self, angles: Any) -> torch.Tensor:
        """Meshes of poses (N, 26), with random shapes."""
        torch.manual_seed(4)
        angles = torch.as_tensor(np.asarray(angles), dtype=torch.float32)
        shapes = random_shapes(self.model, len(angles), torch.device("cpu"))
        return posed(self.model, compose(angles), shapes)[0]

    def pca(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (26,) and covariance (26, 26) of the joint angles that train."""
        data = self.bank.numpy().astype(np.float64)
        return data.mean(0), np.cov(data.T)


def generate(bench: Bench) -> None:
    """Random hands against PCA sampling of the same poses, and the poses themselves."""
    count = bench.arguments.count
    rng = np.random.default_rng(8)
    bench.spread("generate", "training poses", bench.meshes(bench.bank[:count]))
    mean, covariance = bench.pca()
    drawn = rng.multivariate_normal(mean, covariance, count)
    bench.spread("generate", "PCA sampling", bench.meshes(drawn))
    inside = np.clip(drawn, FREE_LOWEST, FREE_HIGHEST)
    bench.spread("generate", "PCA sampling inside joint ranges", bench.meshes(inside))
    conditions = Conditions.none(count, bench.network.config, bench.device)
    for steps in bench.steps:
        mesh = sample(bench.network, conditions, steps, 21)
        bench.spread("generate", "hhmr", mesh, steps=steps)
    from hand_toolkit.systems.hhmr.uses import generate as made

    hands = made(count, seed=21, steps=bench.steps[0], network=bench.network)
    mesh = torch.as_tensor(hands.vertices / UNIT_M, dtype=torch.float32)
    bench.spread(
        "generate", "hhmr, crossed ones drawn again", mesh, steps=bench.steps[0],
        theta_residual_mm=float(hands.residual_mm.mean()),
    )  # fmt: skip


def inpaint(bench: Bench) -> None:
    """Thumb, index and middle finger missing; every hand completed several times."""
    hands = evaluate.held_out_hands(bench.network, bench.recordings, bench.arguments.few)
    own = (hands.keypoints @ hands.turn).to(bench.device)
    seen = torch.ones(len(own), 21, dtype=torch.bool, device=bench.device)
    seen[:, [*FINGER_ROWS[0][1:], *FINGER_ROWS[1][1:], *FINGER_ROWS[2][1:]]] = False
    times = bench.arguments.hypotheses
    rows = {}
    for name, scale in (("hhmr", 1.0), ("hhmr, no guidance", 0.0)):
        target, mask = own.repeat_interleave(times, 0), seen.repeat_interleave(times, 0)
        misfit = joint_misfit(bench.network.joints, target, mask)
        conditions = evaluate.own_conditions(bench.network, target, mask)
        rows[name] = sample(bench.network, conditions, bench.steps[0], 5, Guidance(misfit, scale))
    mean, covariance = bench.pca()
    from hand_toolkit.hand_model.limits import FREE_JOINT

    angles = decompose(hands.theta.numpy().astype(np.float64))
    kept = FREE_JOINT // 3 >= 2
    kept &= FREE_JOINT // 3 < 4  # little and ring finger, in MANO's order
    gain = covariance[np.ix_(~kept, kept)] @ np.linalg.inv(covariance[np.ix_(kept, kept)])
    left = covariance[np.ix_(~kept, ~kept)] - gain @ covariance[np.ix_(kept, ~kept)]
    rng = np.random.default_rng(9)
    drawn = np.repeat(angles, times, 0)
    centre = mean[~kept] + (drawn[:, kept] - mean[kept]) @ gain.T
    drawn[:, ~kept] = centre + rng.multivariate_normal(
        np.zeros(int((~kept).sum())), left, len(drawn)
    )
    shapes = hands.shape.repeat_interleave(times, 0)
    rows["PCA given the other fingers"] = posed(
        bench.model, compose(torch.as_tensor(drawn, dtype=torch.float32)), shapes
    )[0].to(bench.device)
    for name, mesh in rows.items():
        groups = mesh.cpu()[:, ::4].unflatten(0, (len(own), times))
        apd = float(np.mean([evaluate.diversity_mm(g) for g in groups]))
        gap = (bench.network.joints(mesh) - own.repeat_interleave(times, 0)).norm(dim=-1)
        mask = seen.repeat_interleave(times, 0)
        crossing = [evaluate.self_intersections(m, bench.faces) for m in mesh.cpu().numpy()[::4]]
        bench.say(
            "inpaint", name=name, hands=len(own), times=times, apd_mm=apd,
            self_intersecting_percent=100 * float(np.mean(crossing)),
            given_joints_mm=float(gap[mask].mean()) * UNIT_M * MM,
        )  # fmt: skip


def _fitted(bench: Bench, flat: np.ndarray, mesh: torch.Tensor) -> list[np.ndarray]:
    """The solver on 2D skeletons, beginning at hypotheses, with their θ as its prior."""
    fitted = fit_meshes(mesh.cpu().numpy() * UNIT_M)
    out = []
    for k in range(len(flat)):
        camera, seen = seen_hand(
            flat[k], theta=fitted.theta[k], shape=fitted.state.shape[k], hand_model="default"
        )
        out.append(solved(fit_hand(seen, camera)))
    return out


def flat(bench: Bench) -> None:
    """Hands of exact and of noisy 2D skeletons."""
    hands = evaluate.held_out_hands(bench.network, bench.recordings, bench.arguments.few)
    true = hands.keypoints.to(bench.device)
    prior = bench.pca()
    for noise_mm in bench.arguments.noise:
        torch.manual_seed(1)
        spread = (hands.flat - hands.flat.mean(1, keepdim=True)).norm(dim=-1).mean(1)
        reach = (
            (hands.keypoints[..., :2] - hands.keypoints[..., :2].mean(1, keepdim=True))
            .norm(dim=-1)
            .mean(1)
        )
        pixel = spread / reach / (UNIT_M * MM)  # of a millimetre at the hand
        shown = hands.flat + noise_mm * pixel[:, None, None] * torch.randn_like(hands.flat)
        seen = torch.ones(len(shown), 21, dtype=torch.bool)
        sigma = noise_mm * pixel
        arrays = shown.numpy().astype(np.float64)
        solver = np.stack([solved(fit_hand(seen_hand(f)[1], seen_hand(f)[0])) for f in arrays])
        pca = np.stack([fit_pca(f, prior) for f in arrays])
        for name, points in (("PCA fit", pca), ("solver, Gaussian prior", solver)):
            found = torch.as_tensor(points / UNIT_M, dtype=torch.float32, device=bench.device)
            error = evaluate.pa_error_mm(found, true)
            bench.say("flat", name=name, noise_mm=noise_mm, hands=len(true),
                      pa_mpjpe_mm=float(error.mean()), median=float(error.median()))  # fmt: skip
        picture = shown.to(bench.device)
        conditions = evaluate.flat_conditions(bench.network, picture, seen.to(bench.device))
        conditions = replace(conditions, sigma_2d=(sigma.to(bench.device) / conditions.angle))
        misfit = projection_misfit(bench.network.joints, picture, conditions.seen_2d)
        for steps in bench.steps:
            for scale in (0.0, 1.0):
                mesh = sample(bench.network, conditions, steps, 2, Guidance(misfit, scale))
                error = evaluate.pa_error_mm(bench.network.joints(mesh), true)
                vertex = evaluate.pa_error_mm(mesh, hands.mesh.to(bench.device))
                bench.say("flat", name="hhmr" + ("" if scale else ", no guidance"), steps=steps,
                          noise_mm=noise_mm, hands=len(true), pa_mpjpe_mm=float(error.mean()),
                          median=float(error.median()),
                          pa_mpvpe_mm=float(vertex.mean()))  # fmt: skip
                if steps == bench.steps[0] and scale:
                    refined = np.stack(_fitted(bench, arrays, mesh))
                    found = torch.as_tensor(refined / UNIT_M, dtype=torch.float32).to(true)
                    error = evaluate.pa_error_mm(found, true)
                    bench.say("flat", name="solver from hhmr's θ", noise_mm=noise_mm,
                              hands=len(true), pa_mpjpe_mm=float(error.mean()),
                              median=float(error.median()))  # fmt: skip


def hidden(bench: Bench) -> None:
    """One to three fingers that no keypoint shows: the solver's guess against hypotheses."""
    hands = evaluate.held_out_hands(bench.network, bench.recordings, bench.arguments.few, seed=6)
    count, times = len(hands.flat), bench.arguments.hypotheses
    rng = np.random.default_rng(10)
    for fingers in (1, 2, 3):
        seen = torch.ones(count, 21, dtype=torch.bool)
        for k in range(count):
            for finger in rng.permutation(5)[:fingers]:
                seen[k, FINGER_ROWS[int(finger)][1:]] = False
        solver = []
        for k in range(count):
            camera, observation = seen_hand(hands.flat[k].numpy().astype(np.float64))
            solver.append(_solver_without(observation, camera, seen[k].numpy()))
        points = torch.as_tensor(np.stack(solver) / UNIT_M, dtype=torch.float32)
        _say_hidden(bench, "solver", fingers, points[:, None], hands.keypoints, seen)
        picture = hands.flat.to(bench.device)
        conditions = evaluate.flat_conditions(bench.network, picture, seen.to(bench.device))
        many = conditions.repeat(times)
        misfit = projection_misfit(
            bench.network.joints, picture.repeat_interleave(times, 0), many.seen_2d
        )
        mesh = sample(bench.network, many, bench.steps[0], 3, Guidance(misfit))
        found = bench.network.joints(mesh).cpu().unflatten(0, (count, times))
        _say_hidden(bench, "hhmr", fingers, found, hands.keypoints, seen)


def _solver_without(observation: HandObservation, camera: Camera, seen: np.ndarray) -> np.ndarray:
    """Keypoints by the solver where some are not seen."""
    from hand_toolkit.pose.fit import ITERATIONS, START_ITERATIONS, make_targets
    from hand_toolkit.pose.solver import Problem

    chain, weights = hand_chain("default"), FitWeights()
    targets = make_targets(observation, camera, chain, "default")
    starts = make_starts(observation, targets, chain, weights)
    targets = replace(targets, image_weights=seen[None].astype(float))
    tries = Problem(chain, targets.repeat(len(starts)), weights)
    state = solve(tries, starts, START_ITERATIONS, robust=False)
    best = np.argsort(tries.cost(state))[:1]
    state = solve(Problem(chain, targets, weights), state.take(best), ITERATIONS)
    return np.asarray(chain.pose(state, derivatives=False).points[0])


def _say_hidden(
    bench: Bench, name: str, fingers: int, found: torch.Tensor, true: torch.Tensor,
    seen: torch.Tensor,
) -> None:  # fmt: skip
    """Errors (N, H, 21, 3) after the palm is put on the true one."""
    palm = [0, 5, 9, 13, 17]
    one = true[:, None].expand_as(found)
    a = found[..., palm, :].mean(-2, keepdim=True)
    b = one[..., palm, :].mean(-2, keepdim=True)
    u, _, vt = torch.linalg.svd((found - a)[..., palm, :].mT @ (one - b)[..., palm, :])
    sign = torch.ones_like(u[..., 0])
    sign[..., 2] = torch.linalg.det(u @ vt).sign()
    placed = (found - a) @ ((u * sign[..., None, :]) @ vt) + b
    gap = (placed - one).norm(dim=-1) * UNIT_M * MM
    missing = (~seen).float()[:, None]
    by_hand = (gap * missing).sum(-1) / missing.sum(-1)
    mean = (placed.mean(1) - true).norm(dim=-1) * UNIT_M * MM
    shown = seen.float()[:, None]
    bench.say(
        "hidden", name=name, fingers=fingers, hands=len(true), hypotheses=found.shape[1],
        hidden_mm_of_mean=float(((mean * missing[:, 0]).sum(-1) / missing[:, 0].sum(-1)).mean()),
        hidden_mm_each=float(by_hand.mean()), hidden_mm_best=float(by_hand.min(1).values.mean()),
        seen_mm=float(((gap * shown).sum(-1) / shown.sum(-1)).mean()),
    )  # fmt: skip


def images(bench: Bench) -> None:
    """Rendered crops of skins and poses that never train: n = 1, 16 and the best of 32."""
    from hand_toolkit.systems.hhmr.crops import HELD_OUT_FOLDER, ImageBank
    from hand_toolkit.systems.hhmr.frames import centred

    bank = ImageBank(bench.arguments.data / HELD_OUT_FOLDER, bench.network.config, bench.device)
    if not bank.refresh(8):
        return
    count = min(len(bank), 4 * bench.arguments.few)
    rows = torch.arange(count, device=bench.device)
    theta, shape, picture, patches = bank.take(rows)
    _, true = posed(bench.model, theta, shape)
    config, times = bench.network.config, 32
    none = Conditions.none(count, config, bench.device).with_room(config)
    upright = torch.ones(count, dtype=torch.bool, device=bench.device)
    image = replace(none, patches=patches.float(), upright=upright,
                    seen_patches=torch.ones_like(none.seen_patches))  # fmt: skip
    seen = torch.ones(count, 21, dtype=torch.bool, device=bench.device)
    noisy = picture + 3.0 * torch.randn(
        picture.shape, generator=torch.Generator().manual_seed(0)
    ).to(bench.device)
    points, unit = centred(noisy, seen)
    both = replace(image, points_2d=points, seen_2d=seen, sigma_2d=3.0 / unit)
    for name, conditions in (
        ("image", image),
        ("image and 2D, 3 px noise", both),
        ("2D, 3 px noise", replace(both, seen_patches=none.seen_patches)),
    ):
        for steps in (10, 50):
            found = []
            for k in range(times if steps == 10 else 1):
                mesh = sample(bench.network, conditions, steps, 100 + k)
                found.append(bench.network.joints(mesh))
            error = torch.stack([evaluate.pa_error_mm(f, true) for f in found])
            row = {"one": float(error[0].mean())}
            if len(found) > 1:
                onto = [evaluate.aligned(f, found[0]) for f in found[:16]]
                mean = evaluate.pa_error_mm(torch.stack(onto).mean(0), true)
                row |= {"mean_of_16": float(mean.mean()),
                        "best_of_32": float(error.min(0).values.mean())}  # fmt: skip
            bench.say("images", name=name, steps=steps, crops=count, unit="PA-MPJPE mm", **row)


def real(bench: Bench) -> None:
    """``one_subject``: odd frames to choose by, even ones to report."""
    from real_hand import one_subject

    from hand_toolkit.core.metrics import pa_mpjpe_mm as pa_errors_mm
    from hand_toolkit.pose.camera import photo_camera
    from hand_toolkit.pose.estimate import detect_hands, select_hands, to_estimate
    from hand_toolkit.pose.fit import fit_either_side
    from hand_toolkit.systems.hhmr.source import as_observation, central, reconstruct

    rows: dict[str, dict[str, list[float]]] = {}

    def pa_mpjpe_mm(points: np.ndarray, true: np.ndarray) -> float:
        return float(np.mean(pa_errors_mm(points, true)))

    def note(part: str, name: str, value: float) -> None:
        rows.setdefault(part, {}).setdefault(name, []).append(value)

    def placed(fit: HandFit, camera: Camera) -> np.ndarray:
        return to_estimate([fit], camera, "default").hands[0].joints_cam_m

    for number, frame in enumerate(one_subject(bench.arguments.photos)):
        part = "odd" if number % 2 else "even"
        if part not in bench.arguments.frames:
            continue
        found = detect_hands(frame.photo, "network")
        if not found:
            continue
        seen = select_hands(found, "auto", frame.photo)[0]
        camera = photo_camera(frame.photo)
        true = frame.joints_m

        def solved(observation: HandObservation, camera: Camera = camera) -> np.ndarray:
            return placed(fit_either_side(observation, camera), camera)

        note(part, "solver", pa_mpjpe_mm(solved(seen), true))
        if seen.keypoints_3d is not None:
            note(part, "network's world points", pa_mpjpe_mm(seen.keypoints_3d, true))
        for name, image in (("hhmr, image and 2D", True), ("hhmr, 2D", False)):
            hands = reconstruct(
                frame.photo, seen, samples=bench.arguments.samples, steps=10, image=image,
                network=bench.network,
            )  # fmt: skip
            points = hands.keypoints
            error = [pa_mpjpe_mm(p, true) for p in points]
            note(part, f"{name}: likeliest", error[0])
            note(part, f"{name}: nearest to the mean", error[central(hands)])
            note(part, f"{name}: n = 1", float(np.mean(error)))
            order = np.argsort(hands.likelihood)[::-1]
            onto = evaluate.aligned(
                torch.as_tensor(points[order[:16]]), torch.as_tensor(points[order[:1]])
            )
            note(
                part,
                f"{name}: mean of {min(len(error), 16)}",
                pa_mpjpe_mm(onto.mean(0).numpy(), true),
            )
            note(part, f"{name}: best of {len(error)}", min(error))
            more = fit_hand(seen, camera, previous=_starts(hands))
            note(part, f"{name}: {STARTS} of them as further starts of the solver",
                 pa_mpjpe_mm(placed(more, camera), true))  # fmt: skip
            given = as_observation(hands, seen, frame.photo)
            note(part, f"{name}: then solver with its θ",
                 pa_mpjpe_mm(solved(replace(given, keypoints_3d=seen.keypoints_3d,
                                            keypoints_z=seen.keypoints_z)), true))  # fmt: skip
    for part, table in rows.items():
        for name, values in table.items():
            bench.say("real", part=part, name=name, frames=len(values),
                      pa_mpjpe_mm=float(np.mean(values)))  # fmt: skip


def _starts(hands: MadeHands) -> State:
    """The likeliest hypotheses as states of the solver."""
    side, best = hands.side, np.argsort(-hands.likelihood)[:STARTS]
    mirror = np.array([-1.0 if side == "left" else 1.0, 1, 1])
    wrist = hands.theta[best, 0] * ([1, -1, -1] if side == "left" else [1, 1, 1])
    return State(
        matrix_from_axis_angle(wrist), hands.translation[best] * mirror,
        decompose(hands.theta[best], side), hands.shape[best],
    )  # fmt: skip


def timing(bench: Bench) -> None:
    """Milliseconds a hand."""
    for count in (1, 64):
        conditions = Conditions.none(count, bench.network.config, bench.device)
        conditions = replace(conditions, seen_3d=~conditions.seen_3d)
        target = torch.zeros(count, 21, 3, device=bench.device)
        misfit = joint_misfit(bench.network.joints, target, conditions.seen_3d)
        for steps in bench.steps:
            for name, guide in (("plain", None), ("guided", Guidance(misfit))):
                if count * steps > 640 and bench.device.type == "cpu":
                    continue
                sample(bench.network, conditions, 1, 0, guide)
                taken = []
                for _ in range(3 if count == 1 else 1):
                    begun = time.perf_counter()
                    sample(bench.network, conditions, steps, 0, guide)
                    if bench.device.type == "cuda":
                        torch.cuda.synchronize()
                    taken.append(time.perf_counter() - begun)
                bench.say("time", name=name, hands=count, steps=steps,
                          device=bench.device.type, threads=torch.get_num_threads(),
                          ms_a_hand=1000 * min(taken) / count)  # fmt: skip


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "flat": flat,
    "hidden": hidden,
    "generate": generate,
    "inpaint": inpaint,
    "images": images,
    "real": real,
    "time": timing,
}


def main() -> None:
    """Run the sections."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path, help="folder with poses.npz")
    parser.add_argument("--photos", type=Path, help="folder with one_subject")
    parser.add_argument("--weights", type=Path, help="the shipped ones by default")
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--count", type=int, default=200, help="random hands (default: 200)")
    parser.add_argument("--few", type=int, default=64, help="held-out hands (default: 64)")
    parser.add_argument("--samples", type=int, default=32, help="hypotheses of a photo")
    parser.add_argument("--hypotheses", type=int, default=16, help="of hidden fingers")
    parser.add_argument("--steps", default="10,50", help="numbers of denoising steps")
    parser.add_argument("--noise", type=float, nargs="*", default=[0.0, 2.0], help="of flat, mm")
    parser.add_argument("--frames", default="odd,even", help="of one_subject")
    parser.add_argument("--device", default="cpu")
    bench = Bench(parser.parse_args())
    for name in bench.arguments.sections.split(","):
        if name == "real" and bench.arguments.photos is None:
            continue
        SECTIONS[name](bench)


if __name__ == "__main__":
    main()
