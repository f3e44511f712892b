"""Closed surfaces in files that other programs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from hand_toolkit.core.errors import InputError
from hand_toolkit.export import export_avatar
from hand_toolkit.testing.avatars import procedural_avatar


@pytest.mark.parametrize("suffix", ["glb", "obj", "ply", "stl"])
def test_both_hands_are_watertight_bodies(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"hands.{suffix}"
    avatar = procedural_avatar(0)
    assert export_avatar(avatar, path, what="surface", pose="fist", lod=1) == [path]
    mesh = trimesh.load(path, force="mesh")
    mesh.merge_vertices()
    bodies = mesh.split(only_watertight=False)
    assert len(bodies) == 2
    unit = 1000.0 if suffix == "stl" else 1.0
    for body in bodies:
        assert body.is_watertight and body.is_winding_consistent
        assert 1.5e-4 < body.volume / unit**3 < 6e-4, "outward, of a hand's volume"
    up = 2 if suffix == "stl" else 1
    assert np.ptp(mesh.bounds, axis=0)[up] < 0.2 * unit


def test_what_cannot_be_written_is_refused_before_anything_is_lost(tmp_path: Path) -> None:
    avatar = procedural_avatar(0, sides=("right",))
    path = tmp_path / "hand.usd"
    path.write_bytes(b"keep")
    with pytest.raises(InputError, match=r"\.stl"):
        export_avatar(avatar, path, what="surface")
    with pytest.raises(InputError, match="no options"):
        export_avatar(avatar, tmp_path / "a.stl", what="surface", options={"texture_size": 64})
    assert path.read_bytes() == b"keep" and list(tmp_path.iterdir()) == [path]
