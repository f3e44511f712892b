"""How well a hand model can take the pose and proportions of a real hand, and how it bends.

Fits the model to the given 3D joints of the 25 frames of one person, within the joint
limits, and prints PA-MPJPE in mm: the floor below which no pose fit with this model can get.

    python benchmarks/hand_model.py [--model default] [--photos ../shared/photos] [--json FILE]

With ``--bend``, what pose correctives do, with them and without: the volume that a finger loses as
its joints bend, how deep a fist's fingers and palm are in each other, and the time of posing.

    python benchmarks/hand_model.py --bend [--level 0]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hand_toolkit.animate import finger_pose
from hand_toolkit.core.conventions import MANO_JOINTS
from hand_toolkit.core.metrics import pa_mpjpe_mm, similarity_align
from hand_toolkit.hand_model import (
    HandModel,
    load_hand_model,
    pose_hand,
    pose_hand_numpy,
    rest_hand,
)
from hand_toolkit.hand_model.collision import self_penetration
from hand_toolkit.hand_model.limits import (
    FREE_HIGHEST,
    FREE_LOWEST,
    FREE_MEAN,
    FREE_SIGMA,
    compose,
    finger_theta,
)
from hand_toolkit.hand_model.regions import smooth_model
from hand_toolkit.hand_model.surface import signed_volume

PALM = [0, 5, 9, 13, 17]


def given_joints(photos: Path) -> tuple[np.ndarray, str]:
    """(N, 21, 3) joints of one person in metres and the side of the hand."""
    annotations = json.loads((photos / "annotations.json").read_text())
    hands = [
        entry["hands"][0] for name, entry in sorted(annotations.items()) if "one_subject/" in name
    ]
    return np.array([hand["joints_3d_camera_mm"] for hand in hands]) / 1000, hands[0]["side"]


def keypoints_only(model: HandModel) -> HandModel:
    """The model with a single triangle of skin, which makes posing cheap."""
    keep = model.faces[0]
    return dataclasses.replace(
        model,
        template=model.template[keep],
        faces=np.array([[0, 1, 2]], np.int32),
        uv_faces=model.uv_faces[:1],
        weights=model.weights[keep],
        shape_dirs=model.shape_dirs[:, keep],
        pose_dirs=None if model.pose_dirs is None else model.pose_dirs[:, keep],
        quads=None,
        uv_quads=None,
    )


def fit(
    model: HandModel, joints: np.ndarray, side: str, free: str, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, 21, 3) and shape (S,) of the best fit.

    Args:
        model: the hand.
        joints: (N, 21, 3) metres.
        side: the hand's side.
        free: "size" fits one overall scale, "shape" one whole shape for all frames.
        iterations: L-BFGS steps.
    """
    count, shapes = len(joints), len(model.shape_names)
    target = torch.tensor(joints)
    wrist = np.stack([_wrist_turn(model.keypoint_template[PALM], j[PALM]) for j in joints])
    parameters = {
        "wrist": torch.tensor(wrist),
        "angles": torch.tensor(np.tile(FREE_MEAN, (count, 1))),
        "translation": target[:, 0].clone(),
        "shape": torch.zeros(shapes, dtype=torch.float64),
        "log_scale": torch.zeros((), dtype=torch.float64),
    }
    tuned = [p.requires_grad_() for k, p in parameters.items() if k != "shape" or free == "shape"]
    sigmas = torch.tensor(np.asarray(model.shape_sigmas, np.float64))
    low, high = torch.tensor(FREE_LOWEST), torch.tensor(FREE_HIGHEST)
    mean, spread = torch.tensor(FREE_MEAN), torch.tensor(FREE_SIGMA)

    def posed() -> torch.Tensor:
        theta = compose(parameters["angles"], parameters["wrist"], side)
        shape = parameters["shape"].expand(count, shapes)
        hand = pose_hand(model, theta, shape, torch.zeros_like(parameters["translation"]))
        return hand.keypoints * parameters["log_scale"].exp() + parameters["translation"][:, None]

    def cost() -> torch.Tensor:
        data = ((posed() - target) / 0.003).square().sum()
        angles = parameters["angles"]
        over = ((angles - high).clip(min=0) + (low - angles).clip(min=0)) / 0.03
        prior = 0.05 * ((angles - mean) / spread).square().sum()
        return data + over.square().sum() + prior + (parameters["shape"] / sigmas).square().sum()

    optimizer = torch.optim.LBFGS(
        tuned, max_iter=iterations, history_size=30, line_search_fn="strong_wolfe",
        tolerance_grad=1e-9, tolerance_change=1e-10,
    )  # fmt: skip

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = cost()
        value.backward()
        return value

    optimizer.step(closure)
    with torch.no_grad():
        return posed().numpy(), parameters["shape"].numpy()


