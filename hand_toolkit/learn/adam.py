"""Adam for fits that take seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.optim.adam import adam


class Adam:
    """``torch.optim.Adam`` without its constructor, whose first call imports torch's compiler.

    That import takes 2.6 seconds, a tenth of a photo's fit; the steps are torch's own.

    Args:
        groups: dictionaries with "params" (tensors that require gradients), "lr", and "eps" where
            1e-8 is not meant.
        betas: of both moving averages.

    Attributes:
        param_groups: the groups; "lr" may be changed between steps.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], betas: tuple[float, float] = (0.9, 0.999)
    ) -> None:
        self.param_groups = [{**group, "params": list(group["params"])} for group in groups]
        self._betas = betas
        self._state: dict[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            for p in moved:
                if p not in self._state:
                    self._state[p] = torch.zeros_like(p), torch.zeros_like(p), torch.tensor(0.0)
            means, squares, counts = ([self._state[p][k] for p in moved] for k in range(3))
            adam(
                moved, [p.grad for p in moved if p.grad is not None], means, squares, [], counts,
                amsgrad=False, beta1=self._betas[0], beta2=self._betas[1], lr=group["lr"],
                weight_decay=0.0, eps=group.get("eps", 1e-8), maximize=False,
            )  # fmt: skip
