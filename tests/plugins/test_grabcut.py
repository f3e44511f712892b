"""The default segmenter."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hand_toolkit_plugins.grabcut_segmenter import GrabcutSegmenter

from hand_toolkit.core.errors import InputError, PluginError
from hand_toolkit.core.metrics import silhouette_iou
from hand_toolkit.core.registry import registry
from hand_toolkit.core.types import Photo, PoseEstimate
from hand_toolkit.geometry import hand_silhouettes, wrist_half_plane
from hand_toolkit.media import load_mask, load_photo
from hand_toolkit.pose import posed_mesh
from hand_toolkit.pose.fit import fit_hand, to_hand_pose
from hand_toolkit.see import segment_photo
from hand_toolkit.testing.pose_source import check_segmenter

sys.path.insert(0, str(Path(__file__).parents[1] / "pose"))
from known_hands import CAMERA, known_hand


def scene(seed: int, ground: tuple[int, int, int]) -> tuple[Photo, PoseEstimate, np.ndarray]:
    """A skin-coloured hand with an arm on a noisy ground, and its pose."""
    hand = to_hand_pose(fit_hand(known_hand(seed)[0], CAMERA), CAMERA, "default")
    silhouette = hand_silhouettes([posed_mesh(hand)], CAMERA)[0][0]
    random = np.random.default_rng(seed)
    pixels = np.broadcast_to(np.array(ground, float), (240, 320, 3)).copy()
    pixels[silhouette] = (205, 150, 125)
    wrist, knuckle = hand.keypoints_2d[[0, 9]]
    for t in np.linspace(0, 2, 400):
        x, y = wrist + (wrist - knuckle) * t
        row, column = np.mgrid[:240, :320]
        if t * 100 % 5 < 1:
            pixels[(column - x) ** 2 + (row - y) ** 2 < 22**2] = (205, 150, 125)
    pixels += random.normal(size=pixels.shape) * 8
    photo = Photo(np.clip(pixels, 0, 255).astype(np.uint8), focal_px=CAMERA.fx, name="scene")
    return photo, PoseEstimate((hand,), CAMERA), silhouette


def run(photo: Photo, estimate: PoseEstimate, silhouette: np.ndarray) -> np.ndarray:
    return GrabcutSegmenter().segment(photo, estimate, [silhouette])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_a_hand_that_the_mesh_misses_by_a_little(seed: int) -> None:
    photo, estimate, silhouette = scene(seed, (70, 90, 60))
    shifted = np.roll(silhouette, (4, -5), axis=(0, 1))
    mask = run(photo, estimate, shifted)
    above = wrist_half_plane(estimate.hands[0].keypoints_2d, photo.size, margin=0.0)
    assert silhouette_iou(mask, silhouette, above) > 0.93
    assert silhouette_iou(mask, silhouette, above) > silhouette_iou(shifted, silhouette, above)


def test_ends_at_the_wrist() -> None:
    photo, estimate, silhouette = scene(0, (70, 90, 60))
    mask = run(photo, estimate, silhouette)
    below = ~wrist_half_plane(estimate.hands[0].keypoints_2d, photo.size, margin=0.2)
    assert mask[below].max() == 0


def test_stays_near_the_mesh_on_skin_coloured_ground() -> None:
    photo, estimate, silhouette = scene(0, (203, 151, 124))
    mask = run(photo, estimate, silhouette)
    above = wrist_half_plane(estimate.hands[0].keypoints_2d, photo.size)
    assert silhouette_iou(mask, silhouette, above) > 0.6


def test_large_photos_get_a_fine_edge() -> None:
    import dataclasses

    import cv2

    photo, estimate, _ = scene(1, (70, 90, 60))
    big = cv2.resize(photo.pixels, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    hand = dataclasses.replace(estimate.hands[0], keypoints_2d=estimate.hands[0].keypoints_2d * 6)
    camera = CAMERA.resized(1920, 1440)
    large = hand_silhouettes([posed_mesh(hand)], camera)[0][0]
    mask = run(Photo(big, name="big"), PoseEstimate((hand,), camera), large)
    above = wrist_half_plane(hand.keypoints_2d, (1920, 1440), margin=0.0)
    assert mask.shape == (1440, 1920)
    assert silhouette_iou(mask, large, above) > 0.95


def test_given_mask_wins_then_alpha_then_segmenter() -> None:
    photo, estimate, silhouette = scene(0, (70, 90, 60))
    given = np.zeros((240, 320), np.float32)
    given[5, 5] = 1
    alpha = np.zeros((240, 320), np.float32)
    alpha[7, 7] = 1
    import dataclasses

    with_alpha = dataclasses.replace(photo, mask=alpha)
    assert segment_photo(with_alpha, estimate, [silhouette], mask=given)[5, 5] == 1
    assert segment_photo(with_alpha, estimate, [silhouette])[7, 7] == 1
    assert segment_photo(photo, estimate, [silhouette]).sum() > 500
    with pytest.raises(InputError, match="give equal sizes"):
        segment_photo(photo, estimate, [silhouette], mask=np.ones((3, 3)))
    with pytest.raises(InputError, match="no segmenter 'x' is installed"):
        segment_photo(photo, estimate, [silhouette], segmenter="x")


def test_a_segmenter_that_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    class Liar:
        name, description = "liar", "wrong shape"

        def segment(self, *args: object) -> np.ndarray:
            return np.zeros((2, 2))

    photo, estimate, silhouette = scene(0, (70, 90, 60))
    monkeypatch.setitem(registry().tables["segmenters"], "liar", Liar())
    with pytest.raises(PluginError, match="'liar' returned"):
        segment_photo(photo, estimate, [silhouette], segmenter="liar")


def test_real_masks(photos: Path) -> None:
    check_segmenter(GrabcutSegmenter(), load_photo(photos / "one_subject" / "00054.jpg"))
    import json

    from hand_toolkit.pose import estimate_pose

    notes = json.loads((photos / "annotations.json").read_text())
    values = []
    for name in ("00054", "00318", "00534"):
        note = notes[f"one_subject/{name}.jpg"]
        photo = load_photo(photos / "one_subject" / f"{name}.jpg")
        estimate = estimate_pose(photo)
        silhouettes, _ = hand_silhouettes([posed_mesh(h) for h in estimate.hands], estimate.camera)
        mask = segment_photo(photo, estimate, list(silhouettes))
        given = np.array(note["hands"][0]["keypoints_2d"])[:, :2]
        above = wrist_half_plane(given, photo.size, margin=0.0)
        values.append(silhouette_iou(mask, load_mask(photos / note["mask"], photo.size), above))
    assert np.mean(values) > 0.88
