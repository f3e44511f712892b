"""Tiles are searched where the skin of the hands already found is seen."""

from __future__ import annotations

import numpy as np

from hand_toolkit.see.skin_tiles import skin_tiles
from hand_toolkit.see.views import Detection, build_pyramid, tile_views


def _hand(middle: tuple[float, float], size: float) -> Detection:
    rows = np.array([[0, 0.45], [-0.2, 0.3], [-0.3, 0.2], [-0.4, 0.1], [-0.45, 0.0]])
    fingers = [
        [[x, 0.05], [x, -0.1], [x, -0.25], [x, -0.4]] for x in (-0.2, -0.05, 0.1, 0.25)
    ]  # fmt: skip
    points = np.concatenate([rows, *np.array(fingers)]) * size + middle
    return Detection(points, np.zeros(21), np.zeros((21, 3)), False, 0.9)


def test_only_tiles_with_more_of_that_skin_are_kept() -> None:
    rng = np.random.default_rng(0)
    picture = np.full((600, 900, 3), (120, 140, 150), float)
    picture[80:220, 80:220] = (190, 130, 110)  # the hand that is known
    picture[430:500, 700:770] = (150, 102, 86)  # skin in the shade
    picture[430:500, 420:490] = (240, 235, 230)  # a white sheet in warm light
    picture += rng.normal(0, 4, picture.shape)
    pyramid = build_pyramid(np.clip(picture, 0, 255).astype(np.uint8))
    tiles = tile_views((900, 600), 5)
    kept = skin_tiles(pyramid, [_hand((150, 150), 170)], tiles)
    assert kept and len(kept) <= 4
    for tile in kept:
        assert abs(tile.center[0] - 735) < 0.6 * tile.side
        assert abs(tile.center[1] - 465) < 0.6 * tile.side
