"""Pose correctives of the default hand: what flesh does beyond linear blend skinning.

Each joint is bent alone, and the four knuckles together, as flesh over bones (``extract.flesh``)
at the angles below, and what the skinned mesh lacks there is fitted, vertex by vertex, as a linear
function of the change of the bone's direction (least squares). That is two numbers for a hinge,
``sin`` and ``1 - cos`` of its flexion, and three for a joint that swings sideways, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..base import HandModel
from ..limits import HIGHEST, LOWEST, joint_frames, theta_from_joint_angles
from .flesh import FIRM, YIELDING, Bend, Flesh, fill

Paths = list[list[tuple[float, float]]]
STEP = np.radians(10.0)
REACH_MM = {"hinge": 32.0, "knuckle": 42.0, "thumb1": 60.0, "thumb2": 42.0}
KNUCKLES = (1, 4, 7, 10)
TOGETHER = 4.0
"""Weight of the four knuckles bent together, as in a fist, over each bent alone: the web between
two fingers is the same skin, and no sum of single bends gives both."""

ROUNDS = 3
SCALES = (0.5, -0.5, -0.5)
"""Of the features of abduction, sine and cosine: a bend gives numbers in [0, 1], all that the
sliders of shape keys hold."""

NOTHING_M = 2e-5
"""Displacements below this are left out."""


def joint_kind(joint: int) -> str:
    """ "hinge", "knuckle", "thumb1" or "thumb2" of a MANO joint."""
    if joint in (13, 14):
        return f"thumb{joint - 12}"
    return "knuckle" if joint % 3 == 1 else "hinge"


def sample_angles(joint: int) -> Paths:
    """Paths of (flexion, abduction), radians, each of which begins at rest."""
    low, high = LOWEST[joint - 1], HIGHEST[joint - 1]
    flexion = [(high[0] * t, 0.0) for t in (0.25, 0.5, 0.75, 0.9, 1.0)]
    paths = [flexion, [(low[0], 0.0)]]
    if joint_kind(joint) != "hinge":
        paths += [[(0.0, 0.5 * a), (0.0, a)] for a in (low[1], high[1])]
        paths += [[(0.6 * high[0], 0.0), (0.6 * high[0], 0.7 * a)] for a in (low[1], high[1])]
    return paths


def features(angles: np.ndarray) -> np.ndarray:
    """(P, 3) change of the bone's direction at (P, 2) flexion and abduction, joint's frame."""
    a, b = angles.T
    return np.stack([np.sin(b), -np.sin(a) * np.cos(b), np.cos(a) * np.cos(b) - 1], 1)


def corrections(flesh: Flesh, joints: Sequence[int], paths: Paths) -> tuple[np.ndarray, np.ndarray]:
    """What skinning lacks when joints bend alike.

    Args:
        flesh: the hand.
        joints: MANO joints.
        paths: (flexion, abduction), radians, each path from rest.

    Returns:
        Angles (P, 15, 2) of all joints, and displacements (P, V, 3), metres in the rest pose.
    """
    found, angles = [], []
    rows = [j - 1 for j in joints]
    reach = REACH_MM[joint_kind(joints[0])]
    # the skin between a bent finger and a straight one gives way
    firmness = YIELDING if tuple(joints) in [(j,) for j in KNUCKLES] else FIRM
    for path in paths:
        bend, at = Bend(flesh, joints, reach, firmness), np.zeros(2)
        for goal in map(np.array, path):
            steps = max(1, int(np.ceil(np.abs(goal - at).max() / STEP)))
            for t in np.arange(1, steps + 1) / steps:
                full = np.zeros((15, 3))
                full[rows, :2] = at + t * (goal - at)
                offset = bend.rest_at(theta_from_joint_angles(full))
            at = goal
            found.append(offset.copy())
            angles.append(full[:, :2])
    return np.array(angles), np.array(found)


def fitted(
    joints: Sequence[int], angles: np.ndarray, found: np.ndarray, weights: np.ndarray
) -> tuple[list[tuple[int, int]], np.ndarray]:
    """The linear basis of joints whose flesh hangs together.

    Args:
        joints: MANO joints.
        angles: (P, 15, 2) as :func:`corrections` gives them, of all runs with these joints.
        found: (P, V, 3).
        weights: (P,) how much each counts.

    Returns:
        (joint, row of the bone's direction) of each feature, and directions (K, V, 3).
    """
    names = [
        (j, row) for j in joints for row in ((1, 2) if joint_kind(j) == "hinge" else (0, 1, 2))
    ]
    known = np.stack([features(angles[:, j - 1])[:, row] for j, row in names], 1)
    root = np.sqrt(weights)[:, None]
    known, flat = root * known, root * found.reshape(len(found), -1)
    # a little damping keeps unrelated directions small where samples do not tell them apart
    normal = known.T @ known + 2e-3 * weights.sum() / len(joints) * np.eye(len(names))
    return names, np.linalg.solve(normal, known.T @ flat).reshape(len(names), -1, 3)


def smoothed(basis: np.ndarray, model: HandModel) -> np.ndarray:
    """Directions (K, V, 3) averaged with their neighbours': bends of several kinds mix."""
    import scipy.sparse as sparse

    count = len(model.template)
    a, b, c = model.faces.T
    rows, columns = np.r_[a, b, c], np.r_[b, c, a]
    graph = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), (count, count))
    graph = ((graph + graph.T) > 0).astype(float)
    mean = sparse.diags(1 / np.asarray(graph.sum(1)).ravel()) @ graph
    flat = basis.transpose(1, 0, 2).reshape(count, -1)
    for _ in range(ROUNDS):
        flat = 0.5 * flat + 0.5 * (mean @ flat)
    return flat.reshape(count, -1, 3).transpose(1, 0, 2)


