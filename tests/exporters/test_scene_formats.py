"""USD, FBX, OBJ, BVH, NPZ, SPZ, .splat and SOG, each read by somebody else's reader or by hand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hand_toolkit import Motion, builtin_motion, export_avatar
from hand_toolkit.animate import load_motion
from hand_toolkit.core.errors import InputError, MissingDependencyError
from hand_toolkit.export import axes, formats
from hand_toolkit.export.scene import ExportScene, build_scene
from hand_toolkit.geometry.rotations import normalized_quats
from hand_toolkit.hand_model import pose_hand_numpy
from hand_toolkit.testing.avatars import procedural_avatar
from hand_toolkit.testing.interop import (
    blender_errors,
    fbx_key_times,
    usd_errors,
    usd_problems,
)

SMALL = {"texture_size": 64}


def short_motion(name: str = "open-close", step: int = 12) -> Motion:
    motion = builtin_motion(name)
    return Motion(motion.theta[::step], motion.translation[::step], motion.present[::step], 24.0)


def joints_of(scene: ExportScene, side: str, frame: int) -> np.ndarray:
    """(16, 3) joints by the toolkit's own chain, y up."""
    hand = scene.hand(side)
    shape = scene.avatar.hand(side).shape
    joints = pose_hand_numpy(hand.model, hand.theta[frame], shape, hand.translation[frame])[1]
    return axes.points_y_up(joints)


@pytest.mark.parametrize("suffix", ["usdc", "usdz"])
def test_usd_is_valid_and_skins_like_the_toolkit(suffix: str, tmp_path: Path) -> None:
    from pxr import Usd, UsdGeom

    avatar = procedural_avatar(0, limit=60, sh_degree=1)
    motion = short_motion()
    path = export_avatar(avatar, tmp_path / f"a.{suffix}", motion=motion, options=SMALL)[0]
    assert usd_problems(path) == []
    scene = build_scene(avatar, motion=motion)
    assert usd_errors(path, scene) < 0.01  # millimetres
    stage = Usd.Stage.Open(str(path))
    assert stage.GetDefaultPrim().GetPath() == "/Hands"
    assert UsdGeom.GetStageUpAxis(stage) == "Y" and UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert stage.GetTimeCodesPerSecond() == 24.0
    assert stage.GetEndTimeCode() == len(motion) - 1


def test_usd_splats_move_with_the_motion(tmp_path: Path) -> None:
    from pxr import Usd

    avatar = procedural_avatar(0, sides=("left",), limit=60, sh_degree=1)
    motion = short_motion()
    for half, tolerance in ((False, 1e-7), (True, 2e-4)):
        path = export_avatar(
            avatar, tmp_path / f"{half}.usdc", what="splats", motion=motion, options={"half": half}
        )[0]
        scene = build_scene(avatar, motion=motion)
        stage = Usd.Stage.Open(str(path))
        prim = stage.GetPrimAtPath("/Hands/left_splats")
        assert prim.GetTypeName() == "ParticleField3DGaussianSplat"
        end = "h" if half else ""
        for frame in range(len(motion)):
            ours = scene.splats_y_up(frame)
            theirs = np.array(prim.GetAttribute("positions" + end).Get(frame), np.float64)
            np.testing.assert_allclose(theirs, ours.means, atol=tolerance)
            quats = prim.GetAttribute("orientations" + end).Get(frame)
            got = np.array([[q.GetReal(), *q.GetImaginary()] for q in quats], np.float64)
            assert np.abs((got * normalized_quats(ours.quats)).sum(1)).min() > 1 - 1e-3
        sh = np.array(prim.GetAttribute("radiance:sphericalHarmonicsCoefficients" + end).Get())
        assert prim.GetAttribute("radiance:sphericalHarmonicsDegree").Get() == 1
        np.testing.assert_allclose(sh.reshape(60, 4, 3), ours.colors, atol=2e-3)
        opacity = np.array(prim.GetAttribute("opacities" + end).Get())
        np.testing.assert_allclose(opacity, ours.opacities, atol=1e-3)


def test_blender_imports_the_glb_and_moves_it_alike(tmp_path: Path) -> None:
    avatar = procedural_avatar(0, limit=5, level=0)
    motion = short_motion()
    path = export_avatar(avatar, tmp_path / "a.glb", what="mesh", motion=motion, options=SMALL)[0]
    report = blender_errors(path, build_scene(avatar, motion=motion))
    assert report["bones"] == 32 and "right_index2" in report["names"]
    assert report["error_mm"] < 0.1


@pytest.mark.parametrize("moving", [False, True])
def test_blender_opens_the_default_glb(moving: bool, tmp_path: Path) -> None:
    motion = short_motion() if moving else None
    avatar = procedural_avatar(0, limit=60)
    path = export_avatar(avatar, tmp_path / "a.glb", motion=motion, options=SMALL)[0]
    error = blender_errors(path, build_scene(avatar, motion=motion))["error_mm"]
    assert error < 0.1


