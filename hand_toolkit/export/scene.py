"""The scene that exporters write: hands in a bind pose, joints, weights, and poses over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..animate import Motion, with_forearms
from ..avatar import Avatar, display_theta, surface
from ..core.conventions import SIDES, UPRIGHT_WRISTS_M, side_index
from ..core.errors import InputError
from ..core.types import Splats
from ..geometry.surfaces import at_surface
from ..hand_model import rest_hand
from ..hand_model.arm import ARM_SUFFIX, skin_weights
from .axes import splats_y_up
from .bake import Textures, bake_textures
from .lod import simplified
from .scene_hand import Corrective, SceneHand

T_POSE = np.zeros((16, 3))
T_POSE[0, 0] = np.pi
"""θ of a T-pose's hand, either side: half a turn takes the model's axes to the y-down world's."""

MISSING_SCALE = 1e-4
"""Node scale of a hand in frames where the motion does not have it."""


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
        """(N, 16) skinning weights at the splats, (N, 19) with the forearm's bones."""
        avatar_hand = self.avatar.hand(side)
        model = surface(self.avatar.hand_model, side, self.avatar.level)
        binding = avatar_hand.binding
        weights = skin_weights(model)
        return at_surface(weights, model.faces, binding.triangle, binding.barycentric)

    def splat_correctives(self, side: str) -> tuple[Corrective, ...]:
        """The hand's pose correctives at the splats: those of the skin under each."""
        hand = self.hand(side)
        model = surface(self.avatar.hand_model, side, self.avatar.level)
        binding = self.avatar.hand(side).binding
        if model.pose_dirs is None:
            return ()
        found = []
        for shape in hand.correctives:
            back = shape.name.endswith("_back")
            direction = -model.pose_dirs[shape.number] if back else model.pose_dirs[shape.number]
            moved = at_surface(direction, model.faces, binding.triangle, binding.barycentric)
            rows = np.flatnonzero(np.abs(moved).max(1) > 1e-6)
            if not len(rows):
                rows = np.zeros(1, np.int64)
            offsets = moved[rows] @ hand.bind_rotation.T
            found.append(dataclasses.replace(shape, vertices=rows, offsets=offsets))
        return tuple(found)

    def hand(self, side: str) -> SceneHand:
        """The hand of that side.

        Raises:
            InputError: the scene does not have it.
        """
        for hand in self.hands:
            if hand.side == side:
                return hand
        raise InputError(f"the scene has no {side} hand; it has: {', '.join(self.sides)}")

    def textures(self, side: str, size: int, source: str) -> Textures:
        """Baked textures of one hand, kept; see :func:`hand_toolkit.export.bake.bake_textures`."""
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
    t_pose: bool = False,
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
        t_pose: bind the hands as in a T-pose, palms down, instead of upright.

    Raises:
        InputError: sides, pose or lod that are not accepted.
    """
    lod = 0 if lod is None else int(lod)
    if not 0 <= lod <= 4:
        raise InputError(f"lod is {lod}; accepted is 0 (full) to 4")
    if motion is not None and pose is not None:
        raise InputError("a motion and a pose were given; give one of the two")
    if motion is not None and avatar.hand_model.endswith(ARM_SUFFIX):
        motion = with_forearms(motion)
    wanted = _wanted_sides(avatar, motion, sides)
    if lod:
        avatar = simplified(avatar, lod)
    level = max(avatar.level - lod, 0)
    poses = _poses(avatar, pose, wanted)
    hands = tuple(
        _scene_hand(avatar, side, level, motion, poses.get(side), len(wanted) > 1, t_pose)
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


def _poses(avatar: Avatar, pose: Any, sides: Sequence[str]) -> dict[str, np.ndarray]:
    if pose is None:
        return {}
    if isinstance(pose, str):
        from ..animate import avatar_pose

        given: dict[str, Any] = {side: avatar_pose(avatar, side, pose) for side in sides}
    elif isinstance(pose, Mapping):
        given = dict(pose)
    else:
        given = dict.fromkeys(sides, pose)
    result = {}
    for side in sides:
        if side not in given:
            continue
        theta = np.asarray(given[side], dtype=np.float64)
        rows = 17 if avatar.hand_model.endswith(ARM_SUFFIX) and len(theta) == 17 else 16
        if theta.shape != (rows, 3) or not np.isfinite(theta).all():
            raise InputError(
                f"the pose of the {side} hand has shape {theta.shape}; accepted is (16, 3), "
                "axis-angle, finite"
            )
        if np.abs(theta[0]).max() <= 1e-9:
            theta = np.concatenate([display_theta(side, theta[:16]), theta[16:]])
        result[side] = theta
    return result


def _scene_hand(
    avatar: Avatar,
    side: str,
    level: int,
    motion: Motion | None,
    pose: np.ndarray | None,
    pair: bool,
    t_pose: bool,
) -> SceneHand:
    model = surface(avatar.hand_model, side, level)
    vertices, joints, keypoints = rest_hand(model, avatar.hand(side).shape)
    where = UPRIGHT_WRISTS_M[SIDES.index(side)] * [float(pair), 1.0, 1.0]
    bind = T_POSE if t_pose else display_theta(side)
    if motion is None:
        theta = (bind if pose is None else pose)[None]
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
        bind_theta=bind,
        bind_translation=where,
        theta=theta,
        translation=translation,
        present=present,
    )
