"""From what a pose source saw to θ, shape, translation and camera.

The hand model is fitted to the 2D keypoints, the source's 3D keypoints and image depths at
once, from several starts, within the joints' ranges and a pose and shape prior.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.conventions import KEYPOINT_PARENTS
from ..core.errors import InputError
from ..core.types import Camera, HandObservation, HandPose
from ..geometry.rotations import matrix_from_axis_angle
from ..hand_model import load_hand_model
from ..hand_model.limits import FREE_AXIS, FREE_JOINT, decompose
from .kinematics import PALM, HandChain, State
from .solver import FitWeights, Problem, Targets, angle_prior, solve

MIRROR = np.array([-1.0, 1.0, 1.0])
START_ITERATIONS = 5
ITERATIONS = 8
GIVEN_ANGLE_SIGMA = np.radians(4.0)
"""How far a source's own θ may be moved by its keypoints."""


SIGMA_GAIN, LEAST_SIGMA_M = 1.4, 0.008
"""A source's standard deviations of depth are enlarged, and none is believed to be smaller; chosen
on the odd frames of ``one_subject``, as is the next."""

IMAGE_DEPTH_SIGMA_M = 0.0125
"""Of image depths where a source has depths of its own, too."""

WRONG_SIDE = 0.6
"""A source is overruled when the other side costs less than this part of its own."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HandFit:
    """A fitted hand with what a later refinement needs.

    Attributes:
        observation: what it was fitted to.
        state: one right hand (the mirror image of a left one).
        targets: what it was fitted to.
        cost: robust cost, sigmas squared.
    """

    observation: HandObservation
    state: State
    targets: Targets
    cost: float

    @property
    def side(self) -> str:
        """Of the hand."""
        return self.observation.side


def mirror_of(side: str) -> np.ndarray:
    """(3,) factors between the camera's axes and those that a hand of this side is fitted in."""
    return MIRROR if side == "left" else np.ones(3)


def hand_chain(hand_model: str) -> HandChain:
    """The right-hand chain of a model, kept per model object."""
    model = load_hand_model(hand_model, "right", 0)
    key = id(model)
    if key not in _chains:
        _chains[key] = HandChain(model)
    return _chains[key]


_chains: dict[int, HandChain] = {}


def fit_hand(
    observation: HandObservation,
    camera: Camera,
    *,
    hand_model: str = "default",
    weights: FitWeights | None = None,
    previous: State | None = None,
) -> HandFit:
    """Fit one hand.

    Args:
        observation: keypoints, and whatever else the source knows.
        camera: of the photo.
        hand_model: name of the model.
        weights: what pulls how hard.
        previous: the same hand in the frame before, tried as one more start.

    Returns:
        The fit.

    Raises:
        InputError: the keypoints are degenerate.
    """
    weights = weights or FitWeights()
    chain = hand_chain(hand_model)
    targets = make_targets(observation, camera, chain, hand_model)
    starts = make_starts(observation, targets, chain, weights)
    if previous is not None:
        starts = State.stack([starts, previous])
    tries = Problem(chain, targets.repeat(len(starts)), weights)
    state = solve(tries, starts, START_ITERATIONS, robust=False)
    best = np.argsort(tries.cost(state))[:1]
    problem = Problem(chain, targets, weights)
    state = solve(problem, state.take(best), ITERATIONS)
    return HandFit(observation, state, targets, float(problem.cost(state)[0]))


def fit_either_side(
    observation: HandObservation, camera: Camera, *, hand_model: str = "default"
) -> HandFit:
    """Fit a hand as the side that the source says, and as the other one where that fits better.

    Joints bend one way only, so 3D keypoints of a left hand fit a right one badly: over the
    real test photos the wrong side costs 4 times as much, and never less than the right one.
    """
    fit = fit_hand(observation, camera, hand_model=hand_model)
    if observation.theta is not None or observation.keypoints_3d is None:
        return fit
    side = "left" if observation.side == "right" else "right"
    other = dataclasses.replace(observation, side=side, shape=None)
    mirrored = fit_hand(other, camera, hand_model=hand_model)
    if mirrored.cost < WRONG_SIDE * fit.cost:
        log.info("a hand given as %s fits a %s one better and is taken as that", fit.side, side)
        return mirrored
    return fit


