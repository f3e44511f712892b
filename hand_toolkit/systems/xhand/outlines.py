"""All hands and their one shape onto all masks at once: Gauss-Newton over paired outlines.

Drawing the hands (``place``) tells a hand that is a pixel off where to go; hands that are a
centimetre off, of a person whose fingers are shorter than the mean's, are brought there first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from ...geometry.rotations import matrix_from_axis_angle
from ...hand_model.limits import FREE_AXIS, FREE_HIGHEST, FREE_JOINT, FREE_LOWEST
from ...pose.fit import hand_chain, mirror_of
from ...pose.kinematics import HandChain, State
from ...pose.outline import MaskView, mask_outline, mask_view, pair_outlines
from ...pose.solver import Outline
from .config import XHandConfig
from .evidence import Shown
from .place import ANGLE_SIGMA, SHAPE_SIGMA, TURN_SIGMA, Places, place_sigma

ROUNDS = 10
"""How often the outlines are paired anew and one step is made."""

OUTLINE_M = 0.004
"""Standard deviation of one pair, metres at the hand's distance: neighbours err together."""

LIMIT = 0.05
"""Past a joint's range, radians."""

DAMPING = 1e-3


@dataclasses.dataclass(frozen=True)
class _Hand:
    """One hand of one view, mirrored where it is a left one."""

    number: int
    view: MaskView
    contour: tuple[np.ndarray, np.ndarray]
    weight: float


def fit_outlines(
    shown: Sequence[Shown],
    shapes: dict[str, np.ndarray],
    places: Places,
    config: XHandConfig,
) -> dict[str, np.ndarray]:
    """Move poses, places and shapes until the hands' outlines lie on their masks.

    Args:
        shown: the views.
        shapes: side -> (S,) to begin with.
        places: moved in place.
        config: how well poses and depths are known.

    Returns:
        side -> (S,) shape.
    """
    random = np.random.default_rng(config.seed)
    made = dict(shapes)
    for side in shapes:
        hands = _hands(shown, places, side)
        if hands:
            made[side] = _fit_side(side, hands, shown, shapes[side], places, config, random)
    return made


def _hands(shown: Sequence[Shown], places: Places, side: str) -> list[_Hand]:
    hands = []
    for n, (t, k) in enumerate(places.key):
        if places.sides[n] != side:
            continue
        view = shown[t].view
        mask, labels = view.outlined()
        cut = mask_view(
            mask * (labels == k),
            view.camera,
            view.hands[k].keypoints_2d,
            side == "left",
            (labels >= 0) & (labels != k),
        )
        contour = mask_outline(cut)
        if len(contour[0]) >= 20:
            hands.append(_Hand(n, cut, contour, shown[t].weight))
    return hands


def _fit_side(
    side: str,
    hands: Sequence[_Hand],
    shown: Sequence[Shown],
    shape: np.ndarray,
    places: Places,
    config: XHandConfig,
    random: np.random.Generator,
) -> np.ndarray:
    chain = hand_chain(shown[0].view.hands[0].hand_model)
    start = _state(hands, places, shape, side)
    sigma = np.concatenate([np.full(3, TURN_SIGMA), place_sigma(config), ANGLE_SIGMA])
    sigma = sigma * max(config.pose_sigma, 1e-6)
    shape_sigma = SHAPE_SIGMA * np.asarray(chain.model.shape_sigmas, float)
    state, moved = start, np.zeros((len(hands), 32))
    for _ in range(ROUNDS):
        paired = [
            pair_outlines(chain, state.take(np.array([n])), h.view, h.contour, random)
            for n, h in enumerate(hands)
        ]
        step = _step(chain, state, hands, paired, moved, state.shape[0] - shape, sigma, shape_sigma)
        if config.pose_sigma == 0:
            step[:, :32] = 0
        state = state.moved(step)
        moved = moved + step[:, :32]
    _write(hands, places, state, start, side)
    result: np.ndarray = state.shape[0]
    return result


