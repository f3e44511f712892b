"""The triangle raster: against rays through the pixels' centres, and layouts of texels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_toolkit.core.types import Camera
from hand_toolkit.geometry.raster import lower_depth, rasterize_mesh, rasterize_uv

QUICK = settings(max_examples=40, deadline=None, derandomize=True)

CAMERA = Camera(30.0, 28.0, 12.0, 10.0, 24, 20)


def soup(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Eight random triangles before the camera."""
    rng = np.random.default_rng(seed)
    points = rng.uniform([-0.4, -0.4, 0.4], [0.4, 0.4, 1.5], (24, 3))
    return points, np.arange(24).reshape(8, 3)


@QUICK
@given(st.integers(0, 10_000))
def test_the_nearest_triangle_is_that_of_the_ray(seed: int) -> None:
    points, faces = soup(seed)
    raster = rasterize_mesh(points, faces, CAMERA)
    x = (np.arange(24) + 0.5 - CAMERA.cx) / CAMERA.fx
    y = (np.arange(20) + 0.5 - CAMERA.cy) / CAMERA.fy
    rays = np.stack(np.broadcast_arrays(x[None], y[:, None], 1.0), -1).reshape(-1, 3)
    # Moeller and Trumbore 1997, from the origin; rays have z = 1, so that t is the depth
    a, b, c = (points[faces[:, k]] for k in range(3))
    e1, e2 = b - a, c - a
    p = np.cross(rays[:, None], e2)
    determinant = (p * e1).sum(-1)
    u = -(p * a).sum(-1) / determinant
    q = np.cross(-a, e1)
    v = (rays[:, None] * q).sum(-1) / determinant
    t = (q * e2).sum(-1) / determinant
    inside = np.minimum(np.minimum(u, v), 1 - u - v)
    hit = np.where(inside >= 0, t, np.inf)
    sure = (np.abs(inside) > 1e-7).all(1)  # on an edge either answer is right
    assert sure.mean() > 0.95
    found = raster.depth.ravel()[sure]
    np.testing.assert_allclose(found, hit.min(1)[sure], rtol=1e-5)
    want = np.where(np.isfinite(hit.min(1)), hit.argmin(1), -1)[sure]
    assert (raster.triangle.ravel()[sure] == want).mean() > 0.999


@QUICK
@given(st.integers(0, 10_000))
def test_lowering_depth_is_the_same_raster(seed: int) -> None:
    points, faces = soup(seed)
    depth = np.full((20, 24), 0.8, np.float32)
    lower_depth(points, faces, CAMERA, depth)
    assert np.array_equal(depth, np.minimum(rasterize_mesh(points, faces, CAMERA).depth, 0.8))


def test_a_layout_covers_a_square_exactly_once() -> None:
    uvs = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    face, bary = rasterize_uv(uvs, np.array([[0, 1, 2], [0, 2, 3]]), 32, 32)
    assert (face >= 0).all()
    np.testing.assert_allclose(bary.sum(-1), 1, atol=1e-6)
    # row 0 is the top (v = 1), which the second triangle's corner holds
    assert face[0, 0] == 1 or face[0, 1] == 1
    assert face[31, 31] == 0
    where = np.einsum("yxk,yxkc->yxc", bary, uvs[np.array([[0, 1, 2], [0, 2, 3]])[face]])
    np.testing.assert_allclose(where[4, 9], [9.5 / 32, 1 - 4.5 / 32], atol=1e-6)


@QUICK
@given(st.integers(0, 10_000))
def test_weights_of_texels_give_their_centres(seed: int) -> None:
    rng = np.random.default_rng(seed)
    uvs, faces = rng.uniform(size=(12, 2)), np.arange(12).reshape(4, 3)
    face, bary = rasterize_uv(uvs, faces, 40, 25)
    rows, columns = np.nonzero(face >= 0)
    found = np.einsum("nk,nkc->nc", bary[rows, columns], uvs[faces[face[rows, columns]]])
    want = np.stack([(columns + 0.5) / 40, 1 - (rows + 0.5) / 25], 1)
    assert np.allclose(found, want, atol=1e-5)
    assert bary.min() > -1e-6 and (bary[face < 0] == 0).all()
