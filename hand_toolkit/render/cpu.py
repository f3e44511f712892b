"""The CPU renderer: buffers that are kept between frames, and numpy in, numpy out."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.types import Camera, Rendering, Splats
from .binning import BUCKETS, SLOTS
from .cpu_kernels import backward_frame, draw_frame
from .frame import Drawn, Gradients, Inputs, Window, aligned_zeros
from .options import CameraView, RenderOptions
from .parallel import Frame, get_threads
from .project import CENTER, RECORD, SPLATS_PER_CHUNK, TILE_HEIGHT, camera_array
from .project_backward import POSE_SUMS
from .tiles_backward import ROW
from .tiles_forward import PLANES

_RANGES_PER_THREAD = 8
_PARTS_PER_THREAD = 2
_SLOTS_PER_WINDOW = 1 << 24
"""Past so many splat-tile pairs (0.3 GB, with gradients 1.4 GB) a frame is cut in windows."""


_NO_PICTURE = np.zeros(0, np.uint8)
_NO_PLANE = np.zeros((0, 0), np.float32)
_NO_IDS = np.zeros((0, 0), np.int32)
NO_SPLATS = (np.zeros(0, np.float32),) * 5
"""Stands for the attributes of splats in ``draw_frame`` where those come from an avatar."""

_NO_CORRECTIVES = (
    *(np.zeros((1, 0), np.int64), np.zeros((1, 0, 9), np.float32)),
    *(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)),
)
_NO_SKIN = (
    *(0, np.zeros((1, 16, 3)), np.zeros((1, 3)), np.zeros((1, 16, 3)), np.zeros(16, np.int64)),
    *(np.zeros((4, 4)), np.zeros((16, 12), np.float32), np.zeros((1, 135), np.float32)),
    *(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)),
    *(_NO_CORRECTIVES, np.zeros(0, np.float32), np.zeros((3, 0), np.int32)),
    *(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(1, np.int32)),
    *(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.float32), False),
)
"""Stands for "no next frame to skin" in ``draw_frame``; the same types as the avatar's."""


