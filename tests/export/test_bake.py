"""The bake: layout, seams, colours against what was put in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hand_toolkit.avatar import Avatar
from hand_toolkit.core.errors import InputError
from hand_toolkit.export.bake import dilated
from hand_toolkit.export.scene import build_scene
from hand_toolkit.geometry.raster import rasterize_uv
from hand_toolkit.testing.avatars import procedural_avatar


def painted(avatar: Avatar, color: np.ndarray) -> Avatar:
    """The avatar with every splat's reflectance set to ``color`` (3,) or (N, 3)."""
    hands = tuple(
        dataclasses.replace(h, albedo=np.broadcast_to(color, h.albedo.shape)) for h in avatar.hands
    )
    return dataclasses.replace(avatar, hands=hands)


def test_one_colour_fills_the_picture() -> None:
    avatar = painted(procedural_avatar(0, sides=("right",)), np.array([0.8, 0.4, 0.2]))
    textures = build_scene(avatar).textures("right", 128, "albedo")
    assert textures.covered.mean() > 0.3
    assert np.abs(textures.color.astype(int) - [204, 102, 51]).max() <= 1


def test_colour_lands_where_its_splats_are() -> None:
    avatar = procedural_avatar(0, sides=("right",), splats_per_face=2)
    hand = avatar.hands[0]
    scene = build_scene(avatar)
    model, vertices = scene.hands[0].model, scene.hands[0].vertices
    triangle = hand.binding.triangle
    x = np.einsum("nk,nk->n", hand.binding.barycentric, vertices[model.faces[triangle]][..., 0])
    avatar = painted(avatar, np.stack([x > -0.1, x <= -0.1, 0 * x], 1).astype(float))
    scene = build_scene(avatar)
    textures = scene.textures("right", 256, "albedo")
    face, bary = rasterize_uv(model.uvs, model.uv_faces, 256, 256)
    inside = face >= 0
    place = np.einsum("pk,pk->p", bary[inside], vertices[model.faces[face[inside]]][..., 0])
    color = textures.color[inside].astype(int)
    for part, want in ((place > -0.094, [255, 0, 0]), (place < -0.106, [0, 255, 0])):
        assert part.sum() > 1000
        good = (np.abs(color[part] - want).max(1) < 30).mean()
        assert good > 0.995, good


def test_seams_are_dilated() -> None:
    picture = np.zeros((16, 16, 1), np.float32)
    known = np.zeros((16, 16), bool)
    known[4:8, 4:8] = True
    picture[4:8, 4:8] = 1
    picture[7, 7] = 3
    grown = dilated(picture, known, 3.0)
    assert grown[2, 5, 0] == 1 and grown[9, 9, 0] == 3
    assert grown[15, 15, 0] == pytest.approx(picture[known].mean())


def test_bump_tilts_the_normals_and_a_flat_surface_does_not() -> None:
    avatar = procedural_avatar(0, sides=("right",), splats_per_face=2)
    hand = avatar.hands[0]

    def with_height(height: np.ndarray) -> np.ndarray:
        offset = np.zeros_like(hand.binding.offset)
        offset[:, 2] = height
        binding = dataclasses.replace(hand.binding, offset=offset)
        changed = dataclasses.replace(avatar, hands=(dataclasses.replace(hand, binding=binding),))
        textures = build_scene(changed).textures("right", 256, "albedo")
        return textures.normal[textures.covered].astype(float) / 127.5 - 1

    flat = with_height(np.zeros(len(hand)))
    assert np.abs(flat[:, :2]).max() < 0.02
    rough = with_height(np.random.default_rng(0).normal(0, 3e-4, len(hand)))
    assert np.abs(rough[:, :2]).mean() > 0.02
    assert rough[:, 2].min() > 0.5


def test_sizes_and_sources_are_checked() -> None:
    scene = build_scene(procedural_avatar(0, limit=5))
    with pytest.raises(InputError, match="16 to 8192"):
        scene.textures("right", 4, "albedo")
    with pytest.raises(InputError, match="albedo, photo"):
        scene.textures("right", 64, "specular")