def runs() -> list[tuple[tuple[int, ...], Paths, float]]:
    """Joints, paths and weight of every simulation."""
    each = [((j,), sample_angles(j), 1.0) for j in range(1, 16)]
    together = [(float(HIGHEST[0, 0]) * t, 0.0) for t in (0.25, 0.5, 0.75, 0.9, 1.0)]
    return [*each, (KNUCKLES, [together], TOGETHER)]


def extract_correctives(model: HandModel, path: Path) -> Path:
    """Write the correctives of ``model``, the right default hand at level 0, to ``path``.

    Raises:
        MissingDependencyError: tetgen is not installed.
    """
    flesh = fill(model)
    found = [corrections(flesh, joints, paths) for joints, paths, _ in runs()]
    return write_correctives(path, model, found)


def write_correctives(
    path: Path, model: HandModel, found: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Path:
    """Fit what :func:`corrections` found in all :func:`runs`, and write it to ``path``."""
    joints, axes, directions = [], [], []
    groups = [KNUCKLES, *((j,) for j in range(1, 16) if j not in KNUCKLES)]
    for group in groups:
        own = [k for k, (which, _, _) in enumerate(runs()) if set(which) <= set(group)]
        names, basis = fitted(
            group,
            np.concatenate([found[k][0] for k in own]),
            np.concatenate([found[k][1] for k in own]),
            np.concatenate([np.full(len(found[k][0]), runs()[k][2]) for k in own]),
        )
        if group == KNUCKLES:
            basis = smoothed(basis, model)
        for (joint, row), direction in zip(names, basis):
            frame = joint_frames()[joint - 1]
            joints.append(joint)
            axes.append(SCALES[row] * np.outer(frame[row], frame[2]))
            direction = direction / SCALES[row]
            small = np.abs(direction).max(1, keepdims=True) < NOTHING_M
            directions.append(np.where(small, 0, direction))
    order = np.argsort(joints, kind="stable")
    np.savez_compressed(
        path,
        joints=np.array(joints, np.uint8)[order],
        axes=np.array(axes, np.float32)[order],
        directions=np.array(directions, np.float16)[order],
    )
    return path
