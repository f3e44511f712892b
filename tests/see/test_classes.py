"""The class network: what is trained, what stays, and how its maps lie in pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hand_toolkit.core.metrics import silhouette_iou
from hand_toolkit.pose.fit import hand_chain
from hand_toolkit.see.backdrops import hand_free_parts
from hand_toolkit.see.blocks import SameConv2d
from hand_toolkit.see.classes import CLASSES, ClassNetwork, class_network, predict_classes
from hand_toolkit.see.fixed import fixed
from hand_toolkit.see.pools import IGNORED
from hand_toolkit.see.training_photos import label_photo
from hand_toolkit.synth.crops.light import CropLight, DirectionalLight
from hand_toolkit.synth.crops.mesh import PlacedHand, load_crop_mesh
from hand_toolkit.synth.crops.render import Crop, render_scene
from hand_toolkit.synth.crops.scenes import CropScene
from hand_toolkit.synth.interaction import rotation_to


@pytest.fixture(scope="module")
def network() -> ClassNetwork:
    torch.manual_seed(0)
    return ClassNetwork().eval()


def _hand(size: float = 120.0, shift: tuple[float, float] = (150.0, 160.0)) -> np.ndarray:
    rest = hand_chain("default").rest[:, [2, 0]]
    return rest / np.ptp(rest) * size + shift


@pytest.mark.parametrize(("kernel", "stride", "size"), [(5, 1, 14), (5, 2, 14), (3, 2, 9)])
def test_fixed_filters_give_torchs_gradients(kernel: int, stride: int, size: int) -> None:
    plain = SameConv2d(6, 6, kernel, stride=stride, groups=6)
    copy = fixed(plain)
    x = torch.randn(2, 6, size, size, requires_grad=True)
    out = plain(x)
    wanted = torch.autograd.grad(out, x, torch.ones_like(out) + out.detach())[0]
    same = copy(x)
    got = torch.autograd.grad(same, x, torch.ones_like(out) + out.detach())[0]
    assert torch.allclose(same, out, atol=1e-5)
    assert torch.allclose(got, wanted, atol=1e-5)
    assert not any(p.requires_grad for p in copy.parameters())


def test_a_mirrored_picture_of_the_other_side_has_mirrored_maps(network: ClassNetwork) -> None:
    rng = np.random.default_rng(2)
    picture = np.repeat(np.repeat(rng.integers(0, 255, (30, 40, 3), np.uint8), 8, 0), 8, 1)
    points = _hand()
    right = predict_classes(network, picture, points, "right")
    flipped = points * [-1, 1] + [picture.shape[1], 0]
    left = predict_classes(network, np.ascontiguousarray(picture[:, ::-1]), flipped, "left")
    shape = picture.shape[:2]
    for value in range(len(CLASSES)):
        first, second = right.whole(shape, value), left.whole(shape, value)[:, ::-1]
        assert np.abs(first - second).mean() < 2e-3
    assert np.allclose(right.chance.sum(-1), 1, atol=1e-4)


def test_maps_follow_a_larger_picture(network: ClassNetwork) -> None:
    rng = np.random.default_rng(3)
    picture = np.repeat(np.repeat(rng.integers(0, 255, (30, 40, 3), np.uint8), 8, 0), 8, 1)
    large = np.repeat(np.repeat(picture, 4, 0), 4, 1)
    small = predict_classes(network, picture, _hand(), "right").whole(picture.shape[:2], 1)
    big = predict_classes(network, large, 4 * _hand(), "right").whole(large.shape[:2], 1)
    assert np.abs(big[2::4, 2::4] - small).mean() < 0.01


def test_parts_without_hands_hold_no_keypoint() -> None:
    picture = np.zeros((400, 500, 3), np.uint8)
    points = _hand(100, (260, 180))
    for x, y in points:
        picture[int(y), int(x)] = 255
    parts = hand_free_parts(picture, [points])
    assert parts
    assert all(part.max() == 0 for part in parts)


def _rendered() -> tuple[Crop, np.ndarray]:
    """A rendered right hand before a plain wall: its crop, and the picture."""
    theta = np.zeros((16, 3))
    turn = rotation_to(np.array([0.1, -1.0, 0.1]), np.array([0.2, 0.1, -1.0]), "right")
    theta[0] = Rotation.from_matrix(turn).as_rotvec()
    shape = np.zeros(len(load_crop_mesh().model.shape_names))
    hand = PlacedHand("right", theta, np.zeros(3), np.zeros(3))
    scene = CropScene((hand,), 0, False, shape, None, False, None, False, False)
    lamp = DirectionalLight(np.array([0.5, -0.5, -0.7071]), np.ones(3), True)
    light = CropLight(0.4 * np.ones(3), (lamp,))
    skins = np.full((1, 8, 8, 3), [0.45, 0.25, 0.18], np.float32)
    crop = render_scene(np.random.default_rng(8), scene, light, skins)
    alpha = crop.rgba[..., 3:] / 255.0
    picture = (crop.rgba[..., :3] * alpha + [60, 110, 140] * (1 - alpha)).astype(np.uint8)
    return crop, picture


def test_the_shipped_network_sees_a_rendered_hand() -> None:
    crop, picture = _rendered()
    region = predict_classes(class_network(), picture, crop.keypoints[0], "right")
    own = region.whole((256, 256), 1) > 0.5
    assert silhouette_iou(own, crop.labels == 1) > 0.85
    # shown mirrored under the same side, it is no right hand
    points = crop.keypoints[0] * [-1, 1] + [256, 0]
    flipped = np.ascontiguousarray(picture[:, ::-1])
    wrong = predict_classes(class_network(), flipped, points, "right").whole((256, 256), 1) > 0.5
    right = predict_classes(class_network(), flipped, points, "left").whole((256, 256), 1) > 0.5
    assert silhouette_iou(right, crop.labels[:, ::-1] == 1) > 0.85
    assert wrong.sum() < right.sum()


def test_a_photo_is_labelled_where_network_and_colours_agree() -> None:
    crop, picture = _rendered()
    photo = label_photo(class_network(), picture, crop.keypoints[0], "right")
    assert photo is not None
    assert photo.picture.shape[:2] == photo.labels.shape
    assert set(np.unique(photo.labels)) <= {0, 1, 3, IGNORED}
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    points = crop.keypoints[0] * [-1, 1] + [256, 0]
    left = label_photo(class_network(), mirrored, points, "left")
    assert left is not None
    assert silhouette_iou(left.labels == 1, photo.labels == 1) > 0.95
    grey = np.full_like(picture, 90)
    assert label_photo(class_network(), grey, crop.keypoints[0], "right") is None