def test_blender_imports_the_fbx_and_moves_it_alike(tmp_path: Path) -> None:
    avatar = procedural_avatar(0, sides=("right",), limit=5, level=0)
    motion = short_motion()
    path = export_avatar(avatar, tmp_path / "a.fbx", motion=motion, options=SMALL)[0]
    report = blender_errors(path, build_scene(avatar, motion=motion))
    assert report["bones"] == 16
    assert report["error_mm"] < 0.5  # FBX keeps Euler curves and four decimals of a centimetre


@pytest.mark.parametrize("fps", [12.5, 24000 / 1001, 30000 / 1001])
def test_fbx_keys_lie_on_the_motion_s_times(fps: float, tmp_path: Path) -> None:
    motion = builtin_motion("open-close")
    motion = Motion(motion.theta, motion.translation, motion.present, fps)
    avatar = procedural_avatar(0, sides=("right",), limit=60)
    path = export_avatar(avatar, tmp_path / "a.fbx", motion=motion, options=SMALL)[0]
    curves = [times for times in fbx_key_times(path) if len(times) > 1]
    assert len(curves) >= 16 * 3
    for times in curves:
        assert len(times) == len(motion)
        assert np.abs(times - np.arange(len(motion)) / fps).max() < 1e-4


def test_obj_has_the_posed_mesh_and_its_pictures(tmp_path: Path) -> None:
    import trimesh

    avatar = procedural_avatar(0, limit=300, level=0)
    paths = export_avatar(avatar, tmp_path / "a.obj", pose="fist", options=SMALL)
    assert all(p.is_file() for p in paths)
    scene = build_scene(avatar, pose="fist")
    loaded: Any = trimesh.load(paths[0], process=False, maintain_order=True)
    meshes = list(loaded.geometry.values()) if hasattr(loaded, "geometry") else [loaded]
    everything = np.concatenate([m.vertices for m in meshes])
    ours = np.concatenate([h.posed_vertices(0) for h in scene.hands])
    from scipy.spatial import cKDTree

    assert cKDTree(everything).query(ours)[0].max() < 1e-6
    assert sum(len(m.faces) for m in meshes) == sum(len(h.model.faces) for h in scene.hands)
    text = paths[1].read_text()
    for name in re.findall(r"^(?:map_Kd|norm) (.*)$", text, re.MULTILINE):
        assert (tmp_path / name).is_file()


def read_bvh(path: Path) -> tuple[list[dict], np.ndarray, float]:
    """Joints (name, parent, offset, channels), values (T, C) and the frame time."""
    joints: list[dict] = []
    stack: list[int] = []
    lines = path.read_text().splitlines()
    for at, line in enumerate(lines):
        words = line.split()
        if words[0] in ("ROOT", "JOINT", "End"):
            joints.append({"name": words[1], "parent": stack[-1] if stack else -1, "channels": []})
        elif words[0] == "{":
            stack.append(len(joints) - 1)
        elif words[0] == "}":
            stack.pop()
        elif words[0] == "OFFSET":
            joints[-1]["offset"] = np.array(words[1:], float)
        elif words[0] == "CHANNELS":
            joints[-1]["channels"] = words[2:]
        elif words[0] == "MOTION":
            table = np.array([line.split() for line in lines[at + 3 :]], float)
            assert len(table) == int(lines[at + 1].split()[1])
            return joints, table, float(lines[at + 2].split()[2])
    raise AssertionError("no MOTION")


@pytest.mark.parametrize("sides", [("right",), ("right", "left")])
def test_bvh_chain_reaches_the_same_joints(sides: tuple[str, ...], tmp_path: Path) -> None:
    avatar = procedural_avatar(0, sides=sides, limit=5, level=0)
    motion = short_motion("clasp")
    path = export_avatar(avatar, tmp_path / "a.bvh", motion=motion)[0]
    joints, table, seconds = read_bvh(path)
    assert seconds == pytest.approx(1 / 24, abs=1e-6) and len(table) == len(motion)
    assert sum(j["name"] == "Site" for j in joints) == 5 * len(sides)
    scene = build_scene(avatar, motion=motion)
    for frame in range(len(motion)):
        matrices: list[np.ndarray] = []
        at = 0
        found: dict[str, np.ndarray] = {}
        for joint in joints:
            local = np.eye(4)
            local[:3, 3] = joint["offset"]
            for channel in joint["channels"]:
                value = table[frame, at]
                at += 1
                step = np.eye(4)
                if channel.endswith("position"):
                    step["XYZ".index(channel[0]), 3] = value
                else:
                    step[:3, :3] = Rotation.from_euler(
                        channel[0].lower(), value, degrees=True
                    ).as_matrix()
                local = local @ step
            parent = joint["parent"]
            matrices.append(local if parent < 0 else matrices[parent] @ local)
            found[joint["name"]] = matrices[-1][:3, 3]
        for side in sides:
            ours = joints_of(scene, side, frame) * 100
            names = scene.hand(side).joint_names
            theirs = np.array([found[name] for name in names])
            assert np.abs(ours - theirs).max() < 1e-3  # centimetres


