"""Hand pose to pixels in one call: the way of every client that draws an avatar.

Fixed splats pass three kernels a frame: ``skin_frame`` (joints, vertices, triangle frames,
normals), ``place_frame`` (splats onto triangles, lit, and into the picture plane) and
``draw_frame``. In ``stream`` the last one, when a thread finds no tile left to blend, already
skins the next frame's mesh into the other of two triangle buffers. What makes its splats anew for
each pose, a network, is asked for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import InputError
from ..core.types import Camera, Rendering
from .cpu import CpuRasterizer
from .options import RenderOptions
from .vector import VECTOR

if TYPE_CHECKING:
    from ..avatar import Drawable
    from ..avatar.lighting import Light
    from .hands_renderer import HandsRenderer, Slot

Pose = Mapping[str, Any]
"""Side to theta (16, 3) or to translation (3,)."""

Frame = tuple[Pose, Pose | None] | tuple[Pose, Pose | None, Camera]
"""Theta, translation and, where it moves, the camera."""


class AvatarRenderer:
    """Draws an avatar, or whatever else can be posed, into 8-bit pictures.

    The pictures of fixed splats are views of two buffers used in turn: each stays valid until the
    second call after it. One instance serves one thread at a time.
    """

    def __init__(
        self,
        drawable: Drawable,
        camera: Camera,
        background: Any = (0.0, 0.0, 0.0),
        *,
        light: Light = "baked",
        antialiased: bool | None = None,
        threads: int | None = None,
    ) -> None:
        """Prepare what is drawn.

        Args:
            drawable: an avatar of one hand or two, or its neural form.
            camera: the view, unless a call gives another.
            background: (3,) sRGB in [0, 1]; None for transparent pictures.
            light: see :func:`hand_toolkit.avatar.lighting.shading_of`. "photo" goes with the
                camera, so that a view from behind is lit as the photo was.
            antialiased: as in ``render``; None: so for an avatar, whose outline then is its mesh's
                at any size, and what has an attribute ``antialiased`` that is true, but not for a
                network, which was trained without.
            threads: how many to use; None follows ``set_threads``.

        Raises:
            InputError: an unknown light, or a background of another shape.
        """
        from ..avatar import Avatar, lighting, surface

        self._transparent = background is None
        ground = np.ascontiguousarray((0, 0, 0) if background is None else background, np.float32)
        if ground.shape != (3,):
            raise InputError(f"background has shape {ground.shape}; accepted is (3,)")
        self._drawable = drawable
        self._camera = camera
        self._background = ground
        smooth = antialiased
        if smooth is None:
            smooth = bool(getattr(drawable, "antialiased", isinstance(drawable, Avatar)))
        self._options = RenderOptions(antialiased=smooth)
        self._rotate = lighting.rotate
        self._follows = isinstance(light, str) and light == "photo"
        self._light = lighting.load_light(light) if isinstance(light, str) else light
        self._shading = lighting.shading_of(self._light, drawable.photo_light)
        self._seen: tuple[Camera, np.ndarray] | None = None
        self._hands: HandsRenderer | None = None
        if VECTOR and isinstance(drawable, Avatar):
            from .hands_renderer import HandsRenderer

            bound = [
                (h, surface(drawable.hand_model, h.side, drawable.level)) for h in drawable.hands
            ]
            self._hands = HandsRenderer(bound, camera, ground, self._options, threads)
        else:
            self._rasterizer = CpuRasterizer(threads)

    def render(
        self, theta: Pose, translation: Pose | None = None, camera: Camera | None = None
    ) -> np.ndarray:
        """Draw one pose.

        Args:
            theta: side to (16, 3) axis-angle, radians, MANO order, or (17, 3) of a hand with a
                forearm (see ``hand_model.arm``); only these hands appear.
            translation: side to (3,) wrist position in the world, metres; default the origin.
            camera: a view for this frame; the size may change.

        Returns:
            (H, W, 3) uint8 sRGB, or transparent (H, W, 4) with straight alpha, valid until the
            second call after this one.

        Raises:
            InputError: an unknown side, or a pose of a wrong shape or not finite.
        """
        if self._hands is None or self._transparent:
            return _eight_bit(self.render_planes(theta, translation, camera), self._transparent)
        slot = self._pose(self._hands, theta, translation, camera)
        self._hands.skin(slot)
        return self._hands.picture(slot)

    def stream(self, frames: Iterable[Frame], camera: Camera | None = None) -> Iterator[np.ndarray]:
        """Draw a sequence of (theta, translation) or (theta, translation, camera).

        Args:
            frames: poses, read one ahead of what is drawn: while that is drawn, they are skinned.
            camera: the view of frames that have none; default the renderer's.

        Yields:
            Pictures as ``render`` returns them.
        """
        whole = ((f[0], f[1], f[2] if len(f) > 2 else camera) for f in frames)
        hands = self._hands
        if hands is None or self._transparent:
            for frame in whole:
                yield self.render(*frame)
            return
        first = next(whole, None)
        if first is None:
            return
        slot = self._pose(hands, *first)
        hands.skin(slot)
        while True:
            following = next(whole, None)
            ahead = None if following is None else self._pose(hands, *following)
            yield hands.picture(slot, ahead)
            if ahead is None:
                return
            slot = ahead

    def render_planes(
        self, theta: Pose, translation: Pose | None = None, camera: Camera | None = None
    ) -> Rendering:
        """As ``render``, with float colour, alpha and depth; read-only views of one buffer.

        The colour holds the background, black where that is transparent.
        """
        if self._hands is not None:
            slot = self._pose(self._hands, theta, translation, camera)
            self._hands.skin(slot)
            return self._hands.planes(slot)
        camera = camera or self._camera
        light = self._light
        if self._follows:
            light = self._rotate(self._drawable.photo_light, camera.world_to_camera[:3, :3].T)
        splats = self._drawable.splats(theta, translation, light)
        return self._rasterizer.forward(
            splats, camera, None, self._background, self._options, gradients=False
        )

    def _camera_light(self, camera: Camera) -> np.ndarray | None:
        """The light in the camera's axes."""
        if self._shading is None or self._follows:
            return self._shading
        if self._seen is None or self._seen[0] is not camera:
            turned = self._rotate(self._shading, camera.world_to_camera[:3, :3])
            self._seen = (camera, turned)
        return self._seen[1]

    def _pose(
        self, hands: HandsRenderer, theta: Pose, translation: Pose | None, camera: Camera | None
    ) -> Slot:
        """Check a pose and put it into the slot whose turn it is."""
        if not theta:
            raise InputError("no hand was posed; give θ for at least one side")
        sides = self._drawable.sides
        for side in theta:
            if side not in sides:
                raise InputError(f"the avatar has no {side} hand; it has: {', '.join(sides)}")
        camera = camera or self._camera
        slot = hands.begin(camera, [self._camera_light(camera)] * len(sides))
        for number, side in enumerate(sides):
            if side not in theta:
                continue
            hands.pose(slot, number, theta[side], translation and translation.get(side))
        return slot


def _eight_bit(drawn: Rendering, transparent: bool) -> np.ndarray:
    """uint8 of a rendering; transparent ones get their straight colours and alpha."""
    color = np.clip(drawn.color, 0, 1)
    if transparent:
        alpha = np.clip(drawn.alpha, 0, 1)[..., None]
        color = np.concatenate([np.clip(color / np.maximum(alpha, 1e-4), 0, 1), alpha], axis=2)
    return (color * 255 + 0.5).astype(np.uint8)
