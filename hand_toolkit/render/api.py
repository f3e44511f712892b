"""The one public entry of all renderers: checks, choice of backend, batching over cameras."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.types import Camera, Rendering, Splats
from .options import SPLAT_FIELDS, CameraView, RenderOptions

log = logging.getLogger("hand_toolkit.render")

BACKENDS = ("auto", "reference", "cpu", "cuda")


def render(
    splats: Splats,
    camera: Camera | Sequence[Camera],
    background: Any = (0.0, 0.0, 0.0),
    *,
    backend: str = "auto",
    antialiased: bool = False,
    with_ids: bool = False,
    with_median_depth: bool = False,
    world_to_camera: Any = None,
) -> Rendering:
    """Render splats with the arithmetic of 3D Gaussian splatting (Kerbl et al. 2023, gsplat).

    numpy splats give numpy pictures; torch splats give torch pictures that are differentiable
    in means, quats, scales, opacities, colours, background and ``world_to_camera``.

    Args:
        splats: N splats, float32 (``reference`` also takes float64). Splats with a NaN or
            infinite attribute, outside near and far, or with a singular footprint are dropped.
        camera: one camera, or C cameras of one picture size.
        background: (3,) or (C, 3) sRGB in [0, 1]; a torch tensor may want gradients.
        backend: "cpu", "cuda", "reference", or "auto": cuda for tensors that live on a CUDA
            device, else cpu. Where cuda cannot run, a warning says why and the CPU renders.
        antialiased: compensate small splats for the 0.3 px blur.
        with_ids: fill ``Rendering.ids``.
        with_median_depth: fill ``Rendering.median_depth``.
        world_to_camera: (4, 4) or (C, 4, 4) tensor that replaces the cameras' own, for
            gradients to the camera pose.

    Returns:
        Rendering: arrays as in its docstring for one camera; with a sequence of cameras each
        has a leading axis of length C. Colours are not clipped: SH colours may exceed 1.
        Strides may be planar; call ``ascontiguousarray``/``contiguous`` if that matters.

    Raises:
        InputError: for an unknown backend, a wrong dtype, shape or device, or cameras of
            different sizes.
    """
    if backend not in BACKENDS:
        raise InputError(f"unknown backend {backend!r}; accepted are {', '.join(BACKENDS)}")
    is_torch = _check_arrays(splats)
    single = isinstance(camera, Camera)
    cameras = [camera] if isinstance(camera, Camera) else list(camera)
    views = _views(cameras, background, world_to_camera, is_torch)
    options = RenderOptions(antialiased, with_ids, with_median_depth)
    chosen = _choose(backend, splats, is_torch)
    if chosen != "reference" and str(splats.means.dtype).endswith("float64"):
        raise InputError(
            f"splats are float64 and the {chosen} backend renders float32; convert them with "
            ".astype(np.float32) / .float(), or use backend='reference'"
        )
    if chosen == "cpu":
        result = _render_cpu(splats, views, options, is_torch)
    elif chosen == "reference":
        from .reference import render_views as render_reference

        result = _in_torch(splats, views, options, is_torch, render_reference, None)
    else:
        from .cuda import render_views as render_cuda

        result = _in_torch(splats, views, options, is_torch, render_cuda, "cuda")
    if not single:
        return result
    return Rendering(
        *(None if a is None else a[0] for a in (getattr(result, n) for n in RENDERING_FIELDS))
    )


RENDERING_FIELDS = tuple(f.name for f in dataclasses.fields(Rendering))


def _is_tensor(array: Any) -> bool:
    return type(array).__module__.partition(".")[0] == "torch"


def _check_arrays(splats: Splats) -> bool:
    """True for torch splats, False for numpy ones.

    Raises:
        InputError: for a mixture, another kind, several devices or a wrong dtype.
    """
    arrays = {name: getattr(splats, name) for name in SPLAT_FIELDS}
    kinds = {name: _is_tensor(a) for name, a in arrays.items()}
    if any(kinds.values()) and not all(kinds.values()):
        numpy_names = ", ".join(n for n, k in kinds.items() if not k)
        raise InputError(
            f"splats mix torch tensors with numpy arrays ({numpy_names}); "
            "give all five as tensors or all five as numpy arrays"
        )
    is_torch = all(kinds.values())
    for name, array in arrays.items():
        if not is_torch and not isinstance(array, np.ndarray):
            raise InputError(
                f"splats.{name} is a {type(array).__name__}; "
                "accepted are numpy arrays and torch tensors"
            )
        if str(array.dtype).removeprefix("torch.") not in ("float32", "float64"):
            raise InputError(
                f"splats.{name} is {array.dtype}; accepted is float32 "
                "(float64 with backend='reference')"
            )
    if len({str(a.dtype) for a in arrays.values()}) > 1:
        listed = ", ".join(f"{n} {a.dtype}" for n, a in arrays.items())
        raise InputError(f"splats mix dtypes ({listed}); give all five as float32")
    if is_torch and len({a.device for a in arrays.values()}) > 1:
        listed = ", ".join(f"{n} on {a.device}" for n, a in arrays.items())
        raise InputError(f"splats are on several devices ({listed}); move them to one")
    return is_torch


def _views(
    cameras: list[Camera], background: Any, world_to_camera: Any, is_torch: bool
) -> list[CameraView]:
    """Pair each camera with its pose and background.

    Raises:
        InputError: for no camera, mixed sizes, or arrays of a wrong shape.
    """
    if not cameras:
        raise InputError("no camera was given; pass a Camera or a sequence of at least one")
    for camera in cameras:
        if not isinstance(camera, Camera):
            raise InputError(f"camera is a {type(camera).__name__}; give hand_toolkit Camera(s)")
    sizes = sorted({(c.width, c.height) for c in cameras})
    if len(sizes) > 1:
        raise InputError(
            f"cameras of one call have sizes {sizes}; give one size, or call render per size"
        )
    count = len(cameras)
    background = background if _is_tensor(background) else np.asarray(background, np.float32)
    if tuple(background.shape) not in ((3,), (count, 3)):
        raise InputError(
            f"background has shape {tuple(background.shape)}; accepted are (3,) and ({count}, 3)"
        )
    if world_to_camera is None:
        poses: Any = [c.world_to_camera for c in cameras]
    else:
        if not _is_tensor(world_to_camera):
            world_to_camera = np.asarray(world_to_camera, np.float64)
        elif not is_torch:
            raise InputError(
                "world_to_camera is a tensor but the splats are numpy arrays; "
                "give both as tensors, or both as arrays"
            )
        shape = tuple(world_to_camera.shape)
        if shape not in ((4, 4), (count, 4, 4)):
            raise InputError(
                f"world_to_camera has shape {shape}; accepted are (4, 4) and ({count}, 4, 4)"
            )
        poses = [world_to_camera] * count if len(shape) == 2 else world_to_camera
    return [
        CameraView(c, poses[i], background if len(background.shape) == 1 else background[i])
        for i, c in enumerate(cameras)
    ]


def _choose(backend: str, splats: Splats, is_torch: bool) -> str:
    """The backend that will run: cuda only where it can."""
    on_cuda = is_torch and splats.means.device.type == "cuda"
    if backend == "reference" or backend == "cpu":
        return backend
    if backend == "auto" and not on_cuda:
        return "cpu"
    from .cuda import why_unavailable

    problem = why_unavailable()
    if problem is None:
        return "cuda"
    log.warning("%s Rendering on the CPU instead.", problem)
    return "cpu"


def _render_cpu(
    splats: Splats, views: list[CameraView], options: RenderOptions, is_torch: bool
) -> Rendering:
    if not is_torch:
        from .cpu import render_views as render_numpy

        return render_numpy(splats, views, options)
    from .cpu_autograd import render_views as render_torch

    if splats.means.device.type == "cpu":
        return render_torch(splats, views, options)
    device = splats.means.device
    moved = Splats(**{n: getattr(splats, n).cpu() for n in SPLAT_FIELDS})
    result = render_torch(moved, views, options)
    return _map(result, lambda a: a.to(device))


def _in_torch(
    splats: Splats,
    views: list[CameraView],
    options: RenderOptions,
    is_torch: bool,
    function: Any,
    device: str | None,
) -> Rendering:
    """Call a torch backend; numpy splats come back as numpy, tensors on their own device."""
    import torch

    if not is_torch:
        arrays = {n: torch.from_numpy(getattr(splats, n)) for n in SPLAT_FIELDS}
        with torch.no_grad():
            result = function(_moved(Splats(**arrays), device), views, options)
        return _map(result, lambda a: a.cpu().numpy())
    home = splats.means.device
    result = function(_moved(splats, device), views, options)
    return _map(result, lambda a: a.to(home))


def _moved(splats: Splats, device: str | None) -> Splats:
    if device is None or splats.means.device.type == device:
        return splats
    return Splats(**{n: getattr(splats, n).to(device) for n in SPLAT_FIELDS})


def _map(rendering: Rendering, function: Any) -> Rendering:
    values = (getattr(rendering, n) for n in RENDERING_FIELDS)
    return Rendering(*(None if v is None else function(v) for v in values))
