"""Draws hands whose meshes the host has posed, into memory that the host owns."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from multiprocessing import resource_tracker, shared_memory
from typing import Any

import numpy as np

from ..avatar import Avatar, lighting, surface, triangle_frames
from ..core.conventions import SH_C0
from ..core.errors import InputError
from ..core.types import Camera, Splats
from ..geometry.colour import linear_to_srgb, srgb_to_linear
from ..hand_model import vertex_normals

FAR_DEPTH = 1.0e10
"""Depth of pixels that show no hand, as hosts' depth passes have it."""

MAX_BLOCKS = 8
"""Blocks that stay attached: one for final renders, one per open viewport."""

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
    """Posed surfaces to premultiplied scene-linear pixels and planar depth."""

    def draw(
        self,
        hands: Sequence[tuple[DrawnHand, Mapping[str, Any], np.ndarray]],
        camera: Mapping[str, Any],
        params: Mapping[str, Any],
        light: np.ndarray | None,
        pixels: np.ndarray,
        depth: np.ndarray,
    ) -> dict[str, float]:
        """Draw one frame.

        Args:
            hands: each hand, its entry of the request (optional ``tint``, linear RGB) and its
                vertices (V, 3), world metres.
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
        from ..render import render

        begin = time.perf_counter()
        view = Camera(
            **{k: camera[k] for k in ("fx", "fy", "cx", "cy", "width", "height", "near", "far")},
            world_to_camera=np.asarray(camera["world_to_camera"], np.float64),
        )
        background = params.get("background")
        if not hands:
            _clear(pixels, depth, background)
            return {"place": 0.0, "render": 0.0, "encode": 0.0}
        to_world = view.world_to_camera[:3, :3].T
        parts = []
        for hand, entry, points in hands:
            shining = light
            if light is None and params.get("light") == "photo":
                shining = lighting.rotate(hand.photo_light, to_world)
            tint = tuple(map(float, entry.get("tint") or (1.0,) * 3))
            parts.append(hand.splats(points, tint, shining))
        splats = _join(parts)
        placed = time.perf_counter()
        # Transparent frames are drawn on black: premultiplied sRGB divides back exactly.
        ground = (0.0, 0.0, 0.0) if background is None else tuple(background)
        picture = render(splats, view, ground)
        drawn = time.perf_counter()
        skin = skin_depth([(points, hand.model.faces) for hand, _, points in hands], view)
        encode_frame(picture, skin, background is None, pixels, depth)
        done = time.perf_counter()
        stages = (("place", begin, placed), ("render", placed, drawn), ("encode", drawn, done))
        return {name: (b - a) * 1e3 for name, a, b in stages}


class DrawnHand:
    """One hand of an open avatar with all that does not change from frame to frame."""

    def __init__(self, avatar: Avatar, side: str) -> None:
        self.side = side
        self.hand = avatar.hand(side)
        self.model = surface(avatar.hand_model, side, avatar.level)
        rest = avatar.mesh(side)
        self.rest_area = triangle_frames(rest, self.model.faces)[1]
        self.photo_light = avatar.light
        self.linear_albedo = srgb_to_linear(self.hand.albedo)
        self._baked: dict[tuple[float, ...], np.ndarray] = {(1.0, 1.0, 1.0): self.hand.color}

    def splats(
        self, vertices: np.ndarray, tint: tuple[float, ...], light: np.ndarray | None
    ) -> Splats:
        """Splats on the deformed surface.

        Args:
            vertices: (V, 3) deformed surface, metres.
            tint: linear RGB factor on the skin.
            light: (K, 3) shading SH, or None for the colours as photographed.

        Raises:
            InputError: vertices of another mesh.
        """
        from .kernels import place_splats

        if vertices.shape != self.model.template.shape:
            raise InputError(
                f"the {self.side} hand's mesh has {vertices.shape[0]} vertices and the avatar's "
                f"surface {self.model.template.shape[0]}; undo edits that change the number of "
                "vertices, or apply them after the hand's modifiers"
            )
        binding = self.hand.binding
        means, quats, scales = place_splats(
            np.ascontiguousarray(vertices, np.float32),
            self.model.faces,
            self.rest_area,
            binding.triangle,
            binding.barycentric,
            binding.offset,
            binding.quat,
            binding.scale,
        )
        colors = self._colors(tint) if light is None else self._lit(vertices, tint, light)
        return Splats(means, quats, scales, self.hand.opacity, colors)

    def _lit(self, vertices: np.ndarray, tint: tuple[float, ...], light: np.ndarray) -> np.ndarray:
        binding = self.hand.binding
        normals = vertex_normals(vertices, self.model.faces)[self.model.faces[binding.triangle]]
        normal = np.einsum("nk,nkc->nc", binding.barycentric, normals)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        linear = self.linear_albedo * np.asarray(tint) * lighting.shade(light, normal)
        return linear_to_srgb(linear).astype(np.float32)

    def _colors(self, tint: tuple[float, ...]) -> np.ndarray:
        """Colours as photographed, tinted in linear light (SH: by the same gain in sRGB)."""
        if tint not in self._baked:
            while len(self._baked) > 8:  # an animated tint makes a new one every frame
                del self._baked[list(self._baked)[1]]
            self._baked[tint] = _tinted(self.hand.color, tint)
        return self._baked[tint]


def _tinted(color: np.ndarray, tint: tuple[float, ...]) -> np.ndarray:
    if color.ndim == 2:
        return linear_to_srgb(srgb_to_linear(color) * tint).astype(np.float32)
    gain = np.asarray(tint) ** (1 / 2.2)
    tinted = color * gain
    tinted[:, 0] += 0.5 * (gain - 1) / SH_C0
    return tinted.astype(np.float32)


def _join(parts: list[Splats]) -> Splats:
    if len(parts) == 1:
        return parts[0]
    flat = len({p.colors.shape[1:] for p in parts}) > 1
    colors = [_flatten(p.colors) if flat else p.colors for p in parts]
    others = ("means", "quats", "scales", "opacities")
    joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in others}
    return Splats(**joined, colors=np.concatenate(colors))


def _flatten(colors: np.ndarray) -> np.ndarray:
    from .surfaces import base_color

    return base_color(colors)


def _clear(pixels: np.ndarray, depth: np.ndarray, background: Any) -> None:
    pixels[:] = 0.0
    depth[:] = FAR_DEPTH
    if background is not None:
        pixels[..., :3] = srgb_to_linear(np.asarray(background, np.float64))
        pixels[..., 3] = 1.0


def skin_depth(meshes: Sequence[tuple[np.ndarray, np.ndarray]], view: Camera) -> np.ndarray:
    """Planar depth (H, W), metres, of vertices (V, 3) and faces (F, 3); ``FAR_DEPTH`` outside.

    A splat's own depth is that of its centre, millimetres off where the skin turns away; the mesh
    that carries the splats knows better.
    """
    from .kernels import draw_depth

    depth = np.full((view.height, view.width), FAR_DEPTH, np.float32)
    rotation, shift = view.world_to_camera[:3, :3], view.world_to_camera[:3, 3]
    for vertices, faces in meshes:
        points = np.asarray(vertices, np.float64) @ rotation.T + shift
        draw_depth(points, faces, view.fx, view.fy, view.cx, view.cy, view.near, depth)
    return depth


def encode_frame(
    picture: Any, skin: np.ndarray, transparent: bool, pixels: np.ndarray, depth: np.ndarray
) -> None:
    """Turn a renderer's sRGB picture into what a host's film holds; see ``FrameRenderer.draw``.

    sRGB is decoded after un-premultiplying, so a view transform that encodes sRGB shows the
    splats' own values.
    """
    from .kernels import encode

    encode(
        np.ascontiguousarray(picture.color, np.float32),
        np.ascontiguousarray(picture.alpha, np.float32),
        np.ascontiguousarray(picture.depth, np.float32),
        skin,
        np.float32(FRINGE),
        transparent,
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
