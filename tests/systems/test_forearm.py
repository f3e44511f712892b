"""Forearms of avatars: found in a photo, textured from it, drawn, saved, exported."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.animate import builtin_motion, with_forearms
from hand_toolkit.avatar import Avatar
from hand_toolkit.core.cameras import orbit_camera
from hand_toolkit.core.errors import InputError
from hand_toolkit.export.rig import hand_rig
from hand_toolkit.export.scene import build_scene
from hand_toolkit.geometry.rotations import matrix_from_axis_angle, matrix_from_quat
from hand_toolkit.hand_model.arm import skin_weights, wrist_bend
from hand_toolkit.pictures.drawing import points_of, shown_upright
from hand_toolkit.render import AvatarRenderer, render
from hand_toolkit.systems.forearm import add_forearms
from hand_toolkit.testing.avatars import procedural_avatar


@pytest.fixture(scope="module")
def arms() -> Avatar:
    return add_forearms(procedural_avatar(2, splats_per_face=1), None)


def test_invented_forearms_have_the_hands_tone(arms: Avatar) -> None:
    plain = procedural_avatar(2, splats_per_face=1)
    assert arms.hand_model == "default_arm" and len(arms) > len(plain) + 2000
    for hand, before in zip(arms.hands, plain.hands):
        added = hand.albedo[len(before) :]
        assert np.abs(added.mean(0) - before.albedo.mean(0)).max() < 0.12
        assert hand.evidence[len(before) :].max() == 0
        assert hand.source_theta.shape == (17, 3)
    with pytest.raises(InputError, match="has no forearm"):
        add_forearms(dataclasses.replace(plain, hand_model="mano"), None)


def test_a_fading_forearm_vanishes_toward_the_elbow(arms: Avatar) -> None:
    faded = add_forearms(procedural_avatar(2, splats_per_face=1), None, "fade")
    count = len(procedural_avatar(2, splats_per_face=1).hand("right"))
    opacity = faded.hand("right").opacity[count:]
    assert opacity.min() < 0.01 and opacity.max() > 0.5
    assert arms.hand("right").opacity[count:].min() > 0.5


def test_the_kernels_bend_the_forearm_as_the_reference_does(arms: Avatar) -> None:
    theta, where = shown_upright(arms, sides=("right",))
    posed = {"right": np.concatenate([theta["right"], wrist_bend(1.0, 0.2, 0.6)[None]])}
    camera = orbit_camera(points_of(arms, posed, where), 160, 160, 0.7)
    renderer = AvatarRenderer(arms, camera, (0, 0, 0), antialiased=False)
    straight = renderer.render_planes(theta, where).color.copy()
    bent = renderer.render_planes(posed, where).color.copy()
    again = renderer.render_planes(theta, where).color
    assert np.abs(bent - straight).mean() > 0.01 and np.array_equal(again, straight)
    expected = render(arms.splats(posed, where), camera).color
    assert np.abs(bent - expected).mean() < 2e-3


def test_files_keep_the_forearm(arms: Avatar, tmp_path) -> None:
    again = Avatar.load(arms.save(tmp_path / "arms.hand"))
    assert again.hand_model == "default_arm"
    assert np.array_equal(again.hand("left").source_theta, arms.hand("left").source_theta)


@pytest.mark.parametrize("skeleton", ["mano", "unreal", "rigify", "vrm"])
def test_exported_bones_carry_hand_and_forearm(arms: Avatar, skeleton: str) -> None:
    pose = {s: np.vstack([np.zeros((16, 3)), wrist_bend(1.0, 0.2, 0.8, s)]) for s in arms.sides}
    scene = build_scene(arms, pose=pose)
    for hand in scene.hands:
        rig = hand_rig(hand, skeleton)
        assert len(rig.roots) == 1 and "arm" in rig.names[0].lower()
        weights = rig.weights(skin_weights(hand.model))
        world = []
        for j, parent in enumerate(rig.parents):
            local = np.eye(4)
            local[:3, :3], local[:3, 3] = matrix_from_quat(rig.quats[0, j]), rig.places[0, j]
            world.append(local if parent < 0 else world[parent] @ local)
        moved = np.stack(world) @ np.linalg.inv(rig.bind)
        points = np.c_[hand.bind_vertices, np.ones(len(hand.bind_vertices))]
        skinned = np.einsum("vj,jab,vb->va", weights, moved, points)[:, :3]
        assert np.abs(skinned - hand.posed_vertices(0)).max() < 1e-6


def test_webxr_hands_take_the_forearm_along(arms: Avatar) -> None:
    hand = build_scene(arms, sides=("right",)).hands[0]
    rig = hand_rig(hand, "webxr")
    assert len(rig.names) == 25
    assert np.allclose(rig.weights(skin_weights(hand.model)).sum(1), 1, atol=1e-5)


def test_waving_bends_the_wrist_and_not_the_arm() -> None:
    motion = with_forearms(builtin_motion("wave"))
    assert motion.theta.shape[2:] == (17, 3)
    there = motion.present[:, 0]
    wrist = matrix_from_axis_angle(motion.theta[there, 0, 0])
    forearm = wrist @ matrix_from_axis_angle(motion.theta[there, 0, 16])

    def spread(turns: np.ndarray) -> float:
        return float(np.degrees(np.arccos(np.clip((turns[:, :, 0] @ turns[0, :, 0]), -1, 1))).max())

    assert spread(wrist) > 10 and spread(forearm) < 0.35 * spread(wrist)
