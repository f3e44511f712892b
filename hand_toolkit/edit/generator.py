"""Programs that make a picture of a hand from words and a chosen pose: the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..core.errors import PluginError
from ..core.options import Option, parse_settings
from ..core.registry import registry
from ..core.types import Photo, Progress
from .guides import Guides


@dataclass(frozen=True)
class PictureRequest:
    """What a generator is asked for.

    Attributes:
        prompt: what the picture shows, in words.
        guides: the pose as depth, normals and edges, in the size of the picture.
        seed: same seed, same picture on the same device.
        device: "cpu" or "cuda".
        settings: the generator's options by name.
    """

    prompt: str
    guides: Guides
    seed: int
    device: str
    settings: Mapping[str, Any]


class ImageGenerator(Protocol):
    """What ``register_image_generators`` registers.

    Attributes:
        name: as users type it.
        description: one line.
        options: what ``--set`` accepts.
    """

    name: str
    description: str
    options: tuple[Option, ...]

    def generate(self, request: PictureRequest, progress: Progress) -> np.ndarray:
        """(H, W, 3) uint8 sRGB that follows the guides, of any size in their proportions.

        Raises:
            InputError: what the user can mend.
            MissingDependencyError: a package that is not installed.
        """


def generated(
    name: str,
    prompt: str,
    guides: Guides,
    *,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = lambda fraction, message: None,
) -> Photo:
    """A picture by an installed generator.

    Raises:
        InputError: no such generator, or an option that it does not have.
        PluginError: it returned no picture.
    """
    generator = registry().get("image_generators", name)
    chosen = parse_settings(f"generator {name}", generator.options, settings or {})
    pixels = generator.generate(PictureRequest(prompt, guides, seed, device, chosen), progress)
    if not (
        isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
    ):
        raise PluginError(f"the generator {name} returned no (H, W, 3) uint8 picture")
    return Photo(np.ascontiguousarray(pixels), name=f"{name}.png")
