"""What clients draw: one contract for fixed splats and for networks evaluated per pose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from ..core.types import Splats
from .lighting import Light


@runtime_checkable
class Drawable(Protocol):
    """Hands that can be shown in any pose and light.

    An :class:`Avatar` is one: its splats are fixed, so :class:`hand_toolkit.render.AvatarRenderer`
    draws it without asking for them. Of any other it takes the splats of each pose.
    """

    @property
    def sides(self) -> tuple[str, ...]:
        """Sides that can be shown, right first."""
        ...

    @property
    def photo_light(self) -> np.ndarray:
        """(K, 3) shading SH of the photo's light in the axes of the photo's camera."""
        ...

    def splats(
        self,
        theta: Mapping[str, np.ndarray],
        translation: Mapping[str, np.ndarray] | None = None,
        light: Light = "baked",
    ) -> Splats:
        """Splats of one pose.

        Args:
            theta: side -> (16, 3) axis-angle; only these hands appear.
            translation: side -> (3,) wrist position, metres; default the origin.
            light: what :func:`hand_toolkit.avatar.lighting.shading_of` takes. "photo" is the
                photo's light where it shone in the world; a renderer turns it with its camera
                and then passes coefficients.

        Raises:
            InputError: an unknown side or light, or θ that is not (16, 3) finite numbers.
        """
        ...
