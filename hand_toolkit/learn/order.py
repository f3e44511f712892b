"""The order in which items are trained on, epoch after epoch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass
class EpochOrder:
    """One epoch's keys in a random order, and how many are used.

    Attributes:
        epoch: passes over the items begun, less one.
        order: keys of the present epoch, in training order.
        cursor: keys of ``order`` used.
    """

    epoch: int = -1
    order: list[str] = field(default_factory=list)
    cursor: int = 0

    @property
    def finished(self) -> bool:
        """Whether the epoch has no more keys."""
        return self.cursor >= len(self.order)

    @property
    def ahead(self) -> list[str]:
        """Keys that are still to come."""
        return self.order[self.cursor :]

    def begin(self, keys: Collection[str], seed: int, per_step: int) -> None:
        """Begin the next epoch; it is filled up to whole steps from its own start."""
        self.epoch += 1
        known = sorted(keys)
        rng = np.random.default_rng([seed, self.epoch])
        self.order = [known[i] for i in rng.permutation(len(known))]
        short = -len(self.order) % per_step
        self.order += [self.order[i % len(known)] for i in range(short)]
        self.cursor = 0

    def give_up(self) -> None:
        """End the epoch here."""
        self.cursor = len(self.order)

    def take(self, count: int) -> list[str]:
        """The next ``count`` keys."""
        taken = self.order[self.cursor : self.cursor + count]
        self.cursor += count
        return taken

    def state(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave; other keys are left alone."""
        self.epoch, self.cursor = int(state["epoch"]), int(state["cursor"])
        self.order = list(state["order"])
