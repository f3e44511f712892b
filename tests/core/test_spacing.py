"""How far apart two hands stand: one number, also in the add-on, which may import nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np

from hand_toolkit.core.conventions import HAND_SPACING_M, UPRIGHT_WRISTS_M
from hand_toolkit.export.scene import build_scene
from hand_toolkit.testing.avatars import procedural_avatar

ADDON = Path(__file__).resolve().parents[2] / "blender_addon" / "build.py"


def test_the_addon_has_the_same() -> None:
    values = {
        node.targets[0].id: node.value
        for node in ast.parse(ADDON.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert 2 * ast.literal_eval(values["HAND_SPACING"]) == HAND_SPACING_M


def test_scenes_and_made_hands_stand_as_far_apart() -> None:
    avatar = procedural_avatar(0, limit=50)
    right, left = build_scene(avatar).hands
    assert np.allclose(right.bind_translation, UPRIGHT_WRISTS_M[0])
    assert np.allclose(left.bind_translation, UPRIGHT_WRISTS_M[1])
    assert np.isclose(UPRIGHT_WRISTS_M[1, 0] - UPRIGHT_WRISTS_M[0, 0], HAND_SPACING_M)
    for hand in avatar.hands:
        apart = hand.mirrored().beside(hand).source_translation - hand.source_translation
        assert np.allclose(
            apart, [HAND_SPACING_M if hand.side == "right" else -HAND_SPACING_M, 0, 0]
        )
