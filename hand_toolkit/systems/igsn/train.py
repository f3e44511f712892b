"""Stage one: learns the prior from rendered or photographed hands (IGSN, section 3.2.3).

The loop is that of :mod:`hand_toolkit.learn`; this module says what a step of the prior is.
"""

from __future__ import annotations

import logging
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...core.errors import InputError
from ...learn import EpochOrder, Group, Place, Trainable
from ...learn import train as run_loop
from ...learn.loop import OnStep
from ...learn.schedule import halving
from .config import MAP_EPSILON, PRESETS, PriorConfig, TrainConfig

if TYPE_CHECKING:
    import torch

    from .dataset import Scene
    from .model import PriorModel, SceneBatch

log = logging.getLogger(__name__)

SYSTEM = "igsn"
GRADIENT_LIMIT = 1.0
FIRST_SCENES = 4
"""Scenes from which a new subject's identity map is first written."""


class SceneSource(Protocol):
    """What training reads: scenes that may grow in number while it runs."""

    def scan(self, split: str) -> list[Scene]:
        """The finished scenes of a split, sorted by key."""
        ...

    def batch(self, scene: Scene, views: Sequence[int], slot: int) -> SceneBatch:
        """Pixels, masks and lights of some views of a scene."""
        ...

    def albedo_map(self, scenes: Sequence[Scene]) -> torch.Tensor | None:
        """(2, 3, S, S) albedo that a subject's pictures show, in UV, or None."""
        ...


