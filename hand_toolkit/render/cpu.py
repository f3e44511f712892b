"""The CPU renderer: buffers that are kept between frames, and numpy in, numpy out."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..types import Camera, Rendering, Splats
from .api import RenderOptions, View
from .cpu_kernels import backward_frame, blend_frame, prepare_frame
from .parallel import Frame, get_threads
from .project import RECORD, SPLATS_PER_CHUNK, TILE_HEIGHT, TILE_WIDTH, camera_array
from .project_backward import POSE_SUMS
from .tiles_backward import ROW
from .tiles_forward import PLANES

_RANGES_PER_THREAD = 8


def aligned_empty(count: int, dtype: Any = np.float32, zero: bool = False) -> np.ndarray:
    """A flat array on a 64-byte boundary, as the aligned vector loads need."""
    item = np.dtype(dtype).itemsize
    raw = (np.zeros if zero else np.empty)(count * item + 64, np.uint8)
    offset = -raw.ctypes.data % 64
    return raw[offset : offset + count * item].view(dtype)


@dataclass
class Gradients:
    """Gradients of one frame, flat float32 arrays shaped as the splats' attributes.

    Attributes:
        world_to_camera: (4, 4) float64; the last row is zero.
    """

    means: np.ndarray
    quats: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    colors: np.ndarray
    world_to_camera: np.ndarray


class CpuRasterizer:
    """Renders frames of any size and keeps its buffers; one frame at a time per instance.

    ``forward`` returns views of a buffer that the next ``forward`` of the same size
    overwrites. ``backward`` gives the gradients of the last ``forward``. An instance may be
    used from several threads: calls wait for each other.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        self._lock = threading.RLock()
        self._frame = Frame()
        self._buffers: dict[str, np.ndarray] = {}
        self._totals = np.zeros(2, np.int64)
        self._histogram = np.zeros(1 << 12, np.int32)
        self._no_median = np.zeros(0, np.float32)
        self._no_ids = np.zeros(0, np.int32)
        self._last: dict[str, Any] = {}

    def _room(self, name: str, count: int, dtype: Any = np.float32) -> np.ndarray:
        """The buffer ``name`` with at least ``count`` items; grows by a quarter more."""
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < count:
            buffer = aligned_empty(count + count // 4 + 16, dtype, zero=True)
            self._buffers[name] = buffer
        return buffer

    def forward(
        self,
        splats: Splats,
        camera: Camera,
        world_to_camera: Any = None,
        background: Any = (0.0, 0.0, 0.0),
        options: RenderOptions | None = None,
        image: np.ndarray | None = None,
    ) -> Rendering:
        """Render numpy splats (float32, C-contiguous).

        Args:
            image: a flat aligned buffer from ``image_buffer`` to render into.
        """
        options = options or RenderOptions()
        with self._lock:
            return self._forward(splats, camera, world_to_camera, background, options, image)

    def image_buffer(self, camera: Camera) -> np.ndarray:
        """A fresh buffer for ``forward(..., image=)``."""
        return aligned_empty(PLANES * camera.height * _stride(camera.width))

    def _forward(
        self,
        splats: Splats,
        camera: Camera,
        world_to_camera: Any,
        background: Any,
        options: RenderOptions,
        image: np.ndarray | None,
    ) -> Rendering:
        threads = self._threads or get_threads()
        count = len(splats)
        width, height = camera.width, camera.height
        stride = _stride(width)
        columns = stride // TILE_WIDTH
        tile_count = columns * ((height + TILE_HEIGHT - 1) // TILE_HEIGHT)
        flat = [
            np.ascontiguousarray(a, np.float32).reshape(-1)
            for a in (splats.means, splats.quats, splats.scales, splats.opacities, splats.colors)
        ]
        coefficients = splats.colors.shape[1] if splats.colors.ndim == 3 else 0
        if world_to_camera is None:
            world_to_camera = camera.world_to_camera
        view = camera_array(camera, world_to_camera, options.antialiased)
        records = self._room("records", count * RECORD)
        tiles = self._room("tiles", count, np.int32)
        order = self._room("order", count, np.int32)
        slot_start = self._room("slot_start", count, np.int64)
        self._frame.run(
            prepare_frame,
            (
                *(count, *flat, coefficients, view, width, height, records),
                *(self._room("keys", count, np.uint32), tiles, order),
                *(self._room("spare", count, np.int32), self._histogram, slot_start, self._totals),
            ),
            threads,
        )
        visible, slots = (int(t) for t in self._totals)
        if image is None:
            image = self._room("image", PLANES * height * stride)
        ranges = _RANGES_PER_THREAD * threads
        chunks = 2 * threads
        trace = options.with_ids or options.with_median_depth
        pixels = height * stride
        median = np.empty(pixels, np.float32) if trace else self._no_median
        ids = np.empty(pixels, np.int32) if trace else self._no_ids
        lists = {
            "slot_tile": self._room("slot_tile", slots, np.int32),
            "slot_entry": self._room("slot_entry", slots, np.int32),
            "tile_start": self._room("tile_start", tile_count + 1, np.int64),
            "tile_needed": self._room("tile_needed", tile_count, np.int64),
            "entry_splat": self._room("entry_splat", slots, np.int32),
            "entry_rows": self._room("entry_rows", slots, np.int32),
            "bounds": self._room("bounds", ranges + 1, np.int64)[: ranges + 1],
            "scratch": self._scratch(threads),
        }
        counts = self._room("counts", chunks * tile_count, np.int64)
        self._frame.run(
            blend_frame,
            (
                *(visible, order, tiles, slot_start, records, width, height, stride, columns),
                *(tile_count, lists["slot_tile"], self._room("slot_rows", slots, np.int32)),
                counts[: chunks * tile_count].reshape(chunks, tile_count),
                *(lists["tile_start"], lists["entry_splat"], lists["entry_rows"]),
                *(lists["slot_entry"], lists["bounds"], lists["tile_needed"], lists["scratch"]),
                *(image, np.ascontiguousarray(background, np.float32), trace, median, ids),
            ),
            threads,
        )
        self._last = {
            "count": count,
            "flat": flat,
            "coefficients": coefficients,
            "view": view,
            "height": height,
            "stride": stride,
            "columns": columns,
            "records": records,
            "tiles": tiles,
            "slot_start": slot_start,
            "slots": slots,
            "image": image,
            "pose": np.asarray(world_to_camera, np.float64),
            **lists,
        }
        planes = image[: PLANES * pixels].reshape(PLANES, height, stride)[:, :, :width]
        return Rendering(
            color=planes[:3].transpose(1, 2, 0),
            alpha=planes[4],
            depth=planes[3],
            median_depth=(
                median.reshape(height, stride)[:, :width] if options.with_median_depth else None
            ),
            ids=ids.reshape(height, stride)[:, :width] if options.with_ids else None,
        )

    def _scratch(self, threads: int) -> np.ndarray:
        """(threads, floats) accumulators of one tile each, on 64-byte boundaries."""
        size = TILE_HEIGHT * ROW
        return self._room("scratch", threads * size)[: threads * size].reshape(threads, size)

    def gradient_buffer(self) -> np.ndarray:
        """(5, H, padded W) planes red, green, blue, depth, alpha to fill before ``backward``.

        Columns past the picture's width must stay zero.
        """
        height, stride = self._last["height"], self._last["stride"]
        size = PLANES * height * stride
        return self._room("image_grad", size)[:size].reshape(PLANES, height, stride)

    def backward(self, out: Gradients | None = None) -> Gradients:
        """Gradients of the last ``forward`` for the picture's gradient in ``gradient_buffer``.

        Args:
            out: arrays to fill; fresh ones by default.
        """
        with self._lock:
            return self._backward(out)

    def _backward(self, out: Gradients | None) -> Gradients:
        last = self._last
        threads = self._threads or get_threads()
        count, coefficients = last["count"], last["coefficients"]
        if out is None:
            out = Gradients(
                np.empty(3 * count, np.float32),
                np.empty(4 * count, np.float32),
                np.empty(3 * count, np.float32),
                np.empty(count, np.float32),
                np.empty(3 * count * max(1, coefficients), np.float32),
                np.zeros((4, 4)),
            )
        chunks = (count + SPLATS_PER_CHUNK - 1) // SPLATS_PER_CHUNK
        pose_sums = np.zeros((max(chunks, 1), POSE_SUMS))
        names = ("tiles", "slot_start", "slot_tile", "slot_entry", "tile_start", "entry_splat")
        self._frame.run(
            backward_frame,
            (
                *(count, *last["flat"], coefficients, last["view"], last["height"]),
                *(last["stride"], last["columns"], last["records"]),
                *(last[n] for n in names),
                *(last["entry_rows"], last["bounds"], last["tile_needed"]),
                *(self._scratch(threads), last["image"], self.gradient_buffer().reshape(-1)),
                self._room("entry_grads", last["slots"] * RECORD),
                *(out.means, out.quats, out.scales, out.opacities, out.colors, pose_sums),
            ),
            threads,
        )
        out.world_to_camera[:] = _pose_gradient(pose_sums.sum(0), last["pose"])
        return out


def _stride(width: int) -> int:
    return (width + TILE_WIDTH - 1) // TILE_WIDTH * TILE_WIDTH


def _pose_gradient(sums: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """(4, 4) gradient of the pose; the camera's position -R⁻¹t enters through SH colours."""
    gradient = np.zeros((4, 4))
    gradient[:3, :3] = sums[:9].reshape(3, 3)
    gradient[:3, 3] = sums[9:12]
    if sums[12:].any():
        through = np.linalg.solve(pose[:3, :3].T, sums[12:])
        eye = -np.linalg.solve(pose[:3, :3], pose[:3, 3])
        gradient[:3, :3] -= np.outer(through, eye)
        gradient[:3, 3] -= through
    return gradient


_idle: list[CpuRasterizer] = []
"""Rasterizers that nobody uses at the moment; append and pop are atomic."""


def borrow() -> CpuRasterizer:
    """An idle rasterizer, or a new one; give it back by ``give_back``."""
    try:
        return _idle.pop()
    except IndexError:
        return CpuRasterizer()


def give_back(rasterizer: CpuRasterizer) -> None:
    """Let the next caller have this rasterizer's buffers."""
    if len(_idle) < 4:
        _idle.append(rasterizer)


def render_views(splats: Splats, views: list[View], options: RenderOptions) -> Rendering:
    """Render numpy splats; arrays (C, H, W, ...)."""
    rasterizer = borrow()
    try:
        each = []
        for view in views:
            image = rasterizer.image_buffer(view.camera)
            each.append(
                rasterizer.forward(
                    splats, view.camera, view.world_to_camera, view.background, options, image
                )
            )
    finally:
        give_back(rasterizer)
    if len(each) == 1:
        only = each[0]
        return Rendering(*(None if a is None else a[None] for a in _fields(only)))
    return Rendering(
        *(None if a[0] is None else np.stack(a) for a in zip(*(_fields(e) for e in each)))
    )


def _fields(rendering: Rendering) -> tuple[Any, ...]:
    r = rendering
    return (r.color, r.alpha, r.depth, r.median_depth, r.ids)
