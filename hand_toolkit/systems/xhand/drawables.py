"""A personal avatar that follows the pose: D(θ), W(θ) and ρ(θ) evaluated for every pose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch

from ...avatar import Avatar, surface
from ...avatar.avatar import join_splats, splats_on_surface
from ...avatar.lighting import Light, shading_of
from ...core.errors import InputError
from ...core.types import Splats
from ...geometry.colour import linear_to_srgb, srgb_to_linear
from .bake import finder
from .person import Person
from .stored import from_extras


class PersonalAvatar:
    """The baked splats, moved and tinted by what the embeddings say of each pose.

    A hand that was made by mirroring the other follows the other's embeddings.

    Attributes:
        antialiased: drawn as an avatar's splats are.
    """

    antialiased = True

    def __init__(self, avatar: Avatar) -> None:
        """Read the embeddings.

        Args:
            avatar: of the method ``xhand``.

        Raises:
            InputError: another method made it.
        """
        self.avatar = avatar
        people = from_extras(avatar)
        self._people, self._at, self._flip = {}, {}, {}
        for hand in avatar.hands:
            flip = hand.side not in people
            person = next(iter(people.values())) if flip else people[hand.side]
            coarse = surface(avatar.hand_model, hand.side, avatar.level)
            fine = surface(avatar.hand_model, hand.side, person.model.level)
            self._people[hand.side], self._flip[hand.side] = person, flip
            self._at[hand.side] = finder(fine, coarse, hand.binding)

    @property
    def sides(self) -> tuple[str, ...]:
        """Sides that the avatar has, right first."""
        return self.avatar.sides

    @property
    def photo_light(self) -> np.ndarray:
        """The avatar's."""
        return self.avatar.photo_light

    def splats(
        self,
        theta: Mapping[str, np.ndarray],
        translation: Mapping[str, np.ndarray] | None = None,
        light: Light = "baked",
    ) -> Splats:
        """See :meth:`hand_toolkit.avatar.Drawable.splats`."""
        if not theta:
            raise InputError("no hand was posed; give θ for at least one side")
        shading = shading_of(light, self.avatar.light)
        parts = []
        for side, pose in theta.items():
            hand = self.avatar.hand(side)
            where = np.zeros(3) if translation is None else translation.get(side, np.zeros(3))
            mesh = self.avatar.mesh(side, pose, where)
            moved, tint = self._changes(side, np.asarray(pose, np.float64), np.asarray(where))
            albedo = linear_to_srgb(srgb_to_linear(hand.albedo) * tint)
            color = hand.color
            if color.ndim == 2:
                color = linear_to_srgb(srgb_to_linear(color) * tint)
            own = dataclasses.replace(hand, albedo=albedo, color=color)
            model = surface(self.avatar.hand_model, side, self.avatar.level)
            made = splats_on_surface(own, model, mesh, shading)
            parts.append(dataclasses.replace(made, means=(made.means + moved).astype(np.float32)))
        return join_splats(parts)

    @torch.no_grad()
    def _changes(
        self, side: str, theta: np.ndarray, where: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) metres and (N, 3) factor of albedo that the pose adds to the baked splats."""
        person: Person = self._people[side]
        signs = np.array([-1.0, 1.0, 1.0]) if self._flip[side] else np.ones(3)
        turned = theta * ([1.0, -1.0, -1.0] if self._flip[side] else [1.0, 1.0, 1.0])
        pose, place = (torch.tensor(a, dtype=torch.float32) for a in (turned, where * signs))
        now, still = person(pose, place), person.still(pose, place)
        moved = (now.vertices - still.vertices).numpy() * signs
        tint = (now.log_albedo - still.log_albedo).exp().numpy()
        at = self._at[side]
        return at(moved), at(tint)
