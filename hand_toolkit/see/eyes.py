"""The class network as a training of the common loop: ``hand-toolkit train --system eyes``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core.errors import InputError
from ..learn import Group, Trainable
from ..learn.contract import Place
from ..learn.schedule import cosine
from .classes import ClassNetwork
from .eyes_config import EyesConfig, EyesSettings
from .training import class_losses, new_network, validate

WARMUP_STEPS, GRADIENT_CLIP = 60, 5.0


class _Losses(nn.Module):
    """The network with its losses, as the loop calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.network: ClassNetwork = new_network()

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Losses of a batch by name, with their sum."""
        losses = class_losses(self.network, batch)
        return {**losses, "loss": torch.stack(list(losses.values())).sum()}


class EyesTrainable(Trainable):
    """The class network with crops from shards.

    Args:
        config, settings: of the run.
        data: the folder of shards; a second one holds shards that never train.
        device: of the module.
    """

    config: EyesConfig
    settings: EyesSettings
    module: _Losses

    def __init__(
        self,
        config: EyesConfig,
        settings: EyesSettings,
        data: Sequence[Path],
        device: torch.device,
    ) -> None:
        from ..synth.crops.shards import open_shards
        from .training_photos import load_backdrops, read_labelled

        if not 1 <= len(data) <= 2:
            raise InputError(
                f"eyes train on {len(data)} folders; give one of crops, and one that never trains"
            )
        self.config, self.settings, self.device = config, settings, device
        self._crops = open_shards(data[0])
        self._held_out = data[1] if len(data) == 2 else None
        paths = [Path(p) if p else None
                 for p in (settings.patches, settings.bodies, settings.environments)]  # fmt: skip
        self._backdrops = load_backdrops(*paths)
        self._photos = read_labelled(Path(settings.photos)) if settings.photos else []
        self.module = _Losses()
        self._fresh, self._tuned = self.module.network.parameter_groups()

    def groups(self) -> Sequence[Group]:
        """What starts from nothing, what starts from MediaPipe's weights."""
        rate, tuned = self.settings.rate, self.settings.rate * self.settings.tuned_rate
        return [
            Group(self._fresh, rate, decay=1e-3, clip=GRADIENT_CLIP),
            Group(self._tuned, tuned, decay=1e-3, clip=GRADIENT_CLIP),
        ]

    def items(self, place: Place) -> Sequence[Any]:
        """One batch a process."""
        return [f"batch {place.step * place.world + place.rank}"]

    def load(self, item: Any, place: Place, rng: np.random.Generator) -> tuple[Any, ...]:
        """A batch drawn from ``rng``."""
        from .samples import sample_crop, sample_photo

        samples = []
        for _ in range(self.settings.batch):
            if self._photos and rng.random() < self.settings.photo_share:
                photo = self._photos[int(rng.integers(len(self._photos)))]
                samples.append(sample_photo(rng, photo))
            else:
                samples.append(sample_crop(rng, self._crops, self._backdrops))
        batch = {
            "image": torch.from_numpy(np.stack([s.image for s in samples])),
            "labels": torch.from_numpy(np.stack([s.labels for s in samples])),
            "depth": torch.from_numpy(np.stack([s.depth for s in samples])).float(),
        }
        return ({name: value.to(self.device) for name, value in batch.items()},)

    def rate(self, step: int) -> float:
        """Half a cosine."""
        return cosine(step, self.settings.steps, WARMUP_STEPS, 0.005)

    def scores(self) -> dict[str, float]:
        """IoU of owners on the crops that never train."""
        if self._held_out is None:
            return {}
        network = self.module.network
        network.to("cpu")
        found = validate(network, self._held_out, 128)
        network.to(self.device)
        return found
