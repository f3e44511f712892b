"""Meshes closed at their opening."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from hand_toolkit.geometry.closing import closed_mesh, open_edges
from hand_toolkit.hand_model import load_hand_model


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_closed_hand_is_watertight_and_turned_outwards(side: str) -> None:
    model = load_hand_model("default", side)
    vertices, faces = closed_mesh(model.template.astype(float), model.faces)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert 2.5e-4 < mesh.volume < 4.5e-4, "a hand's volume in cubic metres, not negative"
    assert np.array_equal(faces[: len(model.faces)], model.faces), "the hand's own faces stay"
    assert np.array_equal(vertices[: len(model.template)], model.template.astype(float))


def test_a_closed_mesh_stays_as_it_is() -> None:
    ball = trimesh.creation.icosphere(1)
    vertices, faces = closed_mesh(ball.vertices, ball.faces)
    assert vertices is ball.vertices and faces is ball.faces
    assert not len(open_edges(ball.faces))
