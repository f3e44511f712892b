"""The ``texture`` method as the registry offers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...core.options import Option
from ...core.types import Progress
from ..forearm import FOREARM_OPTION
from ..method import MethodConfig

if TYPE_CHECKING:
    from ...avatar import Avatar
    from ...media.viewset import ViewSet
    from .one_photo import TextureConfig

SIZES = {"draft": (4, 384, 3), "standard": (16, 640, 4), "high": (16, 1024, 5)}
"""Quality -> splats per triangle, working size in pixels, rounds of matching the photo."""

OPTIONS = (
    Option(
        "splats_per_face",
        str,
        "auto",
        "splats on each triangle of the hand's mesh; 'auto' goes by the quality",
        ("auto", "1", "4", "16"),
    ),
    Option("working_size", int, 0, "pixels that hands are fitted at; 0: by quality", (), 0, 4096),
    Option("refinement", int, 0, "rounds of matching the photo; 0: by quality", (), 0, 5000),
    Option(
        "completion",
        str,
        "network",
        "hidden skin: a template moved to the person's tone (membrane), which takes from the photo "
        "what a network believes (belief), or that network's own (network)",
        ("network", "belief", "membrane"),
    ),
    Option(
        "trust",
        float,
        0.5,
        "how far to trust the photo's skin, from 0, little but its tone, to 1, all that is seen; "
        ".5 is what the network believes",
        (),
        0,
        1,
    ),
    Option(
        "own_detail",
        bool,
        True,
        "draw lines, wrinkles and veins of one person on skin that no photo shows; without it "
        "hidden skin has people's mean detail",
    ),
    FOREARM_OPTION,
)


class TextureMethod:
    """Visible skin from the photos, hidden skin completed, light separated."""

    name = "texture"
    description = "the photos' own skin over a population template; for any hand model"
    options = OPTIONS

    def suits(self, hand_model: str) -> bool:
        """See :class:`hand_toolkit.AvatarMethod`."""
        return True

    def fit(self, views: ViewSet, config: MethodConfig, progress: Progress) -> Avatar:
        """See :class:`hand_toolkit.AvatarMethod`."""
        from .many_views import fit_texture_views

        how = texture_config(config.quality, config.options)
        return fit_texture_views(views, how, config.device, progress)


def texture_config(quality: str, options: Mapping[str, Any]) -> TextureConfig:
    """Settings of the texture fit for a quality and the values of ``OPTIONS``."""
    from .one_photo import TextureConfig
    from .optimize import OptimizeConfig

    per_face, size, steps = SIZES[quality]
    if options.get("splats_per_face", "auto") != "auto":
        per_face = int(options["splats_per_face"])
    return TextureConfig(
        per_face,
        options.get("working_size") or size,
        OptimizeConfig(steps=options.get("refinement") or steps),
        options.get("completion", "network"),
        options.get("trust", 0.5),
        options.get("own_detail", True),
    )
