"""What the diffusion model is for: generate, complete, fit and reconstruct hands.

Every function is batched, seeded and deterministic, and returns meshes with the θ and β that
stand for them. Left hands are made as right ones and mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...core.conventions import FINGERS, KEYPOINTS, MANO_JOINTS, side_index
from ...core.errors import InputError
from ...core.types import Camera
from ...hand_model import load_hand_model, pose_hand_numpy
from ...hand_model.limits import decompose
from ...pose.fit import kabsch
from .config import UNIT_M
from .made import (
    MIRROR,
    MIRROR_THETA,
    MadeHands,
    joined_fits,
    joined_hands,
    made_hands,
    taken_fits,
)
from .skeletons import look_at, own_axes
from .theta import FittedMeshes, fit_meshes

if TYPE_CHECKING:
    import torch

    from .network import HhmrNetwork

MOST_SAMPLES = 1024
THROUGH_M, THROUGH_SHARE = 0.006, 0.04
"""Hands whose finger bones overlap by more, or more of whose faces pass through others, are drawn
again; fists and creases have up to 3 % of such faces."""

TRIES = 4

PALM_WEIGHT, LEAST_PALM_VERTICES = 0.8, 20
"""Vertices that the wrist carries that much are the palm's."""

BATCH = 64

STEPS = 20
GUIDANCE = 1.0


