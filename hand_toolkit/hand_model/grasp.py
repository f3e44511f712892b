"""Fingers that close around an object until they touch it.

Each finger curls joint by joint, as auto-grasping does (Miller and Allen 2004, "Graspit!", section
3): a part that touches stops its own joint and those before it, the joints beyond go on until their
parts touch or reach the end of their range. Fingers end at their own palm, and the thumb, which
closes last, at the fingers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.conventions import FINGERS, MANO_JOINTS, mirror_theta
from ..core.errors import InputError
from ..geometry.rotations import axis_angle_from_quat, matrix_from_axis_angle, quat_from_matrix
from ..geometry.surfaces import face_normals, vertex_normals
from .arm import ARM_SUFFIX
from .base import HandModel
from .limits import FREE_ANGLES, FREE_HIGHEST, FREE_LOWEST, compose, decompose
from .loading import load_hand_model
from .opposition import FACING, contacts, opposed_thumb, opposition, pinch_at
from .posing import pose_hand_numpy, rest_hand

CURL = {1: 85.0, 2: 100.0, 3: 65.0}
THUMB_CURL = {1: 45.0, 2: 60.0, 3: 75.0}
"""Degrees of flexion at which a finger that meets nothing ends."""

HOLDS = (0.75, 0.95, 1.15, 1.4)
"""Places in the hand where an object is tried, as ``share`` of :func:`place_at`."""

STEP = 0.03
"""Part of that way in one step; a fingertip moves some 4 mm."""

TOUCH_M = 3e-4
"""Skin this near to the object touches it."""

INSIDE_M = 0.012
"""Depth up to which a point behind the surface counts as inside, and not as beyond a thin wall."""

FAR_M = 0.03
"""Farther than this no distance is asked for."""

SPACING_M = 1.5e-3
"""Between points that stand for the object's surface near the hand."""

REACH_M = 0.24
"""Farthest a fingertip is from the wrist."""

MOST_POINTS = 400_000

SMALL_M = 0.045
"""Things whose middle extent is less are first tried between the fingertips."""

ENOUGH_FINGERS = 2
"""With a thumb that faces the others, this many that touch hold, and no other place is tried."""

OPEN_HAND = {
    "thumb": (-5.0, 0.0, 5.0), "index": (5.0, 10.0, 5.0), "middle": (5.0, 10.0, 5.0),
    "ring": (5.0, 10.0, 5.0), "pinky": (5.0, 10.0, 5.0),
}  # fmt: skip
OPEN_THUMB = {"thumb1_abduction": 42.0, "thumb1_twist": 20.0}
"""Degrees of a hand about to grasp: the thumb stands off, opposite to the fingers."""


@dataclass(frozen=True)
class Grasp:
    """A hand closed around an object.

    Attributes:
        theta: (16, 3) of the hand, its wrist as given.
        translation: (3,) of the wrist, metres.
        touching: by finger the parts (1, 2, 3) that touch the object; only fingers that do.
        opposition: how much the thumb's contact faces the fingers', 1 for opposite; -1 without it.
    """

    theta: np.ndarray
    translation: np.ndarray
    touching: dict[str, tuple[int, ...]]
    opposition: float = -1.0


@dataclass(frozen=True)
class _Cloud:
    """Points of a surface with normals outward."""

    points: np.ndarray
    normals: np.ndarray

    def height(self, points: np.ndarray) -> np.ndarray:
        """(N,) metres over the surface, negative inside; far points are far."""
        if not len(self.points):
            return np.full(len(points), np.inf)
        distance, near = self.tree().query(points, distance_upper_bound=FAR_M)
        far = ~np.isfinite(distance)
        near = np.where(far, 0, near)
        over = ((points - self.points[near]) * self.normals[near]).sum(1)
        over = np.where((over < 0) & (distance > INSIDE_M), distance, over)
        return np.where(far, FAR_M, over)

    def tree(self):  # type: ignore[no-untyped-def]
        """Of the points, made once."""
        from scipy.spatial import cKDTree

        tree = self.__dict__.get("_tree")
        if tree is None:
            tree = cKDTree(self.points)
            object.__setattr__(self, "_tree", tree)
        return tree