class PriorTraining(Trainable):
    """The prior with its scenes; a step's item is the key of a scene.

    Args:
        config: the network.
        settings: rates, weights, seed.
        data: one or several folders of rendered hands, or scenes of your own.
        device: where batches go.

    Raises:
        InputError: no data.
    """

    unused_parameters = True  # a scene touches its own subject's identity map only
    config: PriorConfig
    settings: TrainConfig
    module: PriorModel

    def __init__(
        self,
        config: PriorConfig,
        settings: TrainConfig,
        data: Path | Sequence[Path] | SceneSource,
        device: torch.device,
    ) -> None:
        from ...learn.losses import perceptual_loss
        from .dataset import RenderedSet
        from .model import PriorModel

        self.config, self.settings = config, settings
        self._perceptual, loss = perceptual_loss(settings.perceptual, device)
        self.module = PriorModel(config, settings, loss)
        self._data = data
        if isinstance(data, Path):
            data = [data]
        if isinstance(data, Sequence):
            if not data:
                raise InputError(
                    "there is no data to train on; give folders that 'hand-toolkit synth' wrote"
                )
            data = RenderedSet(list(data), config, device)
        self._source: SceneSource = data
        self._scenes: dict[str, Scene] = {}
        self._slots: dict[str, int] = {}
        self._order = EpochOrder()

    def groups(self) -> list[Group]:
        """Network and identity maps."""
        s = self.settings
        return [
            Group(list(self.module.network.parameters()), s.learning_rate, clip=GRADIENT_LIMIT),
            Group(list(self.module.identities), s.identity_rate, epsilon=MAP_EPSILON),
        ]

    def rate(self, step: int) -> float:
        """Halves by ``half_life``."""
        return halving(step, self.settings.half_life, self.settings.warmup)

    def items(self, place: Place) -> list[str]:
        """Keys of this process's scenes; folders are read anew at each epoch."""
        per_step = place.world * self.settings.scenes_per_step
        if not self._scenes or self._order.finished:
            self._scan(place)
            if any(key not in self._scenes for key in self._order.ahead):
                log.warning("the data has changed since the checkpoint: a new epoch begins")
                self._order.give_up()
            if self._order.finished:
                self._order.begin(self._scenes, self.settings.seed, per_step)
        return self._order.take(per_step)[place.rank :: place.world]

    def load(
        self, item: str, place: Place, rng: np.random.Generator
    ) -> tuple[SceneBatch, bool, int]:
        """Some views of the scene, whether all points are used, and a seed."""
        scene = self._scenes[item]
        count = min(self.settings.views_per_scene, len(scene.views))
        views = sorted(rng.choice(len(scene.views), count, replace=False).tolist())
        batch = self._source.batch(scene, views, self._slots[scene.subject])
        return batch, place.step >= self.settings.coarse_steps, int(rng.integers(1 << 31))

    def state(self) -> dict[str, Any]:
        """The epoch's order, and subject -> identity map."""
        return {**self._order.state(), "slots": dict(self._slots)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back the order and the subjects' maps."""
        self._order.restore(state)
        self._slots = dict(state["slots"])

    def keeps(self, name: str) -> bool:
        """Identity maps of subjects only."""
        kind, _, rest = name.partition(".")
        return kind != "identities" or int(rest.split(".")[0]) in self._slots.values()

    def notes(self) -> dict[str, Any]:
        """The perceptual loss that was at hand."""
        return {"perceptual": self._perceptual}

    def scores(self) -> dict[str, float]:
        """psnr_box, ssim_box and FLIP on the training subjects' held-out poses."""
        from .dataset import RenderedSet
        from .evaluate import training_pictures

        if not isinstance(self._source, RenderedSet):
            return {}
        held = [s for s in self._source.scan("held-out") if s.subject in self._slots]
        if not held:
            return {}
        return training_pictures(self.module, self._source, held, self._slots)[0]

    def _scan(self, place: Place) -> None:
        """Read which scenes there are; a new subject's map starts from its pictures."""
        found = place.agreed(lambda: self._source.scan("train"))
        self._scenes = {scene.key: scene for scene in found}
        if not self._scenes:
            raise InputError(
                f"{self._data} has no finished training scenes; render some with "
                "'hand-toolkit synth'"
            )
        new = sorted({s.subject for s in self._scenes.values()} - set(self._slots))
        slots = self.settings.subject_slots
        if len(self._slots) + len(new) > slots:
            raise InputError(
                f"the data has {len(self._slots) + len(new)} training subjects, but there are "
                f"{slots} identity maps; raise subject_slots"
            )
        for subject in new:
            self._slots[subject] = len(self._slots)
            own = [s for s in self._scenes.values() if s.subject == subject][:FIRST_SCENES]
            albedo = self._source.albedo_map(own)
            if albedo is not None:
                self.module.start_identity(self._slots[subject], albedo)


class IgsnTraining:
    """Registers the prior as a training."""

    name = SYSTEM
    description = "the learned prior of one-shot avatars"
    settings = TrainConfig

    def presets(self) -> dict[str, PriorConfig]:
        """The sizes of the network."""
        return PRESETS

    def build(
        self,
        config: PriorConfig,
        settings: TrainConfig,
        data: Sequence[Path],
        device: torch.device,
    ) -> PriorTraining:
        """A prior that reads those folders."""
        return PriorTraining(config, settings, data, device)


def train(
    config: PriorConfig,
    data: Path | Sequence[Path] | SceneSource,
    out: Path,
    *,
    settings: TrainConfig | None = None,
    resume: bool = True,
    device: str = "auto",
    on_step: OnStep | None = None,
) -> Path:
    """Train the prior and return the last checkpoint's path.

    Args:
        config: the network.
        data: one or several folders of rendered hands, or scenes of your own.
        out: folder of the checkpoint, ``log.jsonl`` and TensorBoard events.
        settings: steps, rates, weights, seed.
        resume: go on from the checkpoint in ``out`` where there is one, to the same losses
            that an uninterrupted run has.
        device: "auto", "cpu" or "cuda".
        on_step: called with the step and its losses, e.g. for a progress bar.

    Raises:
        InputError: no finished scenes, more subjects than slots, or a loss that is not finite.
        MissingDependencyError: Accelerate is not installed.
    """
    chosen = settings or TrainConfig()
    return run_loop(
        lambda where: PriorTraining(config, chosen, data, where),
        out,
        seed=chosen.seed,
        system=SYSTEM,
        resume=resume,
        device=device,
        on_step=on_step,
    )


if __name__ == "__main__":  # what launch scripts named before 'hand-toolkit train' was one
    sys.argv[1:] = ["train", *("--fresh" if a == "--no-resume" else a for a in sys.argv[1:])]
    runpy.run_module("hand_toolkit.cli", run_name="__main__")