def make_targets(
    observation: HandObservation, camera: Camera, chain: HandChain, hand_model: str
) -> Targets:
    """The observation in the solver's terms, as a batch of one right hand."""
    mirror = mirror_of(observation.side)
    focal = np.array([camera.fx, camera.fy])
    flat = (observation.keypoints_2d - [camera.cx, camera.cy]) / focal
    extent = float(np.linalg.norm(np.ptp(flat, axis=0)))
    if extent < 1e-6:
        raise InputError("all keypoints of a hand lie in one point; the pose source is at fault")
    flat = flat * mirror[:2]
    ray = np.append(flat[PALM].mean(axis=0), 1.0)
    ray /= np.linalg.norm(ray)
    model_palm = _spread(chain.rest[PALM])
    world, has_world = np.zeros((21, 3)), 0.0
    if observation.keypoints_3d is not None:
        points = of_model_lengths(observation.keypoints_3d * mirror, chain.rest)
        world = (points - points[PALM].mean(axis=0)) * (model_palm / _spread(points[PALM]))
        has_world = 1.0
        across = world - (world @ ray)[:, None] * ray
        distance = float(np.linalg.norm(np.ptp(across[:, :2], axis=0)) / extent)
    else:
        # Without depths the hand is supposed to lie about half as long as it is.
        reach = chain.rest[[8, 12, 16, 20, 4, 0]]
        distance = 0.75 * float(np.linalg.norm(np.ptp(reach, axis=0))) / extent
    depth, depth_weights = np.zeros(21), np.zeros(21)
    if observation.keypoints_z is not None:
        z = observation.keypoints_z / camera.fx
        depth, depth_weights = z - z[PALM].mean(), np.ones(21)
    angle_mean, angle_sigma = angle_prior(1)
    if observation.theta is not None:
        angle_mean = decompose(observation.theta, observation.side)[None]
        angle_sigma = np.full_like(angle_sigma, GIVEN_ANGLE_SIGMA)
    shape_mean = np.zeros((1, chain.shape_count))
    shape_sigma = chain.model.shape_sigmas.astype(float)[None]
    known_shape = observation.shape is not None and observation.hand_model == hand_model
    if known_shape and observation.shape is not None:
        if len(observation.shape) != chain.shape_count:
            raise InputError(
                f"the pose source gives {len(observation.shape)} shape parameters; "
                f"the hand model '{hand_model}' has {chain.shape_count}"
            )
        shape_mean, shape_sigma = observation.shape[None], 0.3 * shape_sigma
    if observation.translation is not None and observation.focal_px:
        distance = float(observation.translation[2]) * camera.fx / observation.focal_px
    distance = max(distance, 0.05)
    if observation.keypoints_depth_m is not None:
        depth, depth_weights = _with_known_depth(observation, depth, depth_weights, distance)
    ones = np.ones((1, 21))
    return Targets(
        image=flat[None],
        image_weights=ones,
        world=world[None],
        world_weights=has_world * ones,
        depth=depth[None],
        depth_weights=depth_weights[None],
        ray=ray[None],
        distance=np.array([distance]),
        angle_mean=angle_mean,
        angle_sigma=angle_sigma,
        shape_mean=shape_mean,
        shape_sigma=shape_sigma,
    )


