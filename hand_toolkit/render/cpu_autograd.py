"""torch in, torch out: the CPU renderer as a differentiable function."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from ..core.types import Rendering, Splats
from .cpu import borrow, give_back
from .options import CameraView, RenderOptions


class _Loan:
    """A rasterizer that holds one frame until nobody can ask for its gradients."""

    def __init__(self) -> None:
        self.rasterizer = borrow()

    def __del__(self) -> None:
        give_back(self.rasterizer)


class _RenderView(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, view: CameraView, options: RenderOptions, *tensors: Any) -> Any:
        *attributes, pose, background = tensors
        arrays = [a.detach().contiguous().numpy() for a in attributes]
        loan = _Loan()
        rasterizer = loan.rasterizer
        needed = any(ctx.needs_input_grad)
        rendering = rasterizer.forward(
            Splats(*arrays),
            view.camera,
            pose.detach().double().numpy(),
            background.detach().float().numpy(),
            options,
            image=rasterizer.image_buffer(view.camera),
            gradients=needed,
        )
        median, ids = rendering.median_depth, rendering.ids
        color, alpha, depth = (
            torch.from_numpy(a) for a in (rendering.color, rendering.alpha, rendering.depth)
        )
        extras = [
            torch.empty(0) if a is None else torch.from_numpy(np.ascontiguousarray(a))
            for a in (median, ids)
        ]
        ctx.mark_non_differentiable(*extras)
        if needed:
            ctx.loan = loan
            ctx.pose_like = pose
            # All three, so that torch refuses a backward after one was changed in place.
            ctx.save_for_backward(color, alpha, depth)
        return (color, alpha, depth, *extras)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Any) -> Any:
        color_grad, alpha_grad, depth_grad = grads[:3]
        _, alpha, _ = ctx.saved_tensors

        def fill(planes: np.ndarray) -> None:
            target = torch.from_numpy(planes)
            target[:3] = color_grad.permute(2, 0, 1)
            target[3] = depth_grad
            target[4] = alpha_grad

        out = ctx.loan.rasterizer.backward(fill)
        arrays = (out.means, out.quats, out.scales, out.opacities, out.colors)
        splat_grads = [torch.from_numpy(a) for a in arrays]
        pose_grad = torch.from_numpy(out.world_to_camera).to(ctx.pose_like.dtype)
        background_grad = None
        if ctx.needs_input_grad[8]:
            background_grad = ((1 - alpha)[..., None] * color_grad).sum((0, 1))
        return (None, None, *splat_grads, pose_grad, background_grad)


def render_views(splats: Splats, views: list[CameraView], options: RenderOptions) -> Rendering:
    """Render torch splats on the CPU; tensors (C, H, W, ...)."""
    attributes = (splats.means, splats.quats, splats.scales, splats.opacities, splats.colors)
    each = []
    for view in views:
        pose = torch.as_tensor(view.world_to_camera).cpu()
        background = torch.as_tensor(view.background).cpu()
        each.append(_RenderView.apply(view, options, *attributes, pose, background))
    stacked = [torch.stack(a) if len(a) > 1 else a[0][None] for a in zip(*each)]
    color, alpha, depth, median, ids = stacked
    return Rendering(
        color=color,
        alpha=alpha,
        depth=depth,
        median_depth=median if options.with_median_depth else None,
        ids=ids if options.with_ids else None,
    )
