"""What hides hands, what shades them, and the lens: against plain geometry."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.core.errors import InputError
from hand_toolkit.core.types import Camera
from hand_toolkit.worker.frames import lens_views
from hand_toolkit.worker.light_kernels import lit_share
from hand_toolkit.worker.occlusion import Occluders, lower_clipped, visible_share

FACES = np.array([[0, 1, 2], [2, 1, 3]], np.int32)
NONE = np.zeros((0, 3), np.int32)
VIEW = Camera(80.0, 80.0, 40.0, 30.0, 80, 60, near=0.1, far=100.0)


def square(size: float, z: float, x: float = 0.0) -> np.ndarray:
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]) * size / 2
    corners[:, 0] += x
    return np.column_stack([corners, np.full(4, z)])


def test_a_floor_goes_on_under_the_camera() -> None:
    """Both of its triangles pass the near plane, and the horizon is where it must be."""
    floor = np.array([[-50, 0.5, -50], [50, 0.5, -50], [-50, 0.5, 50], [50, 0.5, 50.0]])
    depth = np.full((60, 80), np.inf, np.float32)
    lower_clipped(floor, FACES, VIEW, depth)
    y = np.arange(60) + 0.5
    expected = 0.5 * 80 / (y - 30)
    shown = (expected > 0.1) & (expected < 50)
    assert np.allclose(depth[shown, 40], expected[shown], rtol=1e-5)
    assert np.isinf(depth[:30]).all()


@pytest.mark.parametrize("trim", [False, True])
def test_an_edge_across_the_hand_is_soft(trim: bool) -> None:
    hand = [(square(0.6, 1.0), FACES)]
    # the wall covers everything left of x = 0.2 px past the middle of column 40
    wall = square(2.0, 0.5, -1.0 + 0.7 / 80 * 0.5)
    share = visible_share(
        hand, Occluders(wall, FACES, NONE), VIEW, np.full((60, 80), 1.0, np.float32), trim
    )
    assert share is not None
    row = share[30]
    assert row[30] == 0 and row[45] == 1
    assert row[40] == pytest.approx(0.3, abs=0.13), "a quarter of a pixel is a sample"
    assert row[75] == (0 if trim else 1), "beyond the mesh"
    behind = Occluders(square(2.0, 1.5), FACES, NONE)
    nothing = visible_share(hand, behind, VIEW, np.full((60, 80), 1.0, np.float32), trim)
    assert nothing is None or nothing[20:40, 30:50].min() == 1


def test_faces_of_nowhere_are_refused() -> None:
    with pytest.raises(InputError, match="were not sent"):
        Occluders.of({"hiding": FACES})


def test_a_lamp_behind_a_plate() -> None:
    """Umbra, light, and a penumbra as wide as the lamp and the distances make it."""
    lamp, plate, wall = 0.0, 0.5, 1.0
    radius = 0.05
    texels, focal = 512, 512.0
    depth = np.full((texels, texels), np.inf, np.float32)
    view = Camera(focal, focal, 256, 256, texels, texels, near=0.01, far=10.0)
    lower_clipped(square(0.2, plate), FACES, view, depth)
    lower_clipped(square(1.0, wall), FACES, view, depth)
    x = np.linspace(-0.4, 0.4, 401)
    points = np.column_stack([x, np.zeros_like(x), np.full_like(x, wall)])
    normals = np.tile([0.0, 0.0, -1.0], (len(x), 1))
    out = np.empty(len(x))
    lit_share(points, normals, depth, np.eye(4)[:3], focal, radius, False, 0.001, 0.001, out)
    assert lamp == 0.0 and out[np.abs(x) < 0.12].max() == 0
    assert out[np.abs(x) > 0.3].min() == 1
    right = x > 0
    soft = x[right & (out > 0.1) & (out < 0.9)]
    middle = x[right][np.argmin(np.abs(out[right] - 0.5))]
    assert middle == pytest.approx(0.2, abs=0.012), "the plate's edge, twice as far from the lamp"
    assert 0.03 < soft.max() - soft.min() < 0.1, "of 0.1, of which the middle eight tenths"


def test_the_lens_keeps_its_focus() -> None:
    views = lens_views(VIEW, {"focus": 2.0, "points": [[0.1, 0.0], [-0.05, 0.02]]})
    sharp, near = np.array([0.3, -0.2, 2.0]), np.array([0.3, -0.2, 1.0])
    for view in views:
        assert np.allclose(view.project(sharp), VIEW.project(sharp), atol=1e-9)
    moved = views[0].project(near) - VIEW.project(near)
    assert moved == pytest.approx([-0.1 * 80 * (1 / 1.0 - 1 / 2.0), 0.0])
    assert lens_views(VIEW, None) == []
    with pytest.raises(InputError, match="before the camera"):
        lens_views(VIEW, {"focus": 0.0, "points": [[0, 0]]})
    assert dataclasses.replace(views[0], cx=VIEW.cx).width == VIEW.width
