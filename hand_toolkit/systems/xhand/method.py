"""The ``xhand`` method as the registry offers it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.options import Option
from ...core.types import Progress
from ..method import MethodConfig

if TYPE_CHECKING:
    from ...avatar import Avatar
    from ...media.viewset import ViewSet

QUALITIES = {"draft": (1, 320, 20, 6), "standard": (2, 512, 40, 20), "high": (3, 640, 60, 30)}
"""Quality -> subdivisions, working size in pixels, steps of placing, passes over the views."""


class XHandMethod:
    """A personal hand from many views: displacement, skinning weights and albedo of one person."""

    name = "xhand"
    aliases = ()
    max_views = 20
    description = "a personal hand from many photos or a video; for any hand model"
    options = (
        Option("level", int, 0, "subdivisions of the mesh; 0: by quality", (), 0, 3),
        Option(
            "working_size", int, 0, "pixels that hands are fitted at; 0: by quality", (), 0, 4096
        ),
        Option("steps", int, 0, "passes over the pictures; 0: by quality", (), 0, 2000),
        Option("place_steps", int, 0, "steps of placing the hands; 0: by quality", (), 0, 2000),
        Option(
            "one_person",
            bool,
            False,
            "the pictures are one person's although their skins look like two people's",
        ),
        Option(
            "resume",
            str,
            "",
            "file that stages are kept in, that an interrupted fit of the same pictures and "
            "settings goes on from, and that is deleted at the end",
        ),
        Option(
            "one_picture",
            str,
            "igsn",
            "who makes the avatar of one picture alone, in which nobody's own shape can be seen: "
            "the learned prior where it knows the hand model, or this method all the same",
            ("igsn", "xhand"),
        ),
    )

    def suits(self, hand_model: str) -> bool:
        """See :class:`hand_toolkit.AvatarMethod`."""
        return True

    def fit(self, views: ViewSet, config: MethodConfig, progress: Progress) -> Avatar:
        """See :class:`hand_toolkit.AvatarMethod`."""
        from ..igsn.method import IgsnMethod
        from .config import XHandConfig
        from .fit import fit_xhand

        level, size, place, steps = QUALITIES[config.quality]
        given = config.options
        prior = IgsnMethod()
        alone = len(views) == 1 and given.get("one_picture", "igsn") == "igsn"
        if alone and views.hand_model is not None and prior.suits(views.hand_model):
            avatar = prior.fit(views, dataclasses.replace(config, options={}), progress)
            said = {**avatar.provenance, "method": "igsn, asked for xhand with one picture"}
            return dataclasses.replace(avatar, provenance=said)
        how = XHandConfig(
            level=given.get("level") or level,
            size=given.get("working_size") or size,
            place_steps=given.get("place_steps") or place,
            steps=given.get("steps") or steps,
            seed=config.seed,
            one_person=bool(given.get("one_person", False)),
        )
        resume = Path(given["resume"]).expanduser() if given.get("resume") else None
        made = fit_xhand(views, how, progress, config.refine_poses, resume)
        said = {"left_out": "; ".join(made.left_out)} if made.left_out else {}
        return dataclasses.replace(made.avatar, provenance={**made.avatar.provenance, **said})