class CpuRasterizer:
    """Renders frames of any size and keeps its buffers between them.

    ``forward`` returns read-only views of a buffer that the next ``forward`` overwrites,
    unless it is given a buffer to render into. ``backward`` gives the gradients of the last
    ``forward``. Calls from several threads wait for each other.
    """

    def __init__(self, threads: int | None = None) -> None:
        """threads: how many to use; None follows ``set_threads``."""
        self._threads = threads
        self._lock = threading.RLock()
        self._frame = Frame()
        self._buffers: dict[str, np.ndarray] = {}
        self._totals = np.zeros(4, np.int64)
        self._inputs: Inputs | None = None
        self._drawn: list[Drawn] = []
        self._own: dict[str, Any] = {}

    def _room(self, name: str, count: int, dtype: Any = np.float32) -> np.ndarray:
        """The buffer ``name`` with at least ``count`` items; grows by a quarter more."""
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < count:
            buffer = aligned_zeros(count + count // 4 + 64, dtype)
            self._buffers[name] = buffer
        return buffer

    def run(self, kernel: Any, arguments: tuple[Any, ...]) -> None:
        """Call a kernel on all threads."""
        with self._lock:
            self._frame.run(kernel, arguments, self._thread_count())

    def begin(self, inputs: Inputs) -> None:
        """Start a frame that ``place_frame`` projects instead of ``draw_frame``."""
        self._inputs = inputs
        self._drawn = []

    def projection_rooms(self, count: int) -> tuple[np.ndarray, ...]:
        """Where projected splats go: records, keys, tiles, sums per chunk, totals."""
        return (
            self._room("records", count * RECORD + 16 * RECORD),
            self._room("keys", count + 16, np.uint32),
            self._room("tiles", count + 16, np.int32),
            self._statistics(-(-count // SPLATS_PER_CHUNK)),
            self._totals,
        )

    def blend_picture(self, picture: np.ndarray, clean: np.ndarray, skin: tuple | None) -> None:
        """Blend the projected splats into a flat 8-bit picture; meanwhile skin the next frame."""
        camera = self._frame_inputs().camera
        window = Window(0, 0, camera.width, camera.height)
        with self._lock:
            self._blend(window, _NO_PLANE, clean, _NO_PLANE, _NO_IDS, picture, skin, True)

    def blend_planes(self) -> Rendering:
        """Blend the projected splats into the own float planes."""
        inputs = self._frame_inputs()
        camera = inputs.camera
        window = Window(0, 0, camera.width, camera.height)
        size = PLANES * camera.height * window.stride
        planes = self._room("image", size)[:size].reshape(PLANES, camera.height, window.stride)
        with self._lock:
            clean = self._clean_tiles(window, inputs.background)
            self._blend(window, planes, clean, _NO_PLANE, _NO_IDS, projected=True)
        planes = planes[:, :, : camera.width]
        planes.flags.writeable = False
        return Rendering(planes[:3].transpose(1, 2, 0), planes[4], planes[3])

    def _frame_inputs(self) -> Inputs:
        if self._inputs is None:
            raise RuntimeError("no frame was begun")
        return self._inputs

    @property
    def memory_bytes(self) -> int:
        """What is kept between frames."""
        return sum(buffer.nbytes for buffer in self._buffers.values())

    def image_buffer(self, camera: Camera) -> np.ndarray:
        """A fresh buffer of zeros for ``forward(..., image=)``: five planes, padded rows."""
        window = Window(0, 0, camera.width, camera.height)
        return aligned_zeros(PLANES * camera.height * window.stride)

    def forward(
        self,
        splats: Splats,
        camera: Camera,
        world_to_camera: Any = None,
        background: Any = (0.0, 0.0, 0.0),
        options: RenderOptions | None = None,
        *,
        image: np.ndarray | None = None,
        gradients: bool = True,
    ) -> Rendering:
        """Render numpy splats (float32).

        Args:
            splats: N splats.
            camera: the pinhole.
            world_to_camera: (4, 4) pose instead of the camera's.
            background: (3,) colour.
            options: antialiasing and extra outputs.
            image: a buffer fresh from ``image_buffer``, to own the result.
            gradients: whether ``backward`` may follow.
        """
        names = ("means", "quats", "scales", "opacities", "colors")
        inputs = Inputs(
            count=len(splats),
            flat=tuple(
                # Read-only arrays are another type to numba and would be compiled for anew.
                np.require(getattr(splats, n), np.float32, ["C", "A", "W"]).reshape(-1)
                for n in names
            ),
            coefficients=splats.colors.shape[1] if splats.colors.ndim == 3 else 0,
            camera=camera,
            pose=np.asarray(
                camera.world_to_camera if world_to_camera is None else world_to_camera, np.float64
            ),
            background=np.ascontiguousarray(background, np.float32),
            options=options or RenderOptions(),
            keep=gradients,
        )
        with self._lock:
            return self._forward(inputs, image)

    def _forward(self, inputs: Inputs, image: np.ndarray | None) -> Rendering:
        camera, options = inputs.camera, inputs.options
        whole = Window(0, 0, camera.width, camera.height)
        size = PLANES * camera.height * whole.stride
        if image is None:
            buffer = self._room("image", size)[:size]
            clean = self._clean_tiles(whole, inputs.background)
        else:
            buffer = image
            # A fresh buffer of zeros is a black picture already.
            clean = np.full(whole.tiles, not inputs.background.any(), np.uint8)
        planes = buffer.reshape(PLANES, camera.height, whole.stride)
        trace = options.with_ids or options.with_median_depth
        shape = (camera.height, whole.stride) if trace else (0, 0)
        median, ids = np.zeros(shape, np.float32), np.full(shape, -1, np.int32)
        self._inputs = inputs
        self._drawn = []
        self._draw(whole, planes, clean, median, ids)
        width = camera.width
        planes = planes[:, :, :width]
        if image is None:
            planes = planes.view()
            planes.flags.writeable = False
        return Rendering(
            color=planes[:3].transpose(1, 2, 0),
            alpha=planes[4],
            depth=planes[3],
            median_depth=median[:, :width] if options.with_median_depth else None,
            ids=ids[:, :width] if options.with_ids else None,
        )

    def _clean_tiles(self, window: Window, background: np.ndarray) -> np.ndarray:
        """Flags of the tiles of the own buffer that still show nothing but this background."""
        key = (window, background.tobytes(), self._buffers["image"].ctypes.data)
        if self._own.get("key") != key:
            self._own = {"key": key, "clean": np.zeros(window.tiles, np.uint8)}
        return self._own["clean"]

    def _draw(
        self,
        window: Window,
        planes: np.ndarray,
        clean: np.ndarray,
        median: np.ndarray,
        ids: np.ndarray,
    ) -> None:
        """Render one window into ``planes``; in halves if its lists would grow too large."""
        if not self._blend(window, planes, clean, median, ids):
            for half in window.halves():
                right, bottom = half.left + half.stride, half.top + half.height
                shape = (PLANES, half.height, half.stride)
                part = aligned_zeros(math.prod(shape)).reshape(shape)
                trace_shape = shape[1:] if median.size else (0, 0)
                part_median = np.zeros(trace_shape, np.float32)
                part_ids = np.full(trace_shape, -1, np.int32)
                self._draw(half, part, np.zeros(half.tiles, np.uint8), part_median, part_ids)
                area = (
                    slice(half.top - window.top, bottom - window.top),
                    slice(half.left - window.left, right - window.left),
                )
                planes[(slice(None), *area)] = part
                if median.size:
                    median[area] = part_median
                    ids[area] = part_ids

    def _view(self, window: Window) -> np.ndarray:
        """The camera as the kernels read it, its pixel grid moved to the window."""
        inputs = self._frame_inputs()
        view = camera_array(inputs.camera, inputs.pose, inputs.options.antialiased)
        view[CENTER] -= window.left
        view[CENTER + 1] -= window.top
        return view

    def _statistics(self, chunks: int) -> np.ndarray:
        return self._room("statistics", 4 * chunks + 4, np.int64)[: 4 * chunks].reshape(chunks, 4)

    def _thread_count(self) -> int:
        return self._threads or get_threads()

    def _blend(
        self,
        window: Window,
        planes: np.ndarray,
        clean: np.ndarray,
        median: np.ndarray,
        ids: np.ndarray,
        picture: np.ndarray = _NO_PICTURE,
        skin: tuple[Any, ...] | None = None,
        projected: bool = False,
    ) -> bool:
        """Draw one window; False, with nothing drawn, if it should be cut in halves.

        projected: the records are there already, and ``_totals`` with them.
        """
        inputs = self._frame_inputs()
        threads = self._thread_count()
        count, tiles = inputs.count, window.tiles
        slots = int(self._totals[SLOTS]) if projected else 0
        parts = 1 if threads == 1 else _PARTS_PER_THREAD * threads
        ranges = _RANGES_PER_THREAD * threads
        bounds = self._room("bounds", ranges + 1, np.int64)[: ranges + 1]
        view = self._view(window)
        while True:
            self._frame.run(
                draw_frame,
                (
                    *(count, not projected, inputs.flat, inputs.coefficients, view),
                    *self.projection_rooms(count),
                    *(window.width, window.height, window.stride, window.columns, tiles),
                    *(self._room("slot_start", count + 1, np.int32), self._slots(slots)),
                    self._room("pairs", count, np.uint64),
                    self._room("spare", count, np.uint64),
                    self._table("digit_counts", parts, BUCKETS),
                    self._table("tile_counts", parts, tiles),
                    self._room("tile_start", tiles + 1, np.int32),
                    self._entries(slots),
                    self._room("slot_entry", slots if inputs.keep else 0, np.int32),
                    *(inputs.keep, bounds, self._room("tile_needed", tiles, np.int32)),
                    *(self._scratch(threads), planes.reshape(-1), inputs.background, clean),
                    *(picture, skin or _NO_SKIN, median.size > 0),
                    *(median.reshape(-1), ids.reshape(-1)),
                ),
                threads,
            )
            # The kernel stops after the projection if the lists need more room than there is.
            needed = int(self._totals[SLOTS])
            room = min(len(self._slots(0)), len(self._entries(0)))
            if inputs.keep:
                room = min(room, len(self._room("slot_entry", 0, np.int32)))
            if projected or needed <= room:
                break
            if needed > _SLOTS_PER_WINDOW and tiles > 1:
                return False
            projected, slots = True, needed
        self._drawn.append(Drawn(window, view, int(self._totals[SLOTS]), planes, bounds))
        return True

    def _slots(self, count: int) -> np.ndarray:
        return _rows(self._room("slots", 2 * count, np.int32))

    def _entries(self, count: int) -> np.ndarray:
        return _rows(self._room("entries", 2 * count, np.int32))

    def _table(self, name: str, rows: int, columns: int) -> np.ndarray:
        # Rows start on lines of their own, so that threads do not share one.
        padded = -(-columns // 16) * 16
        return self._room(name, rows * padded, np.int32)[: rows * padded].reshape(rows, padded)

    def _scratch(self, threads: int) -> np.ndarray:
        """(threads, floats) accumulators of one tile each, on 64-byte boundaries."""
        return (
            self._room("scratch", threads * TILE_HEIGHT * ROW)
            .reshape(-1)[: threads * TILE_HEIGHT * ROW]
            .reshape(threads, -1)
        )

    def backward(self, fill: Callable[[np.ndarray], None]) -> Gradients:
        """Gradients of the last ``forward``.

        Args:
            fill: writes the picture's gradient into the (5, H, W) planes that it is given,
                red, green, blue, depth, alpha.
        """
        with self._lock:
            return self._backward(fill)

    def _backward(self, fill: Callable[[np.ndarray], None]) -> Gradients:
        inputs = self._inputs
        if inputs is None or not inputs.keep:
            raise RuntimeError("backward needs a forward with gradients=True before it")
        camera = inputs.camera
        whole = Window(0, 0, camera.width, camera.height)
        size = PLANES * camera.height * whole.stride
        grad = self._room("image_grad", size)[:size].reshape(PLANES, camera.height, whole.stride)
        grad[:, :, camera.width :] = 0
        fill(grad[:, :, : camera.width])
        drawn = self._drawn
        if len(drawn) == 1:
            return self._project_back(drawn[0], grad)
        total: Gradients | None = None
        for part in drawn:
            # The lists hold the last window only; make this window's again.
            w = part.window
            self._blend(w, part.planes, np.zeros(w.tiles, np.uint8), _NO_PLANE, _NO_IDS)
            again = self._drawn.pop()
            piece = aligned_zeros(part.planes.size).reshape(part.planes.shape)
            piece[:, :, : w.width] = grad[:, w.top : w.top + w.height, w.left : w.left + w.width]
            gradients = self._project_back(again, piece)
            if total is None:
                total = gradients
            else:
                total.add(gradients)
        if total is None:
            raise RuntimeError("no window was drawn")
        return total

    def _project_back(self, drawn: Drawn, grad: np.ndarray) -> Gradients:
        inputs = self._frame_inputs()
        threads = self._thread_count()
        count, per_splat = inputs.count, max(1, inputs.coefficients)
        # Whole groups of sixteen are written; the views returned end with the last splat.
        padded = -(-count // 16) * 16
        flat = [np.empty(padded * k, np.float32) for k in (3, 4, 3, 1, 3 * per_splat)]
        chunks = -(-count // SPLATS_PER_CHUNK)
        pose_sums = np.zeros((max(chunks, 1), POSE_SUMS))
        window = drawn.window
        self._frame.run(
            backward_frame,
            (
                *(count, *inputs.flat, inputs.coefficients, drawn.view, window.height),
                *(window.stride, window.columns, self._room("records", 0)),
                *(self._room("tiles", 0), self._room("slot_start", 0), self._slots(0)),
                *(self._room("slot_entry", 0), self._room("tile_start", 0), self._entries(0)),
                *(drawn.bounds, self._room("tile_needed", 0), self._scratch(threads)),
                *(drawn.planes.reshape(-1), grad.reshape(-1)),
                *(self._room("entry_grads", drawn.slots * RECORD), *flat, pose_sums),
            ),
            threads,
        )
        means, quats, scales, opacities, colors = flat
        shape = (count, 3) if inputs.coefficients == 0 else (count, per_splat, 3)
        return Gradients(
            means[: 3 * count].reshape(count, 3),
            quats[: 4 * count].reshape(count, 4),
            scales[: 3 * count].reshape(count, 3),
            opacities[:count],
            colors[: 3 * per_splat * count].reshape(shape),
            _pose_gradient(pose_sums.sum(0), inputs.pose),
        )


def _rows(buffer: np.ndarray) -> np.ndarray:
    """A flat buffer as pairs of numbers."""
    return buffer[: len(buffer) // 2 * 2].reshape(-1, 2)


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


def render_views(splats: Splats, views: list[CameraView], options: RenderOptions) -> Rendering:
    """Render numpy splats; arrays (C, H, W, ...)."""
    rasterizer = borrow()
    try:
        each = [
            rasterizer.forward(
                splats,
                view.camera,
                view.world_to_camera,
                view.background,
                options,
                image=rasterizer.image_buffer(view.camera),
                gradients=False,
            )
            for view in views
        ]
    finally:
        give_back(rasterizer)
    if len(each) == 1:
        return Rendering(*(None if a is None else a[None] for a in _fields(each[0])))
    return Rendering(
        *(None if a[0] is None else np.stack(a) for a in zip(*(_fields(e) for e in each)))
    )


def _fields(rendering: Rendering) -> tuple[Any, ...]:
    r = rendering
    return (r.color, r.alpha, r.depth, r.median_depth, r.ids)
