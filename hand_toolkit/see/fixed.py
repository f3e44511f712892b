"""Depthwise filters that stay as they are while the layers around them are trained.

torch computes the gradients of depthwise convolutions on a CPU many times slower than the
convolutions themselves. With the filters' weights fixed only the input's gradient is left, and
that is a depthwise convolution with the turned filter (Dumoulin and Visin 2016, section 4).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .blocks import InvertedResidual, SameConv2d


class _FixedFilter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, stride: int, pad: int
    ) -> torch.Tensor:
        ctx.save_for_backward(weight)
        ctx.stride, ctx.pad = stride, pad
        return functional.conv2d(x, weight, bias, stride, pad, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (weight,) = ctx.saved_tensors
        gradient = gradients[0]
        turned = weight.flip((2, 3)).to(gradient.dtype)
        if ctx.stride > 1:
            batch, channels, high, wide = gradient.shape
            step = ctx.stride
            spread = gradient.new_zeros(batch, channels, step * (high - 1) + 1,
                                        step * (wide - 1) + 1)  # fmt: skip
            spread = spread.contiguous(memory_format=torch.channels_last)
            spread[:, :, ::step, ::step] = gradient
            gradient = spread
        back = weight.shape[-1] - 1 - ctx.pad
        out = functional.conv2d(gradient, turned, None, 1, back, groups=len(weight))
        return out, None, None, None, None


class FixedDepthwise(SameConv2d):
    """A depthwise ``SameConv2d`` whose weights get no gradients."""

    def _conv_forward(
        self, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        if not (torch.is_grad_enabled() and input.requires_grad):
            return super()._conv_forward(input, weight, bias)
        assert bias is not None and isinstance(self.padding[0], int)
        out: torch.Tensor = _FixedFilter.apply(
            input, weight.detach(), bias.detach(), self.stride[0], self.padding[0]
        )
        return out


def fix_filters(blocks: nn.ModuleList) -> None:
    """Replace the filters of inverted residual blocks by fixed ones; names stay the same."""
    for block in blocks:
        if isinstance(block, InvertedResidual):
            block.filter = fixed(block.filter)


def fixed(old: SameConv2d) -> FixedDepthwise:
    """A fixed copy of a depthwise convolution."""
    channels, kernel = old.weight.shape[0], old.kernel_size[0]
    new = FixedDepthwise(channels, channels, kernel, stride=old.stride[0], groups=channels)
    new.load_state_dict(old.state_dict())
    new.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return new.requires_grad_(False)
