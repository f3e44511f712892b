from __future__ import annotations

import numpy as np
import pytest
import torch

from hand_toolkit.animate.builtin import keyed_clasp
from hand_toolkit.systems.im2hands.config import PRESETS
from hand_toolkit.systems.im2hands.image import COARSE_CHANNELS, FINE_CHANNELS, ImageFeatures
from hand_toolkit.systems.im2hands.network import Im2HandsNetwork
from hand_toolkit.systems.im2hands.truth import PosedPair, posed_pair

AWAY = np.array([0.0, 0.0, 0.5])


@pytest.fixture(scope="session")
def theta_and_place() -> tuple[np.ndarray, np.ndarray]:
    """θ (2, 16, 3) and wrists (2, 3) of two hands whose fingers come to touch."""
    clasp = keyed_clasp()
    return clasp.theta[49], clasp.translation[49] + AWAY


@pytest.fixture(scope="session")
def pair(theta_and_place: tuple[np.ndarray, np.ndarray]) -> PosedPair:
    theta, place = theta_and_place
    return posed_pair(theta, np.zeros(34), place)


@pytest.fixture(scope="session")
def images() -> ImageFeatures:
    """Features of one made-up picture."""
    generator = torch.Generator().manual_seed(1)
    return ImageFeatures(
        torch.randn(1, 2, 49, COARSE_CHANNELS, generator=generator),
        torch.randn(1, 2, FINE_CHANNELS, 14, 14, generator=generator),
        torch.tensor([[4.0, 4.0, 0.1, 0.0]]),
    )


@pytest.fixture
def network() -> Im2HandsNetwork:
    """Small, with weights by chance and the mean hand's flesh."""
    torch.manual_seed(0)
    made = Im2HandsNetwork(PRESETS["tiny"])
    made.initial.fill_flesh()
    return made.eval().requires_grad_(False)
