"""A moving average of the weights, which scores better than the weights of any one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class MovingAverage:
    """Follows a module's state (Polyak and Juditsky 1992; exponential, with a quick start).

    Args:
        module: what it follows; the average begins as its state.
        keep: most that a step leaves of the average; early steps leave less, so that the first
            weights are soon forgotten.

    Attributes:
        state: the average, as the module's ``state_dict``.
    """

    def __init__(self, module: torch.nn.Module, keep: float) -> None:
        self._keep = keep
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    def follow(self, module: torch.nn.Module, done: int) -> None:
        """Move toward the module's state after ``done`` steps."""
        import torch

        keep = min(self._keep, done / (done + 10))
        owned, followed = [], []
        with torch.no_grad():
            for name, value in module.state_dict().items():
                if value.is_floating_point():
                    owned.append(self.state[name])
                    followed.append(value)
                else:
                    self.state[name].copy_(value)
            # one launch for hundreds of small tensors
            torch._foreach_lerp_(owned, followed, 1 - keep)

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take back a saved average; what it lacks stays."""
        for name, value in state.items():
            self.state[name].copy_(value)

    @contextmanager
    def shown(self, module: torch.nn.Module) -> Iterator[None]:
        """Put the average into the module for a while."""
        own = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self.state)
        try:
            yield
        finally:
            module.load_state_dict(own)