def of_model_lengths(points: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """A skeleton with its own bones' directions and the mean hand's lengths.

    Detectors put the wrist and the knuckles elsewhere than the model has them (MediaPipe's palms
    are a sixth longer, and fingers as much shorter), which a fit would take for the person's shape.

    Args:
        points: (21, 3) keypoints, to any scale.
        rest: (21, 3) the mean hand's.
    """
    result = np.zeros((21, 3))
    for k, before in enumerate(KEYPOINT_PARENTS[1:], 1):
        bone = points[k] - points[before]
        length = np.linalg.norm(rest[k] - rest[before])
        result[k] = result[before] + bone * (length / max(float(np.linalg.norm(bone)), 1e-9))
    return result


def _with_known_depth(
    observation: HandObservation, depth: np.ndarray, weights: np.ndarray, distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Image depths and a source's own depths, averaged by their variances.

    Args:
        observation: with depths in metres.
        depth: (21,) image depths in units of the distance.
        weights: (21,) 0 where there are none.
        distance: of the hand, metres.

    Returns:
        depths in the same units, and their weights, 1 for ``FitWeights.depth_m``.
    """
    usual = FitWeights()
    metres = np.asarray(observation.keypoints_depth_m)
    sigma = np.full(21, usual.depth_m)
    if observation.keypoints_depth_sigma_m is not None:
        sigma = SIGMA_GAIN * observation.keypoints_depth_sigma_m
    sigma = np.maximum(sigma, LEAST_SIGMA_M)
    known = (metres - metres[PALM].mean()) / distance
    one, two = weights / IMAGE_DEPTH_SIGMA_M**2, 1 / sigma**2
    return (one * depth + two * known) / (one + two), usual.depth_m * np.sqrt(one + two)


def make_starts(
    observation: HandObservation, targets: Targets, chain: HandChain, weights: FitWeights
) -> State:
    """Where to begin: the palm turned onto each source of depth, with open and curled fingers."""
    distance = float(targets.distance[0])
    flat = targets.image[0]
    rest = chain.rest[PALM]
    turns = []
    if targets.world_weights.any():
        turns.append(kabsch(rest, targets.world[0, PALM]))
    lifted = np.concatenate([flat * distance, np.zeros((21, 1))], axis=1)
    if targets.depth_weights.any():
        lifted[:, 2] = targets.depth[0] * distance
        turns.append(kabsch(rest, lifted[PALM]))
    if observation.theta is not None:
        theta = observation.theta[0]
        mirrored = theta * [1, -1, -1] if observation.side == "left" else theta
        turns = [matrix_from_axis_angle(mirrored)]
    if not turns:
        turns = _palm_turns(rest, flat[PALM] * distance)
    open_hand = targets.angle_mean[0]
    curled = open_hand.copy()
    flexion = FREE_AXIS == 0
    finger = FREE_JOINT < 12
    for level, bend in ((0, 1.0), (1, 1.3), (2, 0.7)):
        curled[flexion & finger & (level == FREE_JOINT % 3)] = bend
    postures = [open_hand] if observation.theta is not None else [open_hand, curled]
    batch = len(turns) * len(postures)
    rotation = np.stack([t for t in turns for _ in postures])
    angles = np.stack([p for _ in turns for p in postures])
    translation = np.append(flat[0] * distance, distance)
    shape = np.repeat(targets.shape_mean, batch, axis=0)
    return State(rotation, np.repeat(translation[None], batch, axis=0), angles, shape)


def kabsch(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(3, 3) rotation that takes (N, 3) points nearest to (N, 3) target, both centred."""
    covariance = (points - points.mean(axis=0)).T @ (target - target.mean(axis=0))
    u, _, vt = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(u @ vt))
    return ((u * [1, 1, sign]) @ vt).T


def to_hand_pose(fit: HandFit, camera: Camera, hand_model: str) -> HandPose:
    """The fitted hand as others use it, left hands mirrored back."""
    chain = hand_chain(hand_model)
    mirror = mirror_of(fit.side)
    theta = chain.theta(fit.state)[0]
    if fit.observation.side == "left":
        theta = theta * [1.0, -1.0, -1.0]
    points = chain.pose(fit.state, derivatives=False).points[0] + fit.state.translation[0]
    joints = points * mirror
    return HandPose(
        side=fit.observation.side,
        theta=theta,
        shape=fit.state.shape[0],
        translation=fit.state.translation[0] * mirror,
        hand_model=hand_model,
        confidence=fit.observation.confidence,
        keypoints_2d=camera.project(joints),
        joints_cam_m=joints,
    )


def share_shape(
    fits: Sequence[HandFit], *, hand_model: str = "default", weights: FitWeights | None = None
) -> list[HandFit]:
    """Refit hands of one person with one shape, the median of theirs.

    Args:
        fits: hands of one person: both of a photo, or one of a sequence.
        hand_model: name of the model.
        weights: as in :func:`fit_hand`.
    """
    weights = weights or FitWeights()
    chain = hand_chain(hand_model)
    shape = np.median([f.state.shape[0] for f in fits], axis=0)
    result = []
    for fit in fits:
        sigma = 0.15 * chain.model.shape_sigmas.astype(float)[None]
        targets = replace(fit.targets, shape_mean=shape[None], shape_sigma=sigma)
        problem = Problem(chain, targets, weights)
        state = solve(problem, replace(fit.state, shape=shape[None]), ITERATIONS // 2)
        result.append(HandFit(fit.observation, state, targets, float(problem.cost(state)[0])))
    return result


def _spread(points: np.ndarray) -> float:
    return max(float(np.linalg.norm(points - points.mean(axis=0), axis=1).mean()), 1e-9)


def _palm_turns(rest: np.ndarray, flat: np.ndarray) -> list[np.ndarray]:
    """Two rotations that explain a palm's outline in the picture: facing either way.

    The best affine map of the palm's plane to the picture leaves the sign of the slant open.
    """
    source, goal = rest - rest.mean(axis=0), flat - flat.mean(axis=0)
    linear = np.linalg.lstsq(source[:, [0, 2]], goal, rcond=None)[0].T  # (2, 2)
    scale = np.linalg.svd(linear)[1][0] or 1.0
    linear = linear / scale
    gram = np.eye(2) - linear.T @ linear
    values, vectors = np.linalg.eigh(gram)
    lift = vectors[:, 1] * np.sqrt(max(values[1], 0.0))
    turns = []
    for sign in (1.0, -1.0):
        columns = np.vstack([linear, sign * lift])
        x, z = columns[:, 0], columns[:, 1]
        x = x / max(np.linalg.norm(x), 1e-9)
        z = z - x * (x @ z)
        z = z / max(np.linalg.norm(z), 1e-9)
        turns.append(np.stack([x, np.cross(z, x), z], axis=1))
    return turns
