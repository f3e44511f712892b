"""The hand with its forearm: one closed mesh, the hand's own faces first, a wrist that bends."""

from __future__ import annotations

import numpy as np
import pytest

from hand_toolkit.avatar.stump import open_edges
from hand_toolkit.core.errors import InputError
from hand_toolkit.geometry.surfaces import face_normals
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.hand_model.arm import forearm_turns, skin_weights, wrist_bend
from hand_toolkit.hand_model.surface import signed_volume


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("level", [0, 1])
def test_one_closed_mesh_with_the_hand_first(side: str, level: int) -> None:
    hand = load_hand_model("default", side, level)
    arm = load_hand_model("default_arm", side, level)
    assert not len(open_edges(arm.faces))
    assert signed_volume(arm.template, arm.faces) > 1.5 * signed_volume(hand.template, hand.faces)
    count = len(hand.faces)
    assert (arm.uvs[arm.uv_faces[:count]] == hand.uvs[hand.uv_faces]).all()
    moved = np.linalg.norm(
        arm.template[arm.faces[:count]].mean(1) - hand.template[hand.faces].mean(1), axis=1
    )
    assert moved.max() < 2e-3 and np.mean(moved > 1e-5) < 0.04, "only the rim is smoothed anew"
    length = np.abs(arm.template[:, 0] * (1 if side == "right" else -1)).max()
    assert length > 0.12
    assert np.allclose(skin_weights(arm).sum(1), 1, atol=1e-5)
    # every texel of the forearm is its own, and not the hand's
    corners = arm.uvs[arm.uv_faces].astype(float)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    signed = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (np.sign(signed) == np.sign(signed[0])).all()


@pytest.mark.parametrize("degrees", [-60, 60])
def test_a_wrist_bends_sixty_degrees_without_a_hole(degrees: float) -> None:
    model = load_hand_model("default_arm", "right", 1)
    theta = np.zeros((17, 3))
    theta[16] = wrist_bend(np.radians(degrees))
    zero = np.zeros(len(model.shape_names))
    rest = pose_hand_numpy(model, np.zeros((16, 3)), zero, np.zeros(3))[0]
    posed = pose_hand_numpy(model, theta, zero, np.zeros(3))[0]
    volumes = [signed_volume(v, model.faces) for v in (rest, posed)]
    assert abs(volumes[1] / volumes[0] - 1) < 0.03
    normals = [face_normals(v, model.faces)[0] for v in (rest, posed)]
    turned = (normals[0] * normals[1]).sum(1)
    near = np.abs(rest[model.faces].mean(1)[:, 0]) < 0.05
    assert (turned[near] > -0.2).all(), "skin at the wrist is turned inside out"
    # the hand's palm stays where it is, the elbow turns by the angle
    palm = rest[:, 0] < -0.05
    assert np.abs(posed - rest)[palm].max() < 1e-9
    elbow = rest[:, 0].argmax()
    a, b = rest[elbow], posed[elbow]
    angle = np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    assert abs(angle - 60) < 1.0


def test_twist_spreads_along_the_forearm_and_keeps_its_volume() -> None:
    model = load_hand_model("default_arm", "right", 1)
    theta = np.zeros((17, 3))
    theta[16] = wrist_bend(0.0, 0.0, np.radians(80))
    zero = np.zeros(len(model.shape_names))
    rest = pose_hand_numpy(model, np.zeros((16, 3)), zero, np.zeros(3))[0]
    posed = pose_hand_numpy(model, theta, zero, np.zeros(3))[0]
    volumes = [signed_volume(v, model.faces) for v in (rest, posed)]
    assert abs(volumes[1] / volumes[0] - 1) < 0.05
    along = np.array([0.13, -0.01, 0.013])
    turns = forearm_turns(wrist_bend(0.5, 0.1, 0.9), along)
    assert np.allclose(turns[0], forearm_turns(wrist_bend(0.5, 0.1, 0.9), 2 * along)[0])
    axis = along / np.linalg.norm(along)
    assert np.allclose(turns @ axis, turns[0] @ axis), "twist leaves the axis alone"


def test_seventeen_rows_ask_for_a_forearm() -> None:
    model = load_hand_model("default", "right", 0)
    with pytest.raises(InputError, match="has no forearm"):
        pose_hand_numpy(model, np.zeros((17, 3)), np.zeros(len(model.shape_names)), np.zeros(3))
