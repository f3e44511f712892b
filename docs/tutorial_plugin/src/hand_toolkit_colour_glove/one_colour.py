"""A toy avatar method: the hand in one colour, the mean of what the photos show."""

from __future__ import annotations

import numpy as np

from hand_toolkit import Avatar, AvatarHand, MethodConfig, ViewSet
from hand_toolkit.core.options import Option


class OneColour:
    """Splats of one colour on the mesh; fits any number of photos, for a quick look."""

    name = "one-colour"
    description = "the hand's mean colour all over, without shading"
    options = (Option("opacity", float, 0.98, "of every splat", (), 0.0, 1.0),)

    def suits(self, hand_model: str) -> bool:
        """Every hand has a mean colour."""
        return True

    def fit(self, views: ViewSet, config: MethodConfig, progress) -> Avatar:
        """See :class:`hand_toolkit.AvatarMethod`."""
        from hand_toolkit.avatar import surface
        from hand_toolkit.avatar.layout import lay_splats
        from hand_toolkit.avatar.lighting import constant_light
        from hand_toolkit.hand_model import rest_hand

        shown = [view.read().pixels[view.outlined()[0] > 0.5] for view in views]
        color = np.concatenate(shown).mean(axis=0) / 255.0
        progress(0.5, "colouring the hand")
        hands = {}
        ordered = [views[views.reference], *views]  # whose poses and place the avatar takes
        for side in views.sides:
            hand = next(view.hand(side) for view in ordered if view.hand(side) is not None)
            mesh = surface(hand.hand_model, side, 1)
            binding = lay_splats(rest_hand(mesh, hand.shape)[0], mesh.faces, 1)
            count = len(binding)
            hands[side] = AvatarHand(
                side=side,
                shape=hand.shape,
                binding=binding,
                opacity=np.full(count, config.options["opacity"]),
                color=np.tile(color, (count, 1)),
                albedo=np.tile(color, (count, 1)),
                evidence=np.ones(count),
                source_theta=hand.theta,
                source_translation=hand.translation,
            )
        for side, other in (("right", "left"), ("left", "right")):
            hands.setdefault(side, hands[other].mirrored() if other in hands else None)
        progress(1.0, "coloured")
        return Avatar(
            hand_model=views.hand_model,
            level=1,
            hands=(hands["right"], hands["left"]),
            light=constant_light(),
            camera=views[views.reference].camera,
            provenance={"method": self.name, "photo": views[views.reference].name},
        )
