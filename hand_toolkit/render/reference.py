"""The definition of a rendering: brute force over every splat and pixel in plain torch.

Every other backend must match this one in values and gradients. It keeps the arithmetic of
gsplat (Ye et al. 2024, https://arxiv.org/abs/2409.06765), which is that of 3D Gaussian
splatting (Kerbl et al. 2023): EWA projection with a 0.3 px blur, alpha at most 0.999,
alpha below 1/255 dropped, splats of equal depth in index order. One liberty is left to
the fast backends: they may stop a pixel once less than 1e-4 of it is still uncovered.
"""

from __future__ import annotations

from typing import Any

from ..core.types import Camera, Rendering, Splats
from ..geometry.rotations import matrix_from_quat
from ..geometry.sh import sh_colors_torch
from .constants import ALPHA_MAX, ALPHA_MIN, BLUR, FRUSTUM_MARGIN
from .options import CameraView, RenderOptions

_PAIRS_PER_BLOCK = 4_000_000
"""Splat-pixel pairs held at once: about 300 MB in float64 with gradients."""


def render_views(splats: Splats, views: list[CameraView], options: RenderOptions) -> Rendering:
    """Render every view; tensors (C, H, W, ...) of the splats' dtype and device."""
    import torch

    each = [_render_view(splats, view, options) for view in views]
    return Rendering(
        *(
            None if each[0][name] is None else torch.stack([e[name] for e in each])
            for name in ("color", "alpha", "depth", "median_depth", "ids")
        )
    )


def project(splats: Splats, camera: Camera, world_to_camera: Any, antialiased: bool) -> dict:
    """EWA projection (Zwicker et al. 2002; gsplat's ``_fully_fused_projection``).

    Args:
        splats: N splats, tensors.
        camera: intrinsics, size, near and far.
        world_to_camera: (4, 4) tensor.
        antialiased: scale opacities by the footprint ratio.

    Returns:
        ``means2d`` (N, 2) pixels, ``conics`` (N, 3) the inverse 2D covariance's xx, xy, yy,
        ``depths`` (N,) metres, ``opacities`` (N,), ``colors`` (N, 3), ``visible`` (N,) bool.
    """
    import torch

    rotation, translation = world_to_camera[:3, :3], world_to_camera[:3, 3]
    means_cam = splats.means @ rotation.T + translation
    x, y, z = means_cam.unbind(1)
    quats = splats.quats / splats.quats.norm(dim=1, keepdim=True)
    axes = rotation @ matrix_from_quat(quats) * splats.scales[:, None, :]
    covariance = axes @ axes.transpose(1, 2)

    # Beyond the frustum the Jacobian would explode; gsplat clamps the ray's slope there.
    margin_x = FRUSTUM_MARGIN * camera.width / camera.fx
    margin_y = FRUSTUM_MARGIN * camera.height / camera.fy
    u = (x / z).clamp(
        -(camera.cx / camera.fx + margin_x), (camera.width - camera.cx) / camera.fx + margin_x
    )
    v = (y / z).clamp(
        -(camera.cy / camera.fy + margin_y), (camera.height - camera.cy) / camera.fy + margin_y
    )
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [
            torch.stack([camera.fx / z, zero, -camera.fx * u / z], 1),
            torch.stack([zero, camera.fy / z, -camera.fy * v / z], 1),
        ],
        1,
    )
    cov2d = jacobian @ covariance @ jacobian.transpose(1, 2)
    blurred = cov2d + BLUR * torch.eye(2, dtype=z.dtype, device=z.device)
    det = blurred[:, 0, 0] * blurred[:, 1, 1] - blurred[:, 0, 1] ** 2
    conics = torch.stack([blurred[:, 1, 1], -blurred[:, 0, 1], blurred[:, 0, 0]], 1) / det[:, None]
    opacities = splats.opacities
    if antialiased:
        det_sharp = cov2d[:, 0, 0] * cov2d[:, 1, 1] - cov2d[:, 0, 1] ** 2
        opacities = opacities * (det_sharp / det).clamp(min=1e-12).sqrt()
    means2d = torch.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], 1)
    if splats.colors.ndim == 3:
        center = -torch.linalg.solve(rotation, translation)
        colors = sh_colors_torch(splats.colors, splats.means - center)
    else:
        colors = splats.colors

    # A dropped splat must not leak NaN into gradients, so it is cut out, not multiplied by 0.
    finite = torch.cat([means2d, conics, opacities[:, None], colors, z[:, None]], 1).detach()
    visible = torch.isfinite(finite).all(1) & (z > camera.near) & (z < camera.far) & (det > 0)
    return {
        "means2d": means2d,
        "conics": conics,
        "depths": z,
        "opacities": opacities,
        "colors": colors,
        "visible": visible,
    }


