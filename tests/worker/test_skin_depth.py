"""The depth of the skin's mesh: planes in perspective, order, what lies before the camera."""

from __future__ import annotations

import dataclasses

import numpy as np

from hand_toolkit.core.types import Camera
from hand_toolkit.worker.frames import FAR_DEPTH
from hand_toolkit.worker.frames import skin_depth as fill_depth

FACES = np.array([[0, 1, 2], [2, 1, 3]], np.int32)
SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])


def view(shift: float = 0.0) -> Camera:
    pose = np.eye(4)
    pose[2, 3] = shift
    return Camera(90.0, 110.0, 40.3, 25.8, 80, 60, world_to_camera=pose, near=0.01, far=100.0)


def skin_depth(meshes: list[tuple[np.ndarray, np.ndarray]], camera: Camera) -> np.ndarray:
    depth = np.empty((camera.height, camera.width), np.float32)
    fill_depth(meshes, camera, depth)
    return depth


def plane(slope_x: float, slope_y: float, distance: float, size: float = 5.0) -> np.ndarray:
    """(4, 3) corners of a square on z = distance + slope_x x + slope_y y."""
    corners = SQUARE * size * 0.1
    depth = distance + corners @ [slope_x, slope_y]
    return np.column_stack([corners, depth]).astype(np.float32)


def test_a_tilted_plane_is_exact() -> None:
    camera = view(shift=0.25)
    depth = skin_depth([(plane(0.7, -0.4, 0.9), FACES)], camera)
    y, x = np.mgrid[0:60, 0:80]
    # the ray (u, v, 1) z meets z = d + a u z + b v z
    u, v = (x + 0.5 - camera.cx) / camera.fx, (y + 0.5 - camera.cy) / camera.fy
    expected = (0.9 + 0.25) / (1 - 0.7 * u + 0.4 * v)
    seen = depth < 1e9
    assert seen.mean() > 0.5
    assert np.abs(depth - expected)[seen].max() < 1e-6
    assert (depth[~seen] == np.float32(FAR_DEPTH)).all()


def test_the_nearest_of_two_meshes_wins_from_either_side() -> None:
    near, far = plane(0.0, 0.0, 0.5, size=1.0), plane(0.0, 0.0, 0.8)
    for faces in (FACES, FACES[:, ::-1]):
        depth = skin_depth([(near, faces), (far, faces)], view())
        assert np.array_equal(depth, skin_depth([(far, faces), (near, faces)], view()))
        assert abs(depth[26, 40] - 0.5) < 1e-6 and abs(depth[3, 70] - 0.8) < 1e-6


def test_triangles_that_reach_before_the_camera_are_left_out() -> None:
    assert (skin_depth([(plane(3.0, 0.0, 0.5), FACES)], view()) > 1e9).all()


def test_the_wrist_is_closed_where_splats_close_it() -> None:
    from hand_toolkit.avatar import surface
    from hand_toolkit.avatar.stump import closed
    from hand_toolkit.testing.avatars import procedural_avatar
    from hand_toolkit.worker.surface_scene import SurfaceScene

    avatar = procedural_avatar(2, splats_per_face=1)
    hand = avatar.hand("right")
    model = surface(avatar.hand_model, "right", avatar.level)
    points = model.template.astype(np.float32)
    # seen along the forearm, from where the opening shows the hand's inside
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    wrist = points[np.argmin(np.abs(points[:, 0] - points[:, 0].max()))]
    pose[:3, 3] = -pose[:3, :3] @ (wrist + np.array([0.2, 0.0, 0.0]))
    camera = Camera(400.0, 400.0, 40.0, 30.0, 80, 60, world_to_camera=pose, near=0.01, far=9.0)
    depths = []
    for one in (hand, closed(hand, model)):
        made = dataclasses.replace(avatar, hands=(one,))
        scene = SurfaceScene([(made, "right", False)], camera)
        depths.append(skin_depth(list(scene.meshes([points])), camera))
    seen = (depths[0] < 1e9) & (depths[1] < 1e9)
    assert seen.sum() > 300
    assert (depths[1] <= depths[0] + 1e-6)[seen].all()
    assert ((depths[0] - depths[1])[seen] > 0.01).mean() > 0.05
