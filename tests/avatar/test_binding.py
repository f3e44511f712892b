from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_toolkit.avatar import SurfaceBinding, place, surface, triangle_frames
from hand_toolkit.core.conventions import mirror_theta
from hand_toolkit.core.errors import InputError
from hand_toolkit.testing.avatars import procedural_avatar

MIRROR = np.array([-1.0, 1.0, 1.0])


def covariances(quats: np.ndarray, scales: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    r = Rotation.from_quat(quats[:, [1, 2, 3, 0]]).as_matrix()
    return np.einsum("nij,nj,nkj->nik", r, scales**2, r)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_a_rigidly_moved_mesh_carries_its_splats_along(seed: int) -> None:
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    vertices, faces = rng.normal(size=(9, 3)), np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    n = 20
    binding = SurfaceBinding(
        rng.integers(0, 3, n),
        rng.dirichlet([1, 1, 1], n),
        rng.normal(size=(n, 3)),
        rng.normal(size=(n, 4)),
        rng.uniform(0.1, 1, (n, 3)),
    )
    _, area = triangle_frames(vertices, faces)
    turn = Rotation.random(random_state=seed).as_matrix()
    shift = rng.normal(size=3)
    means, quats, scales = place(binding, vertices, faces, area)
    moved = place(binding, vertices @ turn.T + shift, faces, area)
    np.testing.assert_allclose(moved[0], means @ turn.T + shift, atol=2e-5)
    np.testing.assert_allclose(
        covariances(moved[1], moved[2]), turn @ covariances(quats, scales) @ turn.T, atol=2e-4
    )


def test_a_stretched_mesh_grows_its_splats() -> None:
    faces = np.array([[0, 1, 2]])
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]])
    binding = SurfaceBinding([0], [[1 / 3] * 3], [[0, 0, 0.5]], [[1, 0, 0, 0]], [[0.1, 0.2, 0.3]])
    means, _, scales = place(binding, 3 * vertices, faces, np.array([0.5]))
    np.testing.assert_allclose(means, [[1, 1, 1.5]], atol=1e-6)
    np.testing.assert_allclose(scales, [[0.3, 0.6, 0.9]], atol=1e-6)


def test_a_mirrored_hand_is_the_mirror_image_in_every_pose() -> None:
    rng = np.random.default_rng(3)
    avatar = procedural_avatar(seed=1, sides=("right",))
    right = avatar.hand("right")
    binding = right.binding
    n = len(binding)
    skewed = dataclasses.replace(
        right,
        binding=SurfaceBinding(
            binding.triangle,
            rng.dirichlet([1, 1, 1], n),
            rng.normal(size=(n, 3)) * 0.002,
            rng.normal(size=(n, 4)),
            rng.uniform(0.0005, 0.002, (n, 3)),
        ),
    )
    both = dataclasses.replace(avatar, hands=(skewed, skewed.mirrored()))
    theta = rng.normal(size=(16, 3)) * 0.4
    where = rng.normal(size=3)
    a = both.splats({"right": theta}, {"right": where})
    b = both.splats({"left": mirror_theta(theta)}, {"left": where * MIRROR})
    np.testing.assert_allclose(b.means, a.means * MIRROR, atol=1e-6)
    m = np.diag(MIRROR)
    np.testing.assert_allclose(
        covariances(b.quats, b.scales), m @ covariances(a.quats, a.scales) @ m, atol=1e-9
    )


def test_faces_of_both_hands_are_paired_at_every_level() -> None:
    for level in range(3):
        right, left = (surface("default", s, level) for s in ("right", "left"))
        assert (left.faces == right.faces[:, [1, 0, 2]]).all()


def test_a_splat_on_a_missing_triangle_is_refused() -> None:
    binding = SurfaceBinding([5], [[1, 0, 0]], [[0, 0, 0]], [[1, 0, 0, 0]], [[1, 1, 1]])
    with pytest.raises(InputError, match="triangle 5, but the mesh has 1"):
        place(binding, np.eye(3), np.array([[0, 1, 2]]), np.ones(1))


def test_degenerate_triangles_do_not_spoil_the_rest() -> None:
    frames, area = triangle_frames(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    np.testing.assert_array_equal(frames[0], np.eye(3))
    assert area[0] < 1e-12
