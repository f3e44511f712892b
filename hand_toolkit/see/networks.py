"""The networks that come with the toolkit, loaded once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import FileFormatError, InputError

if TYPE_CHECKING:
    from torch import nn

    from .landmarks import HandLandmarkNetwork
    from .palm import PalmNetwork

WEIGHTS = Path(__file__).with_name("weights")
"""Where the weights lie, float16; a JSON beside each file tells where it is from."""


@lru_cache(maxsize=1)
def palm_network() -> PalmNetwork:
    """MediaPipe's palm detector with its weights, float32 on the CPU, without gradients.

    Raises:
        InputError: its weights are not installed.
        FileFormatError: they are damaged.
    """
    from .palm import PalmNetwork

    network = PalmNetwork()
    load_weights(network, WEIGHTS / "palm_detection.safetensors")
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def landmark_network() -> HandLandmarkNetwork:
    """MediaPipe's landmark network with its weights, float32 on the CPU, without gradients.

    Raises:
        InputError: its weights are not installed.
        FileFormatError: they are damaged.
    """
    from .landmarks import HandLandmarkNetwork

    network = HandLandmarkNetwork()
    load_weights(network, WEIGHTS / "hand_landmark.safetensors")
    return network.eval().requires_grad_(False)


def load_weights(network: nn.Module, path: Path) -> None:
    """Put a safetensors file's weights into a network.

    Raises:
        InputError: there is no such file.
        FileFormatError: it is damaged or of another network.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"the weights '{path}' are missing; install hand-toolkit again")
    try:
        weights = load_file(path)
        network.load_state_dict({name: value.float() for name, value in weights.items()})
    except (SafetensorError, OSError, RuntimeError) as error:
        raise FileFormatError(
            f"the weights '{path}' cannot be used ({error}); install hand-toolkit again"
        ) from error
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
