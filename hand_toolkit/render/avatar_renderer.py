"""Hand pose to pixels in one call, without allocating once it runs.

A frame passes three kernels: ``skin_frame`` (joints, vertices, triangle frames),
``place_frame`` (splats onto triangles and into the picture plane) and ``draw_frame``. In
``stream`` the last one, when a thread finds no tile left to blend, already skins the next
frame's mesh into the other of two triangle buffers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.conventions import MANO_PARENTS
from ..core.errors import InputError
from ..core.types import Camera, Rendering
from .api import RenderOptions
from .cpu import NO_SPLATS, CpuRasterizer
from .cpu_kernels import place_frame, skin_frame
from .frame import Inputs, Window, aligned_zeros
from .project import RECORD, camera_array
from .skinning import JOINTS, POSE_FEATURES, SPLAT_FIELDS
from .vector import VECTOR

if TYPE_CHECKING:
    from ..avatar import Avatar

Pose = Mapping[str, Any]
"""Side to theta (16, 3) or to translation (3,)."""


def _padded(count: int) -> int:
    return -(-count // 16) * 16


def _blocks(array: np.ndarray) -> np.ndarray:
    """(N, K) values as a flat array of K vectors per sixteen rows; the last row is repeated."""
    count, width = array.shape
    rows = np.concatenate([array, np.repeat(array[-1:], _padded(count) - count, 0)])
    flat = aligned_zeros(rows.size)
    flat[:] = rows.reshape(-1, 16, width).transpose(0, 2, 1).ravel()
    return flat


@dataclass
class _Slot:
    """One of the two frames in flight: its pose, its camera and its triangles."""

    theta: np.ndarray
    translation: np.ndarray
    shown: np.ndarray
    camera_pose: np.ndarray
    face_records: np.ndarray
    camera: Camera
    view: np.ndarray
    picture: np.ndarray
    clean: np.ndarray


class AvatarRenderer:
    """Draws posed avatars into 8-bit pictures as fast as the CPU allows.

    The pictures are views of two buffers used in turn: each stays valid until the second
    call after it. One instance serves one thread at a time.
    """

    def __init__(
        self,
        avatar: Avatar,
        camera: Camera,
        background: Any = (0.0, 0.0, 0.0),
        *,
        antialiased: bool = False,
        threads: int | None = None,
    ) -> None:
        """Prepare an avatar.

        Args:
            avatar: one hand or two; colours are those of ``Avatar.splats`` with baked light.
            camera: the view, unless a call gives another.
            background: (3,) sRGB in [0, 1].
            antialiased: as in ``render``.
            threads: how many to use; None follows ``set_threads``.
        """
        background = np.ascontiguousarray(background, np.float32)
        if background.shape != (3,):
            raise InputError(f"background has shape {background.shape}; accepted is (3,)")
        self._avatar = avatar
        self._camera = camera
        self._background = background
        self._options = RenderOptions(antialiased=antialiased)
        self._rasterizer = CpuRasterizer(threads)
        self._sides = avatar.sides
        self._next = 0
        if VECTOR:
            self._prepare_mesh()
            self._prepare_splats()
            self._slots = [self._make_slot(), self._make_slot()]

    def render(
        self, theta: Pose, translation: Pose | None = None, camera: Camera | None = None
    ) -> np.ndarray:
        """Draw one pose.

        Args:
            theta: side to (16, 3) axis-angle, radians, MANO order; only these hands appear.
            translation: side to (3,) wrist position in the world, metres; default the origin.
            camera: a view for this frame; the size may change.

        Returns:
            (H, W, 3) uint8 sRGB, valid until the second call after this one.

        Raises:
            InputError: an unknown side, or a pose of a wrong shape or not finite.
        """
        if not VECTOR:
            return self._render_plainly(theta, translation, camera)
        slot = self._pose(theta, translation, camera)
        self._skin(slot)
        return self._draw(slot, None)

    def stream(
        self, frames: Iterable[tuple[Pose, Pose | None]], camera: Camera | None = None
    ) -> Iterator[np.ndarray]:
        """Draw a sequence of (theta, translation); skins the next frame while it draws one.

        Args:
            frames: poses, read one ahead of what is drawn.
            camera: the view of all frames; default the renderer's.

        Yields:
            Pictures as ``render`` returns them.
        """
        iterator = iter(frames)
        first = next(iterator, None)
        if first is None:
            return
        if not VECTOR:
            for frame in (first, *iterator):
                yield self._render_plainly(*frame, camera)
            return
        slot = self._pose(*first, camera)
        self._skin(slot)
        while True:
            following = next(iterator, None)
            ahead = None if following is None else self._pose(*following, camera)
            yield self._draw(slot, ahead)
            if ahead is None:
                return
            slot = ahead

    def render_planes(
        self, theta: Pose, translation: Pose | None = None, camera: Camera | None = None
    ) -> Rendering:
        """As ``render``, with float colour, alpha and depth; read-only views of one buffer."""
        camera = camera or self._camera
        if not VECTOR:
            splats = self._avatar.splats(theta, translation)
            return self._rasterizer.forward(
                splats, camera, None, self._background, self._options, gradients=False
            )
        slot = self._pose(theta, translation, camera)
        self._skin(slot)
        self._place(slot)
        return self._rasterizer.blend_planes()

    # -------------------------------------------------------------- once

    def _prepare_mesh(self) -> None:
        """Lay out the rest mesh of all hands in blocks of sixteen vertices and faces."""
        from ..avatar import surface, triangle_frames
        from ..hand_model import rest_hand

        avatar = self._avatar
        rest, weights, hand_of_block, dirs, faces, inverse, joints = [], [], [], [], [], [], []
        self._first_face = []
        vertex_count = face_count = 0
        for number, hand in enumerate(avatar.hands):
            model = surface(avatar.hand_model, hand.side, avatar.level)
            vertices, rest_joints, _ = rest_hand(model, hand.shape)
            _, area = triangle_frames(vertices, model.faces)
            blocks = _padded(len(vertices)) // 16
            rest.append(_blocks(vertices))
            weights.append(_blocks(model.weights))
            hand_of_block.append(np.full(blocks, number))
            if model.pose_dirs is not None:
                by_vertex = model.pose_dirs.transpose(1, 0, 2).reshape(len(vertices), -1)
                dirs.append(_blocks(by_vertex))
            padding = _padded(len(model.faces)) - len(model.faces)
            faces.append(np.pad(model.faces, ((0, padding), (0, 0)), mode="edge") + vertex_count)
            inverse.append(np.pad(1 / np.maximum(area, 1e-14), (0, padding)))
            joints.append(rest_joints)
            self._first_face.append(face_count)
            vertex_count += 16 * blocks
            face_count += len(faces[-1])
        self._rest = _aligned(rest)
        self._weights = _aligned(weights)
        self._hand_of_block = np.concatenate(hand_of_block).astype(np.int64)
        self._pose_dirs = _aligned(dirs) if dirs else aligned_zeros(0)
        self._vertices = aligned_zeros(4 * vertex_count)
        self._faces = np.ascontiguousarray(np.concatenate(faces).T, np.int32)
        self._inverse_rest = _aligned(inverse)
        self._rest_joints = np.ascontiguousarray(np.stack(joints), np.float64)
        self._transforms = np.zeros((len(joints) * JOINTS, 12), np.float32)
        self._features = np.zeros((len(joints), POSE_FEATURES), np.float32)
        self._parents = np.asarray(MANO_PARENTS, np.int64)

    def _prepare_splats(self) -> None:
        """Sort the splats by triangle and lay them out in blocks of sixteen."""
        from scipy.spatial.transform import Rotation

        blocks, splat_face, hand_of_block, coefficients = [], [], [], []
        kinds = {np.shape(h.color)[1:] for h in self._avatar.hands}
        if len(kinds) > 1:
            raise InputError(
                "the two hands have colours of different kinds "
                f"({' and '.join(str(k) for k in sorted(kinds))} per splat); "
                "give both as colours, or both as SH of one degree"
            )
        for number, hand in enumerate(self._avatar.hands):
            binding = hand.binding
            if len(binding) == 0:
                continue
            order = np.argsort(binding.triangle, kind="stable")
            turn = Rotation.from_quat(binding.quat[order][:, [1, 2, 3, 0]]).as_matrix()
            local = turn * binding.scale[order][:, None, :]
            color = hand.color[order]
            shown = color if color.ndim == 2 else np.zeros((len(order), 3))
            fields = np.concatenate(
                [
                    local.reshape(-1, 9),
                    binding.barycentric[order][:, 1:],
                    binding.offset[order],
                    hand.opacity[order][:, None],
                    shown,
                ],
                axis=1,
            )
            flat = _blocks(fields).reshape(-1, SPLAT_FIELDS, 16)
            spare = _padded(len(order)) - len(order)
            if spare:
                flat[-1, 14, 16 - spare :] = 0
            blocks.append(flat.ravel())
            face = binding.triangle[order].astype(np.int64) + self._first_face[number]
            splat_face.append(np.pad(face, (0, spare), mode="edge"))
            hand_of_block.append(np.full(len(flat), number))
            if color.ndim == 3:
                coefficients.append(np.pad(color, ((0, spare), (0, 0), (0, 0))).ravel())
        self._splats = _aligned(blocks)
        self._splat_face = np.concatenate([*splat_face, np.zeros(0)]).astype(np.int64)
        self._splat_hand = np.concatenate([*hand_of_block, np.zeros(0)]).astype(np.int64)
        self._sh = _aligned(coefficients)
        self._coefficients = int(next(iter(kinds))[0]) if coefficients else 0
        self._count = len(self._splat_face)

    def _make_slot(self) -> _Slot:
        hands = len(self._sides)
        slot = _Slot(
            theta=np.zeros((hands, 16, 3)),
            translation=np.zeros((hands, 3)),
            shown=np.zeros(hands, np.bool_),
            camera_pose=np.eye(4),
            face_records=aligned_zeros(len(self._inverse_rest) * RECORD),
            camera=self._camera,
            view=camera_array(self._camera, self._camera.world_to_camera, False),
            picture=np.zeros(0, np.uint8),
            clean=np.zeros(0, np.uint8),
        )
        self._aim(slot, self._camera)
        return slot

    # -------------------------------------------------------------- per frame

    def _aim(self, slot: _Slot, camera: Camera) -> None:
        """Point a slot's camera; allocates only when the picture's size changes."""
        window = Window(0, 0, camera.width, camera.height)
        size = 3 * window.stride * camera.height
        if len(slot.picture) != size or (slot.camera.width, slot.camera.height) != (
            camera.width,
            camera.height,
        ):
            slot.picture = np.zeros(size, np.uint8)
            slot.clean = np.zeros(window.tiles, np.uint8)
        slot.camera = camera
        slot.camera_pose[:] = camera.world_to_camera
        slot.view = camera_array(camera, camera.world_to_camera, self._options.antialiased)

    def _pose(self, theta: Pose, translation: Pose | None, camera: Camera | None) -> _Slot:
        """Check a pose and put it into the slot whose turn it is."""
        if not theta:
            raise InputError("no hand was posed; give θ for at least one side")
        slot = self._slots[self._next]
        self._next = 1 - self._next
        camera = camera or self._camera
        if camera is not slot.camera:
            self._aim(slot, camera)
        slot.shown[:] = False
        for side, value in theta.items():
            if side not in self._sides:
                raise InputError(f"the avatar has no {side} hand; it has: {', '.join(self._sides)}")
            number = self._sides.index(side)
            _put(slot.theta[number], value, f"theta of the {side} hand")
            where = None if translation is None else translation.get(side)
            if where is None:
                slot.translation[number] = 0
            else:
                _put(slot.translation[number], where, f"translation of the {side} hand")
            slot.shown[number] = True
        return slot

    def _skin_work(self, slot: _Slot) -> tuple[Any, ...]:
        return (
            *(1, slot.theta, slot.translation, self._rest_joints, self._parents),
            *(slot.camera_pose, self._transforms, self._features, self._rest, self._weights),
            *(self._hand_of_block, self._pose_dirs, self._vertices, self._faces),
            *(self._inverse_rest, slot.face_records),
        )

    def _skin(self, slot: _Slot) -> None:
        self._rasterizer.run(skin_frame, (self._skin_work(slot),))

    def _place(self, slot: _Slot) -> None:
        rasterizer, camera = self._rasterizer, slot.camera
        rasterizer.begin(
            Inputs(
                count=self._count,
                flat=NO_SPLATS,
                coefficients=0,
                camera=camera,
                pose=slot.camera_pose,
                background=self._background,
                options=self._options,
                keep=False,
            )
        )
        rasterizer.run(
            place_frame,
            (
                *(self._count, self._splats, self._splat_face, slot.shown, self._splat_hand),
                *(self._coefficients, self._sh, slot.view, camera.width, camera.height),
                *(slot.face_records, *rasterizer.projection_rooms(self._count)),
            ),
        )

    def _draw(self, slot: _Slot, ahead: _Slot | None) -> np.ndarray:
        self._place(slot)
        skin = None if ahead is None else self._skin_work(ahead)
        self._rasterizer.blend_picture(slot.picture, slot.clean, skin)
        camera = slot.camera
        stride = Window(0, 0, camera.width, camera.height).stride
        return slot.picture.reshape(camera.height, stride, 3)[:, : camera.width]

    def _render_plainly(
        self, theta: Pose, translation: Pose | None, camera: Camera | None
    ) -> np.ndarray:
        """Without the vector type: the avatar's own splats, rendered and rounded."""
        splats = self._avatar.splats(theta, translation)
        rendering = self._rasterizer.forward(
            splats, camera or self._camera, None, self._background, self._options, gradients=False
        )
        return np.clip(rendering.color * 255 + 0.5, 0, 255).astype(np.uint8)


def _aligned(parts: list[np.ndarray]) -> np.ndarray:
    """The parts end to end, float32 on a 64-byte boundary."""
    flat = aligned_zeros(sum(p.size for p in parts))
    if parts:
        np.concatenate([p.ravel() for p in parts], out=flat, casting="same_kind")
    return flat


def _put(target: np.ndarray, value: Any, name: str) -> None:
    """Copy a pose into its buffer.

    Raises:
        InputError: for a wrong shape or numbers that are not finite.
    """
    if np.shape(value) != target.shape:
        raise InputError(f"{name} has shape {np.shape(value)}; accepted is {target.shape}")
    target[...] = value
    if not np.isfinite(target).all():
        raise InputError(f"{name} has numbers that are NaN or infinite; give finite numbers")
