"""The same sums in the same order, whatever the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def repeatable_sums(device: torch.device | str) -> Iterator[None]:
    """Within it, torch sums on the processor in one order, so that a seed gives the same bytes.

    On several threads the gradient of ``x[index]`` otherwise adds up by atomic additions, in the
    order in which the threads come, and every run differs in the last bits. Elsewhere than on the
    processor nothing is changed: several CUDA kernels have no ordered form.

    Args:
        device: where the tensors are.
    """
    if torch.device(device).type != "cpu":
        yield
        return
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("warn")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
