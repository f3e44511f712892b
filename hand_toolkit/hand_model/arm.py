"""The default hand with 13 cm of its forearm: a wrist that bends, and an end that is closed.

The wrist stays the root of the pose, so the forearm is what turns: θ of an arm may have a
seventeenth row, the forearm's rotation to the hand (axis-angle, the hand's rest axes, zero is
straight). It bends about the wrist and twists along its own axis, the more the nearer the elbow.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from ..core.errors import InputError
from ..geometry.rotations import axis_angle_from_quat, matrix_from_axis_angle, quat_from_matrix
from .base import HandModel, check_shape
from .default import DefaultHandProvider, load_default_forearm
from .surface import mirrored, triangles_of

ARM_SUFFIX = "_arm"
"""The hand with its forearm is the hand model of this name's end: "default_arm"."""

RING = 20
"""Vertices around the forearm."""

RINGS = 7
"""Rings of MakeHuman's forearm that are kept, to 13 cm from the wrist."""

END, BULGE_M = (0.006, 0.9), 0.010
"""Metres beyond the last ring and width of the ring that rounds the end, and how far it bulges."""

BEND_M = (-0.018, 0.024)
"""Along the arm from the wrist: where it begins to bend and where the forearm is alone."""

TWISTS = (1.0, 0.5, 0.0)
"""Part of the forearm's twist that each of its bones has: at the elbow, midway, at the wrist."""

FOREARM_BONES = ("forearm", "forearm_mid", "forearm_twist")

WRIST_LIMITS_DEG = ((-75.0, 75.0), (-85.0, 85.0), (-35.0, 25.0))
"""What a forearm may turn to the hand: twist, flexion (+ as the hand bends to its palm) and
deviation; the ranges of motion of the American Academy of Orthopaedic Surgeons, the hand's turns
being the forearm's reversed."""

SKIN_BOX = np.array([[0.515, 0.695], [0.985, 0.985]])
END_BOX = np.array([[0.02, 0.02], [0.12, 0.12]])
"""Where the hand's texture has room for the forearm and for its closed end, u and v."""


def has_forearm(model: HandModel) -> bool:
    """Whether the model is one of :class:`DefaultArmProvider`."""
    return model.forearm_weights is not None


@dataclasses.dataclass(frozen=True)
class DefaultArmProvider:
    """Offers "default_arm": the default hand and its forearm in one closed mesh.

    The first faces and vertices are the hand's, in its order: what is bound to it stays bound.
    """

    name: str = "default_arm"

    def load(self, side: str) -> HandModel:
        """The level-0 model of ``side``.

        Raises:
            InputError: an unknown side.
        """
        hand = DefaultHandProvider().load("right")
        arm = _joined(hand, load_default_forearm("right"), self.name)
        return arm if side == "right" else mirrored(arm, None)


