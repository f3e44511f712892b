"""Convolution blocks that MediaPipe's hand networks are made of, for NCHW tensors.

Batch normalization is folded into the weights, as in the files that MediaPipe ships.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding.

    With stride 2 on an even size the surplus lies right and below only; torch's symmetric
    padding would shift the picture by a pixel.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        even = kernel // 2 if stride == 1 else 0
        super().__init__(
            inputs, outputs, kernel, stride=stride, padding=even, groups=groups, bias=bias
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride > 1 and kernel > 1:
            high, wide = (max(0, (-(-n // stride) - 1) * stride + kernel - n) for n in x.shape[-2:])
            x = functional.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project (Sandler et al. 2018, MobileNetV2, figure 3b).

    The input is added where stride and channels allow it.

    Args:
        inputs: channels that come in.
        hidden: channels between; where it equals ``inputs`` there is no expansion.
        outputs: channels that go out.
        kernel: of the depthwise filter.
        stride: of the depthwise filter.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.expand = SameConv2d(inputs, hidden, 1) if hidden != inputs else nn.Identity()
        self.filter = SameConv2d(hidden, hidden, kernel, stride=stride, groups=hidden)
        self.project = SameConv2d(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y = x
        if not isinstance(self.expand, nn.Identity):
            y = functional.relu6(self.expand(y))
        y = self.project(functional.relu6(self.filter(y)))
        return x + y if self.residual else y


class BlazeBlock(nn.Module):
    """Filter each channel, mix the channels, add the input (Bazarevsky et al. 2019, BlazeFace).

    With stride 2 the input is pooled; where there are more channels behind, it is filled up
    with zeros.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        stride: 1 or 2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.filter = SameConv2d(inputs, inputs, 5, stride=stride, groups=inputs, bias=False)
        self.mix = SameConv2d(inputs, outputs, 1)
        self.activation = nn.PReLU(outputs)
        self.stride = stride
        self.more = outputs - inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y = self.mix(self.filter(x))
        if self.stride > 1:
            x = functional.max_pool2d(x, self.stride)
        if self.more:
            x = functional.pad(x, (0, 0, 0, 0, 0, self.more))
        out: torch.Tensor = self.activation(x + y)
        return out
