"""The z-buffer against geometry that can be worked out."""

from __future__ import annotations

import numpy as np
import pytest

from hand_toolkit.core.types import Camera
from hand_toolkit.geometry import hand_silhouettes, rasterize_mesh, wrist_half_plane
from hand_toolkit.see import label_hands

CAMERA = Camera(100, 100, 32, 24, 64, 48)


def square(x0: float, x1: float, y0: float, y1: float, z: float) -> tuple[np.ndarray, np.ndarray]:
    """A rectangle given in pixels, at depth z."""
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    points = np.concatenate([(corners - [32, 24]) / 100 * z, np.full((4, 1), z)], axis=1)
    return points, np.array([[0, 1, 2], [0, 2, 3]])


def test_pixel_centres_decide() -> None:
    raster = rasterize_mesh(*square(10.4, 20.6, 5.6, 9.4, 0.5), CAMERA)
    expected = np.zeros((48, 64), bool)
    expected[6:9, 10:21] = True
    np.testing.assert_array_equal(raster.silhouette, expected)
    np.testing.assert_allclose(raster.depth[expected], 0.5, rtol=1e-6)
    assert np.isinf(raster.depth[~expected]).all()


def test_depth_is_perspective_correct() -> None:
    points = np.array([[-0.2, -0.2, 0.5], [0.4, -0.2, 1.0], [-0.2, 0.3, 0.6]])
    raster = rasterize_mesh(points, np.array([[0, 1, 2]]), CAMERA)
    row, column = np.argwhere(raster.silhouette)[17]
    ray = np.array([(column + 0.5 - 32) / 100, (row + 0.5 - 24) / 100, 1])
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    assert raster.depth[row, column] == pytest.approx(
        (normal @ points[0]) / (normal @ ray), rel=1e-5
    )


def test_nearest_wins_whatever_the_order() -> None:
    near, far = square(10, 30, 10, 30, 0.4), square(20, 40, 20, 40, 0.9)
    for order in ((near, far), (far, near)):
        silhouettes, labels = hand_silhouettes(order, CAMERA)
        front = 0 if order[0] is near else 1
        assert (labels[20:30, 20:30] == front).all()
        assert silhouettes[1 - front, 25, 25]
        assert labels[0, 0] == -1


def test_triangles_behind_the_camera_are_left_out() -> None:
    points, faces = square(10, 20, 10, 20, 0.5)
    points[0, 2] = -0.5
    raster = rasterize_mesh(points, faces, CAMERA)
    assert not raster.silhouette.any()


def test_outside_the_picture() -> None:
    assert not rasterize_mesh(*square(100, 200, 10, 20, 0.5), CAMERA).silhouette.any()
    assert rasterize_mesh(*square(-500, 500, -500, 500, 0.5), CAMERA).silhouette.all()


def test_world_to_camera_is_used() -> None:
    points, faces = square(10, 20, 10, 20, 0.5)
    pose = np.eye(4)
    pose[:3, 3] = [0.05, 0, 0]
    moved = Camera(100, 100, 32, 24, 64, 48, world_to_camera=pose)
    raster = rasterize_mesh(points, faces, moved)
    assert np.flatnonzero(raster.silhouette.any(axis=0))[0] == 20


def test_wrist_half_plane() -> None:
    keypoints = np.zeros((21, 2))
    keypoints[0], keypoints[9] = [32, 40], [32, 20]
    inside = wrist_half_plane(keypoints, (64, 48), margin=0.1)
    assert inside[:42].all()
    assert not inside[42:].any()


def test_label_hands_gives_strays_to_the_nearest() -> None:
    labels = np.full((10, 20), -1, np.int32)
    labels[2:5, 2:5], labels[2:5, 15:18] = 0, 1
    mask = np.zeros((10, 20))
    mask[:, 1:7], mask[:, 13:19] = 1, 1
    result = label_hands(mask, labels)
    assert (result[mask == 0] == -1).all()
    assert (result[:, 1:7] == 0).all()
    assert (result[:, 13:19] == 1).all()
