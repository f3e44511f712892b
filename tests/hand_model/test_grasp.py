"""Hands that close around objects: they touch, nothing is inside, joints stay in range."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from hand_toolkit.cli import run
from hand_toolkit.core.conventions import mirror_theta
from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model import load_hand_model, pose_hand_numpy
from hand_toolkit.hand_model.collision import closest_points, penetration
from hand_toolkit.hand_model.grasp import close_until_contact, grasp_object, open_hand, place_at
from hand_toolkit.hand_model.limits import FREE_HIGHEST, FREE_LOWEST, decompose


def cup() -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.cylinder(0.033, 0.11, sections=32)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_hand_closes_around_a_cup(side: str) -> None:
    vertices, faces = cup()
    turn = trimesh.transformations.rotation_matrix(1.0, [1, 2, 0])[:3, :3]
    vertices = vertices @ turn.T + [0.3, -0.2, 0.7]
    found = grasp_object(vertices, faces, side=side)
    assert {"thumb", "index", "middle"} <= found.touching.keys() and len(found.touching) >= 4
    model = load_hand_model("default", side, 1)
    zero = np.zeros(len(model.shape_names))
    skin = pose_hand_numpy(model, found.theta, zero, found.translation)[0]
    _, depth, _ = penetration(skin, vertices, faces, reach=0.2)
    assert depth.max(initial=0) < 0.8e-3
    distance, _ = closest_points(skin, vertices[faces])
    parts = np.asarray(model.weights).argmax(1)
    gaps = [distance[np.isin(parts, (j, j + 1, j + 2))].min() for j in (1, 4, 7, 10, 13)]
    assert sorted(gaps)[3] < 2.5e-3
    angles = np.asarray(decompose(found.theta, side))
    assert (angles > FREE_LOWEST - 1e-6).all() and (angles < FREE_HIGHEST + 1e-6).all()


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_small_ball_lies_between_thumb_and_fingers(side: str) -> None:
    ball = trimesh.creation.icosphere(3, 0.018)
    vertices = np.asarray(ball.vertices) + np.array([0.1, 0.2, 0.5])
    found = grasp_object(vertices, ball.faces, side=side)
    assert {"thumb", "index"} <= found.touching.keys() and found.opposition > 0.8
    model = load_hand_model("default", side, 1)
    zero = np.zeros(len(model.shape_names))
    skin = pose_hand_numpy(model, found.theta, zero, found.translation)[0]
    assert penetration(skin, vertices, ball.faces, reach=0.2)[1].max(initial=0) < 0.8e-3
    assert 3 in found.touching["thumb"], "with the pad"


def test_fingers_close_to_the_palm_where_nothing_is() -> None:
    far = trimesh.creation.icosphere(1, 0.01)
    where = np.asarray(far.vertices) + np.array([2.0, 0, 0])
    found = close_until_contact(where, far.faces, open_hand(), np.zeros(3), fingers=("index",))
    assert found.touching == {}
    bent = np.degrees(np.asarray(decompose(found.theta)) - np.asarray(decompose(open_hand())))
    assert bent.max() > 40 and np.count_nonzero(np.abs(bent) > 1e-6) == 3, "the index alone moves"


def test_both_sides_grasp_alike() -> None:
    vertices, faces = cup()
    start = open_hand()
    rotation, where = place_at(vertices, faces, start, share=0.95)
    posed = np.concatenate([rotation[None], start[1:]])
    right = close_until_contact(vertices, faces, posed, where)
    flipped = vertices * [-1, 1, 1], faces[:, ::-1]
    left = close_until_contact(*flipped, mirror_theta(posed), where * [-1, 1, 1], side="left")
    # points on the surface are others, so that one part or another touches first
    assert np.quantile(np.abs(mirror_theta(right.theta) - left.theta), 0.6) < 0.03
    assert right.touching.keys() == left.touching.keys()


def test_what_cannot_be_grasped_is_said() -> None:
    vertices, faces = cup()
    with pytest.raises(InputError, match="inside the object before closing"):
        close_until_contact(5 * vertices, faces, open_hand(), np.zeros(3))
    with pytest.raises(InputError, match="no triangles"):
        close_until_contact(vertices, np.zeros((0, 3)), open_hand(), np.zeros(3))


def test_the_command(tmp_path, capsys) -> None:
    mesh = tmp_path / "cup.obj"
    trimesh.creation.cylinder(3.3, 11.0, sections=32).export(mesh)
    assert run(["grasp", str(mesh), "-o", str(tmp_path / "out.npz"), "--scale", "0.01"]) == 0
    assert "touch cup.obj" in capsys.readouterr().out
    again = ["grasp", str(mesh), "-o", str(tmp_path / "b.npz"), "--scale", "0.01"]
    assert run([*again, "--start", str(tmp_path / "out.npz")]) == 0
    bad = tmp_path / "bad.stl"
    bad.write_bytes(b"\x00" * 60)
    assert run(["grasp", str(bad), "-o", str(tmp_path / "c.npz")]) != 0
    assert "not a mesh" in capsys.readouterr().err or not (tmp_path / "c.npz").exists()
