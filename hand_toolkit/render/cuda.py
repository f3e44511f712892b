"""Rendering on CUDA by gsplat's kernels, in the terms of ``render``."""

from __future__ import annotations

import functools
import math
from typing import Any

from ..core.types import Rendering, Splats
from .constants import ALPHA_MAX, BLUR
from .options import SPLAT_FIELDS, CameraView, RenderOptions

_INSTALL = "pip install 'hand-toolkit[cuda]'"


@functools.cache
def why_unavailable() -> str | None:
    """None where gsplat can render, else a sentence that says what is missing and what to do."""
    import torch

    if not torch.cuda.is_available():
        built_for = "has no CUDA support" if torch.version.cuda is None else "sees no CUDA device"
        return (
            "The cuda renderer needs a CUDA device, and this torch "
            f"({torch.__version__}) {built_for}."
        )
    try:
        import gsplat  # noqa: F401
    except ImportError as error:
        return f"The cuda renderer needs gsplat, which does not import ({error}); run: {_INSTALL}."
    try:
        # gsplat compiles its kernels on this import where no binary wheel fits.
        from gsplat.cuda._backend import _C
    except Exception as error:  # compiler, linker and driver problems of every kind
        return (
            f"gsplat's CUDA kernels do not build or load with torch {torch.__version__}, "
            f"CUDA {torch.version.cuda} ({type(error).__name__}: {error}); install a gsplat wheel "
            "made for this torch, or a CUDA toolkit of the same major version with nvcc."
        )
    if _C is None:
        return (
            "gsplat found no CUDA toolkit to build its kernels with; install one with nvcc "
            f"(CUDA {torch.version.cuda}), or a gsplat wheel made for this torch."
        )
    return None


def render_views(splats: Splats, views: list[CameraView], options: RenderOptions) -> Rendering:
    """Render CUDA tensors with ``gsplat.rasterization``; tensors (C, H, W, ...)."""
    import torch
    from gsplat import rasterization

    device = splats.means.device
    splats, index = _finite_splats(splats)
    first = views[0].camera
    poses = torch.stack([_float_tensor(v.world_to_camera, device) for v in views])
    backgrounds = torch.stack([_float_tensor(v.background, device) for v in views])
    intrinsics = torch.stack([_float_tensor(v.camera.intrinsics, device) for v in views])
    planes = {(v.camera.near, v.camera.far) for v in views}
    if len(planes) > 1:
        each = [render_views(splats, [view], options) for view in views]
        return _concatenate(each, index)
    degree = math.isqrt(splats.colors.shape[1]) - 1 if splats.colors.ndim == 3 else None
    pixels, alphas, meta = rasterization(
        splats.means,
        splats.quats,
        splats.scales,
        splats.opacities,
        splats.colors,
        poses,
        intrinsics,
        first.width,
        first.height,
        near_plane=first.near,
        far_plane=first.far,
        eps2d=BLUR,
        sh_degree=degree,
        packed=False,
        backgrounds=backgrounds,
        render_mode="RGB+ED",
        rasterize_mode="antialiased" if options.antialiased else "classic",
    )
    median = ids = None
    if options.with_ids or options.with_median_depth:
        median, ids = _trace(meta, first.width, first.height, len(views), index)
    alpha = alphas[..., 0]
    depth = torch.where(alpha > 0, pixels[..., 3], torch.zeros_like(alpha))
    return Rendering(
        color=pixels[..., :3],
        alpha=alpha,
        depth=depth,
        median_depth=median if options.with_median_depth else None,
        ids=ids if options.with_ids else None,
    )


def _float_tensor(array: Any, device: Any) -> Any:
    import torch

    return torch.as_tensor(array).to(device=device, dtype=torch.float32)


def _finite_splats(splats: Splats) -> tuple[Splats, Any]:
    """Drop splats with NaN or infinity, which gsplat would spread over the picture."""
    import torch

    keep = splats.quats.norm(dim=1) > 0
    for name in SPLAT_FIELDS:
        keep = keep & torch.isfinite(getattr(splats, name)).reshape(len(splats), -1).all(1)
    index = keep.nonzero()[:, 0]
    return Splats(**{n: getattr(splats, n)[index] for n in SPLAT_FIELDS}), index


def _concatenate(each: list[Rendering], index: Any) -> Rendering:
    """Stack renderings of single views; their ids count the already filtered splats."""
    import torch

    def joined(name: str) -> Any:
        parts = [getattr(r, name) for r in each]
        return None if parts[0] is None else torch.cat(parts)

    ids = joined("ids")
    if ids is not None and len(index):
        ids = torch.where(ids >= 0, index[ids.clamp(min=0).long()].int(), ids)
    planes = {n: joined(n) for n in ("color", "alpha", "depth", "median_depth")}
    return Rendering(**planes, ids=ids)


def _trace(meta: dict[str, Any], width: int, height: int, views: int, index: Any) -> Any:
    """Median depth and strongest splat per pixel from gsplat's list of splat-pixel pairs.

    The pairs come grouped by pixel and front to back; the transmittance in front of each is
    the running product of (1 - alpha), taken as a sum of logarithms that restarts per pixel.
    """
    import torch
    from gsplat.cuda._wrapper import rasterize_to_indices_in_range

    means2d, conics, opacities = meta["means2d"], meta["conics"], meta["opacities"]
    device = means2d.device
    with torch.no_grad():
        clear = torch.ones(views, height, width, device=device)
        splat, pixel, image = rasterize_to_indices_in_range(
            0,
            1 << 30,
            *(clear, means2d, conics, opacities, width, height),
            *(meta["tile_size"], meta["isect_offsets"], meta["flatten_ids"]),
        )
        total = views * height * width
        median = torch.zeros(total, device=device)
        ids = torch.full((total,), -1, dtype=torch.int32, device=device)
        if len(splat):
            centers = torch.stack([pixel % width, pixel // width], 1) + 0.5
            delta = centers - means2d[image, splat]
            xx, xy, yy = conics[image, splat].unbind(1)
            dx, dy = delta.unbind(1)
            sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
            alpha = (opacities[image, splat] * torch.exp(-sigma)).clamp(max=ALPHA_MAX).double()
            where = image * (height * width) + pixel
            logs = torch.log1p(-alpha)
            before = torch.cumsum(logs, 0) - logs
            starts = torch.ones_like(where, dtype=torch.bool)
            starts[1:] = where[1:] != where[:-1]
            segment = torch.cumsum(starts.long(), 0) - 1
            before = torch.exp(before - before[starts][segment])
            weight = alpha * before
            position = torch.arange(len(where), device=device)
            largest = torch.zeros(total, dtype=weight.dtype, device=device)
            largest.scatter_reduce_(0, where, weight, "amax")
            strongest = torch.full((total,), len(where), device=device)
            candidates = torch.where(weight == largest[where], position, len(where))
            strongest.scatter_reduce_(0, where, candidates, "amin")
            hit = strongest < len(where)
            ids[hit] = index[splat[strongest[hit]]].int()
            deepest = torch.full((total,), -1, device=device)
            reached = torch.where(before > 0.5, position, -1)
            deepest.scatter_reduce_(0, where, reached, "amax")
            remaining = torch.ones(total, dtype=weight.dtype, device=device)
            remaining.scatter_reduce_(0, where, before * (1 - alpha), "amin")
            passed = (remaining <= 0.5) & (deepest >= 0)
            last = deepest[passed]
            median[passed] = meta["depths"][image[last], splat[last]]
        shape = (views, height, width)
        return median.view(shape), ids.view(shape)
