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

from ..avatar import Avatar
from ..core.errors import InputError
from ..core.types import Camera, Rendering
from ..geometry.colour import srgb_to_linear
from ..geometry.raster import lower_depth
from .occlusion import Meshes, Occluders, visible_share
from .surface_scene import SurfaceScene

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
        self._scenes: dict[tuple[tuple[str, str, bool], ...], SurfaceScene] = {}
        self._pool = ThreadPoolExecutor(MAX_BANDS)

    def draw(
        self,
        hands: Sequence[tuple[Avatar, Mapping[str, Any], np.ndarray]],
        params: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        pixels: np.ndarray,
        depth: np.ndarray,
    ) -> dict[str, float]:
        """Draw one frame.

        Args:
            hands: each hand's avatar, its entry of the request (``key``, ``side``, optional
                ``tint``, linear RGB, and ``mirrored``, for a mesh that is turned inside out) and
                its vertices (V, 3), world metres.
            params: ``camera``, the fields of :class:`Camera`; ``background`` sRGB or None for
                transparent; ``light`` "photo" for the photo's light, which goes with the camera,
                "baked" for the colours as photographed, "scene" for that of ``arrays``;
                ``trim`` to cut what stands out beyond the meshes; ``depth`` false where nobody
                asks for it, which is then that of the splats;
                ``shadows`` for those of lamps, sky and objects; ``gloss``, a factor; ``lens`` for
                depth of field, see :func:`lens_views`.
            arrays: ``light`` (K, 3) shading SH of the sky in the axes of the vertices, ``bounce``
                likewise of what other objects throw back, ``lamps`` and ``sky``
                (:class:`.scene_light.SceneLight`), ``occluder_vertices``, ``hiding`` and
                ``shading`` (:class:`.occlusion.Occluders`).
            pixels: (H, W, 4) written: scene-linear Rec. 709, premultiplied, bottom row first.
            depth: (H, W) written: metres along the view axis, ``FAR_DEPTH`` where no hand is.

        Returns:
            Milliseconds by stage.

        Raises:
            InputError: vertices of another mesh, or a camera that is none.
        """
        begin = time.perf_counter()
        camera = params["camera"]
        view = Camera(
            **{k: camera[k] for k in ("fx", "fy", "cx", "cy", "width", "height", "near", "far")},
            world_to_camera=np.asarray(camera["world_to_camera"], np.float64),
        )
        background = params.get("background")
        if not hands:
            _clear(pixels, depth, background)
            return {"light": 0.0, "render": 0.0, "encode": 0.0}
        scene = self._scene(hands, view)
        occluders = Occluders.of(arrays)
        surfaces = [points for _, _, points in hands]
        tints = [tuple(map(float, entry.get("tint") or (1.0,) * 3)) for _, entry, _ in hands]
        light = scene.light(surfaces, tints, params, arrays, occluders, view, self._pool)
        lit = time.perf_counter()
        # Transparent frames are drawn on black: premultiplied sRGB divides back exactly.
        ground = (0.0, 0.0, 0.0) if background is None else tuple(background)
        trim = bool(params.get("trim"))
        deep = bool(params.get("depth", True))
        meshes = scene.meshes(surfaces) if deep or trim or len(occluders.hiding) else []
        drawing = 0.0

        def shoot(seen: Camera, into: np.ndarray, far: np.ndarray) -> None:
            nonlocal drawing
            start = time.perf_counter()
            picture = scene.draw(surfaces, light, seen, ground)
            drawing += time.perf_counter() - start
            self._finish(picture, meshes, (occluders, trim), seen, background, into, far)

        shoot(view, pixels, depth)
        lens = lens_views(view, params.get("lens"))
        if lens:
            room, unused = np.empty_like(pixels), np.empty_like(depth)
            total = np.zeros_like(pixels)
            for seen in lens:
                shoot(seen, room, unused)
                total += room
            np.divide(total, len(lens), out=pixels)
        done = time.perf_counter()
        return {
            "light": (lit - begin) * 1e3,
            "render": drawing * 1e3,
            "encode": (done - lit - drawing) * 1e3,
        }

    def _scene(
        self, hands: Sequence[tuple[Avatar, Mapping[str, Any], np.ndarray]], view: Camera
    ) -> SurfaceScene:
        """The prepared hands, made anew where they are not among the last few sets."""
        key = tuple((str(e["key"]), str(e["side"]), bool(e.get("mirrored"))) for _, e, _ in hands)
        scene = self._scenes.pop(key, None)
        if scene is None:
            scene = SurfaceScene(
                [(avatar, side, inside) for (avatar, _, _), (_, side, inside) in zip(hands, key)],
                view,
            )
        while len(self._scenes) >= MAX_SCENES:
            del self._scenes[next(iter(self._scenes))]
        self._scenes[key] = scene
        return scene

    def _finish(
        self,
        picture: Rendering,
        meshes: Meshes,
        cut: tuple[Occluders, bool],
        view: Camera,
        background: Any,
        pixels: np.ndarray,
        depth: np.ndarray,
    ) -> None:
        """Depth, encoding and what hides the hands, a band of rows for each thread.

        ``cut`` is what may hide the hands, and whether they end with their meshes.
        """
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
            share = visible_share(meshes, cut[0], band, picture.depth[top:bottom], cut[1])
            if share is not None:
                pixels[rows] *= share[::-1, :, None]
                depth[rows][share[::-1] <= 0] = FAR_DEPTH

        for _ in self._pool.map(finish, edges[:-1], edges[1:]):
            pass


def lens_views(view: Camera, lens: Mapping[str, Any] | None) -> list[Camera]:
    """The pinholes whose mean is a picture with depth of field.

    Args:
        view: the sharp camera.
        lens: ``focus``, the distance that stays sharp, metres along the axis, and ``points``,
            (N, 2) places in the aperture, metres to the right and down; None has none.

    Raises:
        InputError: a focus that is not before the camera.
    """
    if not lens:
        return []
    focus = float(lens["focus"])
    if not focus > 0:
        raise InputError(f"the focus is {focus} m away; give a distance before the camera")
    views = []
    for right, down in lens["points"]:
        pose = view.world_to_camera.copy()
        pose[:2, 3] -= right, down
        views.append(
            dataclasses.replace(
                view,
                cx=view.cx + view.fx * right / focus,
                cy=view.cy + view.fy * down / focus,
                world_to_camera=pose,
            )
        )
    return views


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
