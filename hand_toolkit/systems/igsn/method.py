"""The ``igsn`` method as the registry offers it: the learned prior, with the photos' detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.options import Option
from ...core.types import Progress
from ..method import MethodConfig
from ..texture.method import OPTIONS as TEXTURE_OPTIONS
from ..texture.method import texture_config
from .config import FIT_MODES

if TYPE_CHECKING:
    from ...avatar import Avatar
    from ...media.viewset import ViewSet

STEPS = {"draft": 15, "standard": 24, "high": 80}
"""Quality -> steps of the prior's fit."""


class IgsnMethod:
    """The prior of IGSN fitted to the photos, whose own detail is laid over it."""

    name = "igsn"
    aliases = ("prior",)
    description = "the learned prior, which knows skin from all sides; the default hand model's"
    options = (
        Option("mode", str, "full", "ablations of the fit, for research", FIT_MODES),
        Option("steps", int, 0, "steps of the prior's fit; 0: by quality", (), 0, 5000),
        *TEXTURE_OPTIONS,
    )

    def suits(self, hand_model: str) -> bool:
        """Whether the shipped weights are there and were trained on that hand model."""
        from .weights import SHIPPED, load_prior

        return SHIPPED.is_file() and load_prior().config.hand_model == hand_model

    def fit(self, views: ViewSet, config: MethodConfig, progress: Progress) -> Avatar:
        """See :class:`hand_toolkit.AvatarMethod`."""
        from .config import FitConfig
        from .fit import fit_views

        how = FitConfig(
            mode=config.options.get("mode", "full"),
            steps=config.options.get("steps") or STEPS[config.quality],
            refine=config.refine_poses,
            seed=config.seed,
        )
        texture = texture_config(config.quality, config.options)
        return fit_views(views, how, config.device, progress, texture=texture)
