"""Other rigs' skeletons: the mesh moves as ours in Blender, USD, three.js' XR hand, three-vrm."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hand_toolkit import Motion, builtin_motion, export_avatar
from hand_toolkit.animate import finger_pose, load_motion
from hand_toolkit.cli import run
from hand_toolkit.core.conventions import MANO_JOINTS
from hand_toolkit.core.errors import InputError
from hand_toolkit.core.skeletons import JOINTS, SKELETONS, match_bones
from hand_toolkit.export.rig import hand_rig
from hand_toolkit.export.scene import build_scene
from hand_toolkit.export.scene_hand import SceneHand
from hand_toolkit.testing.avatars import procedural_avatar
from hand_toolkit.testing.browser import run_node, why_missing
from hand_toolkit.testing.interop import blender_errors, usd_errors

SMALL = {"texture_size": 64}
browser = pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))


def moving() -> Motion:
    motion = builtin_motion("open-close")
    return Motion(motion.theta[::20], motion.translation[::20], motion.present[::20], 30.0)


@pytest.mark.parametrize("name", SKELETONS)
def test_bones_are_matched_back_to_their_joints(name: str) -> None:
    skeleton = SKELETONS[name]
    for side in ("right", "left"):
        bones = skeleton.bones(side)
        assert {*MANO_JOINTS} <= set(bones) and len(set(bones.values())) == len(bones)
        matched = match_bones(bones.values())
        expected = "" if skeleton.flat else side
        assert matched == {bone: (expected, joint) for joint, bone in bones.items()}
    # characters and prefixes that programs change make no difference
    bones = SKELETONS["rigify"].bones("left")
    changed = {
        bone.replace("DEF-", "ORG-").replace(".", "_"): joint for joint, bone in bones.items()
    }
    assert match_bones(changed) == {bone: ("left", joint) for bone, joint in changed.items()}


@pytest.mark.parametrize("name", [n for n in SKELETONS if n != "mano"])
def test_usd_and_bvh_of_every_skeleton(name: str, tmp_path: Path) -> None:
    skeleton, motion = SKELETONS[name], moving()
    avatar = procedural_avatar(0, limit=40)
    sides = ("right",) if skeleton.flat else None
    scene = build_scene(avatar, motion=motion, sides=sides, t_pose=skeleton.t_pose)
    keywords = {"what": "mesh", "motion": motion, "sides": sides}
    options = {**SMALL, "skeleton": name}
    path = export_avatar(avatar, tmp_path / "a.usdc", options=options, **keywords)[0]
    assert usd_errors(path, scene) < 0.01
    path = export_avatar(avatar, tmp_path / "a.bvh", options={"skeleton": name}, **keywords)[0]
    back = load_motion(path)
    for k in np.flatnonzero(back.present[0]):
        a, b = (Rotation.from_rotvec(m.theta[:, k].reshape(-1, 3)) for m in (back, motion))
        assert np.degrees((a.inv() * b).magnitude().max()) < 1.0
        np.testing.assert_allclose(back.translation[:, k], motion.translation[:, k], atol=1e-6)


@pytest.mark.parametrize("name", ["unreal", "rigify"])
def test_blender_moves_other_skeletons_alike(name: str, tmp_path: Path) -> None:
    motion, avatar = moving(), procedural_avatar(0, limit=40)
    scene = build_scene(avatar, motion=motion, t_pose=True)
    for suffix in ("glb", "fbx"):
        path = export_avatar(
            avatar, tmp_path / f"a.{suffix}", what="mesh", motion=motion,
            options={**SMALL, "skeleton": name},
        )[0]  # fmt: skip
        report = blender_errors(path, scene)
        assert report["error_mm"] < 0.1
        assert set(SKELETONS[name].bones("left").values()) <= set(report["names"])


def test_a_rig_bent_at_rest_keeps_its_difference(tmp_path: Path) -> None:
    """A BVH of another skeleton whose rest is a relaxed hand, in metres, x up."""
    relaxed = finger_pose("relaxed")
    avatar = procedural_avatar(0, sides=("right",), limit=40)
    scene = build_scene(avatar, pose=relaxed, t_pose=True)
    rig = hand_rig(scene.hands[0], "mixamo", plain=True)
    turn = Rotation.from_euler("xyz", (20, 40, 60), degrees=True).as_matrix()
    world: dict[int, np.ndarray] = {}
    matrices = {}
    for j, parent in enumerate(rig.parents):
        local = Rotation.from_quat(np.roll(rig.quats[0, j], -1)).as_matrix()
        above = matrices.get(int(parent), np.eye(3))
        place = rig.places[0, j] if parent < 0 else world[int(parent)] + above @ rig.places[0, j]
        world[j], matrices[j] = place, above @ local
    lines = ["HIERARCHY"]

    def write(j: int, depth: int) -> None:
        parent = int(rig.parents[j])
        step = turn @ (world[j] - (world[parent] if parent >= 0 else np.zeros(3)))
        lines.append(f"{'ROOT' if depth == 0 else 'JOINT'} {rig.names[j]} {{")
        lines.append("OFFSET " + " ".join(f"{v:.7f}" for v in step))
        lines.append("CHANNELS 3 Yrotation Xrotation Zrotation")
        for child in np.flatnonzero(rig.parents == j):
            write(int(child), depth + 1)
        lines.append("}")

    write(0, 0)
    zeros = " ".join(["0"] * 3 * len(rig.names))
    lines += ["MOTION", "Frames: 2", "Frame Time: 0.04", zeros, zeros]
    (tmp_path / "rest.bvh").write_text("\n".join(lines), encoding="utf-8")
    got = load_motion(tmp_path / "rest.bvh")
    assert got.fps == pytest.approx(25) and len(got) == 2
    # bones know their direction, not their roll: compare where the bones point
    expected = build_scene(avatar, pose=relaxed).hands[0]
    posed = build_scene(
        avatar, pose={"right": np.vstack([expected.theta[0, :1], got.theta[0, 0, 1:]])}
    )
    places = [hand_rig(s, "mixamo", plain=True) for s in (expected, posed.hands[0])]
    assert np.abs(places[0].quats[0] - places[1].quats[0]).max() < 0.12


@browser
def test_three_s_xr_hand_and_three_vrm_move_alike(tmp_path: Path) -> None:
    avatar = procedural_avatar(0, limit=40)
    fist = finger_pose("fist")
    jobs, truth = [], {}
    for side in ("right", "left"):
        options = {**SMALL, "skeleton": "webxr", "influences": 4}
        path = export_avatar(
            avatar, tmp_path / f"{side}.glb", what="mesh", sides=(side,), options=options
        )[0]
        hand = build_scene(avatar, pose="fist", sides=(side,)).hands[0]
        rig = hand_rig(hand, "webxr")
        joints = {
            name: [*map(float, rig.places[0, j]), *map(float, np.roll(rig.quats[0, j], -1))]
            for j, name in enumerate(rig.names)
        }
        truth[side] = _skinned_alone(hand).posed_vertices(0)
        args = {"kind": "webxr", "side": side, "joints": joints, "view": VIEW}
        jobs.append({"name": side, "page": "skeleton", "file": str(path), "args": args})
    path = export_avatar(avatar, tmp_path / "pair.vrm", options=SMALL)[0]
    bones = SKELETONS["vrm"].bones("right")
    turns = {
        bones[joint]: Rotation.from_rotvec(fist[j]).as_quat().tolist()
        for j, joint in enumerate(MANO_JOINTS)
        if j
    }
    args = {"kind": "vrm", "turns": turns, "view": VIEW}
    jobs.append({"name": "vrm", "page": "skeleton", "file": str(path), "args": args})
    (tmp_path / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    run_node("render.mjs", tmp_path / "jobs.json", tmp_path)
    results = {r["name"]: r for r in json.loads((tmp_path / "results.json").read_text("utf-8"))}
    for side in ("right", "left"):
        assert results[side]["missing"] == 0 and not results[side]["errors"]
        drawn = np.reshape(results[side]["vertices"][f"{side}_hand"], (-1, 3))
        # three.js reads four weights of up to eight
        assert cKDTree(truth[side]).query(drawn)[0].max() < 5e-3
    vrm = results["vrm"]
    assert vrm["meta"] == "1" and not vrm["errors"]
    hand = build_scene(avatar, pose=_in_t_pose(fist), sides=("right",), t_pose=True).hands[0]
    rig = hand_rig(hand, "vrm", plain=True)
    drawn = np.reshape(vrm["vertices"]["right_hand"], (-1, 3))
    shift = np.array([-0.66, 1.38, 0.0]) - rig.places[0, 0]
    alone = _skinned_alone(hand).posed_vertices(0)
    assert cKDTree(alone + shift).query(drawn)[0].max() < 5e-3


def _skinned_alone(hand: SceneHand) -> SceneHand:
    """The hand as a page draws it that turns the bones and leaves the morph targets at zero."""
    model = dataclasses.replace(hand.model, pose_dirs=None, pose_joints=None, pose_axes=None)
    return dataclasses.replace(hand, model=model)


VIEW = {"width": 64, "height": 64}


def _in_t_pose(theta: np.ndarray) -> np.ndarray:
    posed = theta.copy()
    posed[0] = (np.pi, 0, 0)
    return posed


def test_one_sentence_where_it_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    avatar = procedural_avatar(0, limit=40)
    with pytest.raises(InputError, match="--side right"):
        export_avatar(avatar, tmp_path / "a.glb", options={"skeleton": "webxr"})
    with pytest.raises(InputError, match="T-pose alone"):
        export_avatar(avatar, tmp_path / "a.vrm", pose="fist")
    hand = avatar.save(tmp_path / "me.hand")
    assert run(["export", str(hand), "--format", "ply", "--skeleton", "vrm"]) == 2
    assert "has no option 'skeleton'" in capsys.readouterr().err
    assert len(JOINTS) == 25