def open_hand() -> np.ndarray:
    """θ (16, 3) of a right hand about to grasp, wrist at zero."""
    angles = np.zeros(26)
    for finger, bends in OPEN_HAND.items():
        for k, degrees in enumerate(bends):
            angles[FREE_ANGLES.index(f"{finger}{k + 1}_flexion")] = np.radians(degrees)
    for name, degrees in OPEN_THUMB.items():
        angles[FREE_ANGLES.index(name)] = np.radians(degrees)
    return np.asarray(compose(np.clip(angles, FREE_LOWEST, FREE_HIGHEST)))


def close_until_contact(
    vertices: np.ndarray,
    faces: np.ndarray,
    theta: np.ndarray,
    translation: np.ndarray,
    *,
    side: str = "right",
    hand_model: str = "default",
    shape: np.ndarray | None = None,
    fingers: Sequence[str] = FINGERS,
) -> Grasp:
    """Close the fingers of a hand around an object.

    Args:
        vertices: (V, 3) of the object, metres, in the axes of ``theta``.
        faces: (F, 3) triangles, outside counter-clockwise.
        theta: (16, 3) open pose from which the fingers close; joints out of range come into it.
        translation: (3,) of the wrist, metres.
        side: of the hand.
        hand_model: its model.
        shape: (S,) its shape; None is the mean.
        fingers: which may move.

    Raises:
        InputError: an empty or broken mesh, an unknown finger, or fingers that begin inside.
    """
    for finger in fingers:
        if finger not in FINGERS:
            raise InputError(f"unknown finger {finger!r}; accepted are: {', '.join(FINGERS)}")
    vertices, faces = _checked(vertices, faces)
    theta = np.asarray(theta, np.float64)
    translation = np.asarray(translation, np.float64)
    inside = (vertices - translation) @ matrix_from_axis_angle(theta[0])
    if side == "left":
        inside, faces = inside * [-1.0, 1.0, 1.0], faces[:, [1, 0, 2]]
    model = load_hand_model(hand_model.removesuffix(ARM_SUFFIX), "right", 1)
    form = np.zeros(len(model.shape_names)) if shape is None else np.asarray(shape, np.float64)
    hand = _Hand(model, form, _sampled(inside, faces))
    angles = np.clip(np.asarray(decompose(theta, side)), FREE_LOWEST, FREE_HIGHEST)
    order = [f for f in FINGERS[1:] if f in fingers] + [f for f in FINGERS[:1] if f in fingers]
    for finger in order:
        angles = hand.opened(angles, finger)
    stuck = [f for f in order if hand.heights(angles, f, others=False).min() < -4 * TOUCH_M]
    if stuck:
        raise InputError(
            f"inside the object before closing: {', '.join(stuck)}; open the hand or move it away, "
            "then close it"
        )
    for finger in order:
        if finger == "thumb":
            angles = opposed_thumb(hand, angles, TOUCH_M)
        else:
            angles = hand.close(angles, finger)
    touching = {}
    for finger in FINGERS:
        heights = hand.heights(angles, finger, others=False)
        parts = tuple(int(k) + 1 for k in np.flatnonzero(heights < 4 * TOUCH_M))
        if parts:
            touching[finger] = parts
    found = np.asarray(compose(angles))
    if side == "left":
        found = mirror_theta(found)
    found[0] = theta[0]
    return Grasp(found, translation, touching, opposition(contacts(hand, angles)))


def grasp_object(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    side: str = "right",
    hand_model: str = "default",
    shape: np.ndarray | None = None,
) -> Grasp:
    """A hand placed at an object and closed around it: palm, fingers or their tips, as it fits.

    Args:
        vertices, faces, side, hand_model, shape: as for :func:`close_until_contact`.

    Raises:
        InputError: an empty or broken mesh, or one that no hand can stand at.
    """
    vertices, faces = _checked(vertices, faces)
    best: Grasp | None = None
    for posed, where in _starts(vertices, faces, side, hand_model, shape):
        try:
            found = close_until_contact(
                vertices, faces, posed, where, side=side, hand_model=hand_model, shape=shape
            )
        except InputError:
            continue
        if best is None or _worth(found) > _worth(best):
            best = found
        if best.opposition >= FACING and len(best.touching) >= ENOUGH_FINGERS:
            break
    if best is None:
        raise InputError(
            "the object leaves no room for the hand; place the hand yourself and give its pose "
            "with --start"
        )
    return best


