"""The hand-drawn outlines that benchmarks score against: whole, simple, on their photos."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("outlines", FOLDER / "outlines.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["outlines"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


outlines = _load()
HANDS = outlines.read_outlines()


def crossings(polygon: np.ndarray) -> int:
    """Pairs of edges of a closed (N, 2) polygon that cross or touch and are no neighbours."""
    start, end = polygon, np.roll(polygon, -1, axis=0)

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        u, v = b - a, c - a
        return np.sign(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])

    a, b = start[:, None], end[:, None]
    c, d = start[None], end[None]
    meet = (side(a, b, c) * side(a, b, d) <= 0) & (side(c, d, a) * side(c, d, b) <= 0)
    # collinear edges far apart meet by sign alone; their boxes do not
    for axis in (0, 1):
        low = np.maximum(np.minimum(a, b)[..., axis], np.minimum(c, d)[..., axis])
        high = np.minimum(np.maximum(a, b)[..., axis], np.maximum(c, d)[..., axis])
        meet &= low <= high
    gap = np.abs(np.arange(len(polygon))[:, None] - np.arange(len(polygon))[None])
    meet &= (gap > 1) & (gap < len(polygon) - 1)
    return int(meet.sum()) // 2


def test_crossings_are_seen() -> None:
    square = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])
    assert crossings(square) == 0
    assert crossings(square[[0, 2, 1, 3]]) == 1


@pytest.mark.parametrize("hand", HANDS, ids=[f"{h.photo}-{h.side}" for h in HANDS])
def test_outline(hand) -> None:
    mask = hand.mask()
    assert mask.shape == hand.size[::-1]
    for polygon in (*hand.polygons, *hand.holes):
        assert (polygon >= 0).all() and (polygon <= hand.size).all()
        assert (np.diff(polygon, axis=0) != 0).any(axis=1).all()
        assert crossings(polygon) == 0
    filled = replace(hand, holes=()).mask()
    for hole in hand.holes:
        cut = replace(hand, polygons=(hole,), holes=()).mask()
        assert cut.any() and not (cut & ~filled).any()
        assert (cut & mask).sum() < 0.4 * cut.sum()  # corners lie on halves of pixels
    counted = hand.counted()
    # the band takes the wrist, not the hand
    assert (mask & counted).sum() > 0.7 * mask.sum()
    if hand.wrist is not None:
        assert not counted.all()


def test_no_hand_is_drawn_twice() -> None:
    """Two hands of a photo share at most the pixels along their common edge."""
    for photo in {hand.photo for hand in HANDS}:
        masks = [hand.mask() for hand in HANDS if hand.photo == photo]
        for i, one in enumerate(masks):
            for other in masks[:i]:
                assert (one & other).sum() < 0.02 * min(one.sum(), other.sum())


def test_mask_is_the_polygons_area(tmp_path: Path) -> None:
    """Neither grown nor shifted: a square of pixels comes out as itself, its hole out of it."""
    square = [[2, 3], [8, 3], [8, 9], [2, 9]]
    hole = [[4, 5], [6, 5], [6, 7], [4, 7]]
    hand = {"side": "left", "polygons": [square], "holes": [hole], "wrist": [[2, 9], [8, 9]]}
    path = tmp_path / "outlines.json"
    path.write_text(json.dumps({"photos": {"a.jpg": {"size": [12, 10], "hands": [hand]}}}))
    (read,) = outlines.read_outlines(path)
    expected = np.zeros((10, 12), dtype=bool)
    expected[3:9, 2:8] = True
    expected[5:7, 4:6] = False
    np.testing.assert_array_equal(read.mask(), expected)
    counted = read.counted()
    assert not counted[8, 4] and counted[7, 4]


def test_sides_and_sizes_are_the_photos(photos: Path) -> None:
    notes = json.loads((photos / "annotations.json").read_text())
    for hand in HANDS:
        assert list(hand.size) == notes[hand.photo]["size"]
        sides = {known["side"] for known in notes[hand.photo]["hands"]} - {"unknown"}
        assert not sides or hand.side in sides


def test_malformed_hands_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "outlines.json"
    hand = {"side": "both", "polygons": [[[0, 0], [1, 0], [1, 1]]]}
    path.write_text(json.dumps({"photos": {"a.jpg": {"size": [2, 2], "hands": [hand]}}}))
    with pytest.raises(ValueError, match="side"):
        outlines.read_outlines(path)