def split_pose(model: HandModel, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """θ (16, 3), and the forearm's rotation (3,) or None where there is none.

    Raises:
        InputError: seventeen rows for a hand without a forearm, or another shape.
    """
    theta = np.asarray(theta, np.float64)
    if theta.shape != (17, 3):
        check_shape("theta", theta, (16, 3))
        return theta, None
    if not has_forearm(model):
        raise InputError(
            f"theta has 17 rows, but the hand model '{model.name}' has no forearm; give 16, or an "
            "avatar fitted with --set forearm=on"
        )
    return theta[:16], theta[16]


def forearm_turns(rotation: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(3, 3, 3) rotation of each of the forearm's bones about the wrist, at rest.

    Args:
        rotation: (3,) of the forearm to the hand, axis-angle.
        along: (3,) the forearm's axis at rest, any length.
    """
    whole = matrix_from_axis_angle(np.asarray(rotation, np.float64))
    axis = along / np.linalg.norm(along)
    # swing and twist about the arm: R = S T
    quat = quat_from_matrix(whole[None])[0]
    twist = 2 * np.arctan2(quat[1:] @ axis, quat[0])
    twist = (twist + np.pi) % (2 * np.pi) - np.pi
    swing = whole @ matrix_from_axis_angle(-twist * axis)
    parts = np.array(TWISTS)[:, None] * twist * axis
    return np.asarray(swing @ matrix_from_axis_angle(parts))


def bent(model: HandModel, vertices: np.ndarray, rotation: np.ndarray | None) -> np.ndarray:
    """Rest vertices (V, 3) with the forearm turned about the wrist.

    The wrist is the root of the pose and the origin, so that skinning what this returns is what
    skinning with the forearm as a bone would be, where no finger moves the skin.
    """
    if rotation is None or model.forearm_weights is None or not np.any(rotation):
        return vertices
    turns = forearm_turns(rotation, elbow_points(vertices, model.side)[0]) - np.eye(3)
    blended = np.tensordot(model.forearm_weights.astype(np.float64), turns, 1)
    return np.asarray(vertices + np.einsum("vij,vj->vi", blended, vertices))


def skin_weights(model: HandModel) -> np.ndarray:
    """(V, 16) skinning weights, and (V, 19) with the forearm's bones where there is one."""
    if model.forearm_weights is None:
        return model.weights
    weights = model.weights.copy()
    weights[:, 0] = np.maximum(weights[:, 0] - model.forearm_weights.sum(1), 0)
    return np.concatenate([weights, model.forearm_weights], axis=1)


def elbow_points(vertices: np.ndarray, side: str) -> np.ndarray:
    """(3, 3) where the forearm's bones are at rest: at the elbow's end, midway, near the wrist.

    Args:
        vertices: (V, 3) of an arm at rest, the wrist at the origin.
        side: "right" or "left".
    """
    along = vertices[:, 0] * (1.0 if side == "right" else -1.0)
    far = along > 0.85 * along.max()
    end = vertices[far].mean(0)
    return end * np.array([[1.0], [0.5], [0.15]])


def wrist_bend(
    flexion: float, deviation: float = 0.0, twist: float = 0.0, side: str = "right"
) -> np.ndarray:
    """(3,) the forearm's rotation for a hand that bends at the wrist.

    Args:
        flexion: radians that the hand bends to its palm.
        deviation: radians that it leans to the little finger.
        twist: radians that the hand is turned on the forearm, palm toward the thumb's side up.
        side: "right" or "left".
    """
    hand = (
        matrix_from_axis_angle(np.array([twist, 0.0, 0.0]))
        @ matrix_from_axis_angle(np.array([0.0, 0.0, flexion]))
        @ matrix_from_axis_angle(np.array([0.0, -deviation, 0.0]))
    )
    rotation = axis_angle_from_quat(quat_from_matrix(hand.T[None]))[0]
    return np.asarray(rotation * (1.0 if side == "right" else np.array([1.0, -1.0, -1.0])))


def _joined(hand: HandModel, source: HandModel, name: str) -> HandModel:
    assert hand.quads is not None and source.quads is not None
    assert hand.uv_quads is not None
    count = len(hand.template)
    rings = _rings(source.quads[len(hand.quads) :], hand.quads)
    used = np.concatenate(rings[1:])
    number = np.full(len(source.template), -1)
    number[:count] = np.arange(count)
    number[used] = count + np.arange(len(used))
    new = number[np.stack(rings)]
    first = count + len(used)
    template, dirs = [source.template[:count], source.template[used]], [
        source.shape_dirs[:, :count], source.shape_dirs[:, used]
    ]  # fmt: skip
    template[0], dirs[0] = hand.template, hand.shape_dirs
    along = source.template[rings[-1]].mean(0) - source.template[rings[-2]].mean(0)
    along = along / np.linalg.norm(along)
    quads = [hand.quads]
    for a, b in itertools.pairwise(new):
        quads.append(np.stack([np.roll(a, -1), a, b, np.roll(b, -1)], 1))
    (step, width), height = END, BULGE_M
    edge = source.template[rings[-1]]
    edge_dirs = source.shape_dirs[:, rings[-1]]
    template.append(_narrowed(edge, width) + step * along)
    dirs.append(_narrowed(edge_dirs, width))
    last = first + np.arange(RING)
    quads.append(np.stack([np.roll(new[-1], -1), new[-1], last, np.roll(last, -1)], 1))
    grid, inner = _filling(RING // 4)
    square = np.where(grid < RING, last[np.minimum(grid, RING - 1)], first + grid)
    fill = inner @ template[-1].reshape(RING, -1)
    bulge = (1 - np.abs(_square(RING // 4)).max(1) ** 2)[:, None]
    template.append(fill + (height * bulge) * along)
    dirs.append(np.einsum("gr,srk->sgk", inner, dirs[-1]))
    # the square's rows run against the loop, so that its faces look outward
    quads.append(np.stack([square[1:, :-1], square[:-1, :-1], square[:-1, 1:], square[1:, 1:]], -1)
                 .reshape(-1, 4))  # fmt: skip
    vertices = np.concatenate(template)
    uvs, uv_quads = _layout(hand, vertices, [*new, last], grid)
    weights = np.zeros((len(vertices), 16), np.float32)
    weights[:count] = hand.weights
    weights[count:, 0] = 1
    forearm = _forearm_weights(vertices)
    # where the forearm moves skin, fingers hardly do: only where both did would turning the rest
    # mesh (see ``bent``) differ from skinning with one bone more, by a millimetre in far poses
    share = forearm.sum(1, keepdims=True)
    weights[:, 1:] *= (1 - share) ** 6
    weights[:, 0] = np.maximum(1 - weights[:, 1:].sum(1), 0)
    all_quads = np.concatenate(quads).astype(np.int32)
    pose_dirs = None
    if hand.pose_dirs is not None:
        pose_dirs = np.zeros((len(hand.pose_dirs), len(vertices), 3), hand.pose_dirs.dtype)
        pose_dirs[:, :count] = hand.pose_dirs
    return dataclasses.replace(
        hand,
        name=name,
        template=vertices.astype(hand.template.dtype),
        faces=triangles_of(all_quads),
        quads=all_quads,
        uvs=uvs.astype(hand.uvs.dtype),
        uv_quads=uv_quads,
        uv_faces=triangles_of(uv_quads),
        weights=weights,
        shape_dirs=np.concatenate(dirs, axis=1).astype(hand.shape_dirs.dtype),
        pose_dirs=pose_dirs,
        atlas_uvs=None,
        forearm_weights=forearm.astype(np.float32),
    )


def _rings(quads: np.ndarray, hand_quads: np.ndarray) -> list[np.ndarray]:
    """The forearm's loops in order from the hand's rim, each beginning beneath the one before."""
    directed = {(int(q[k]), int(q[(k + 1) % 4])): q for q in quads for k in range(4)}
    inside = {(int(q[k]), int(q[(k + 1) % 4])) for q in hand_quads for k in range(4)}
    follows = {a: b for a, b in inside if (b, a) not in inside and (b, a) in directed}
    start = min(follows)
    loop = [start]
    while len(loop) < len(follows):
        loop.append(follows[loop[-1]])
    rings = [np.array(loop)]
    for _ in range(RINGS):
        here, step = rings[-1], []
        for a, b in zip(here, np.roll(here, -1)):
            # the forearm's quad runs b, a and then outward
            quad = directed[int(b), int(a)]
            k = next(i for i in range(4) if quad[i] == b and quad[(i + 1) % 4] == a)
            step.append(int(quad[(k + 2) % 4]))
        rings.append(np.array(step))
    return rings


def _narrowed(values: np.ndarray, width: float) -> np.ndarray:
    middle = values.mean(-2, keepdims=True)
    return np.asarray(middle + width * (values - middle))


def _filling(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Closing a loop of 4 ``side`` vertices with a square of quads.

    Returns:
        (side + 1, side + 1) numbers, those of the loop first, then the inner ones from 4 side on;
        and (inner, 4 side) weights of the loop's vertices in each inner one (Coons' patch).
    """
    n = side
    grid = np.full((n + 1, n + 1), -1)
    loop = [(i, 0) for i in range(n)] + [(n, j) for j in range(n)]
    loop += [(n - i, n) for i in range(n)] + [(0, n - j) for j in range(n)]
    for k, (i, j) in enumerate(loop):
        grid[i, j] = k
    weights: list[np.ndarray] = []
    for i in range(1, n):
        for j in range(1, n):
            grid[i, j] = 4 * n + len(weights)
            row = np.zeros(4 * n)
            u, v = i / n, j / n
            for (a, b), w in (((0, j), 1 - u), ((n, j), u), ((i, 0), 1 - v), ((i, n), v)):
                row[grid[a, b]] += w
            for (a, b), w in (
                ((0, 0), (1 - u) * (1 - v)), ((n, 0), u * (1 - v)),
                ((0, n), (1 - u) * v), ((n, n), u * v),
            ):  # fmt: skip
                row[grid[a, b]] -= w
            weights.append(row)
    return grid, np.stack(weights)


def _square(side: int) -> np.ndarray:
    """(inner, 2) place of the inner vertices of :func:`_filling` in a square of -1 to 1."""
    inner = np.arange(1, side) / side * 2 - 1
    return np.stack(np.meshgrid(inner, inner, indexing="ij"), -1).reshape(-1, 2)


def _layout(
    hand: HandModel, vertices: np.ndarray, rings: list[np.ndarray], grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The hand's texture coordinates with the forearm as a strip beside it, its end as a square."""
    assert hand.uv_quads is not None
    low, high = SKIN_BOX
    middles = np.stack([vertices[r].mean(0) for r in rings])
    far = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(middles, axis=0), axis=1))])
    around = np.linspace(1, 0, RING + 1)
    strip = np.stack(np.meshgrid(around, far / far[-1], indexing="xy"), -1)
    strip = low + strip * (high - low)
    end_low, end_high = END_BOX
    size = len(grid)
    steps = np.linspace(0, 1, size)
    square = np.stack(np.meshgrid(steps, steps[::-1], indexing="ij"), -1)
    square = end_low + square * (end_high - end_low)
    base = len(hand.uvs)
    number = base + np.arange(len(rings) * (RING + 1)).reshape(len(rings), RING + 1)
    quads = [hand.uv_quads]
    for k in range(len(rings) - 1):
        a, b = number[k], number[k + 1]
        quads.append(np.stack([a[1:], a[:-1], b[:-1], b[1:]], 1))
    cells = base + number.size + np.arange(size * size).reshape(size, size)
    quads.append(np.stack([cells[1:, :-1], cells[:-1, :-1], cells[:-1, 1:], cells[1:, 1:]], -1)
                 .reshape(-1, 4))  # fmt: skip
    uvs = np.concatenate([hand.uvs, strip.reshape(-1, 2), square.reshape(-1, 2)])
    return uvs, np.concatenate(quads).astype(np.int32)


def _forearm_weights(vertices: np.ndarray) -> np.ndarray:
    """(V, 3) skinning weights of ``FOREARM_BONES`` on the right arm, whose elbow lies along +x."""
    along = vertices[:, 0]
    low, high = BEND_M
    t = np.clip((along - low) / (high - low), 0, 1)
    swing = t * t * (3 - 2 * t)
    # how much of the twist: none at the wrist, all at the end
    part = np.clip(along / along.max(), 0, 1)
    knots = np.array(TWISTS)[::-1]
    shares = np.stack([np.interp(part, knots, row) for row in np.eye(len(knots))], 1)[:, ::-1]
    return np.asarray(swing[:, None] * shares)
