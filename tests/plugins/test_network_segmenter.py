"""The class network's outlines: of the hand, not of what it holds; GrabCut where it fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hand_toolkit_plugins.network_segmenter import NetworkSegmenter, _near

import hand_toolkit
from hand_toolkit.core.types import Photo, PoseEstimate
from hand_toolkit.geometry import rasterize_mesh
from hand_toolkit.media import load_photo
from hand_toolkit.pose import estimate_pose, posed_mesh


@pytest.fixture(scope="module")
def demo() -> tuple[Photo, PoseEstimate, list[np.ndarray]]:
    photo = load_photo(Path(hand_toolkit.__file__).parent / "media" / "demo.jpg")
    estimate = estimate_pose(photo, refine=False)
    return photo, estimate, [
        rasterize_mesh(*posed_mesh(hand), estimate.camera).silhouette for hand in estimate.hands
    ]  # fmt: skip


def test_outline_of_the_demo(demo: tuple[Photo, PoseEstimate, list[np.ndarray]]) -> None:
    photo, estimate, silhouettes = demo
    mask = NetworkSegmenter().segment(photo, estimate, silhouettes)
    assert mask.shape == photo.pixels.shape[:2] and mask.dtype == np.float32
    assert mask.min() >= 0 and mask.max() <= 1
    both = ((mask > 0.5) & silhouettes[0]).sum()
    assert both / ((mask > 0.5) | silhouettes[0]).sum() > 0.75
    soft = ((mask > 0.05) & (mask < 0.95)).mean()
    assert 0 < soft < 0.05


def test_a_map_of_something_else_falls_back_to_grabcut(
    demo: tuple[Photo, PoseEstimate, list[np.ndarray]],
) -> None:
    photo, estimate, silhouettes = demo
    plain = Photo(np.full_like(photo.pixels, 90), name="plain")
    segmenter = NetworkSegmenter()
    mask = segmenter.segment(plain, estimate, silhouettes)
    np.testing.assert_array_equal(mask, segmenter.fallback.segment(plain, estimate, silhouettes))
    assert not segmenter.segment(photo, estimate, [np.zeros_like(silhouettes[0])]).any()


def test_parts_that_do_not_touch_the_mesh_are_left_out() -> None:
    mesh = np.zeros((60, 60), bool)
    mesh[20:40, 10:30] = True
    mask = mesh.copy()
    mask[20:40, 30:34] = True  # beyond the mesh's edge, of one piece with it
    mask[25:35, 40:48] = True  # a ball beside it
    kept = _near(mask, mesh, 4) & mask
    assert kept[20:40, 10:34].all() and not kept[:, 40:].any()


def test_where_the_map_is_in_doubt_the_colours_decide() -> None:
    from hand_toolkit_plugins.edges import sharpen

    picture = np.full((80, 80, 3), (90, 110, 140), np.uint8)
    picture[20:60, 20:60] = (205, 150, 125)  # a hand
    picture[60:, 20:60] = (40, 60, 90)  # its cuff, of which the map takes the upper half for skin
    mask = np.zeros((80, 80), np.float32)
    mask[20:60, 20:60] = 1.0
    mask[60:70, 20:60] = 0.6
    doubt = (mask > 0.1) & (mask < 0.9)
    before, after = sharpen(picture, mask) > 0.5, sharpen(picture, mask, doubt=doubt) > 0.5
    assert before[64, 40] and not after[62:, 22:58].any()
    assert after[22:58, 22:58].all()
    skin = np.zeros((80, 80), bool)
    skin[70:, 20:60] = True
    kept = sharpen(picture, mask, skin) > 0.5
    assert (kept[68:72, 24:56] == (mask[68:72, 24:56] > 0.5)).all()
