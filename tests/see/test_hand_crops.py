"""Crops stand the hand upright, in the same place whatever its turn and side."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hand_toolkit.see.crops import Palm, crop_of_palm, crop_of_points
from hand_toolkit.see.inference import find_palms
from hand_toolkit.see.landmarks import CROP_SIZE
from hand_toolkit.see.views import View, build_pyramid

# A flat right hand seen from its back, fingers up, thumb left; units of its length.
HAND = np.array([[0, 0]] + [
    [x * (0.5 + 0.5 * k / 4), -y * (0.5 + 0.5 * k / 4)]
    for x, y in ((-0.5, 0.5), (-0.2, 0.95), (0.0, 1.0), (0.15, 0.95), (0.3, 0.8))
    for k in range(1, 5)
])  # fmt: skip


@pytest.mark.parametrize("turn", [0, 40, 180, -100])
def test_crop_of_points_is_upright_and_holds_the_hand(turn: int) -> None:
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    points = HAND @ np.array([[c, -s], [s, c]]).T * 150 + [400, 300]
    matrix = crop_of_points(points).matrix()
    inside = points @ matrix[:2, :2].T + matrix[:2, 2]
    upright = crop_of_points(HAND * 150 + [400, 300]).matrix()
    wanted = (HAND * 150 + [400, 300]) @ upright[:2, :2].T + upright[:2, 2]
    np.testing.assert_allclose(inside, wanted, atol=1e-9)
    assert (inside > 0).all() and (inside < CROP_SIZE).all()
    up = (inside[5] + inside[13]) / 2 + inside[9] - 2 * inside[0]
    assert abs(up[0]) < 1e-9 and up[1] < 0


def test_crop_of_palm_lies_towards_the_fingers() -> None:
    points = np.zeros((7, 2))
    points[0], points[2] = [100, 200], [200, 200]  # fingers to the right
    view = crop_of_palm(Palm(1.0, np.array([160.0, 200.0]), 120.0, points))
    assert view.center == pytest.approx((220, 200)) and view.side == pytest.approx(312)
    at = view.matrix()[:2] @ [300, 200, 1]
    assert at[0] == pytest.approx(CROP_SIZE / 2) and at[1] < CROP_SIZE / 2


def test_no_palms_on_plain_pictures() -> None:
    pyramid = build_pyramid(np.full((300, 400, 3), 128, np.uint8))
    assert find_palms(pyramid, [View((200, 150), 400, size=192)] * 3, 0.2) == [[], [], []]
