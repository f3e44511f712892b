"""Two hands that cross, parted over a whole sequence: touching stays touching, smooth in time.

All frames are solved at once. What each hand's wrist and its 26 hinge angles change is kept small
and smooth (squared second differences over time); skin that is inside the other hand goes out along
the shorter way, and parts that touched stay together. Between two measurements of the skin that
is a least-squares problem whose matrix has bands of two frames, so it takes time in proportion to
the frames (Levenberg-Marquardt with an active set of one-sided rows).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..core.conventions import mirror_theta
from ..geometry.rotations import matrix_from_axis_angle
from ..hand_model import load_hand_model, pose_hand_numpy
from ..hand_model.crossing import Crossing, find_crossing
from ..hand_model.limits import (
    FREE_ANGLES,
    FREE_AXIS,
    FREE_HIGHEST,
    FREE_JOINT,
    FREE_LOWEST,
    joint_angles,
    theta_from_joint_angles,
)
from .kinematics import HandChain, State

SIZE = 32
"""Numbers that move one hand: turn, place, hinge angles."""

MIRRORS = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
WATCH_M = 0.008
MOST_ROWS = 140
"""Of a frame; more vertices say the same."""

DEEP_M, SHALLOW_M, MOST_BACK_M = 0.008, 0.004, 0.04
"""Deeper hands are first backed off as wholes, to this depth, at most so far."""

OF_THREE = np.array([1.0, 4.0, 1.0])
"""Sums of squares of the one second difference that three frames have."""

HELD = 1e6
"""How much more the ends of a sequence are kept whose neighbours stay as they are."""

INNER = 4
STUCK_M = 0.0015
"""Frames that stay deeper than this half-way through are backed off once more."""

STRIDE = 0.5
"""Standard deviation of a round's step, in units of that of the whole change."""

STRIDE_M = 0.003
"""Most that a round asks skin to move."""


@dataclass(frozen=True)
class PartingWeights:
    """Standard deviations of what pulls.

    Attributes:
        turn: of a wrist's change, radians.
        place_m: of a wrist's place.
        toward_m: of its place along z, the view of a photo, which says least about it; as across
            if None. Hands are then rather backed off that way, too.
        flexion, last, sideways: of hinge angles, radians: bending, of the last joints, others.
        depth_m: of skin inside the other hand.
        touch_m: of parts that touched and came apart.
        clearance_m: how far apart skin should stay.
        ease_s: seconds over which a correction comes and goes.
    """

    turn: float = 0.06
    place_m: float = 0.006
    toward_m: float | None = None
    flexion: float = 0.20
    last: float = 0.10
    sideways: float = 0.10
    depth_m: float = 0.0003
    touch_m: float = 0.001
    clearance_m: float = 0.0002
    ease_s: float = 0.15

    def sigmas(self) -> np.ndarray:
        """(32,) of :data:`SIZE` numbers."""
        angles = [
            self.last if name.endswith("3_flexion") else
            self.flexion if name.endswith("flexion") else self.sideways
            for name in FREE_ANGLES
        ]  # fmt: skip
        toward = self.place_m if self.toward_m is None else self.toward_m
        return np.array([self.turn] * 3 + [self.place_m] * 2 + [toward] + angles)


