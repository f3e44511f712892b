"""Subdivision: counts, smoothness, and that shape and pose come along."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.core.errors import InputError
from hand_toolkit.hand_model import load_hand_model, rest_hand, subdivide, vertex_normals
from hand_toolkit.hand_model.base import HandModel
from hand_toolkit.hand_model.subdivision import catmull_clark, loop
from hand_toolkit.testing.hand_model import check_arrays


def triangle_model() -> HandModel:
    return dataclasses.replace(load_hand_model(), quads=None, uv_quads=None)


def test_level_three_is_valid() -> None:
    finer = load_hand_model(side="left", level=3)
    assert len(finer.faces) == 3196 * 64 and finer.level == 3
    check_arrays(finer)


@pytest.mark.parametrize("make", [load_hand_model, triangle_model])
def test_smooth_schemes_keep_affine_maps(make: object) -> None:
    """Rows sum to one, so a moved, scaled or sheared hand subdivides to the same."""
    model = make()  # type: ignore[operator]
    for operator in (
        catmull_clark(load_hand_model().quads, 1609)[0],
        loop(model.faces, 1609)[0],
    ):
        assert np.abs(np.asarray(operator.sum(1)).ravel() - 1).max() < 1e-12
        assert operator.data.min() >= 0


@pytest.mark.parametrize("make", [load_hand_model, triangle_model])
def test_finer_is_smoother_and_near(make: object) -> None:
    from scipy.spatial import cKDTree

    model = make()  # type: ignore[operator]

    def roughness(m: HandModel) -> float:
        """Mean angle between the normals along edges."""
        normals = vertex_normals(m.template.astype(float), m.faces)
        a, b = normals[m.faces[:, 0]], normals[m.faces[:, 1]]
        return float(np.degrees(np.arccos(np.clip((a * b).sum(1), -1, 1))).mean())

    one, two = subdivide(model, 1), subdivide(model, 2)
    assert roughness(two) < 0.6 * roughness(one) < 0.5 * roughness(model)
    distance, _ = cKDTree(two.template).query(model.template)
    assert distance.max() < 0.004 and distance.mean() < 0.0007


def test_shape_space_comes_along() -> None:
    model = load_hand_model()
    rng = np.random.default_rng(0)
    shape = rng.normal(0, 0.4, 34)
    moved = dataclasses.replace(model, template=rest_hand(model, shape)[0].astype(np.float32))
    assert (
        np.abs(subdivide(moved, 1).template - rest_hand(subdivide(model, 1), shape)[0]).max() < 1e-6
    )


def test_faces_keep_their_place_in_both_meshes() -> None:
    """Each corner's texture coordinate lies where its vertex is: seams do not tear."""
    coarse, fine = load_hand_model(), load_hand_model(level=1)
    corners, uvs = fine.template[fine.faces], fine.uvs[fine.uv_faces]
    parent_corners = coarse.template[coarse.faces].reshape(-1, 2, 3, 3).mean((1, 2))
    parent_uvs = coarse.uvs[coarse.uv_faces].reshape(-1, 2, 3, 2).mean((1, 2))
    children = corners.reshape(-1, 8, 3, 3).mean((1, 2))
    assert np.linalg.norm(children - parent_corners, axis=1).max() < 0.003
    assert np.linalg.norm(uvs.reshape(-1, 8, 3, 2).mean((1, 2)) - parent_uvs, axis=1).max() < 0.01


def test_level_is_checked_and_cached() -> None:
    model = load_hand_model()
    assert subdivide(model, 0) is model
    assert subdivide(model, 2) is subdivide(model, 2)
    for level in (-1, 4, 1.5):
        with pytest.raises(InputError, match="subdivision level"):
            subdivide(model, level)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="accepted is 1 to 3"):
        subdivide(subdivide(model, 1), 0)
