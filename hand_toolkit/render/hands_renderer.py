"""Frames of bound hands: a pose or posed meshes in, a picture out, nothing allocated between."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..avatar import splats_on_surface
from ..avatar.avatar import join_splats
from ..avatar.lighting import rotate
from ..core.errors import InputError
from ..core.types import Camera, Rendering
from ..hand_model.arm import split_pose
from .cpu import NO_SPLATS, CpuRasterizer
from .cpu_kernels import place_frame, skin_frame
from .frame import Inputs, Window, aligned_zeros
from .hand_layout import BoundHand, MeshLayout, SplatLayout
from .levels import LevelsOfDetail
from .options import RenderOptions
from .project import RECORD, camera_array
from .shading import LIGHT_TERMS
from .skinning import POSE, SURFACE
from .vector import VECTOR

Light = np.ndarray | None
"""(K, 3) shading SH in the camera's axes, or None for the colours as they are."""


@dataclass
class Slot:
    """One of the two frames in flight: its poses, camera, light and triangles.

    Attributes:
        theta, translation: (H, 16, 3) and (H, 3), where the hands are posed here.
        shown: (H,) which hands there are.
        work: ``POSE``, or ``SURFACE`` when the vertices are written already.
    """

    theta: np.ndarray
    translation: np.ndarray
    shown: np.ndarray
    camera_pose: np.ndarray
    face_records: np.ndarray
    corner_normals: np.ndarray
    terms: np.ndarray
    lights: np.ndarray
    camera: Camera
    view: np.ndarray
    picture: np.ndarray
    clean: np.ndarray
    work: int = POSE


