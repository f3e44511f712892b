"""The neural way to draw an avatar: the network evaluated for every pose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch

from ...avatar import Avatar
from ...avatar.lighting import Light, shading_of
from ...core.errors import InputError
from ...core.types import Splats
from .gaussians import place, scene_colors
from .points import pose_points
from .shading import LIGHT_TERMS, linear_to_srgb
from .weights import Prior, load_prior


class NeuralAvatar:
    """An avatar of the prior with pose-dependent shape, wrinkles and contact shading.

    Baked splats keep the photo's shading wherever the hand goes; here albedo, light and
    shadow are put together anew for each pose.

    Args:
        avatar: from :func:`fit_one_shot`, modes other than "ohta".
        prior: the weights that it was fitted with; the shipped ones by default.
        device: torch device.

    Raises:
        InputError: the avatar holds no maps of the prior, or maps of another network.
    """

    def __init__(self, avatar: Avatar, prior: Prior | None = None, device: str = "cpu") -> None:
        missing = [n for n in ("identity", "bias", "gain") if f"prior.{n}" not in avatar.extras]
        if missing:
            raise InputError(
                "the avatar was not fitted with the learned prior, so it has no neural form; "
                "fit the photo with the method 'prior', or draw its splats without --neural"
            )
        prior = prior or load_prior()
        c = prior.config
        # an older avatar keeps the hand that it was made for
        self.avatar, self.config = avatar, dataclasses.replace(c, hand_model=avatar.hand_model)
        self.device = torch.device(device)
        self.network = prior.network.to(self.device)
        identity = self._tensor(avatar.extras["prior.identity"])
        self._bias = self._tensor(avatar.extras["prior.bias"])
        self._gain = self._tensor(avatar.extras["prior.gain"])
        sizes = (c.identity_channels, (c.features, c.texture_size, c.texture_size))
        if (identity.shape[1], tuple(self._bias.shape)) != sizes:
            raise InputError(
                f"the avatar's maps have {identity.shape[1]} channels, but the prior has "
                f"{c.identity_channels}; load the prior named '{avatar.provenance.get('prior')}'"
            )
        observed = [h.side for h in avatar.hands if h.observed]
        self._identity = {
            side: identity[min(observed.index(side) if side in observed else 0, len(identity) - 1)]
            for side in avatar.sides
        }

    @property
    def sides(self) -> tuple[str, ...]:
        """Sides that the avatar has, right first."""
        return self.avatar.sides

    @property
    def photo_light(self) -> np.ndarray:
        """The avatar's."""
        return self.avatar.photo_light

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.asarray(array, np.float32), device=self.device)

    @torch.no_grad()
    def splats(
        self,
        theta: Mapping[str, np.ndarray],
        translation: Mapping[str, np.ndarray] | None = None,
        light: Light = "baked",
    ) -> Splats:
        """Splats of the posed avatar; see :meth:`hand_toolkit.avatar.Drawable.splats`.

        Nothing is baked here: "baked" is the photo's light where it shone, and "flat" leaves
        light and shadow out. Of a light's bands those up to the second count.
        """
        if not theta:
            raise InputError("no hand was posed; give θ for at least one side")
        sides = [s for s in self.avatar.sides if s in theta]
        unknown = set(theta) - set(sides)
        if unknown:
            raise InputError(f"the avatar has no {sorted(unknown)[0]} hand")
        place_at = {s: np.zeros(3) for s in sides} | dict(translation or {})
        points = pose_points(
            self.config,
            sides,
            self._tensor(np.stack([theta[s] for s in sides])),
            self._tensor(np.stack([self.avatar.hand(s).shape for s in sides])),
            self._tensor(np.stack([place_at[s] for s in sides])),
        )
        identity = torch.stack([self._identity[s] for s in sides])
        attributes = self.network(points, identity, self._bias)
        geometry = place(self.config, attributes, points)
        if isinstance(light, str) and light == "flat":
            color = linear_to_srgb(geometry.albedo * self._gain)
        else:
            own = self.avatar.light
            given = shading_of(light, own)
            given = (own if given is None else given)[:LIGHT_TERMS]
            shading = np.zeros((LIGHT_TERMS, 3))
            shading[: len(given)] = given
            color = scene_colors(
                self.network, points, attributes, geometry, self._tensor(shading), self._gain
            )
        splats = geometry.splats(color.clamp(0, 1))
        return Splats(*(getattr(splats, n).cpu().numpy().astype(np.float32) for n in _FIELDS))


_FIELDS = ("means", "quats", "scales", "opacities", "colors")