def _wrist_turn(rest: np.ndarray, target: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    turn, _ = Rotation.align_vectors(target - target.mean(0), rest - rest.mean(0))
    return turn.as_rotvec()


def bare(model: HandModel) -> HandModel:
    """The model without its pose correctives."""
    return dataclasses.replace(model, pose_dirs=None, pose_joints=None, pose_axes=None)


def finger_volumes(model: HandModel, finger: str, joints: tuple[int, ...]) -> np.ndarray:
    """(7,) change of the finger's volume, %, with its ``joints`` at 0, 15, ... 90 degrees."""
    first = MANO_JOINTS.index(f"{finger}1")
    own = np.isin(model.weights.argmax(1), [first, first + 1, first + 2])
    whole = signed_volume(model.template, model.faces[own[model.faces].all(1)])
    volumes = []
    for degrees in range(0, 91, 15):
        bends = [np.radians(degrees) * (k in joints) for k in (1, 2, 3)]
        vertices = _posed(model, finger_theta({finger: bends}))
        volumes.append(signed_volume(vertices, model.faces))
    return 100 * (np.array(volumes) - volumes[0]) / whole


def _posed(model: HandModel, theta: np.ndarray) -> np.ndarray:
    return pose_hand_numpy(model, theta, np.zeros(len(model.shape_names)), np.zeros(3))[0]


def fist_overlap(model: HandModel) -> tuple[int, float, float]:
    """Of the built-in fist: vertices inside another part, the deepest and their mean depth, mm."""
    rest = rest_hand(model)[0]
    vertices = _posed(model, finger_pose("fist"))
    _, depth, _ = self_penetration(vertices, model.faces, model.weights, rest)
    return len(depth), 1000 * float(depth.max(initial=0)), 1000 * float(np.mean([*depth, 0]))


def knuckle_volume(model: HandModel) -> float:
    """Change of the hand's volume, %, with the knuckles of the four fingers at 90 degrees."""
    bends = {f: [np.radians(90), 0, 0] for f in ("index", "middle", "ring", "pinky")}
    still = signed_volume(model.template, model.faces)
    return 100 * (signed_volume(_posed(model, finger_theta(bends)), model.faces) / still - 1)


def seconds(pose: Callable[[], object], repeats: int = 200) -> float:
    """Shortest time of one call: what else the machine does only adds to it."""
    pose()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        pose()
        times.append(time.perf_counter() - start)
    return min(times)


def pose_times(model: HandModel) -> dict[str, float]:
    """Milliseconds of posing one hand in numpy and a batch of eight with gradients in torch."""
    theta, shape = finger_pose("fist"), np.zeros(len(model.shape_names))
    batch = torch.tensor(np.tile(theta, (8, 1, 1)), dtype=torch.float32, requires_grad=True)
    shapes = torch.zeros(8, len(shape))

    def gradients() -> None:
        pose_hand(model, batch, shapes, torch.zeros(8, 3)).vertices.square().sum().backward()

    return {
        "numpy": 1000 * seconds(lambda: pose_hand_numpy(model, theta, shape, np.zeros(3))),
        "torch, 8 hands, gradients": 1000 * seconds(gradients),
    }


def bend(name: str, level: int) -> dict[str, float]:
    """Print and return the figures of ``--bend``."""
    figures: dict[str, float] = {}
    model = load_hand_model(name, "right", level)
    for label, hand in (("skinning alone", bare(model)), ("with correctives", model)):
        for finger in ("index", "middle", "ring", "pinky", "thumb"):
            for what, joints in (("middle joint", (2,)), ("both end joints", (2, 3))):
                lost = finger_volumes(hand, finger, joints)
                figures[f"{label}: {finger}, {what}, worst %"] = float(lost[np.abs(lost).argmax()])
        figures[f"{label}: hand, four knuckles at 90 degrees, %"] = knuckle_volume(hand)
        smooth = smooth_model("right", name)  # the surface that is drawn
        own = smooth if hand is model else bare(smooth)
        count, deepest, mean = fist_overlap(own)
        figures[f"{label}: vertices of a fist inside another part"] = count
        figures[f"{label}: deepest of them, mm"] = deepest
        figures[f"{label}: their mean, mm"] = mean
        for what, value in pose_times(hand).items():
            figures[f"{label}: {what}, ms"] = value
    for key, value in figures.items():
        print(f"{key:<60}{value:>9.2f}")
    return figures


def main() -> None:
    """Print the table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--joints", action="store_true", help="also print the error per joint")
    parser.add_argument("--bend", action="store_true", help="the figures of pose correctives")
    parser.add_argument("--level", type=int, default=0, help="of the mesh that bends")
    options = parser.parse_args()
    if options.bend:
        made = bend(options.model, options.level)
        if options.json:
            options.json.write_text(json.dumps(made, indent=1))
        return
    joints, side = given_joints(options.photos)
    model = keypoints_only(load_hand_model(options.model, side))
    figures: dict[str, float] = {"frames": len(joints)}
    print(f"{'fitted to the given joints':<32}{'PA-MPJPE mean':>14}{'median':>9}   mm")
    for free, label in (("size", "mean shape"), ("shape", "one shape for all frames")):
        fitted, shape = fit(model, joints, side, free, options.iterations)
        error = pa_mpjpe_mm(fitted, joints)
        key = label.replace(" ", "_")
        figures[f"{key}_pa_mpjpe_mm"] = float(error.mean())
        figures[f"{key}_pa_mpjpe_median_mm"] = float(np.median(error))
        print(f"{label:<32}{error.mean():>14.2f}{np.median(error):>9.2f}")
        if options.joints:
            aligned = np.stack([similarity_align(f, j) for f, j in zip(fitted, joints)])
            per_joint = np.linalg.norm(aligned - joints, axis=-1).mean(0) * 1000
            print("   per joint:", " ".join(f"{e:.1f}" for e in per_joint))
            used = {
                n: round(float(v), 2) for n, v in zip(model.shape_names, shape) if abs(v) > 0.02
            }
            print("   shape:", used)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