class HandsRenderer:
    """Draws hands by their number, in light that has been turned to the camera's axes.

    ``AvatarRenderer`` is the public form for avatars; hosts that pose meshes themselves use this
    one. Pictures are views of two buffers used in turn, each valid until the second frame after.
    """

    def __init__(
        self,
        hands: Sequence[BoundHand],
        camera: Camera,
        background: Any = (0.0, 0.0, 0.0),
        options: RenderOptions | None = None,
        threads: int | None = None,
    ) -> None:
        self.hands = tuple(hands)
        self._background = np.ascontiguousarray(background, np.float32)
        self._options = options or RenderOptions()
        self._rasterizer = CpuRasterizer(threads)
        self._colors = [hand.color for hand, _ in self.hands]
        self._mesh = mesh = MeshLayout(self.hands)
        self._levels = LevelsOfDetail(self.hands, mesh.first_face)
        self._vertices = aligned_zeros(4 * mesh.vertex_count)
        self._normals = aligned_zeros(4 * mesh.vertex_count)
        self._transforms = np.zeros((mesh.joint_count, 12), np.float32)
        self._features = np.zeros(mesh.correctives[0].shape, np.float32)
        self._slots = [self._make_slot(camera), self._make_slot(camera)]
        self._next = 0

    def recolor(self, number: int, color: np.ndarray) -> None:
        """Give a hand other colours, as those of ``AvatarHand``; they show without a light."""
        self._colors[number] = color
        self._levels.recolor(number, color)

    def begin(self, camera: Camera, lights: Sequence[Light], background: Any = None) -> Slot:
        """The slot whose turn it is, aimed and lit, with no hand shown yet.

        Args:
            camera: the view.
            lights: of each hand.
            background: (3,) sRGB; None is that of the last frame.
        """
        slot = self._slots[self._next]
        self._next = 1 - self._next
        if background is not None and (self._background != background).any():
            self._background = np.ascontiguousarray(background, np.float32)
            for each in self._slots:
                each.clean[:] = 0
        if camera is not slot.camera:
            self._aim(slot, camera)
        slot.shown[:] = False
        slot.work = POSE
        for number, light in enumerate(lights):
            slot.terms[number] = 0 if light is None else len(light)
            if light is not None:
                slot.lights[number, : len(light)] = light
        return slot

    def pose(self, slot: Slot, number: int, theta: np.ndarray, translation: Any) -> None:
        """Put a pose of a hand into a slot and show it.

        Args:
            slot: of :meth:`begin`.
            number: the hand's.
            theta: (16, 3), or (17, 3) for a hand with a forearm.
            translation: (3,) metres, or None for the origin.

        Raises:
            InputError: a wrong shape, or numbers that are not finite.
        """
        hand, model = self.hands[number]
        joints, forearm = split_pose(model, theta) if len(theta) == 17 else (theta, None)
        _put(slot.theta[number], joints, f"theta of the {hand.side} hand")
        if forearm is not None and not np.isfinite(forearm).all():
            raise InputError(f"the {hand.side} forearm's rotation is not finite: {forearm}")
        self._mesh.bend(number, forearm)
        if translation is None:
            slot.translation[number] = 0
        else:
            _put(slot.translation[number], translation, f"translation of the {hand.side} hand")
        slot.shown[number] = True

    def on_surfaces(
        self,
        surfaces: Sequence[np.ndarray],
        camera: Camera,
        lights: Sequence[Light],
        background: Any = None,
    ) -> Rendering:
        """``planes`` of all hands on meshes that were posed elsewhere.

        Args:
            surfaces: (V, 3) vertices of each hand, world metres.
            camera, lights, background: as in ``begin``.

        Raises:
            InputError: vertices of another mesh.
        """
        for number, (_, vertices) in enumerate(zip(self.hands, surfaces, strict=True)):
            self.check(number, vertices)
        slot = self.begin(camera, lights, background)
        if not VECTOR:
            return self._planes_plainly(slot, surfaces, lights)
        pose = slot.camera_pose
        for number, vertices in enumerate(surfaces):
            start = self._mesh.first_vertex[number]
            rows = self._vertices.reshape(-1, 4)[start : start + len(vertices), :3]
            np.add(vertices @ pose[:3, :3].T, pose[:3, 3], out=rows, casting="same_kind")
        slot.shown[:] = True
        slot.work = SURFACE
        self.skin(slot)
        return self.planes(slot)

    def check(self, number: int, vertices: np.ndarray) -> None:
        """Whether ``vertices`` (V, 3) are of the mesh of hand ``number``.

        Raises:
            InputError: they are of another.
        """
        hand, model = self.hands[number]
        if vertices.shape != model.template.shape:
            raise InputError(
                f"the {hand.side} hand's mesh has {vertices.shape[0]} vertices and the "
                f"avatar's surface {model.template.shape[0]}; undo edits that change the "
                "number of vertices, or apply them after the hand's modifiers"
            )

    def _planes_plainly(
        self, slot: Slot, surfaces: Sequence[np.ndarray], lights: Sequence[Light]
    ) -> Rendering:
        """Without the vector type: splats placed by numpy, in colours as ``recolor`` left them."""
        turn = slot.camera_pose[:3, :3].T
        parts = []
        for number, ((hand, model), vertices) in enumerate(zip(self.hands, surfaces)):
            light = lights[number]
            shown = dataclasses.replace(hand, color=self._colors[number])
            world = None if light is None else rotate(light, turn)
            parts.append(splats_on_surface(shown, model, vertices, world))
        return self._rasterizer.forward(
            join_splats(parts), slot.camera, None, self._background, self._options, gradients=False
        )

    def skin(self, slot: Slot) -> None:
        """Pose the meshes and frame their triangles."""
        self._rasterizer.run(skin_frame, (self._skin_work(slot),))

    def picture(self, slot: Slot, ahead: Slot | None = None) -> np.ndarray:
        """(H, W, 3) uint8 sRGB of a skinned frame; meanwhile ``ahead`` is skinned."""
        self._place(slot)
        skin = None if ahead is None else self._skin_work(ahead)
        self._rasterizer.blend_picture(slot.picture, slot.clean, skin)
        camera = slot.camera
        stride = Window(0, 0, camera.width, camera.height).stride
        return slot.picture.reshape(camera.height, stride, 3)[:, : camera.width]

    def planes(self, slot: Slot) -> Rendering:
        """Float colour, alpha and depth of a skinned frame; read-only views of one buffer."""
        self._place(slot)
        return self._rasterizer.blend_planes()

    def _make_slot(self, camera: Camera) -> Slot:
        hands, faces = len(self.hands), len(self._mesh.inverse_rest)
        slot = Slot(
            theta=np.zeros((hands, 16, 3)),
            translation=np.zeros((hands, 3)),
            shown=np.zeros(hands, np.bool_),
            camera_pose=np.eye(4),
            face_records=aligned_zeros(faces * RECORD),
            corner_normals=aligned_zeros(faces * RECORD),
            terms=np.zeros(hands, np.int64),
            lights=np.zeros((hands, LIGHT_TERMS, 3), np.float32),
            camera=camera,
            view=np.zeros(0, np.float32),
            picture=np.zeros(0, np.uint8),
            clean=np.zeros(0, np.uint8),
        )
        self._aim(slot, camera)
        return slot

    def _aim(self, slot: Slot, camera: Camera) -> None:
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

    def _skin_work(self, slot: Slot) -> tuple[Any, ...]:
        mesh = self._mesh
        return (
            *(slot.work, slot.theta, slot.translation, mesh.rest_joints, mesh.parents),
            *(slot.camera_pose, self._transforms, self._features, mesh.rest, mesh.weights),
            *(mesh.hand_of_block, mesh.correctives, self._vertices, mesh.faces),
            *(mesh.inverse_rest, slot.face_records, mesh.fan_start, mesh.fan_faces),
            *(self._normals, slot.corner_normals, bool(slot.terms.any())),
        )

    def _layout_for(self, slot: Slot) -> SplatLayout:
        """The fewest splats that this view does not tell from all of them."""
        depths = self._vertices.reshape(-1, 4)[:, 2]
        starts = self._mesh.first_vertex
        nearest = slot.camera.far
        for (_, model), start, shown in zip(self.hands, starts, slot.shown):
            if shown:
                nearest = min(nearest, float(depths[start : start + len(model.template)].min()))
        nearest = max(nearest, slot.camera.near, 1e-3)
        return self._levels.at(max(slot.camera.fx, slot.camera.fy) / nearest)

    def _place(self, slot: Slot) -> None:
        rasterizer, camera, splats = self._rasterizer, slot.camera, self._layout_for(slot)
        rasterizer.begin(
            Inputs(
                count=splats.count,
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
                *(splats.count, splats.splats, splats.face, slot.shown, splats.hand),
                splats.one_sided,
                *(splats.coefficients, splats.sh, (splats.baked, splats.albedo)),
                (slot.terms, slot.lights.reshape(-1), slot.corner_normals),
                *(slot.view, camera.width, camera.height),
                *(slot.face_records, *rasterizer.projection_rooms(splats.count)),
            ),
        )


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
