"""Hands as the avatar path's kernels read them: laid out once, in blocks of sixteen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..avatar import AvatarHand
from ..avatar.avatar import as_sh
from ..avatar.levels import LOOSE_M
from ..avatar.stump import is_closed
from ..core.conventions import MANO_PARENTS
from ..geometry.rotations import matrix_from_quat
from ..geometry.surfaces import triangle_frames
from ..hand_model import HandModel, pose_drivers, rest_hand
from ..hand_model.arm import bent
from .frame import aligned_zeros
from .skinning import JOINTS, SPLAT_FIELDS

BoundHand = tuple[AvatarHand, HandModel]
"""A hand and the mesh that carries its splats."""


def padded(count: int) -> int:
    """The next multiple of sixteen."""
    return -(-count // 16) * 16


def blocks(array: np.ndarray) -> np.ndarray:
    """(N, K) values as a flat array of K vectors per sixteen rows; the last row is repeated."""
    count, width = array.shape
    rows = np.concatenate([array, np.repeat(array[-1:], padded(count) - count, 0)])
    flat = aligned_zeros(rows.size)
    flat[:] = rows.reshape(-1, 16, width).transpose(0, 2, 1).ravel()
    return flat


class MeshLayout:
    """The rest meshes of all hands, end to end.

    Attributes:
        first_face, first_vertex: where each hand begins.
        rest, weights: blocks of vertices; hand_of_block: whose they are.
        correctives: (H, K) the joint that drives each, (H, K, 9) float32 its axes, and of the
            blocks that it moves: (blocks + 1,) where each block's begin, which they are, and
            their displacements.
        faces: (3, F) vertex numbers; inverse_rest: (F,) one over the rest area, 1/m².
        fan_start, fan_faces: the triangles around each vertex, end to end.
        rest_joints: (H, 16, 3) metres; parents: (16,).
    """

    def __init__(self, hands: Sequence[BoundHand]) -> None:
        rest, weights, owner, faces, inverse, joints = [], [], [], [], [], []
        fan_sizes, fan_faces = [], []
        self.first_face: list[int] = []
        self.first_vertex: list[int] = []
        vertex_count = face_count = 0
        for number, (hand, model) in enumerate(hands):
            vertices, rest_joints, _ = rest_hand(model, hand.shape)
            _, area = triangle_frames(vertices, model.faces)
            rest.append(blocks(vertices))
            weights.append(blocks(model.weights))
            room = padded(len(vertices))
            owner.append(np.full(room // 16, number))
            corners = model.faces.ravel()
            fan_sizes.append(np.bincount(corners, minlength=room))
            fan_faces.append(np.argsort(corners, kind="stable") // 3 + face_count)
            padding = padded(len(model.faces)) - len(model.faces)
            faces.append(np.pad(model.faces, ((0, padding), (0, 0)), mode="edge") + vertex_count)
            inverse.append(np.pad(1 / np.maximum(area, 1e-14), (0, padding)))
            joints.append(rest_joints)
            self.first_face.append(face_count)
            self.first_vertex.append(vertex_count)
            vertex_count += room
            face_count += len(faces[-1])
        self.rest = aligned(rest)
        self.weights = aligned(weights)
        self.hand_of_block = np.concatenate(owner).astype(np.int64)
        self.correctives = _correctives([model for _, model in hands])
        self.faces = np.ascontiguousarray(np.concatenate(faces).T, np.int32)
        self.inverse_rest = aligned(inverse)
        self.fan_start = np.cumsum(np.concatenate([[0], *fan_sizes])).astype(np.int32)
        self.fan_faces = np.concatenate(fan_faces).astype(np.int32)
        self.rest_joints = np.ascontiguousarray(np.stack(joints), np.float64)
        self.parents = np.asarray(MANO_PARENTS, np.int64)
        self.vertex_count = vertex_count
        self._hands = list(hands)
        self._first_block = np.cumsum([0] + [len(part) for part in rest])[:-1]
        self._bends = [np.zeros(3) for _ in hands]
        self.joint_count = len(joints) * JOINTS

    def bend(self, number: int, rotation: np.ndarray | None) -> None:
        """Turn the forearm of a hand to it by (3,), see ``hand_model.arm``; None is straight."""
        bend = np.zeros(3) if rotation is None else np.asarray(rotation, np.float64)
        if (bend == self._bends[number]).all():
            return
        hand, model = self._hands[number]
        flat = blocks(bent(model, rest_hand(model, hand.shape)[0], bend))
        start = self._first_block[number]
        self.rest[start : start + len(flat)] = flat
        self._bends[number] = bend.copy()


def _correctives(models: Sequence[HandModel]) -> tuple[np.ndarray, ...]:
    """As ``MeshLayout.correctives``; blocks that a corrective leaves alone do not hold it."""
    features = max(0 if m.pose_dirs is None else len(m.pose_dirs) for m in models)
    joints = np.ones((len(models), features), np.int64)
    axes = np.zeros((len(models), features, 9), np.float32)
    counts, which, dirs = [0], [], []
    for number, model in enumerate(models):
        own = padded(len(model.template)) // 16
        if model.pose_dirs is None:
            counts += [0] * own
            continue
        driver, matrices = pose_drivers(model)
        joints[number, : len(driver)] = driver
        axes[number, : len(driver)] = matrices.reshape(-1, 9)
        by_vertex = model.pose_dirs.transpose(1, 0, 2).reshape(len(model.template), -1)
        cut = blocks(by_vertex).reshape(own, len(driver), 48)
        acts = cut.any(-1)
        counts += acts.sum(1).tolist()
        which.append(np.nonzero(acts)[1])
        dirs.append(cut[acts])
    start = np.cumsum(counts).astype(np.int64)
    return joints, axes, start, np.concatenate([*which, np.zeros(0, int)]), aligned(dirs)


class SplatLayout:
    """The splats of all hands, end to end, each hand's sorted by triangle.

    Attributes:
        count: with the padding.
        splats, albedo, baked: blocks of geometry and opacity, linear albedo, sRGB colours.
        face, hand: triangle of each splat, hand of each block.
        one_sided: of each block, whether its splats lie flat on a hand that is closed.
        sh, coefficients: SH colours in place of ``baked``, where any hand has them.
    """

    def __init__(self, hands: Sequence[BoundHand], first_face: Sequence[int]) -> None:
        from ..geometry.colour import srgb_to_linear

        terms = [h.color.shape[1] if h.color.ndim == 3 else 0 for h, _ in hands]
        self.coefficients = max(terms)
        self._order: list[np.ndarray] = []
        self._start: list[int] = []
        splats, albedo, face, owner, flat_blocks = [], [], [], [], []
        self.count = 0
        for number, (hand, model) in enumerate(hands):
            binding = hand.binding
            order = np.argsort(binding.triangle, kind="stable")
            self._order.append(order)
            self._start.append(self.count)
            if len(binding) == 0:
                continue
            turn = matrix_from_quat(binding.quat[order].astype(np.float64))
            local = (turn * binding.scale[order][:, None, :]).reshape(-1, 9)
            opacity = hand.opacity[order][:, None]
            fields = [local, binding.barycentric[order][:, 1:], binding.offset[order], opacity]
            flat = blocks(np.concatenate(fields, axis=1)).reshape(-1, SPLAT_FIELDS, 16)
            spare = padded(len(order)) - len(order)
            if spare:
                flat[-1, 14, 16 - spare :] = 0  # the repeated splats are invisible
            splats.append(flat)
            albedo.append(blocks(srgb_to_linear(hand.albedo[order])))
            triangle = binding.triangle[order].astype(np.int64) + first_face[number]
            face.append(np.pad(triangle, (0, spare), mode="edge"))
            owner.append(np.full(len(flat), number))
            lies = is_closed(hand, model.faces) & _lies_flat(local, binding.offset[order])
            flat_blocks.append(np.pad(lies, (0, spare), mode="edge").reshape(-1, 16).all(axis=1))
            self.count += 16 * len(flat)
        self.splats = aligned(splats)
        self.albedo = aligned(albedo)
        self.face = np.concatenate([*face, np.zeros(0)]).astype(np.int64)
        self.hand = np.concatenate([*owner, np.zeros(0)]).astype(np.int64)
        self.one_sided = np.concatenate([*flat_blocks, np.zeros(0, bool)])
        self.baked = aligned_zeros(0 if self.coefficients else 3 * self.count)
        self.sh = aligned_zeros(3 * self.coefficients * self.count)
        for number, (hand, _) in enumerate(hands):
            self.recolor(number, hand.color)

    def recolor(self, number: int, color: np.ndarray) -> None:
        """Take (N, 3) sRGB or (N, K, 3) SH as the colours of hand ``number`` without light."""
        order, start = self._order[number], self._start[number]
        if len(order) == 0:
            return
        color = as_sh(color[order], self.coefficients)
        if self.coefficients:
            rows = self.sh.reshape(self.count, self.coefficients, 3)
            rows[start : start + len(order)] = color
        else:
            self.baked[3 * start : 3 * (start + padded(len(order)))] = blocks(color)


def _lies_flat(local: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """(N,) whether splats of axes (N, 9) and offsets (N, 3) are thin skin on their triangle."""
    extent = np.linalg.norm(local.reshape(-1, 3, 3), axis=2)
    return (extent[:, 2] < FLAT * extent.max(axis=1)) & (np.linalg.norm(offset, axis=1) < LOOSE_M)


FLAT = 0.35
"""Largest extent of thin splats across the surface, over that along it."""


def aligned(parts: list[np.ndarray]) -> np.ndarray:
    """The parts end to end, float32 on a 64-byte boundary."""
    flat = aligned_zeros(sum(p.size for p in parts))
    if parts:
        np.concatenate([p.ravel() for p in parts], out=flat, casting="same_kind")
    return flat