def _step(
    chain: HandChain,
    state: State,
    hands: Sequence[_Hand],
    paired: Sequence[Outline | None],
    moved: np.ndarray,
    grown: np.ndarray,
    sigma: np.ndarray,
    shape_sigma: np.ndarray,
) -> np.ndarray:
    """(N, 32 + S) one Gauss-Newton step; the hands' own unknowns are eliminated first.

    With the shape common, the normal matrix is an arrow; see Triggs et al. 2000, section 6.1.
    """
    own = 32
    common = np.diag(1 / shape_sigma**2)
    right = -grown / shape_sigma**2
    kept = []
    for n, (hand, outline) in enumerate(zip(hands, paired)):
        block = np.diag(1 / sigma**2)
        pull = -moved[n] / sigma**2
        angles = state.angles[n]
        over = np.maximum(angles - FREE_HIGHEST, 0) - np.maximum(FREE_LOWEST - angles, 0)
        block[range(6, own), range(6, own)] += (over != 0) / LIMIT**2
        pull[6:] -= over / LIMIT**2
        mixed = np.zeros((own, len(shape_sigma)))
        if outline is not None:
            residual, jacobian = _outline_residual(chain, state.take(np.array([n])), outline)
            residual, jacobian = residual * hand.weight**0.5, jacobian * hand.weight**0.5
            a, b = jacobian[:, :own], jacobian[:, own:]
            block, pull = block + a.T @ a, pull - a.T @ residual
            common, right = common + b.T @ b, right - b.T @ residual
            mixed = a.T @ b
        block[range(own), range(own)] *= 1 + DAMPING
        kept.append((block, pull, mixed))
    reduced, rest = common * (1 + DAMPING * np.eye(len(common))), right.copy()
    for block, pull, mixed in kept:
        solved = np.linalg.solve(block, np.column_stack([mixed, pull]))
        reduced -= mixed.T @ solved[:, :-1]
        rest -= mixed.T @ solved[:, -1]
    shape_step = np.linalg.solve(reduced, rest)
    steps = [np.linalg.solve(b, p - m @ shape_step) for b, p, m in kept]
    made = np.column_stack([np.stack(steps), np.tile(shape_step, (len(kept), 1))])
    # farther than this no pair of outlines tells
    longest = np.abs(made[:, [0, 1, 2, *range(6, own)]]).max()
    return made * min(1.0, 0.5 / max(float(longest), 1e-9))


def _outline_residual(
    chain: HandChain, state: State, outline: Outline
) -> tuple[np.ndarray, np.ndarray]:
    """(P,) in sigmas and (P, 32 + S) of one hand."""
    posed = chain.pose(state)
    vertices, turned = chain.vertices(state, posed, outline.rows)
    full = np.concatenate(
        [turned[..., :3], np.broadcast_to(np.eye(3), (*vertices.shape, 3)), turned[..., 3:]], -1
    )[0]
    points = (vertices + state.translation[:, None])[0]
    flat = points[:, :2] / points[:, 2:]
    by_all = (full[:, :2] - flat[..., None] * full[:, 2:]) / points[:, 2:, None]
    normal = outline.normals[0]
    scale = state.translation[0, 2] / OUTLINE_M * outline.weights[0]
    residual = ((flat - outline.points[0]) * normal).sum(-1) * scale
    jacobian = np.einsum("pi,pij->pj", normal, by_all) * scale[:, None]
    return residual, jacobian


def _state(hands: Sequence[_Hand], places: Places, shape: np.ndarray, side: str) -> State:
    mirror = mirror_of(side)
    flat = 3 * FREE_JOINT + FREE_AXIS
    numbers = [h.number for h in hands]
    with torch.no_grad():
        poses = [places.pose(n) for n in numbers]
    wrist = np.stack([matrix_from_axis_angle(p[0][0].double().numpy()) for p in poses])
    start = places.start_angles.double().numpy().reshape(len(places.key), 45)[numbers][:, flat]
    angles = start + places.angles.detach().double().numpy()[numbers]
    where = np.stack([p[1].double().numpy() for p in poses])
    return State(
        mirror[:, None] * wrist * mirror,
        where * mirror,
        angles,
        np.tile(np.asarray(shape, float), (len(hands), 1)),
    )


def _write(hands: Sequence[_Hand], places: Places, state: State, start: State, side: str) -> None:
    from scipy.spatial.transform import Rotation

    mirror = mirror_of(side)
    turned = state.rotation @ start.rotation.swapaxes(-1, -2)
    turns = Rotation.from_matrix(mirror[:, None] * turned * mirror).as_rotvec()
    shifts = (state.translation - start.translation) * mirror
    angles = state.angles - start.angles
    for n, hand in enumerate(hands):
        for parameter, value in (
            (places.turns, turns[n]), (places.shifts, shifts[n]), (places.angles, angles[n])
        ):  # fmt: skip
            parameter.data[hand.number] += torch.tensor(value, dtype=torch.float32)