@dataclass(frozen=True)
class HandPair:
    """T poses of two hands.

    Attributes:
        theta: (T, 2, 16, 3) axis-angle, right and left.
        translation: (T, 2, 3) metres.
        shapes: (2, S).
        hand_model: its name.
    """

    theta: np.ndarray
    translation: np.ndarray
    shapes: np.ndarray
    hand_model: str = "default"

    def __len__(self) -> int:
        return len(self.theta)

    def vertices(self, frame: int) -> np.ndarray:
        """(2, V, 3) level-0 skin of a frame."""
        return np.stack(
            [
                pose_hand_numpy(
                    load_hand_model(self.hand_model, side), self.theta[frame, k], self.shapes[k],
                    self.translation[frame, k],
                )[0]
                for k, side in enumerate(("right", "left"))
            ]
        )  # fmt: skip

    def crossing(self, frame: int, near_m: float = WATCH_M) -> Crossing:
        """Where the hands of a frame cross or come near."""
        return find_crossing(self.vertices(frame), self.hand_model, near_m)

    def moved(self, change: np.ndarray) -> HandPair:
        """The pair after changes (T, 2, 32) as in a right hand's axes (see :data:`MIRRORS`)."""
        from scipy.spatial.transform import Rotation

        theta, place = self.theta.copy(), self.translation + change[..., 3:6] * MIRRORS
        for k, side in enumerate(("right", "left")):
            own = self.theta[:, k] if k == 0 else mirror_theta(self.theta[:, k])
            turned = matrix_from_axis_angle(change[:, k, :3]) @ matrix_from_axis_angle(own[:, 0])
            wrist = Rotation.from_matrix(turned).as_rotvec()
            angles = joint_angles(self.theta[:, k], side)
            low = np.minimum(angles[:, FREE_JOINT, FREE_AXIS], FREE_LOWEST)
            high = np.maximum(angles[:, FREE_JOINT, FREE_AXIS], FREE_HIGHEST)
            # a joint that was past its limit may stay there, but goes no farther
            free = angles[:, FREE_JOINT, FREE_AXIS] + change[:, k, 6:]
            angles[:, FREE_JOINT, FREE_AXIS] = np.clip(free, low, high)
            wrist = wrist if k == 0 else mirror_theta(wrist[:, None])[:, 0]
            theta[:, k] = theta_from_joint_angles(angles, wrist, side)
        still = ~(change != 0).any(axis=2)
        theta[still], place[still] = self.theta[still], self.translation[still]
        return HandPair(theta, place, self.shapes, self.hand_model)


@dataclass(frozen=True)
class Rows:
    """Linear rows of a frame: ``value + slope @ change``.

    Attributes:
        value: (R,) metres at the current change.
        slope: (R, 64).
        wanted: (R,) metres.
        sigma: (R,) metres.
        pulls: (R,) True where a larger value is pulled back, False where a smaller is pushed.
    """

    value: np.ndarray
    slope: np.ndarray
    wanted: np.ndarray
    sigma: np.ndarray
    pulls: np.ndarray


@dataclass(frozen=True)
class Parted:
    """What :func:`part_hands` found.

    Attributes:
        pair: the poses.
        change: (T, 2, 32).
        depth_m: (T,) deepest skin inside the other hand, after.
    """

    pair: HandPair
    change: np.ndarray
    depth_m: np.ndarray


@dataclass
class _Problem:
    pair: HandPair
    chain: HandChain
    weights: PartingWeights
    fps: float
    touching: list[set[tuple[int, int]]]
    random: np.random.Generator
    held: tuple[bool, bool]
    keep: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        keep = 1 / np.tile(self.weights.sigmas(), 2) ** 2
        self.keep = np.repeat(keep[None], len(self.pair), axis=0)
        if self.held[0]:
            self.keep[:2] *= HELD
        if self.held[1]:
            self.keep[-2:] *= HELD


