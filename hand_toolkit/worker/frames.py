"""Draws hands whose meshes the host has posed, into memory that the host owns."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from multiprocessing import resource_tracker, shared_memory
from typing import Any

import numpy as np

from ..avatar import Avatar, lighting, surface
from ..avatar.lighting import Light
from ..core.conventions import SH_C0
from ..core.errors import InputError
from ..core.types import Camera, Rendering
from ..geometry.colour import linear_to_srgb, srgb_to_linear
from ..geometry.raster import lower_depth

FAR_DEPTH = 1.0e10
"""Depth of pixels that show no hand, as hosts' depth passes have it."""

MAX_BLOCKS = 8
"""Blocks that stay attached: one for final renders, one per open viewport."""

MAX_BANDS = 8
"""Threads that finish one frame."""
MAX_SCENES = 4
"""Sets of hands that stay prepared."""

SHOWN = 1.0 / 255.0
"""Least alpha at which a pixel has a depth."""
FRINGE = 0.004
"""A splat that far before the skin, metres, is the fringe of a finger before another part."""


class FrameBlocks:
    """The host's shared memory, attached once per name, the oldest let go."""

    def __init__(self) -> None:
        self._blocks: dict[str, shared_memory.SharedMemory] = {}

    def frame(
        self, params: Mapping[str, Any], width: int, height: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """``pixels`` (H, W, 4) and ``depth`` (H, W) float32 in ``params["block"]``.

        Without a block they are fresh arrays, which then travel through the pipe.

        Raises:
            InputError: the block does not exist or is too small.
        """
        name = params.get("block")
        if not name:
            return np.empty((height, width, 4), np.float32), np.empty((height, width), np.float32)
        block = self._attach(str(name))
        need = width * height * 5 * 4
        if block.size < need:
            raise InputError(f"the memory block has {block.size} bytes; the frame needs {need}")
        pixels: np.ndarray = np.ndarray((height, width, 4), np.float32, buffer=block.buf)
        depth: np.ndarray = np.ndarray(
            (height, width), np.float32, buffer=block.buf, offset=pixels.nbytes
        )
        return pixels, depth

    def _attach(self, name: str) -> shared_memory.SharedMemory:
        if name not in self._blocks:
            if len(self._blocks) >= MAX_BLOCKS:  # a host drops the blocks that it has outgrown
                self._detach(next(iter(self._blocks)))
            try:
                if sys.version_info >= (3, 13):
                    self._blocks[name] = shared_memory.SharedMemory(name=name, track=False)
                else:
                    block = shared_memory.SharedMemory(name=name)
                    # The host unlinks the block; this process's tracker would do so a second time.
                    resource_tracker.unregister(block._name, "shared_memory")  # type: ignore[attr-defined]
                    self._blocks[name] = block
            except (FileNotFoundError, ValueError, OSError) as error:
                raise InputError(f"the host's memory block {name} does not exist") from error
        return self._blocks[name]

    def close(self) -> None:
        """Detach all blocks."""
        for name in list(self._blocks):
            self._detach(name)

    def _detach(self, name: str) -> None:
        with contextlib.suppress(BufferError):  # an array of the last frame still views it
            self._blocks.pop(name).close()


class FrameRenderer:
    """Posed surfaces to premultiplied scene-linear pixels and planar depth.

    What does not change from frame to frame is kept for the last few sets of hands.
    """

    def __init__(self) -> None:
        self._scenes: dict[tuple[tuple[str, str], ...], SurfaceScene] = {}
        self._pool = ThreadPoolExecutor(MAX_BANDS)

    def draw(
        self,
        hands: Sequence[tuple[Avatar, Mapping[str, Any], np.ndarray]],
        camera: Mapping[str, Any],
        params: Mapping[str, Any],
        light: np.ndarray | None,
        pixels: np.ndarray,
        depth: np.ndarray,
    ) -> dict[str, float]:
        """Draw one frame.

        Args:
            hands: each hand's avatar, its entry of the request (``key``, ``side``, optional
                ``tint``, linear RGB) and its vertices (V, 3), world metres.
            camera: the fields of :class:`Camera`.
            params: ``background`` sRGB or None for transparent; ``light`` "photo" for the
                photo's light, which goes with the camera.
            light: (K, 3) shading SH in the same axes as the vertices, or None for the photo's
                light or the baked colours.
            pixels: (H, W, 4) written: scene-linear Rec. 709, premultiplied, bottom row first.
            depth: (H, W) written: metres along the view axis, ``FAR_DEPTH`` where no hand is.

        Returns:
            Milliseconds by stage.

        Raises:
            InputError: vertices of another mesh, or a camera that is none.
        """
        begin = time.perf_counter()
        view = Camera(
            **{k: camera[k] for k in ("fx", "fy", "cx", "cy", "width", "height", "near", "far")},
            world_to_camera=np.asarray(camera["world_to_camera"], np.float64),
        )
        background = params.get("background")
        if not hands:
            _clear(pixels, depth, background)
            return {"render": 0.0, "encode": 0.0}
        key = tuple((str(entry["key"]), str(entry["side"])) for _, entry, _ in hands)
        scene = self._scenes.pop(key, None)
        if scene is None:
            scene = SurfaceScene([(avatar, entry["side"]) for avatar, entry, _ in hands], view)
        while len(self._scenes) >= MAX_SCENES:
            del self._scenes[next(iter(self._scenes))]
        self._scenes[key] = scene
        shining: Light = light
        if light is None and params.get("light") == "photo":
            shining = "photo"
        tints = [tuple(map(float, entry.get("tint") or (1.0,) * 3)) for _, entry, _ in hands]
        # Transparent frames are drawn on black: premultiplied sRGB divides back exactly.
        ground = (0.0, 0.0, 0.0) if background is None else tuple(background)
        surfaces = [points for _, _, points in hands]
        picture = scene.draw(surfaces, tints, shining, view, ground)
        drawn = time.perf_counter()
        self._finish(picture, list(zip(surfaces, scene.faces)), view, background, pixels, depth)
        done = time.perf_counter()
        return {"render": (drawn - begin) * 1e3, "encode": (done - drawn) * 1e3}

    def _finish(
        self,
        picture: Rendering,
        meshes: Sequence[tuple[np.ndarray, np.ndarray]],
        view: Camera,
        background: Any,
        pixels: np.ndarray,
        depth: np.ndarray,
    ) -> None:
        """Depth and encoding, a band of rows for each thread."""
        from ..render import get_threads

        height = view.height
        edges = np.linspace(0, height, min(get_threads(), MAX_BANDS) + 1).astype(int).tolist()

        def finish(top: int, bottom: int) -> None:
            band = dataclasses.replace(view, cy=view.cy - top, height=bottom - top)
            rows = slice(height - bottom, height - top)
            skin_depth(meshes, band, depth[rows][::-1])
            encode_rows(
                picture.color[top:bottom],
                picture.alpha[top:bottom],
                picture.depth[top:bottom],
                background,
                pixels[rows],
                depth[rows],
            )

        for _ in self._pool.map(finish, edges[:-1], edges[1:]):
            pass


class SurfaceScene:
    """Hands, also of several avatars, on meshes that a host has posed.

    Attributes:
        faces: (F, 3) of each hand's mesh.
    """

    def __init__(self, hands: Sequence[tuple[Avatar, str]], view: Camera) -> None:
        from ..render.hands_renderer import HandsRenderer

        bound = [(a.hand(side), surface(a.hand_model, side, a.level)) for a, side in hands]
        self.faces = [model.faces for _, model in bound]
        self._photo = [avatar.photo_light for avatar, _ in hands]
        self._colors = [hand.color for hand, _ in bound]
        self._tints: list[tuple[float, ...]] = [(1.0, 1.0, 1.0)] * len(bound)
        self._renderer = HandsRenderer(bound, view)

    def draw(
        self,
        surfaces: Sequence[np.ndarray],
        tints: Sequence[tuple[float, ...]],
        light: Light,
        view: Camera,
        background: tuple[float, ...],
    ) -> Rendering:
        """Planes of one frame, valid until the next.

        Args:
            surfaces: (V, 3) of each hand, world metres.
            tints: linear RGB factor on each hand's skin.
            light: (K, 3) in world axes, "photo", or None for the colours as photographed.
            view: the camera.
            background: sRGB.

        Raises:
            InputError: vertices of another mesh.
        """
        if light is None:
            lights: list[np.ndarray | None] = [None] * len(surfaces)
            for number, tint in enumerate(tints):
                if tint != self._tints[number]:
                    self._renderer.recolor(number, _tinted(self._colors[number], tint))
                    self._tints[number] = tint
        else:
            turned = None
            if not isinstance(light, str):
                turned = lighting.rotate(light, view.world_to_camera[:3, :3])
            lights = [
                (photo if turned is None else turned) * np.asarray(tint)
                for photo, tint in zip(self._photo, tints)
            ]
        return self._renderer.on_surfaces(surfaces, view, lights, background)


def _tinted(color: np.ndarray, tint: tuple[float, ...]) -> np.ndarray:
    """Colours as photographed, tinted in linear light (SH: by the same gain in sRGB)."""
    if color.ndim == 2:
        return linear_to_srgb(srgb_to_linear(color) * tint).astype(np.float32)
    gain = np.asarray(tint) ** (1 / 2.2)
    tinted = color * gain
    tinted[:, 0] += 0.5 * (gain - 1) / SH_C0
    return tinted.astype(np.float32)


def _clear(pixels: np.ndarray, depth: np.ndarray, background: Any) -> None:
    pixels[:] = _ground(background)
    depth[:] = FAR_DEPTH


def _ground(background: Any) -> np.ndarray:
    """(4,) linear pixel where no hand is."""
    if background is None:
        return np.zeros(4, np.float32)
    return np.append(srgb_to_linear(np.asarray(background, np.float64)), 1).astype(np.float32)


def skin_depth(
    meshes: Sequence[tuple[np.ndarray, np.ndarray]], view: Camera, depth: np.ndarray
) -> None:
    """Fill ``depth`` (H, W), metres, with vertices (V, 3) and faces (F, 3); ``FAR_DEPTH`` outside.

    A splat's own depth is that of its centre, millimetres off where the skin turns away; the mesh
    that carries the splats knows better.
    """
    depth[:] = FAR_DEPTH
    for vertices, faces in meshes:
        lower_depth(vertices, faces, view, depth)


def encode_rows(
    color: np.ndarray,
    alpha: np.ndarray,
    mean_depth: np.ndarray,
    background: Any,
    pixels: np.ndarray,
    depth: np.ndarray,
) -> None:
    """Turn a renderer's sRGB picture into what a host's film holds; see ``FrameRenderer.draw``.

    sRGB is decoded after un-premultiplying, so a view transform that encodes sRGB shows the
    splats' own values. ``depth`` holds that of the skin's mesh, which splats only scatter about.
    """
    from .kernels import encode

    encode(
        color,
        alpha,
        mean_depth,
        np.float32(FRINGE),
        background is None,
        _ground(background),
        _decode_table(),
        np.float32(FAR_DEPTH),
        np.float32(SHOWN),
        pixels,
        depth,
    )


@lru_cache(maxsize=1)
def _decode_table() -> np.ndarray:
    """sRGB decoding at 4,097 steps; linear interpolation between them is within 2e-7."""
    return srgb_to_linear(np.linspace(0.0, 1.0, 4097)).astype(np.float32)
