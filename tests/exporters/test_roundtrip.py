"""What goes out comes back: every importable format, over odd avatars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hand_toolkit import Avatar, Splats, export_avatar
from hand_toolkit.export import import_file
from hand_toolkit.export.axes import base_colors, sh_coefficients
from hand_toolkit.export.scene import build_scene
from hand_toolkit.testing.avatars import procedural_avatar

ODD = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1000),
        "sides": st.sampled_from([("right",), ("left",), ("right", "left")]),
        "limit": st.sampled_from([1, 2, 3, 17, 200]),
        "sh_degree": st.sampled_from([None, 0, 1, 2, 3]),
        "level": st.sampled_from([0, 1]),
        "evidence": st.sampled_from(["varied", "seen", "invented"]),
    }
)
RELAXED = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    """Largest rotation angle between quaternions (N, 4) of any length."""
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    return float(2 * np.arccos(np.clip(np.abs((a * b).sum(1)), 0, 1)).max())


def assert_same_avatar(a: Avatar, b: Avatar) -> None:
    assert (a.hand_model, a.level, a.sides) == (b.hand_model, b.level, b.sides)
    assert dict(a.provenance) == dict(b.provenance)
    np.testing.assert_allclose(a.light, b.light)
    np.testing.assert_allclose(a.camera.world_to_camera, b.camera.world_to_camera)
    assert a.camera.fx == b.camera.fx and a.camera.height == b.camera.height
    for one, other in zip(a.hands, b.hands):
        assert one.observed == other.observed
        assert np.array_equal(one.binding.triangle, other.binding.triangle)
        for name in ("barycentric", "offset", "scale"):
            assert np.array_equal(getattr(one.binding, name), getattr(other.binding, name)), name
        np.testing.assert_allclose(one.binding.quat, other.binding.quat, atol=2e-7)
        for name in (
            "opacity",
            "albedo",
            "evidence",
            "source_theta",
            "source_translation",
            "shape",
        ):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert one.color.shape == other.color.shape
        np.testing.assert_allclose(one.color, other.color, atol=3e-7)


@RELAXED
@given(odd=ODD, attributes=st.booleans())
def test_glb_gives_the_avatar_back(odd: dict, attributes: bool, tmp_path: Path) -> None:
    avatar = procedural_avatar(**odd)
    options = {"attributes": attributes}
    path = export_avatar(avatar, tmp_path / "a.glb", what="splats", options=options)[0]
    back = import_file(path)
    assert isinstance(back, Avatar)
    assert_same_avatar(avatar, back)


@RELAXED
@given(odd=ODD)
def test_glb_without_binding_gives_splats(odd: dict, tmp_path: Path) -> None:
    avatar = procedural_avatar(**odd)
    options = {"binding": False}
    path = export_avatar(avatar, tmp_path / "a.glb", what="splats", pose="fist", options=options)[0]
    back = import_file(path)
    assert isinstance(back, Splats)
    ours = build_scene(avatar, pose="fist").splats(0)
    np.testing.assert_allclose(back.means, ours.means, atol=1e-8)
    np.testing.assert_allclose(back.scales, ours.scales, atol=1e-9)
    np.testing.assert_allclose(back.opacities, ours.opacities, atol=1e-7)
    np.testing.assert_allclose(back.colors, sh_coefficients(ours.colors), atol=1e-6)
    assert angle_between(back.quats, ours.quats) < 2e-3


@RELAXED
@given(odd=ODD)
def test_ply_gives_the_splats_back(odd: dict, tmp_path: Path) -> None:
    avatar = procedural_avatar(**odd)
    path = export_avatar(avatar, tmp_path / "a.ply")[0]
    back = import_file(path)
    assert isinstance(back, Splats)
    ours = build_scene(avatar).splats(0)
    assert np.array_equal(back.means, ours.means)
    np.testing.assert_allclose(back.scales, ours.scales, rtol=2e-6)
    np.testing.assert_allclose(back.opacities, ours.opacities, atol=1e-6)
    if odd["sh_degree"] in (None, 0):
        np.testing.assert_allclose(
            back.colors, 0.5 + 0.28209479 * sh_coefficients(ours.colors)[:, 0], atol=1e-6
        )
    else:
        assert np.array_equal(back.colors, ours.colors)
    assert angle_between(back.quats, ours.quats) < 2e-3


@RELAXED
@given(odd=ODD)
def test_splat_gives_the_splats_back_within_a_byte(odd: dict, tmp_path: Path) -> None:
    avatar = procedural_avatar(**odd)
    path = export_avatar(avatar, tmp_path / "a.splat")[0]
    back = import_file(path)
    assert isinstance(back, Splats)
    ours = build_scene(avatar).splats(0)
    order = np.lexsort(ours.means.T)
    theirs = np.lexsort(back.means.T)
    assert np.array_equal(back.means[theirs], ours.means[order])
    assert np.array_equal(back.scales[theirs], ours.scales[order])
    np.testing.assert_allclose(back.opacities[theirs], ours.opacities[order], atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(
        back.colors[theirs], base_colors(ours.colors)[order], atol=0.5 / 255 + 1e-6
    )
    assert angle_between(back.quats[theirs], ours.quats[order]) < 0.025


def test_half_a_million_splats(tmp_path: Path) -> None:
    avatar = procedural_avatar(0, sides=("left",), level=1, splats_per_face=40)
    assert len(avatar) > 500_000
    back = import_file(export_avatar(avatar, tmp_path / "a.glb", what="splats")[0])
    assert isinstance(back, Avatar)
    assert_same_avatar(avatar, back)
    splats = import_file(export_avatar(avatar, tmp_path / "a.ply")[0])
    assert len(splats) == len(avatar)


def test_a_mesh_and_motion_in_the_file_do_not_disturb_the_avatar(tmp_path: Path) -> None:
    from hand_toolkit import builtin_motion

    avatar = procedural_avatar(5, limit=300)
    for name in ("a.glb", "a.gltf"):
        path = export_avatar(
            avatar, tmp_path / name, motion=builtin_motion("pinch"), options={"texture_size": 64}
        )[0]
        back = import_file(path)
        assert isinstance(back, Avatar)
        assert_same_avatar(avatar, back)


def test_two_exports_have_the_same_bytes(tmp_path: Path) -> None:
    avatar = procedural_avatar(1, limit=50)
    for name in ("a.glb", "a.ply", "a.obj", "a.bvh", "a.npz", "a.splat"):
        options = {"texture_size": 64} if name[2:] in ("glb", "obj") else {}
        first = [p.read_bytes() for p in export_avatar(avatar, tmp_path / name, options=options)]
        again = [p.read_bytes() for p in export_avatar(avatar, tmp_path / name, options=options)]
        assert first == again, name


@pytest.mark.parametrize("kind", ["ply", "splat"])
def test_a_motion_gives_numbered_files(kind: str, tmp_path: Path) -> None:
    from hand_toolkit import Motion, builtin_motion

    motion = builtin_motion("wave")
    present = motion.present.copy()[:6]
    present[2] = False
    short = Motion(motion.theta[:6], motion.translation[:6], present, motion.fps)
    avatar = procedural_avatar(2, limit=20)
    paths = export_avatar(avatar, tmp_path / f"w.{kind}", motion=short)
    assert [p.name for p in paths] == [f"w_{k:04d}.{kind}" for k in (0, 1, 3, 4, 5)]
    first, moved = import_file(paths[0]), import_file(paths[-1])
    assert isinstance(first, Splats) and isinstance(moved, Splats)
    assert len(moved) == len(avatar)
    assert np.abs(moved.means - first.means).max() > 1e-4