def test_npz_layouts_are_read_back(tmp_path: Path) -> None:
    avatar = procedural_avatar(0, limit=5, level=0)
    motion = short_motion("clasp")
    back = load_motion(export_avatar(avatar, tmp_path / "a.npz", motion=motion)[0])
    np.testing.assert_allclose(back.theta, motion.theta)
    np.testing.assert_allclose(back.translation, motion.translation)
    assert back.fps == motion.fps

    paths = export_avatar(avatar, tmp_path / "m.npz", motion=motion, options={"layout": "mano"})
    assert [p.name for p in paths] == ["m_right.npz", "m_left.npz"]
    for k, path in enumerate(paths):
        one = load_motion(path)
        np.testing.assert_allclose(one.theta[:, k], motion.theta[:, k])
        np.testing.assert_allclose(one.translation[:, k], motion.translation[:, k])
        assert one.present[:, k].all() and not one.present[:, 1 - k].any()

    path = export_avatar(avatar, tmp_path / "b.npz", motion=motion, options={"layout": "amass"})[0]
    with np.load(path) as data:
        assert data["poses"].shape == (len(motion), 156) and data["betas"].shape == (16,)
        assert float(data["mocap_framerate"]) == motion.fps
        # an upright hand (fingers to -y here) points along AMASS's +z
        turn = Rotation.from_rotvec(data["poses"].reshape(-1, 52, 3)[0, 21]).as_matrix()
        assert (turn @ [-1.0, 0, 0])[2] > 0.9
    fingers = load_motion(path)
    np.testing.assert_allclose(fingers.theta[:, :, 1:], motion.theta[:, :, 1:])


def test_ply_is_read_by_plyfile(tmp_path: Path) -> None:
    import plyfile

    avatar = procedural_avatar(0, limit=30, sh_degree=3)
    ours = build_scene(avatar).splats(0)
    vertex = plyfile.PlyData.read(str(export_avatar(avatar, tmp_path / "a.ply")[0]))["vertex"]
    assert [p.name for p in vertex.properties][:9] == [
        "x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2",
    ]  # fmt: skip
    assert [p.name for p in vertex.properties][9:54] == [f"f_rest_{k}" for k in range(45)]
    np.testing.assert_array_equal(vertex["z"], np.asarray(ours.means)[:, 2])
    np.testing.assert_allclose(np.exp(vertex["scale_1"]), ours.scales[:, 1], rtol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-vertex["opacity"])), ours.opacities, atol=1e-5)
    # f_rest goes channel by channel: green's fourth higher coefficient is number 15 + 3
    np.testing.assert_array_equal(vertex["f_rest_18"], np.asarray(ours.colors)[:, 4, 1])


def test_spz_is_read_by_its_library(tmp_path: Path) -> None:
    import gsply

    avatar = procedural_avatar(0, limit=400, sh_degree=1)
    ours = build_scene(avatar).splats(0)
    path = export_avatar(avatar, tmp_path / "a.spz")[0]
    data = gsply.read_spz(str(path))
    assert len(data.means) == len(ours)
    np.testing.assert_allclose(np.asarray(data.means), ours.means, atol=3e-4)
    size = export_avatar(avatar, tmp_path / "a.ply")[0].stat().st_size
    assert path.stat().st_size < size / 3


def test_sog_needs_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingDependencyError, match="npm install -g @playcanvas/splat-transform"):
        export_avatar(procedural_avatar(0, limit=5), tmp_path / "a.sog")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "suffix", "extra"), [("pxr", "usdc", "usd"), ("gsply", "spz", "spz")]
)
def test_a_missing_library_is_named(
    module: str, suffix: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=re.escape(f"hand-toolkit[{extra}]")):
        export_avatar(procedural_avatar(0, limit=5), tmp_path / f"a.{suffix}", options={})


def test_formats_that_hold_one_pose_refuse_a_motion(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one pose") as caught:
        export_avatar(procedural_avatar(0, limit=5), tmp_path / "a.obj", motion=short_motion())
    assert "glb" in str(caught.value)


def test_every_format_describes_itself() -> None:
    listed = formats()
    assert {"glb", "ply", "usd", "spz", "splat", "sog", "obj", "fbx", "bvh", "npz"} <= {
        f.name for f in listed
    }
    for info in listed:
        assert info.description and info.contents and info.suffixes[0].startswith(".")
        for option in info.options:
            assert option.help and option.parse(option.default) == option.default
            assert option.parse(str(option.default)) == option.default
