from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hand_toolkit.avatar.lighting import (
    constant_light,
    from_environment,
    load_light,
    rotate,
    sh_basis,
    shade,
)
from hand_toolkit.core.errors import FileFormatError, InputError
from hand_toolkit.geometry.colour import linear_to_srgb, srgb_to_linear


def directions(count: int = 4000) -> np.ndarray:
    v = np.random.default_rng(0).normal(size=(count, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def test_the_basis_is_orthonormal() -> None:
    basis = sh_basis(directions(200_000), 16)
    gram = 4 * np.pi * basis.T @ basis / len(basis)
    np.testing.assert_allclose(gram, np.eye(16), atol=0.03)


def test_a_constant_environment_shades_every_normal_alike() -> None:
    light = from_environment(np.full((64, 128, 3), 0.7))
    np.testing.assert_allclose(shade(light, directions(50)), 0.7, atol=2e-3)
    np.testing.assert_allclose(shade(constant_light(0.7), directions(50)), 0.7, atol=1e-9)


def test_shading_equals_the_cosine_integral() -> None:
    """Against brute force: a soft sky that order 2 represents."""
    height, width = 64, 128
    up = np.cos((np.arange(height) + 0.5) / height * np.pi)
    sky = np.repeat((0.5 + 0.5 * up)[:, None, None], width, axis=1) * [1.0, 0.8, 0.6]
    light = from_environment(sky)
    incoming = directions(40_000)
    radiance = (0.5 - 0.5 * incoming[:, 1:2]) * [1.0, 0.8, 0.6]
    for normal in directions(5):
        cosine = np.maximum(incoming @ normal, 0)[:, None]
        expected = 4 * (cosine * radiance).mean(axis=0)
        np.testing.assert_allclose(shade(light, normal), expected, atol=0.02)


def test_srgb_round_trip() -> None:
    values = np.linspace(0, 1, 513)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-6)


def test_light_files(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_text(json.dumps({"sh": np.ones((4, 3)).tolist()}))
    assert load_light(str(path)).shape == (4, 3)
    path.write_text("{}")
    with pytest.raises(FileFormatError, match="holds no light"):
        load_light(str(path))
    path.write_text(json.dumps([[1, 2, float("inf")]]))
    with pytest.raises(FileFormatError, match="NaN or infinite"):
        load_light(str(path))
    with pytest.raises(InputError, match="unknown light"):
        load_light("moon")
    with pytest.raises(InputError, match="does not exist"):
        load_light(str(tmp_path / "x.hdr"))
    import cv2

    cv2.imwrite(str(tmp_path / "e.hdr"), np.full((8, 16, 3), 0.5, np.float32))
    np.testing.assert_allclose(
        shade(load_light(str(tmp_path / "e.hdr")), np.array([[0, 0, 1.0]])), 0.5, atol=0.02
    )


def test_a_turned_light_shines_on_turned_normals_as_before() -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(0)
    turn = Rotation.from_rotvec([0.4, -1.1, 0.3]).as_matrix()
    normals = rng.normal(size=(50, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    for count in (4, 9, 16):
        light = rng.normal(size=(count, 3))
        expected = sh_basis(normals, count) @ light
        found = sh_basis(normals @ turn.T, count) @ rotate(light, turn)
        np.testing.assert_allclose(found, expected, atol=1e-9)