def _finite_splats(splats: Splats) -> tuple[Splats, Any]:
    """The splats whose attributes are all finite and whose quaternion is not zero."""
    import torch

    names = ("means", "quats", "scales", "opacities", "colors")
    keep = torch.ones(len(splats), dtype=torch.bool, device=splats.means.device)
    for name in names:
        keep &= torch.isfinite(getattr(splats, name)).reshape(len(splats), -1).all(1)
    keep &= splats.quats.norm(dim=1) > 0
    index = keep.nonzero()[:, 0]
    return Splats(**{n: getattr(splats, n)[index] for n in names}), index


def _render_view(splats: Splats, view: CameraView, options: RenderOptions) -> dict[str, Any]:
    import torch
    from torch.utils.checkpoint import checkpoint

    like = {"dtype": splats.means.dtype, "device": splats.means.device}
    camera = view.camera
    pose = torch.as_tensor(view.world_to_camera, **like)
    background = torch.as_tensor(view.background, **like)
    kept, index = _finite_splats(splats)
    flat = project(kept, camera, pose, options.antialiased)
    visible = flat.pop("visible").nonzero()[:, 0]
    # float32 keys, as the fast backends sort; stable, so that ties keep the index order.
    order = visible[torch.argsort(flat["depths"][visible].float(), stable=True)]
    index = index[order]
    flat = {name: value[order] for name, value in flat.items()}
    width, height = camera.width, camera.height
    rows = max(1, _PAIRS_PER_BLOCK // max(1, width * len(order)))
    blocks = []
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        arguments = (*flat.values(), background, index, width, top, bottom)
        if torch.is_grad_enabled():
            blocks.append(checkpoint(_composite, *arguments, use_reentrant=False))
        else:
            blocks.append(_composite(*arguments))
    names = ("color", "alpha", "depth", "median_depth", "ids")
    result: dict[str, Any] = {n: torch.cat([b[i] for b in blocks]) for i, n in enumerate(names)}
    if not options.with_median_depth:
        result["median_depth"] = None
    if not options.with_ids:
        result["ids"] = None
    return result


def _composite(
    means2d: Any,
    conics: Any,
    depths: Any,
    opacities: Any,
    colors: Any,
    background: Any,
    index: Any,
    width: int,
    top: int,
    bottom: int,
) -> tuple[Any, ...]:
    """Blend N sorted splats over rows top..bottom: front-to-back alpha compositing."""
    import torch

    like = {"dtype": means2d.dtype, "device": means2d.device}
    shape = (bottom - top, width)
    ys, xs = torch.meshgrid(
        torch.arange(top, bottom, **like) + 0.5, torch.arange(width, **like) + 0.5, indexing="ij"
    )
    dx = xs.reshape(1, -1) - means2d[:, 0:1]
    dy = ys.reshape(1, -1) - means2d[:, 1:2]
    xx, xy, yy = (c[:, None] for c in conics.unbind(1))
    sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    alpha = (opacities[:, None] * torch.exp(-sigma)).clamp(max=ALPHA_MAX)
    alpha = torch.where(alpha < ALPHA_MIN, torch.zeros_like(alpha), alpha)
    after = torch.cumprod(1 - alpha, 0)
    ones = torch.ones_like(dx[:1]) if len(dx) else torch.ones(1, shape[0] * width, **like)
    before = torch.cat([ones, after], 0)
    remaining = before[-1]
    weights = alpha * before[:-1]
    covered = 1 - remaining
    color = weights.T @ colors + remaining[:, None] * background
    hit = covered > 0
    depth = torch.where(hit, (weights.T @ depths) / torch.where(hit, covered, 1), 0)
    if len(index):
        passes = (before[:-1] > 0.5) & (alpha > 0)
        last = passes.long().mul(torch.arange(1, len(index) + 1, device=dx.device)[:, None])
        median = torch.where(remaining <= 0.5, depths[(last.amax(0) - 1).clamp(min=0)], 0)
        ids = torch.where(hit, index[weights.argmax(0)], -1).int()
    else:
        median = torch.zeros_like(remaining)
        ids = torch.full_like(remaining, -1, dtype=torch.int32)
    return (
        color.view(*shape, 3),
        covered.view(shape),
        depth.view(shape),
        median.detach().view(shape),
        ids.view(shape),
    )
