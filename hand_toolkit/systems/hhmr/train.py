"""HHMR as a training of the common loop: ``hand-toolkit train DATA -o OUT --system hhmr``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import InputError
from ...learn import Group, Trainable
from ...learn.contract import Place
from ...learn.schedule import cosine
from .config import PRESETS, SYSTEM, HhmrConfig, HhmrSettings

if TYPE_CHECKING:
    import torch

    from .hands import Hands
    from .network import HhmrNetwork

WARMUP_SHARE = 0.02
"""Of the steps, or of the minutes."""

GRADIENT_CLIP = 1.0
SCORED_STEPS = 10
REFRESH_EVERY = 100
"""Steps between two looks for new crops."""


def _module(config: HhmrConfig, settings: HhmrSettings) -> Any:
    import torch
    from torch import nn

    from .diffusion import noised, signal_share
    from .losses import MeshLosses
    from .network import HhmrNetwork

    class Losses(nn.Module):
        """The network with its losses, as the loop calls it."""

        def __init__(self) -> None:
            super().__init__()
            self.network = HhmrNetwork(config)
            self._losses: MeshLosses | None = None
            self._share: torch.Tensor | None = None

        def forward(self, hands: Hands) -> dict[str, torch.Tensor]:
            """Losses of a batch at noise levels of torch's generator."""
            mesh = hands.mesh
            if self._losses is None or self._share is None:
                self._losses = MeshLosses(self.network.pyramid, self.network.regressor)
                self._share = signal_share(mesh.device)
            step = torch.randint(len(self._share), (len(mesh),), device=mesh.device)
            noisy = noised(mesh, step, torch.randn_like(mesh), self._share)
            half = settings.autocast and mesh.is_cuda
            with torch.autocast(mesh.device.type, torch.bfloat16, enabled=half):
                tokens, valid = self.network.encode(hands.conditions)
                found = self.network(noisy, step, tokens, valid, hands.conditions.upright)
            parts = self._losses(found, mesh)
            loss = (
                parts["vertex"]
                + settings.joint_weight * parts["joint"]
                + settings.normal_weight * parts["normal"]
                + settings.edge_weight * parts["edge"]
            )
            return {"loss": loss, **{name: value.detach() for name, value in parts.items()}}

    return Losses()


class HhmrTrainable(Trainable):
    """The denoiser with hands made on the fly.

    Args:
        config, settings: of the run.
        data: one folder with ``poses.npz`` (:mod:`.recordings`) and, for the image condition,
            shards of crops in ``images`` (:mod:`.crops`), which may still be growing.
        device: of the module.
    """

    config: HhmrConfig
    settings: HhmrSettings

    def __init__(
        self,
        config: HhmrConfig,
        settings: HhmrSettings,
        data: Sequence[Path],
        device: torch.device,
    ) -> None:
        from .crops import FOLDER, ImageBank
        from .hands import HandMaker
        from .poses import draw_bank
        from .recordings import read_recordings

        if len(data) != 1:
            raise InputError(f"hhmr trains on one folder, received {len(data)}")
        self.config, self.settings, self.device = config, settings, device
        self._recordings = read_recordings(data[0])
        self.module = _module(config, settings)
        if settings.start:
            self._begin_from(settings.start)
        bank = draw_bank(
            np.random.default_rng([settings.seed, 53]), self._recordings, settings.bank, device
        )
        folder = data[0] / FOLDER
        self._images = ImageBank(folder, config, device) if folder.is_dir() else None
        if self._images is not None:
            self._images.refresh()
        self._maker = HandMaker(config, settings, bank, self._images)

    def _begin_from(self, start: str) -> None:
        from .weights import SHIPPED, read_network

        path = SHIPPED if start == "shipped" else Path(start)
        self.network.load_state_dict(read_network(path)[0].state_dict())

    @property
    def network(self) -> HhmrNetwork:
        """What is trained."""
        module: Any = self.module
        return module.network  # type: ignore[no-any-return]

    def groups(self) -> Sequence[Group]:
        """All of it."""
        s = self.settings
        return [Group(list(self.module.parameters()), s.rate, decay=s.decay, clip=GRADIENT_CLIP)]

    def items(self, place: Place) -> Sequence[Any]:
        """One batch a process."""
        return [f"batch {place.step * place.world + place.rank}"]

    def load(self, item: Any, place: Place, rng: np.random.Generator) -> tuple[Any, ...]:
        """A batch drawn by torch's generator, which the loop seeds for each step."""
        if self._images is not None and place.step % REFRESH_EVERY == 0:
            self._images.refresh()
        return (self._maker.draw(),)

    def rate(self, step: int) -> float:
        """Half a cosine down to a hundredth."""
        steps = self.settings.steps
        return cosine(step, steps, max(int(WARMUP_SHARE * steps), 1), 0.01)

    def notes(self) -> Mapping[str, Any]:  # type: ignore[override]
        """How many crops there were."""
        return {"images": 0 if self._images is None else len(self._images)}

    def scores(self) -> dict[str, float]:
        """Errors on poses that never train, in millimetres; see :func:`.evaluate.quick_scores`."""
        from .evaluate import quick_scores

        return quick_scores(self.network, self._recordings, self.settings.scored, SCORED_STEPS)


class HhmrTraining:
    """Registers the diffusion model as a training."""

    name = SYSTEM
    description = "hand meshes by diffusion: generate, complete, reconstruct, fit"
    settings = HhmrSettings

    def presets(self) -> dict[str, HhmrConfig]:
        """The sizes of the network."""
        return PRESETS

    def build(
        self,
        config: HhmrConfig,
        settings: HhmrSettings,
        data: Sequence[Path],
        device: torch.device,
    ) -> HhmrTrainable:
        """A denoiser that reads that folder."""
        return HhmrTrainable(config, settings, data, device)
