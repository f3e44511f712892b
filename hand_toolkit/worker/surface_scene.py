"""Hands, also of several avatars, on meshes that a host has posed, in whatever light."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from ..avatar import Avatar, AvatarHand, SurfaceBinding, lighting, surface
from ..avatar.stump import is_closed
from ..core.conventions import SH_C0
from ..core.types import Camera, Rendering
from ..geometry.closing import Closing
from ..geometry.colour import linear_to_srgb, srgb_to_linear
from .occlusion import Meshes, Occluders
from .scene_light import LitHand, SceneLight, lit_colors

Tint = tuple[float, ...]


class SurfaceScene:
    """Hands of one set, prepared."""

    def __init__(self, hands: Sequence[tuple[Avatar, str, bool]], view: Camera) -> None:
        """
        Args:
            hands: avatar, side, and whether the mesh will be its own mirror image.
            view: a camera of the size to come.
        """
        from ..render.hands_renderer import HandsRenderer
        from ..render.options import RenderOptions

        bound = [
            (_inside_out(a.hand(side)) if mirrored else a.hand(side),
             surface(a.hand_model, side, a.level))
            for a, side, mirrored in hands
        ]  # fmt: skip
        # where splats close the wrist, what hides and shades is closed, too
        closings = [
            Closing.of(model.faces) if is_closed(hand, model.faces) else None
            for hand, model in bound
        ]
        self._closings = closings
        self._faces = [
            np.ascontiguousarray(model.faces if closing is None else closing.faces, np.int64)
            for closing, (_, model) in zip(closings, bound)
        ]
        self._bound = bound
        self._lit: list[LitHand | None] = [None] * len(bound)
        self._mirrored = [mirrored for _, _, mirrored in hands]
        self._photo = [avatar.photo_light for avatar, _, _ in hands]
        self._shown: list[Tint | None] = [(1.0, 1.0, 1.0)] * len(bound)
        self._renderer = HandsRenderer(bound, view, options=RenderOptions(antialiased=True))

    def meshes(self, surfaces: Sequence[np.ndarray]) -> Meshes:
        """What hides and shades: each hand's mesh with a dome over its wrist's opening.

        Args:
            surfaces: (V, 3) of each hand, world metres.

        Raises:
            InputError: vertices of another mesh.
        """
        for number, points in enumerate(surfaces):
            self._renderer.check(number, points)
        return [
            (points if closing is None else closing.vertices(points), faces)
            for points, closing, faces in zip(surfaces, self._closings, self._faces)
        ]

    def light(
        self,
        surfaces: Sequence[np.ndarray],
        tints: Sequence[Tint],
        params: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        occluders: Occluders,
        view: Camera,
        pool: Executor,
    ) -> list[np.ndarray | None]:
        """Light the hands for the frames to come; what ``draw`` takes.

        Args:
            surfaces: (V, 3) of each hand, world metres.
            tints: linear RGB factor on each hand's skin.
            params, arrays: of the request, see :meth:`.frames.FrameRenderer.draw`.
            occluders: what casts shadows beside the hands.
            view: the camera.
            pool: threads to share the work among.

        Raises:
            InputError: vertices of another mesh, or a light that is none.
        """
        kind = params.get("light") or ("scene" if "light" in arrays else "baked")
        detailed = "lamps" in arrays or "sky" in arrays
        turn = view.world_to_camera[:3, :3]
        lights: list[np.ndarray | None] = []
        scene = None
        solid: Meshes = []
        if detailed or any(self._mirrored):
            solid = self.meshes(surfaces)
        if detailed:
            scene = SceneLight.of({**params, "light": kind}, arrays, occluders, view)
        for number, (tint, mirrored) in enumerate(zip(tints, self._mirrored)):
            if scene is not None or (mirrored and kind != "baked"):
                shining = scene or _unshadowed(kind, arrays, occluders, view)
                color = lit_colors(
                    self._prepared(number),
                    surfaces[number],
                    solid,
                    shining,
                    lighting.rotate(self._photo[number], turn.T),
                    np.asarray(tint, np.float64),
                    pool,
                )
                self._renderer.recolor(number, color)
                self._shown[number] = None
                lights.append(None)
            elif kind == "baked":
                if tint != self._shown[number]:
                    color = self._bound[number][0].color
                    self._renderer.recolor(number, _tinted(color, tint))
                    self._shown[number] = tint
                lights.append(None)
            elif kind == "photo":
                lights.append(self._photo[number] * np.asarray(tint))
            else:
                lights.append(lighting.rotate(arrays["light"], turn) * np.asarray(tint))
        return lights

    def _prepared(self, number: int) -> LitHand:
        """A hand's linear colours, made when a lamp first shines on it."""
        made = self._lit[number]
        if made is None:
            made = self._lit[number] = LitHand.of(*self._bound[number], self._mirrored[number])
        return made

    def draw(
        self,
        surfaces: Sequence[np.ndarray],
        lights: Sequence[np.ndarray | None],
        view: Camera,
        background: Tint,
    ) -> Rendering:
        """Planes of one frame, valid until the next but one.

        Args:
            surfaces: (V, 3) of each hand, world metres.
            lights: what ``light`` answered.
            view: the camera.
            background: sRGB.

        Raises:
            InputError: vertices of another mesh.
        """
        return self._renderer.on_surfaces(surfaces, view, lights, background)


def _unshadowed(
    kind: str, arrays: Mapping[str, np.ndarray], occluders: Occluders, view: Camera
) -> SceneLight:
    return SceneLight.of({"light": kind, "shadows": False, "gloss": 0.0}, arrays, occluders, view)


def _inside_out(hand: AvatarHand) -> AvatarHand:
    """The hand for a mesh that a negative scale has mirrored.

    Its triangles' frames come out with the normal reversed, so that offsets along it change sign
    and rotations are conjugated with that reflection.
    """
    b = hand.binding
    binding = SurfaceBinding(
        b.triangle, b.barycentric, b.offset * [1, 1, -1], b.quat * [1, -1, -1, 1], b.scale
    )
    return dataclasses.replace(hand, binding=binding)


def _tinted(color: np.ndarray, tint: tuple[float, ...]) -> np.ndarray:
    """Colours as photographed, tinted in linear light (SH: by the same gain in sRGB)."""
    if color.ndim == 2:
        return linear_to_srgb(srgb_to_linear(color) * tint).astype(np.float32)
    gain = np.asarray(tint) ** (1 / 2.2)
    tinted = color * gain
    tinted[:, 0] += 0.5 * (gain - 1) / SH_C0
    return tinted.astype(np.float32)
