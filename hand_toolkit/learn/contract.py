"""What a training has to say for the loop to run it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .config import LoopSettings

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Group:
    """Parameters that share how they are optimised.

    Attributes:
        parameters: of the trainable's module.
        rate: Adam's rate, before the schedule.
        epsilon: Adam's epsilon.
        decay: decoupled weight decay (AdamW).
        clip: largest norm of the group's gradient; None leaves it.
    """

    parameters: Sequence[torch.nn.Parameter]
    rate: float
    epsilon: float = 1e-8
    decay: float = 0.0
    clip: float | None = None


@dataclass(frozen=True)
class Place:
    """Where in the run, and on which of its processes, a step is.

    Attributes:
        step: steps done before this one.
        rank, world: this process and their number.
        agreed: gives every process what the function returns on the first one.
    """

    step: int
    rank: int
    world: int
    agreed: Callable[[Callable[[], Any]], Any]


class Trainable(ABC):
    """A model with its data and its loss.

    A step takes the losses of some items (:meth:`items`), one after the other, and their mean
    gradient. The loop seeds torch's generator anew for each step and gives each item a
    generator of its own, so a resumed run meets the same random numbers.

    Attributes:
        config: dataclass of what the weights depend on; a checkpoint of another is refused.
        settings: dataclass of how it is trained.
        module: everything that is trained; called with what :meth:`load` returns, it gives
            losses by name, among them the weighted sum, "loss".
        unused_parameters: whether a step may leave parameters without a gradient (it costs a
            search per step when several processes train).
    """

    config: Any
    settings: LoopSettings
    module: torch.nn.Module
    unused_parameters: bool = False

    @abstractmethod
    def groups(self) -> Sequence[Group]:
        """The module's parameters, each in one group."""

    @abstractmethod
    def items(self, place: Place) -> Sequence[Any]:
        """This process's part of a step; their ``str`` names them when a loss fails."""

    @abstractmethod
    def load(self, item: Any, place: Place, rng: np.random.Generator) -> tuple[Any, ...]:
        """Arguments of the module for an item, on the module's device."""

    def rate(self, step: int) -> float:
        """The schedule: factor of every group's rate at a step; see :mod:`.schedule`."""
        return 1.0

    def state(self) -> dict[str, Any]:
        """JSON values that :meth:`items` needs to go on, e.g. an epoch's order."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - most have no state
        """Take back what :meth:`state` gave."""

    def keeps(self, name: str) -> bool:
        """Whether a checkpoint holds the tensor ``name`` of the module's state."""
        return True

    def notes(self) -> dict[str, Any]:
        """More JSON values that a reader of the checkpoint should have."""
        return {}

    def scores(self) -> dict[str, float]:
        """Metrics on data that never trains; the module is in evaluation mode meanwhile."""
        return {}


class Training(Protocol):
    """What ``register_trainings`` registers: how a trainable is made.

    Attributes:
        name: the system's, e.g. "igsn".
        description: one line.
        settings: dataclass of its settings, a :class:`LoopSettings`.
    """

    name: str
    description: str
    settings: type[LoopSettings]

    def presets(self) -> Mapping[str, Any]:
        """Configs by name, the default first."""
        ...

    def build(
        self, config: Any, settings: Any, data: Sequence[Path], device: torch.device
    ) -> Trainable:
        """The trainable, its module with the weights that torch's seed gives.

        Raises:
            InputError: data that cannot be trained on.
        """
        ...
