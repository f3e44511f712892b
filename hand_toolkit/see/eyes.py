"""The class network as a training of the common loop: ``hand-toolkit train --system eyes``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.errors import InputError
from ..learn import Group, Trainable
from ..learn.contract import Place
from ..learn.schedule import cosine
from .eyes_config import EyesConfig, EyesSettings
from .feeds import BackdropFeed, BackdropFiles, ShardFeed
from .pools import Ring, photo_rows, read_labelled
from .samples import Sampler, Sources
from .training import ClassLosses, new_losses, validate

WARMUP_STEPS, GRADIENT_CLIP = 60, 5.0

BACKDROPS = 2048
"""Backgrounds that are held ready, for each process that draws them."""


class EyesTrainable(Trainable):
    """The class network with crops from shards.

    A run whose crops fit into its pool goes on as if it had not been stopped; else which crops
    are at hand depends on time.

    Args:
        config, settings: of the run.
        data: the folder of shards; a second one holds shards that never train.
        device: of the module.
    """

    config: EyesConfig
    settings: EyesSettings
    module: ClassLosses

    def __init__(
        self,
        config: EyesConfig,
        settings: EyesSettings,
        data: Sequence[Path],
        device: torch.device,
    ) -> None:
        if not 1 <= len(data) <= 2:
            raise InputError(
                f"eyes train on {len(data)} folders; give one of crops, and one that never trains"
            )
        self.config, self.settings, self.device = config, settings, device
        self._held_out = data[1] if len(data) == 2 else None
        crops = Ring(settings.pool, device)
        self._crops = ShardFeed(data[0], crops, settings.used_up)
        found = read_labelled(Path(settings.photos)) if settings.photos else []
        photos = Ring(max(1, len(found)), device)
        if found:
            photos.add(photo_rows(found))
        paths = [Path(p) if p else None
                 for p in (settings.patches, settings.bodies, settings.environments)]  # fmt: skip
        held = BACKDROPS * settings.drawers if settings.drawers else max(2, settings.batch // 2)
        backdrops = Ring(held, device)
        self._backdrops = BackdropFeed(
            BackdropFiles(*paths), backdrops, settings.drawers, settings.seed
        )
        self._sampler = Sampler(Sources(crops, photos, backdrops), device)
        self.module = new_losses(
            settings.frozen_stride, Path(settings.start) if settings.start else None
        )
        self._fresh, self._tuned = self.module.network.parameter_groups(settings.fixed_filters)

    def groups(self) -> Sequence[Group]:
        """What starts from nothing, what starts from MediaPipe's weights."""
        rate, tuned = self.settings.rate, self.settings.rate * self.settings.tuned_rate
        groups = [Group(self._fresh, rate, decay=1e-3, clip=GRADIENT_CLIP)]
        if self._tuned:
            groups.append(Group(self._tuned, tuned, decay=1e-3, clip=GRADIENT_CLIP))
        return groups

    def items(self, place: Place) -> Sequence[Any]:
        """One batch a process."""
        return [f"batch {place.step * place.world + place.rank}"]

    def load(self, item: Any, place: Place, rng: np.random.Generator) -> tuple[Any, ...]:
        """A batch drawn from ``rng``."""
        settings = self.settings
        self._crops.advance(settings.batch)
        self._backdrops.advance(rng, settings.batch)
        return (self._sampler.draw(rng, settings.batch, settings.photo_share),)

    def rate(self, step: int) -> float:
        """Half a cosine."""
        return cosine(step, self.settings.steps, WARMUP_STEPS, 0.005)

    def keeps(self, name: str) -> bool:
        """All but the landmark network, which is not trained."""
        return not name.startswith("landmarks.")

    def scores(self) -> dict[str, float]:
        """IoU of owners on the crops that never train."""
        if self._held_out is None:
            return {}
        return validate(self.module.network, self._held_out, device=self.device)


def export_weights(checkpoint: Path, out: Path, notes: dict[str, Any]) -> Path:
    """Write a run's averaged weights as they are shipped: float16, with a JSON beside them.

    Args:
        checkpoint: of a run of this training.
        out: a safetensors file.
        notes: what the JSON says besides the run's settings.

    Raises:
        InputError: there is no such checkpoint.
        FileFormatError: it is damaged or of another training.
    """
    from ..core.errors import FileFormatError
    from ..learn.checkpoint import read_average, read_header, write_weights
    from .classes import ClassNetwork

    header = read_header(checkpoint)
    network, prefix = ClassNetwork(), "network."
    tensors = {
        name[len(prefix) :]: value
        for name, value in read_average(checkpoint).items()
        if name.startswith(prefix)
    }
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise FileFormatError(
            f"{checkpoint.name} holds no class network of this version ({error}); give the "
            "checkpoint of 'hand-toolkit train --system eyes'"
        ) from error
    kept: dict[str, Any] = {k: header[k] for k in ("progress", "settings") if k in header}
    parameters = sum(value.numel() for value in network.parameters())
    return write_weights(network, {**notes, "parameters": parameters, **kept}, out)
