"""Laying hands on their outlines, smooth steps and aligned pictures, each against a known truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hand_toolkit.avatar import surface
from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model import load_hand_model, rest_hand
from hand_toolkit.media.viewset import ViewSet
from hand_toolkit.pose.estimate import known_hand
from hand_toolkit.systems.xhand.align import aligned
from hand_toolkit.systems.xhand.config import XHandConfig
from hand_toolkit.systems.xhand.evidence import look_at
from hand_toolkit.systems.xhand.outlines import fit_outlines
from hand_toolkit.systems.xhand.place import Places, neutral_light
from hand_toolkit.systems.xhand.smooth_steps import SmoothSteps
from hand_toolkit.testing.views import drawn_views


def length_mm(shape: np.ndarray, side: str) -> float:
    """From the wrist to the middle finger's tip."""
    points = rest_hand(load_hand_model("default", side, 0), shape)[2]
    return float(1e3 * np.linalg.norm(points[12] - points[0]))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("known", [True, False])
def test_a_small_hand_is_found_from_the_mean_shape(side, known):
    model = load_hand_model("default", side, 0)
    shape = np.zeros(len(model.shape_names))
    shape[model.shape_names.index("size")] = -0.35
    shape[model.shape_names.index("finger_length")] = -0.3
    truth = drawn_views((0.0, 60.0, 150.0, 230.0), (side,), shape=shape, size=192)
    rng = np.random.default_rng(1)
    views = []
    for view in truth:
        hand = view.hands[0]
        off = np.zeros(3) if known else rng.normal(size=3) * [0.002, 0.002, 0.006]
        mean = known_hand(
            side, hand.theta, 0 * shape, hand.translation + off, "default", view.camera
        )
        views.append(dataclasses.replace(view, hands=(mean,)))
    shown, _ = look_at(ViewSet(tuple(views)), 192)
    places = Places.of(shown, neutral_light())
    config = XHandConfig(pose_sigma=0.0 if known else 1.0, depth_sigma_m=0.006)
    made = fit_outlines(shown, {side: 0 * shape}, places, config)[side]
    assert length_mm(0 * shape, side) - length_mm(shape, side) > 15
    assert length_mm(made, side) == pytest.approx(length_mm(shape, side), abs=3 if known else 6)
    moved = max(float(p.detach().abs().max()) for p in (places.angles, places.turns, places.shifts))
    assert (moved == 0) == known


def test_what_is_known_of_poses_must_be_possible():
    with pytest.raises(InputError, match="pose_sigma is -1"):
        XHandConfig(pose_sigma=-1)
    with pytest.raises(InputError, match="depth_sigma_m 0"):
        XHandConfig(depth_sigma_m=0)


def test_a_pull_at_one_vertex_takes_its_neighbours_along():
    model = surface("default", "right", 0)
    pulled = 700
    moved = {}
    for smoothing in (0.0, 10.0):
        values = torch.nn.Parameter(torch.zeros(len(model.template), 3))
        steps = SmoothSteps(values, model.faces, 1.0, smoothing)
        for _ in range(20):
            steps.zero_grad()
            ((values[pulled] - 1) ** 2).sum().backward()
            steps.step()
        moved[smoothing] = values.detach().numpy()
    near = np.unique(model.faces[(model.faces == pulled).any(1)])
    near = near[near != pulled]
    assert np.abs(moved[0.0][near]).max() == 0
    assert moved[0.0][pulled, 0] > 0.5
    share = moved[10.0][near, 0] / moved[10.0][pulled, 0]
    assert moved[10.0][pulled, 0] > 0.1
    assert share.min() > 0.5


def test_a_picture_is_warped_onto_the_hand_drawn_in_it():
    import cv2

    view = drawn_views((180.0,), size=256)[0]
    (shown,), _ = look_at(ViewSet((view,)), 256)
    crop = shown.crop
    rng = np.random.default_rng(0)
    marks = cv2.GaussianBlur(rng.normal(size=crop.mask.shape).astype(np.float32), (0, 0), 2.0)
    inside = (crop.mask > 0.5)[..., None]
    picture = np.clip(crop.pixels + 0.6 * marks[..., None] * inside, 0, 1).astype(np.float32)
    shift = 2.0
    matrix = np.array([[1, 0, shift], [0, 1, 0]], np.float32)
    off = cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    moved = dataclasses.replace(shown, crop=dataclasses.replace(crop, pixels=off))
    made, flow = aligned(moved, picture, crop.mask)
    deep = cv2.erode(crop.mask.astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    assert flow[deep, 0].mean() == pytest.approx(shift, abs=0.4)
    before = np.abs(off - picture)[deep].mean()
    assert np.abs(made.crop.pixels - picture)[deep].mean() < 0.5 * before
    # nothing to follow: the picture stays
    still, none = aligned(shown, crop.pixels, crop.mask)
    assert np.abs(none).max() < 0.1
    np.testing.assert_allclose(still.crop.pixels, crop.pixels, atol=0.05)