def part_hands(
    pair: HandPair,
    fps: float = 30.0,
    *,
    weights: PartingWeights | None = None,
    rounds: int = 18,
    enough_m: float = 0.0005,
    held: tuple[bool, bool] = (False, False),
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Parted:
    """Part hands that cross.

    Args:
        pair: the poses; frames are in order of time.
        fps: frames a second.
        weights: what pulls how much.
        rounds: most measurements of the skin.
        enough_m: a depth that is left in place.
        held: whether the first and the last two frames stay, since what is beyond them does.
        seed: of the choice among too many vertices.
        progress: told the part that is done.
    """
    from .fit import hand_chain

    chosen = weights or PartingWeights()
    first = [pair.crossing(t) for t in range(len(pair))]
    problem = _Problem(
        pair, hand_chain(pair.hand_model), chosen, fps, [c.touching() for c in first],
        np.random.default_rng(seed), held,
    )  # fmt: skip
    best = np.zeros((len(pair), 2, SIZE))
    best_depth, best_crossings = np.array([c.depth_m for c in first]), first
    frames = chosen.ease_s * fps
    view = None if chosen.toward_m is None else chosen.place_m / chosen.toward_m
    deep = DEEP_M if view is None else SHALLOW_M
    change = _backed_off(pair, first, frames, deep, SHALLOW_M if view is None else enough_m, view)
    now, crossings = pair, first
    if change.any():
        now = pair.moved(change)
        crossings = [now.crossing(t) for t in range(len(pair))]
    for number in range(rounds):
        if best_depth.max() <= enough_m:
            break
        if number in (rounds // 2, rounds * 3 // 4) and best_depth.max() > STUCK_M:
            # fingers that would have to pass through each other: the hands part farther there
            more = _backed_off(
                pair.moved(best), best_crossings, 0.5 * frames, STUCK_M, enough_m, view
            )
            change = best + more
            now = pair.moved(change)
            crossings = [now.crossing(t) for t in range(len(pair))]
        directions = _consensus(crossings)
        rows = [_rows(problem, now, t, c, d) for t, (c, d) in enumerate(zip(crossings, directions))]
        wanted = _solve(problem, rows, change)
        change = wanted
        now = pair.moved(change)
        crossings = [now.crossing(t) for t in range(len(pair))]
        depth = np.array([c.depth_m for c in crossings])
        if depth.max() < best_depth.max() or number == 0:
            best, best_depth, best_crossings = change, depth, crossings
        if progress:
            progress((number + 1) / rounds)
    return Parted(pair.moved(best), best, best_depth)


def _backed_off(
    pair: HandPair, crossings: list[Crossing], frames: float, deep_m: float, shallow_m: float,
    view: float | None = None,
) -> np.ndarray:  # fmt: skip
    """(T, 2, 32) changes of place that part hands deeper than ``deep_m`` as wholes.

    From deep inside the nearest skin is often the far side's, so whole hands first go back, as far
    as each frame needs, eased over time: the way on which most of their skin leaves, or the way
    from hand to hand, whichever is shorter; with ``view`` also along z, of which a metre counts as
    so much of one across.
    """
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    change = np.zeros((len(pair), 2, SIZE))
    deep = np.flatnonzero([c.depth_m > deep_m for c in crossings])
    if not len(deep):
        return change
    skins = {int(t): pair.vertices(int(t)) for t in deep}
    pushes, palms = np.zeros((len(pair), 3)), np.zeros((len(pair), 3))
    for t in deep:
        c = crossings[t]
        sign = np.where(c.hand == 0, -1.0, 1.0) * np.minimum(c.gap, 0)
        pushes[t] = (sign[:, None] * c.direction).sum(0)
        palms[t] = skins[int(t)][0].mean(0) - skins[int(t)][1].mean(0)
    found = []
    tried = [(pushes, 1.0), (palms, 1.0)]
    if view is not None:
        tried += [(np.tile([0.0, 0, sign], (len(pair), 1)), view) for sign in (-1.0, 1.0)]
    for ways, counts in tried:
        ways = gaussian_filter1d(ways, max(2 * frames, 1.0), axis=0, mode="nearest")
        ways /= np.linalg.norm(ways, axis=1, keepdims=True) + 1e-12
        needed = np.zeros(len(pair))
        for t in deep:
            needed[t] = _way_back(skins[int(t)], ways[t], pair.hand_model, shallow_m)
        # a way that is no way out is only taken where there is no other
        blocked = (needed > 0.97 * MOST_BACK_M).sum()
        found.append((blocked + counts * needed.sum(), ways, needed))
    _, ways, needed = min(found, key=lambda f: f[0])
    width = max(round(2 * frames), 1)
    eased = gaussian_filter1d(maximum_filter1d(needed, 2 * width + 1), width / 2)
    change[:, 0, 3:6] = 0.5 * eased[:, None] * ways
    change[:, 1, 3:6] = -0.5 * eased[:, None] * ways * MIRRORS[1]
    return change


def _way_back(skin: np.ndarray, way: np.ndarray, hand_model: str, shallow_m: float) -> float:
    """Metres along a way after which two hands' skins (2, V, 3) are no deeper than that."""
    low, high = 0.0, MOST_BACK_M
    for _ in range(5):
        middle = 0.5 * (low + high)
        moved = skin + 0.5 * middle * np.stack([way, -way])[:, None]
        deep = find_crossing(moved, hand_model, 0.0).depth_m > shallow_m
        low, high = (middle, high) if deep else (low, middle)
    return high


def _consensus(
    crossings: list[Crossing], window: int = 4
) -> list[dict[tuple[int, int], np.ndarray]]:
    """For each frame and two parts that cross, the way in which the right one leaves the left.

    It is that of most of the skin inside, over neighbouring frames: where a finger is half through
    another, its two sides would leave in opposite ways.
    """
    sums: list[dict[tuple[int, int], np.ndarray]] = []
    for c in crossings:
        frame: dict[tuple[int, int], np.ndarray] = {}
        inside = np.flatnonzero(c.gap < 0)
        for row in inside:
            a, b = c.parts[row]
            key = (int(a), int(b)) if c.hand[row] == 0 else (int(b), int(a))
            way = c.direction[row] * (-c.gap[row] if c.hand[row] == 0 else c.gap[row])
            frame[key] = frame.get(key, np.zeros(3)) + way
        sums.append(frame)
    out = []
    for t in range(len(sums)):
        near = sums[max(0, t - window) : t + window + 1]
        merged: dict[tuple[int, int], np.ndarray] = {}
        for key in sums[t]:
            total = sum((f[key] for f in near if key in f), np.zeros(3))
            merged[key] = total / (np.linalg.norm(total) + 1e-12)
        out.append(merged)
    return out


def _rows(
    problem: _Problem, now: HandPair, frame: int, crossing: Crossing,
    directions: dict[tuple[int, int], np.ndarray],
) -> Rows | None:  # fmt: skip
    """Rows of a frame: skin that must leave or stay out, and parts that should stay together."""
    if not len(crossing):
        return None
    key = [
        (int(a), int(b)) if hand == 0 else (int(b), int(a))
        for hand, (a, b) in zip(crossing.hand, crossing.parts)
    ]
    sign = np.where(crossing.hand == 0, 1.0, -1.0)
    agreed = np.array([
        crossing.gap[i] >= 0 or crossing.direction[i] @ directions[k] * sign[i] > 0.2
        for i, k in enumerate(key)
    ])  # fmt: skip
    chosen = np.flatnonzero(agreed)
    if len(chosen) > MOST_ROWS:
        # the deepest, and a fair choice of the others
        order = chosen[np.argsort(crossing.gap[chosen])]
        rest = problem.random.permutation(order[MOST_ROWS // 2 :])[: MOST_ROWS // 2]
        chosen = np.concatenate([order[: MOST_ROWS // 2], rest])
    nearest: dict[tuple[int, int], int] = {}
    for i, k in enumerate(key):
        if k in problem.touching[frame]:
            old = nearest.get(k)
            if old is None or crossing.gap[i] < crossing.gap[old]:
                nearest[k] = i
    held = np.array(sorted(nearest.values()), int)
    rows = np.concatenate([chosen, held])
    pulls = np.arange(len(rows)) >= len(chosen)
    w = problem.weights
    return Rows(
        crossing.gap[rows],
        _slopes(problem.chain, now, frame, crossing, rows),
        np.full(len(rows), w.clearance_m),
        np.where(pulls, w.touch_m, w.depth_m),
        pulls,
    )


def _slopes(
    chain: HandChain, now: HandPair, frame: int, crossing: Crossing, rows: np.ndarray
) -> np.ndarray:
    """(R, 64) derivatives of gaps with respect to both hands' changes."""
    slopes = np.zeros((len(rows), 2, SIZE))
    hand, n = crossing.hand[rows], crossing.direction[rows]
    for k, side in enumerate(("right", "left")):
        own = now.theta[frame, k] if k == 0 else mirror_theta(now.theta[frame, k])
        angles = joint_angles(now.theta[frame, k], side)[FREE_JOINT, FREE_AXIS]
        state = State(
            matrix_from_axis_angle(own[:1]), np.zeros((1, 3)), angles[None], now.shapes[k][None]
        )
        vertex = np.where(hand == k, crossing.vertex[rows], crossing.partner[rows])
        _, jacobian = chain.vertices(state, chain.pose(state), vertex[None])
        along = n * MIRRORS[k] * np.where(hand == k, 1.0, -1.0)[:, None]
        moved = np.einsum("rc,rcp->rp", along, jacobian[0, :, :, :29])
        slopes[:, k] = np.concatenate([moved[:, :3], along, moved[:, 3:]], axis=1)
    return slopes.reshape(len(rows), 2 * SIZE)


def _solve(problem: _Problem, rows: list[Rows | None], change: np.ndarray) -> np.ndarray:
    """The changes (T, 2, 32) that rows, smallness and smoothness want together."""
    from scipy.linalg import solveh_banded

    count, size = len(rows), 2 * SIZE
    flat = change.reshape(count, size)
    keep = problem.keep
    smooth = (problem.weights.ease_s * problem.fps) ** 4 / np.tile(problem.weights.sigmas(), 2) ** 2
    wanted = flat
    for _ in range(INNER):
        band = np.zeros((2 * size + 1, count * size))
        right = keep / STRIDE**2 * flat
        blocks = np.zeros((count, size, size))
        blocks[:, np.arange(size), np.arange(size)] = keep * (1 + 1 / STRIDE**2)
        _add_smoothness(band, blocks, smooth)
        for t, found in enumerate(rows):
            if found is None:
                continue
            value = found.value + found.slope @ (wanted[t] - flat[t])
            active = np.where(found.pulls, value > found.wanted, value < found.wanted)
            slope = found.slope[active] / found.sigma[active, None]
            asked = np.clip((found.wanted - found.value)[active], -STRIDE_M, STRIDE_M)
            goal = asked / found.sigma[active]
            blocks[t] += slope.T @ slope
            right[t] += slope.T @ (goal + slope @ flat[t])
        for offset in range(size):
            # row 2 size - k of the band holds the k-th diagonal above the main one
            diagonal = np.zeros((count, size))
            diagonal[:, offset:] = np.diagonal(blocks, offset, axis1=1, axis2=2)
            band[2 * size - offset] += diagonal.ravel()
        wanted = solveh_banded(band, right.ravel()).reshape(count, size)
    return wanted.reshape(change.shape)


def _add_smoothness(band: np.ndarray, blocks: np.ndarray, smooth: np.ndarray) -> None:
    """Add squared second differences over time to the diagonal blocks and the two beside them."""
    count, size = len(blocks), len(smooth)
    if count < 3:
        return
    ends = np.minimum(np.arange(count), np.arange(count)[::-1])
    own = np.select([ends == 0, ends == 1], [1.0, 5.0], 6.0) if count > 3 else OF_THREE
    blocks[:, np.arange(size), np.arange(size)] += own[:, None] * smooth
    beside = np.full(count - 1, -4.0)
    beside[[0, -1]] = -2.0
    for step, product in ((1, beside), (2, np.ones(count - 2))):
        band[2 * size - step * size, step * size :] += (product[:, None] * smooth).ravel()
