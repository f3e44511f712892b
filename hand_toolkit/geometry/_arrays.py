"""The few operations whose name differs between numpy and torch, so that a formula is one text.

An array that is no numpy array counts as a torch tensor; torch is imported for tensors only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def is_numpy(array: Any) -> bool:
    """Whether ``array`` is numpy's, an array or one of its numbers."""
    return isinstance(array, (np.ndarray, np.generic))


def components(array: Any) -> Any:
    """The slices along the last axis."""
    return np.moveaxis(array, -1, 0) if is_numpy(array) else array.unbind(-1)


def stack(parts: Sequence[Any], axis: int = -1) -> Any:
    """Parts of one shape along a new axis."""
    if is_numpy(parts[0]):
        return np.stack(parts, axis)
    import torch

    return torch.stack(list(parts), axis)


def where(condition: Any, yes: Any, no: Any) -> Any:
    """Elementwise choice."""
    if is_numpy(condition):
        return np.where(condition, yes, no)
    import torch

    return torch.where(condition, yes, no)


def full_like(array: Any, value: float) -> Any:
    """An array of that shape and kind, filled."""
    if is_numpy(array):
        return np.full_like(array, value)
    import torch

    return torch.full_like(array, value)


def sin(array: Any) -> Any:
    """Elementwise sine."""
    return np.sin(array) if is_numpy(array) else array.sin()


def sqrt(array: Any) -> Any:
    """Elementwise square root; ``** 0.5`` has another rounding in torch's gradients."""
    return np.sqrt(array) if is_numpy(array) else array.sqrt()


def cross(a: Any, b: Any) -> Any:
    """Cross product along the last axis."""
    if is_numpy(a):
        return np.cross(a, b)
    import torch

    return torch.linalg.cross(a, b)


def identity(like: Any) -> Any:
    """(3, 3) identity of the kind, precision and place of ``like``."""
    if is_numpy(like):
        return np.eye(3, dtype=like.dtype)
    import torch

    return torch.eye(3, dtype=like.dtype, device=like.device)


def index_of(indices: Any, like: Any) -> Any:
    """Indices as the kind of ``like`` takes them."""
    if is_numpy(like):
        return indices
    import torch

    if isinstance(indices, torch.Tensor):
        return indices
    return torch.as_tensor(np.asarray(indices), dtype=torch.long, device=like.device)
