"""The scene that exporters write: hands in a bind pose, joints, weights, and poses over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..animate import Motion
from ..avatar import Avatar, display_theta, surface
from ..core.conventions import MANO_JOINTS, MANO_PARENTS, SIDES, side_index
from ..core.errors import InputError
from ..core.types import Splats
from ..geometry.rotations import continuous_quats, matrix_from_axis_angle, quat_from_matrix
from ..geometry.surfaces import at_surface, vertex_normals
from ..hand_model import HandModel, pose_hand_numpy, rest_hand
from .axes import TO_Y_UP, splats_y_up
from .lod import simplified

MISSING_SCALE = 1e-4
"""Node scale of a hand in frames where the motion does not have it."""


@dataclass(frozen=True)
class SceneHand:
    """One hand of the scene: rest shape, bind pose and poses over time.

    Attributes:
        side: "right" or "left".
        model: hand model at the mesh's level.
        vertices: (V, 3) rest shape, model axes, wrist at the origin, metres.
        joints: (16, 3) rest joints.
        keypoints: (21, 3) rest keypoints.
        bind_theta: (16, 3) the upright flat hand that mesh and splats are bound in.
        bind_translation: (3,) its wrist, toolkit world axes.
        theta: (T, 16, 3).
        translation: (T, 3).
        present: (T,) bool.
    """

    side: str
    model: HandModel
    vertices: np.ndarray
    joints: np.ndarray
    keypoints: np.ndarray
    bind_theta: np.ndarray
    bind_translation: np.ndarray
    theta: np.ndarray
    translation: np.ndarray
    present: np.ndarray

    @cached_property
    def bind_rotation(self) -> np.ndarray:
        """(3, 3) from model axes to y-up world axes in the bind pose."""
        return TO_Y_UP @ matrix_from_axis_angle(self.bind_theta[0])

    def to_bind(self, points: np.ndarray) -> np.ndarray:
        """Model-space points (..., 3) in the bind pose, y-up world, metres."""
        return points @ self.bind_rotation.T + TO_Y_UP @ self.bind_translation

    @cached_property
    def bind_vertices(self) -> np.ndarray:
        """(V, 3) y-up world."""
        return self.to_bind(self.vertices)

    @cached_property
    def bind_normals(self) -> np.ndarray:
        """(V, 3) unit, y-up world."""
        return vertex_normals(self.bind_vertices, self.model.faces)

    @cached_property
    def bind_joints(self) -> np.ndarray:
        """(16, 4, 4) joint-to-world matrices of the bind pose, y-up world."""
        matrices = np.tile(np.eye(4), (16, 1, 1))
        matrices[:, :3, :3] = self.bind_rotation
        matrices[:, :3, 3] = self.to_bind(self.joints)
        return matrices

    @cached_property
    def local_offsets(self) -> np.ndarray:
        """(16, 3) place of each joint in its parent; the wrist's in the y-up world."""
        offsets = self.joints - self.joints[np.maximum(MANO_PARENTS, 0)]
        offsets[0] = TO_Y_UP @ self.bind_translation
        return offsets

    @cached_property
    def local_bind_quats(self) -> np.ndarray:
        """(16, 4) wxyz local rotations of the bind pose: the wrist's, then identities."""
        quats = np.tile([1.0, 0, 0, 0], (16, 1))
        quats[0] = quat_from_matrix(self.bind_rotation)
        return quats

    @cached_property
    def local_quats(self) -> np.ndarray:
        """(T, 16, 4) wxyz local rotations over time, without sign jumps."""
        rotation = matrix_from_axis_angle(self.theta)
        rotation[:, 0] = TO_Y_UP @ rotation[:, 0]
        quats = quat_from_matrix(rotation)
        quats[0] *= np.where((quats[0] * self.local_bind_quats).sum(-1, keepdims=True) < 0, -1, 1)
        return continuous_quats(quats)

    @cached_property
    def wrist_positions(self) -> np.ndarray:
        """(T, 3) y-up world, metres."""
        return self.translation @ TO_Y_UP

    def posed_vertices(self, frame: int) -> np.ndarray:
        """(V, 3) y-up world, by the toolkit's own skinning."""
        shape_free = _with_shape(self.model, self.vertices, self.keypoints)
        posed = pose_hand_numpy(
            shape_free, self.theta[frame], np.zeros(0), self.translation[frame]
        )[0]
        return posed @ TO_Y_UP

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the 16 joints, e.g. ``right_index1``."""
        return tuple(f"{self.side}_{name}" for name in MANO_JOINTS)


@dataclass(frozen=True)
class ExportScene:
    """The avatar as exporters see it.

    Attributes:
        avatar: the avatar after level-of-detail simplification.
        hands: the hands to write, right first.
        fps: frames a second.
        frames: T, 1 without a motion.
        animated: whether a motion was given.
        posed: whether a pose was given.
        lod: level of detail, 0 is full.
        name: the motion's or pose's name.
    """

    avatar: Avatar
    hands: tuple[SceneHand, ...]
    fps: float
    frames: int
    animated: bool
    posed: bool
    lod: int
    name: str
    _cache: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def sides(self) -> tuple[str, ...]:
        """Sides to write, right first."""
        return tuple(hand.side for hand in self.hands)

    @property
    def times(self) -> np.ndarray:
        """(T,) seconds."""
        return np.arange(self.frames) / self.fps

    def splats(self, frame: int, sides: Sequence[str] | None = None) -> Splats:
        """Splats of one frame in the toolkit's world axes; hands that are absent are left out.

        Raises:
            InputError: no hand is there in that frame.
        """
        chosen = [h for h in self.hands if sides is None or h.side in sides]
        there = [h for h in chosen if h.present[frame]]
        if not there:
            raise InputError(f"no hand is present in frame {frame}; choose other frames")
        return self.avatar.splats(
            {h.side: h.theta[frame] for h in there},
            {h.side: h.translation[frame] for h in there},
        )

    def splats_y_up(self, frame: int, side: str | None = None) -> Splats:
        """As :meth:`splats`, of all hands or one, in y-up axes."""
        return splats_y_up(self.splats(frame, None if side is None else (side,)))

    def bind_splats(self, side: str) -> Splats:
        """Splats of one hand in its bind pose, y-up axes."""
        hand = self.hand(side)
        splats = self.avatar.splats({side: hand.bind_theta}, {side: hand.bind_translation})
        return splats_y_up(splats)

    def splat_weights(self, side: str) -> np.ndarray:
        """(N, 16) skinning weights at the splats."""
        avatar_hand = self.avatar.hand(side)
        model = surface(self.avatar.hand_model, side, self.avatar.level)
        binding = avatar_hand.binding
        return at_surface(model.weights, model.faces, binding.triangle, binding.barycentric)

    def hand(self, side: str) -> SceneHand:
        """The hand of that side.

        Raises:
            InputError: the scene does not have it.
        """
        for hand in self.hands:
            if hand.side == side:
                return hand
        raise InputError(f"the scene has no {side} hand; it has: {', '.join(self.sides)}")

    def textures(self, side: str, size: int, source: str) -> Any:
        """Baked textures of one hand, kept; see :func:`hand_toolkit.export.bake.bake_textures`."""
        from .bake import bake_textures

        key = (side, size, source)
        if key not in self._cache:
            self._cache[key] = bake_textures(self.avatar, self.hand(side), size, source)
        return self._cache[key]

    def licence(self) -> str:
        """One line on whose data the file holds."""
        model = self.hands[0].model
        own = self.avatar.provenance.get("licence", "")
        return "; ".join(part for part in (own, f"hand model: {model.licence}") if part)


def build_scene(
    avatar: Avatar,
    *,
    motion: Motion | None = None,
    pose: Any = None,
    lod: int | None = None,
    sides: Sequence[str] | None = None,
) -> ExportScene:
    """Collect what exporters need.

    Args:
        avatar: the avatar.
        motion: θ over time; None for one pose.
        pose: None (flat, upright), a built-in pose's name, θ (16, 3) for every hand, or a
            mapping side -> θ (16, 3); only without a motion. A zero wrist is shown upright.
        lod: 0 full detail; each further level keeps a quarter of the splats, takes the mesh one
            subdivision down and halves the textures.
        sides: hands to write; None is every hand that the avatar (and the motion) has.

    Raises:
        InputError: sides, pose or lod that are not accepted.
    """
    lod = 0 if lod is None else int(lod)
    if not 0 <= lod <= 4:
        raise InputError(f"lod is {lod}; accepted is 0 (full) to 4")
    if motion is not None and pose is not None:
        raise InputError("a motion and a pose were given; give one of the two")
    wanted = _wanted_sides(avatar, motion, sides)
    if lod:
        avatar = simplified(avatar, lod)
    level = max(avatar.level - lod, 0)
    poses = _poses(pose, wanted)
    hands = tuple(
        _scene_hand(avatar, side, level, motion, poses.get(side), len(wanted) > 1)
        for side in wanted
    )
    return ExportScene(
        avatar=avatar,
        hands=hands,
        fps=motion.fps if motion is not None else 30.0,
        frames=len(motion) if motion is not None else 1,
        animated=motion is not None,
        posed=pose is not None,
        lod=lod,
        name=motion.name if motion is not None else (pose if isinstance(pose, str) else "pose"),
    )


def _wanted_sides(
    avatar: Avatar, motion: Motion | None, sides: Sequence[str] | None
) -> tuple[str, ...]:
    wanted = avatar.sides if sides is None else tuple(sides)
    for side in wanted:
        side_index(side)
        avatar.hand(side)
    if not wanted:
        raise InputError("no side was chosen; give right, left or both")
    if motion is not None:
        wanted = tuple(s for s in wanted if motion.present[:, SIDES.index(s)].any())
        if not wanted:
            raise InputError(
                f"the motion '{motion.name}' moves no hand that is exported; "
                f"the avatar has: {', '.join(avatar.sides)}"
            )
    return tuple(sorted(set(wanted), key=SIDES.index))


def _poses(pose: Any, sides: Sequence[str]) -> dict[str, np.ndarray]:
    if pose is None:
        return {}
    if isinstance(pose, str):
        from ..animate import finger_pose
        from ..core.conventions import mirror_theta

        right = finger_pose(pose)
        given: dict[str, Any] = {"right": right, "left": mirror_theta(right)}
    elif isinstance(pose, Mapping):
        given = dict(pose)
    else:
        given = dict.fromkeys(sides, pose)
    result = {}
    for side in sides:
        if side not in given:
            continue
        theta = np.asarray(given[side], dtype=np.float64)
        if theta.shape != (16, 3) or not np.isfinite(theta).all():
            raise InputError(
                f"the pose of the {side} hand has shape {theta.shape}; accepted is (16, 3), "
                "axis-angle, finite"
            )
        result[side] = theta if np.abs(theta[0]).max() > 1e-9 else display_theta(side, theta)
    return result


def _scene_hand(
    avatar: Avatar,
    side: str,
    level: int,
    motion: Motion | None,
    pose: np.ndarray | None,
    pair: bool,
) -> SceneHand:
    model = surface(avatar.hand_model, side, level)
    vertices, joints, keypoints = rest_hand(model, avatar.hand(side).shape)
    where = np.array([(-0.09 if side == "right" else 0.09) if pair else 0.0, 0.09, 0.0])
    if motion is None:
        theta = (display_theta(side) if pose is None else pose)[None]
        translation, present = where[None], np.ones(1, bool)
    else:
        k = SIDES.index(side)
        present = motion.present[:, k]
        # frames without the hand hold the nearest frame that has it
        have = np.flatnonzero(present)
        nearest = have[np.abs(np.arange(len(motion))[:, None] - have).argmin(1)]
        theta, translation = motion.theta[nearest, k], motion.translation[nearest, k]
    return SceneHand(
        side=side,
        model=model,
        vertices=vertices,
        joints=joints,
        keypoints=keypoints,
        bind_theta=display_theta(side),
        bind_translation=where,
        theta=theta,
        translation=translation,
        present=present,
    )


def _with_shape(model: HandModel, vertices: np.ndarray, keypoints: np.ndarray) -> HandModel:
    """The model with this rest shape as its template and no shape parameters."""
    import dataclasses

    return dataclasses.replace(
        model,
        template=vertices,
        keypoint_template=keypoints,
        shape_names=(),
        shape_dirs=np.zeros((0, len(vertices), 3)),
        shape_sigmas=np.zeros(0),
        keypoint_dirs=np.zeros((0, 21, 3)),
    )
