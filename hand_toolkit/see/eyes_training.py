"""The class network as the registry offers it; torch is loaded when it is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .eyes_config import SYSTEM, EyesConfig, EyesSettings

if TYPE_CHECKING:
    import torch

    from .eyes import EyesTrainable


class EyesTraining:
    """Registers the class network as a training."""

    name = SYSTEM
    description = "the class network: this hand, another hand, forearm, background"
    settings = EyesSettings

    def presets(self) -> Mapping[str, EyesConfig]:
        """The one size."""
        return {"default": EyesConfig()}

    def build(
        self,
        config: EyesConfig,
        settings: EyesSettings,
        data: Sequence[Path],
        device: torch.device,
    ) -> EyesTrainable:
        """A class network that reads those folders."""
        from .eyes import EyesTrainable

        return EyesTrainable(config, settings, data, device)