def generate(
    count: int,
    *,
    side: str = "right",
    seed: int = 0,
    steps: int = STEPS,
    network: HhmrNetwork | None = None,
    screen: bool = True,
) -> MadeHands:
    """Random natural hands, the wrist's θ at zero.

    Args:
        count: how many, at most ``MOST_SAMPLES``.
        side: of the hands.
        seed: same seed, same hands.
        steps: of denoising.
        network: the shipped one if None.
        screen: draw hands again whose fingers pass through each other.

    Raises:
        InputError: a count, side or number of steps that is not accepted.
    """
    from .conditions import Conditions
    from .diffusion import sample

    network = _checked(count, side, steps, network)
    kept: list[tuple[np.ndarray, FittedMeshes]] = []
    have = 0
    for attempt in range(TRIES if screen else 1):
        wanted = count - have
        meshes = []
        for first in range(0, wanted, BATCH):
            conditions = Conditions.none(
                min(BATCH, wanted - first), network.config, network.regressor.device
            )
            number = seed + 7919 * attempt + 104_729 * (first // BATCH)
            meshes.append(sample(network, conditions, steps, number).cpu().numpy() * UNIT_M)
        vertices = np.concatenate(meshes)
        fitted = fit_meshes(vertices, network.config.hand_model)
        good = np.ones(wanted, bool)
        if screen and attempt < TRIES - 1:
            good = crossed(fitted.theta, fitted.state.shape) < 1
        kept.append((vertices[good], taken_fits(fitted, np.flatnonzero(good))))
        have += int(good.sum())
        if have == count:
            break
    vertices = np.concatenate([v for v, _ in kept])
    fitted = joined_fits([f for _, f in kept])
    return made_hands(side, vertices, fitted, own=True, likelihood=np.full(count, 1 / count))


def complete(
    theta: np.ndarray,
    keep: Sequence[str],
    *,
    shape: np.ndarray | None = None,
    count: int = 1,
    side: str = "right",
    seed: int = 0,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    network: HhmrNetwork | None = None,
    screen: bool = True,
) -> MadeHands:
    """Hands some of whose joints are given; the others are sampled.

    Args:
        theta: (16, 3) axis-angle of the hand; the wrist's is kept.
        keep: names of fingers ("index") or joints ("index1", MANO's) whose θ stays.
        shape: (S,) of the default hand; zero if None.
        count: how many completions.
        side: of the hand.
        seed, steps, network: see :func:`generate`.
        guidance: strength; 0 is the network's own attention to what is given.
        screen: draw hands again whose fingers pass through each other, at most three times; the
            best draw stays, since what is given may cross already.

    Returns:
        Hands with exactly the given θ at the kept joints.

    Raises:
        InputError: an unknown name, or θ that is not finite (16, 3).
    """
    theta = np.asarray(theta, float)
    if theta.shape != (16, 3) or not np.isfinite(theta).all():
        raise InputError(f"theta must be finite and (16, 3), received {theta.shape}")
    joints = kept_joints(keep)
    right = theta * MIRROR_THETA if side_index(side) else theta
    posed = right.copy()
    posed[0] = 0
    model = load_hand_model("default", "right", 0)
    shape = np.zeros(len(model.shape_names)) if shape is None else np.asarray(shape, float)
    points = pose_hand_numpy(model, posed, shape, np.zeros(3))[2]
    seen = placed_keypoints(joints)
    points = np.where(seen[:, None], points, np.nan)
    parts: list[MadeHands] = []
    best, worst = np.arange(count), np.full(count, np.inf)
    for attempt in range(TRIES if screen else 1):
        again = np.flatnonzero(worst >= 1)
        if not len(again):
            break
        fitted = fit_points(
            points, count=len(again), seed=seed + 7919 * attempt, steps=steps, guidance=guidance,
            network=network, own=True,
        )  # fmt: skip
        found = fitted.theta.copy()
        found[:, 0] = right[0]
        found[:, joints] = right[joints]
        betas = np.repeat(shape[None], len(again), 0)
        now = crossed(found, betas)
        better = now < worst[again]
        before = sum(len(part) for part in parts)
        best[again[better]] = before + np.flatnonzero(better)
        worst[again] = np.minimum(now, worst[again])
        parts.append(replace(fitted, theta=found, shape=betas))
    made = joined_hands(parts).take(best)
    if side_index(side):
        made = replace(
            made, side=side, theta=made.theta * MIRROR_THETA, vertices=made.vertices * MIRROR
        )
    return made


def complete_mesh(
    vertices: np.ndarray,
    given: np.ndarray,
    *,
    count: int = 1,
    seed: int = 0,
    steps: int = STEPS,
    network: HhmrNetwork | None = None,
) -> MadeHands:
    """Right hands of which some vertices are given (mesh inpainting, HHMR, section 5.3).

    Args:
        vertices: (V, 3) metres in any place and turn; only the given ones are read.
        given: (V,) bool.
        count, seed, steps, network: see :func:`generate`.

    Raises:
        InputError: arrays of another shape, or too little of the palm is given.
    """

    from .diffusion import Guidance, sample
    from .evaluate import own_conditions
    from .guidance import vertex_misfit

    network = _checked(count, "right", steps, network)
    model = load_hand_model(network.config.hand_model, "right", 0)
    given = np.asarray(given, bool)
    vertices = np.asarray(vertices, float)
    if vertices.shape != model.template.shape or given.shape != (len(model.template),):
        raise InputError(
            f"vertices are {vertices.shape} and given is {given.shape}; accepted are "
            f"{model.template.shape} and ({len(model.template)},)"
        )
    known = np.where(given[:, None], vertices, 0.0)
    if not np.isfinite(known).all():
        raise InputError("the given vertices hold NaN or infinite values; give finite ones")
    palm = given & (model.weights[:, 0] > PALM_WEIGHT)
    if palm.sum() < LEAST_PALM_VERTICES:
        raise InputError(
            f"{int(palm.sum())} vertices of the palm are given; give at least "
            f"{LEAST_PALM_VERTICES}, which tell how the hand is turned"
        )
    rest = model.keypoint_template.astype(float)
    turn = kabsch(model.template[palm], known[palm])
    target = (known - known[palm].mean(0)) @ turn + model.template[palm].mean(0)
    target = (target - rest[[0, 5, 9, 13, 17]].mean(0)) / UNIT_M
    regressor = np.abs(network.pyramid.regressor)
    seen = (regressor * ~given).sum(1) < 0.02 * regressor.sum(1)
    own = np.where(seen[:, None], network.pyramid.regressor @ target, 0.0)
    conditions = own_conditions(
        network,
        _repeated(network, own, count),
        _repeated(network, seen, count),
    )
    wanted = _repeated(network, target, count)
    misfit = vertex_misfit(wanted, _repeated(network, given, count))
    found = sample(network, conditions, steps, seed, Guidance(misfit)).cpu().numpy() * UNIT_M
    fitted = fit_meshes(found, network.config.hand_model)
    return made_hands("right", found, fitted, own=True, likelihood=np.full(count, 1 / count))


def fit_points(
    points: np.ndarray,
    *,
    sigma_m: float = 0.0,
    count: int = 1,
    side: str = "right",
    seed: int = 0,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    network: HhmrNetwork | None = None,
    own: bool = False,
) -> MadeHands:
    """Hands of a 3D skeleton.

    Args:
        points: (21, 3) metres, any place and turn, NaN where a point is not known. Its palm is
            scaled to the model's: skeletons of other programs have other hands.
        sigma_m: how far off its points may be.
        count: how many samples.
        side, seed, steps, guidance, network: see :func:`complete`.
        own: the skeleton lies in the hand's axes already and is not scaled.

    Raises:
        InputError: see :mod:`.skeletons`.
    """

    from .diffusion import Guidance, sample
    from .evaluate import own_conditions
    from .guidance import joint_misfit

    network = _checked(count, side, steps, network)
    model = load_hand_model(network.config.hand_model, "right", 0)
    rest = model.keypoint_template.astype(float)
    given = np.asarray(points, float)
    if side_index(side) and given.shape[-1:] == (3,):
        given = given * MIRROR
    placed, seen, turn = own_axes(given, rest)
    if own:
        known = np.where(seen[:, None], given, 0.0)
        centre = known[[0, 5, 9, 13, 17]].mean(0)
        placed, turn = np.where(seen[:, None], known - centre, 0.0), np.eye(3)
    target = _repeated(network, placed / UNIT_M, count)
    mask = _repeated(network, seen, count)
    conditions = own_conditions(network, target, mask, sigma_m / UNIT_M)
    guide = Guidance(joint_misfit(network.joints, target, mask), guidance)
    mesh = sample(network, conditions, steps, seed, guide)
    apart = ((network.joints(mesh) - target) ** 2).sum(-1)
    likelihood = _weights(network, mesh, conditions, (apart * mask).sum(1), sigma_m / UNIT_M)
    vertices = mesh.cpu().numpy() * UNIT_M
    fitted = fit_meshes(vertices, network.config.hand_model)
    if own:
        return made_hands("right", vertices, fitted, own=True, likelihood=likelihood)
    # back to the given axes; the skeleton's own scale is not the model's
    palm = np.array([k for k in (0, 5, 9, 13, 17) if seen[k]])
    joints = network.joints(mesh).cpu().numpy() * UNIT_M
    shift = given[palm].mean(0) - (joints[:, palm] @ turn.T).mean(1)
    return made_hands(side, vertices, fitted, turn=turn, shift=shift, likelihood=likelihood)


def fit_picture(
    points: np.ndarray,
    camera: Camera,
    *,
    sigma_px: float = 2.0,
    patches: torch.Tensor | None = None,
    count: int = 1,
    side: str = "right",
    seed: int = 0,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    network: HhmrNetwork | None = None,
) -> MadeHands:
    """Hands of a 2D skeleton, with or without the picture that it was seen in.

    Args:
        points: (21, 2) pixels, NaN where a point is not seen.
        camera: of the picture.
        sigma_px: how far off its points may be.
        patches: (P, C) features of the crop about the hand; see :mod:`.crops`.
        count: how many hypotheses.
        side, seed, steps, guidance, network: see :func:`complete`.

    Returns:
        Hypotheses in the camera's axes and in their place, the likeliest first.

    Raises:
        InputError: see :mod:`.skeletons`.
    """

    from .diffusion import Guidance, sample
    from .evaluate import flat_conditions
    from .guidance import placed, projection_misfit

    network = _checked(count, side, steps, network)
    if not (np.isfinite(sigma_px) and sigma_px >= 0):
        raise InputError(f"sigma_px is {sigma_px}; give a number of at least 0")
    skeleton = look_at(points, camera, side)
    flat = _repeated(network, skeleton.flat, count)
    seen = _repeated(network, skeleton.seen, count)
    conditions = flat_conditions(network, flat, seen)
    noise = sigma_px / camera.fx
    conditions = replace(conditions, sigma_2d=noise / conditions.angle)
    if patches is not None:
        conditions = replace(
            conditions,
            patches=patches.to(flat).repeat(count, 1, 1),
            seen_patches=seen.new_ones(count, len(patches)),
        )
    misfit = projection_misfit(network.joints, flat, seen)
    mesh = sample(network, conditions, steps, seed, Guidance(misfit, guidance))
    joints = network.joints(mesh)
    place = placed(joints, flat, seen)
    spread = float(noise * place[:, 2].mean())
    likelihood = _weights(network, mesh, conditions, misfit(mesh), max(spread, 0.02))
    vertices = mesh.cpu().numpy() * UNIT_M
    fitted = fit_meshes(vertices, network.config.hand_model)
    made = made_hands(
        side, vertices, fitted, turn=skeleton.turn.T, likelihood=likelihood,
        shift=place.cpu().numpy() * UNIT_M @ skeleton.turn,
    )  # fmt: skip
    return made.take(np.argsort(-likelihood, kind="stable"))


def kept_joints(keep: Sequence[str]) -> np.ndarray:
    """MANO joints (without the wrist) of names of fingers and joints.

    Raises:
        InputError: an unknown name.
    """
    found: set[int] = set()
    for name in keep:
        if name in FINGERS:
            found |= {MANO_JOINTS.index(f"{name}{k}") for k in (1, 2, 3)}
        elif name in MANO_JOINTS:
            found |= {MANO_JOINTS.index(name)} - {0}
        else:
            raise InputError(
                f"unknown joint {name!r}; accepted are the fingers {', '.join(FINGERS)} and "
                f"the joints {', '.join(MANO_JOINTS[1:])}"
            )
    return np.array(sorted(found), int)


def placed_keypoints(joints: np.ndarray) -> np.ndarray:
    """(21,) bool: keypoints that are known when these joints' rotations are.

    The palm is always known; a keypoint further out where all rotations on the way are.
    """
    seen = np.zeros(21, bool)
    seen[[0, 1, 5, 9, 13, 17]] = True
    for finger in FINGERS:
        first = KEYPOINTS.index(f"{finger}1")
        for k in (1, 2, 3):
            if MANO_JOINTS.index(f"{finger}{k}") not in joints:
                break
            seen[first + k] = True
    return seen


def _weights(
    network: HhmrNetwork, mesh: torch.Tensor, conditions: object, squared: torch.Tensor,
    sigma: float,
) -> np.ndarray:  # fmt: skip
    """(N,) likelihoods: how well samples agree with what was seen, and how usual they are."""
    import torch

    from .diffusion import denoising_error

    if len(mesh) == 1:
        return np.ones(1)
    usual = denoising_error(network, mesh, conditions)  # type: ignore[arg-type]
    energy = 0.5 * squared / max(sigma, 0.02) ** 2 + usual
    return torch.softmax(-(energy - energy.min()).double(), 0).cpu().numpy()


def _repeated(network: HhmrNetwork, array: np.ndarray, count: int) -> torch.Tensor:
    """(count, ...) copies on the network's device, float32 or bool."""
    import torch

    kind = torch.bool if array.dtype == bool else torch.float32
    one = torch.as_tensor(array, dtype=kind, device=network.regressor.device)
    return one.repeat(count, *[1] * array.ndim)


def _checked(count: int, side: str, steps: int, network: HhmrNetwork | None) -> HhmrNetwork:
    from .weights import load_network

    side_index(side)
    if not 1 <= count <= MOST_SAMPLES:
        raise InputError(f"{count} hands were asked for; accepted is 1 to {MOST_SAMPLES}")
    if not 1 <= steps <= 1000:
        raise InputError(f"steps is {steps}; accepted is 1 to 1000, 10 to 50 are usual")
    return load_network() if network is None else network


def crossed(theta: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(N,) how badly right hands of θ (N, 16, 3) and β (N, S) cross themselves; 1 is too much."""
    import torch

    from .evaluate import self_intersections
    from .poses import penetration

    model = load_hand_model("default", "right", 0)
    bones = penetration(torch.as_tensor(decompose(theta), dtype=torch.float32)).numpy()
    meshes = [pose_hand_numpy(model, *one, np.zeros(3))[0] for one in zip(theta, shape)]
    faces = np.array([self_intersections(mesh, model.faces) for mesh in meshes])
    return np.asarray(np.maximum(bones / THROUGH_M, faces / THROUGH_SHARE))