def _starts(
    vertices: np.ndarray,
    faces: np.ndarray,
    side: str,
    hand_model: str,
    shape: np.ndarray | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """θ (16, 3) and places (3,) from which a hand is tried; small things first between the tips."""
    extent = _extents(vertices, faces)
    small = extent[1] < SMALL_M
    pinch = _pinch_start(vertices, faces, side, hand_model, shape)
    if small and pinch is not None:
        yield pinch
    start = open_hand() if side == "right" else mirror_theta(open_hand())
    for share in HOLDS:
        rotation, where = place_at(
            vertices, faces, start, side=side, hand_model=hand_model, shape=shape, share=share
        )
        yield np.concatenate([rotation[None], start[1:]]), where
    if not small and pinch is not None:
        yield pinch


def _pinch_start(
    vertices: np.ndarray, faces: np.ndarray, side: str, hand_model: str, shape: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """θ and place of a hand whose tips stand around the object, or None where it is too thick."""
    if side == "left":
        vertices, faces = vertices * [-1.0, 1.0, 1.0], faces[:, [1, 0, 2]]
    centre, axes = _axes(vertices, faces)
    model = load_hand_model(hand_model.removesuffix(ARM_SUFFIX), "right", 1)
    form = np.zeros(len(model.shape_names)) if shape is None else np.asarray(shape, np.float64)
    hand = _Hand(model, form, _Cloud(np.zeros((0, 3)), np.zeros((0, 3))))
    found = pinch_at(hand, centre, axes, float(_extents(vertices, faces)[2]))
    if found is None:
        return None
    angles, rotation, where = found
    theta = np.asarray(compose(angles))
    theta[0] = axis_angle_from_quat(quat_from_matrix(rotation[None]))[0]
    if side == "left":
        return mirror_theta(theta), where * [-1.0, 1.0, 1.0]
    return theta, where


def _worth(grasp: Grasp) -> float:
    """What holds: fingers, and most of all the thumb against them."""
    return len(grasp.touching) + 4 * grasp.opposition


def place_at(
    vertices: np.ndarray,
    faces: np.ndarray,
    theta: np.ndarray,
    *,
    side: str = "right",
    hand_model: str = "default",
    shape: np.ndarray | None = None,
    share: float = 0.72,
) -> tuple[np.ndarray, np.ndarray]:
    """Where a hand stands to grasp an object: the palm on it, its longest axis across the palm.

    Args:
        vertices, faces, side, hand_model, shape: as for :func:`close_until_contact`.
        theta: (16, 3) open pose.
        share: where the object's middle lies, of the way from the wrist to the middle knuckle.

    Returns:
        Wrist rotation (3,) and translation (3,), in the object's axes.

    Raises:
        InputError: an empty or broken mesh.
    """
    vertices, faces = _checked(vertices, faces)
    model = load_hand_model(hand_model.removesuffix(ARM_SUFFIX), side, 1)
    form = np.zeros(len(model.shape_names)) if shape is None else np.asarray(shape, np.float64)
    centre, (long, _, thin) = _axes(vertices, faces)
    # the hand's rest axes: fingers -x (left: +x), back +y, across z; the palm looks along -y
    across, back = long, thin
    along = np.cross(back, across)
    columns = np.stack([along, back, across], axis=1)
    pose = np.array(theta, np.float64)
    pose[0] = 0
    skin = pose_hand_numpy(model, pose, form, np.zeros(3))[0]
    knuckle = rest_hand(model, form)[1][MANO_JOINTS.index("middle1")]
    palm = share * knuckle
    extent = np.abs((vertices - centre) @ back).max()

    def wrist_at(distance: float) -> np.ndarray:
        return np.asarray(centre + distance * back - columns @ palm)

    low, high = 0.0, extent + 0.06
    near = _sampled_all(vertices, faces)
    thumb = [MANO_JOINTS.index(f"thumb{k}") for k in (1, 2, 3)]
    own = ~np.isin(np.asarray(model.weights).argmax(1), thumb)  # the thumb goes around
    for _ in range(14):
        middle_way = (low + high) / 2
        at = skin[own] @ columns.T + wrist_at(middle_way)
        if near.height(at).min() > TOUCH_M:
            high = middle_way
        else:
            low = middle_way
    rotation = axis_angle_from_quat(quat_from_matrix(columns[None]))[0]
    return np.asarray(rotation), wrist_at(high)


class _Hand:
    """A right hand of one shape beside an object, its wrist at rest."""

    def __init__(self, model: HandModel, shape: np.ndarray, thing: _Cloud) -> None:
        self.model, self.shape, self.thing = model, shape, thing
        parts = np.asarray(model.weights).argmax(1)
        self.parts = {
            finger: [np.flatnonzero(parts == MANO_JOINTS.index(f"{finger}{k}")) for k in (1, 2, 3)]
            for finger in FINGERS
        }
        rest = rest_hand(model, shape)[0]
        palm = np.flatnonzero(parts == 0)
        self.palm = _Cloud(rest[palm], vertex_normals(rest, model.faces)[palm])

    def skin(self, angles: np.ndarray) -> np.ndarray:
        """(V, 3) posed."""
        return pose_hand_numpy(self.model, compose(angles), self.shape, np.zeros(3))[0]

    def heights(
        self, angles: np.ndarray, finger: str, others: bool = True, fingers: _Cloud | None = None
    ) -> np.ndarray:
        """(3,) lowest height of a finger's parts over what stops them."""
        skin = self.skin(angles)
        found = np.array([self.thing.height(skin[v]).min() for v in self.parts[finger]])
        if not others:
            return found
        # a part next to the palm folds with it
        own = self.palm.height(skin[self.parts[finger][2]]).min()
        found[2] = min(found[2], own + 5e-4)
        if fingers is not None:
            for k in (1, 2):
                found[k] = min(found[k], fingers.height(skin[self.parts[finger][k]]).min() + 5e-4)
        return found

    def opened(self, angles: np.ndarray, finger: str) -> np.ndarray:
        """Angles with a finger that begins inside the object opened until it is outside."""
        own = np.array([name.startswith(finger) for name in FREE_ANGLES])
        open_angles = np.where(own, FREE_LOWEST, angles)
        for name, angle in (("thumb1_abduction", FREE_HIGHEST), ("thumb1_twist", FREE_HIGHEST)):
            k = FREE_ANGLES.index(name)
            if finger == "thumb":
                open_angles[k] = angle[k]
        for k, name in enumerate(FREE_ANGLES):
            if name.startswith(finger) and finger != "thumb" and not name.endswith("flexion"):
                open_angles[k] = angles[k]
        for part in np.linspace(0, 1, 21):
            tried = angles + part * (open_angles - angles)
            if self.heights(tried, finger, others=False).min() > TOUCH_M:
                return np.asarray(tried)
        return angles

    def close(self, angles: np.ndarray, finger: str, stride: float = STEP) -> np.ndarray:
        """Angles with that finger closed, tried in parts ``stride`` of its way."""
        names = [FREE_ANGLES.index(f"{finger}{k}_flexion") for k in (1, 2, 3)]
        degrees = THUMB_CURL if finger == "thumb" else CURL
        full = np.minimum(np.radians([degrees[k] for k in (1, 2, 3)]), FREE_HIGHEST[names])
        start = angles[names]
        way = np.maximum(full - start, 0)
        obstacle = self._fingers(angles) if finger == "thumb" else None
        done, locked = np.zeros(3), 0
        while locked < 3 and done[locked:].min() < 1:
            step = stride
            tried = np.where(np.arange(3) >= locked, np.minimum(done + step, 1), done)
            heights = self._at(angles, names, start + tried * way, finger, obstacle)
            hit = np.flatnonzero(heights < TOUCH_M)
            hit = hit[hit >= locked]
            if not len(hit):
                done = tried
                continue
            low, high = 0.0, step
            for _ in range(6):
                step = (low + high) / 2
                tried = np.where(np.arange(3) >= locked, np.minimum(done + step, 1), done)
                heights = self._at(angles, names, start + tried * way, finger, obstacle)
                part = np.flatnonzero(heights < TOUCH_M)
                part = part[part >= locked]
                if len(part):
                    high, hit = step, part
                else:
                    low = step
            done = np.where(np.arange(3) >= locked, np.minimum(done + low, 1), done)
            locked = int(hit.max()) + 1
        result = angles.copy()
        result[names] = start + done * way
        return result

    def _at(
        self,
        angles: np.ndarray,
        names: list[int],
        bends: np.ndarray,
        finger: str,
        fingers: _Cloud | None,
    ) -> np.ndarray:
        moved = angles.copy()
        moved[names] = bends
        return self.heights(moved, finger, fingers=fingers)

    def _fingers(self, angles: np.ndarray) -> _Cloud:
        skin = self.skin(angles)
        normals = vertex_normals(skin, self.model.faces)
        own = np.concatenate([v for f in FINGERS[1:] for v in self.parts[f]])
        return _Cloud(skin[own], normals[own])


def _checked(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or faces.ndim != 2 or not len(faces):
        raise InputError("the object has no triangles; give a mesh with faces")
    if not np.isfinite(vertices).all() or faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError("the object's mesh is broken: vertices or faces that are not there")
    return vertices, faces


def _sampled(vertices: np.ndarray, faces: np.ndarray) -> _Cloud:
    """Points of the surface within the hand's reach."""
    corners = vertices[faces]
    near = np.linalg.norm(corners, axis=-1).min(1) < REACH_M + 0.5 * _size(corners)
    return _spread_over(corners[near])


def _sampled_all(vertices: np.ndarray, faces: np.ndarray) -> _Cloud:
    return _spread_over(vertices[faces])


def _size(corners: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.ptp(corners, axis=1), axis=-1)


def _spread_over(corners: np.ndarray) -> _Cloud:
    """Points about ``SPACING_M`` apart on triangles (F, 3, 3), with the triangles' normals."""
    if not len(corners):
        return _Cloud(np.zeros((0, 3)), np.zeros((0, 3)))
    flat = np.arange(3 * len(corners)).reshape(-1, 3)
    normals, area = face_normals(corners.reshape(-1, 3), flat)
    total = area.sum()
    count = int(np.clip(total / SPACING_M**2, 500, MOST_POINTS))
    rng = np.random.default_rng(0)
    owner = np.searchsorted(np.cumsum(area) / total, (np.arange(count) + 0.5) / count)
    owner = np.minimum(owner, len(area) - 1)
    u, v = rng.random((2, count))
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    a, b, c = (corners[owner, k] for k in range(3))
    points = a + u[:, None] * (b - a) + v[:, None] * (c - a)
    # corners stick out the farthest; no chance should leave them out
    points = np.concatenate([points, corners.reshape(-1, 3)])
    owner = np.concatenate([owner, np.repeat(np.arange(len(area)), 3)])
    keep = area[owner] > 1e-14
    return _Cloud(points[keep], normals[owner][keep])


def _extents(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(3,) sizes along the principal axes, metres."""
    centre, axes = _axes(vertices, faces)
    return np.asarray(np.ptp((vertices[np.unique(faces)] - centre) @ axes.T, axis=0))


def _axes(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle (3,) and principal axes (3, 3) of a surface, rows from the longest."""
    corners = vertices[faces]
    _, area = face_normals(vertices, faces)
    centre = (corners.mean(1) * area[:, None]).sum(0) / area.sum()
    off = corners.reshape(-1, 3) - centre
    moments = np.einsum("n,ni,nj->ij", np.repeat(area, 3), off, off)
    _, vectors = np.linalg.eigh(moments)
    return centre, vectors[:, ::-1].T
