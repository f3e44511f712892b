"""The scores of driven avatars: what is drawn outside the given mask costs, as does what is not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hand_toolkit.geometry.colour import linear_to_srgb, srgb_to_linear

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("driving", FOLDER / "driving.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["driving"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


driving = _load()
SKIN = np.array([0.8, 0.6, 0.5])
SIZE = 40


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE))
    mask[top:bottom, left:right] = 1
    return mask


GIVEN = box(10, 30, 10, 30)
PHOTO = np.broadcast_to(SKIN, (SIZE, SIZE, 3))
"""Skin everywhere: what lies outside the given mask must not count."""


def missed_db(part: float) -> float:
    """PSNR where a part of the pixels has skin against black and the rest agrees."""
    return float(-10 * np.log10(part * (SKIN**2).mean()))


def test_the_same_hand_is_perfect_whatever_lies_behind_it() -> None:
    scores = driving.score(driving.flat(SKIN, GIVEN), PHOTO, GIVEN)
    assert scores["psnr_union"] == scores["psnr_picture"] == scores["psnr_box"] == 100
    assert scores["silhouette_iou"] == 1


def test_a_hand_too_large_costs_in_the_union_alone() -> None:
    scores = driving.score(driving.flat(SKIN, box(10, 30, 10, 35)), PHOTO, GIVEN)
    assert scores["given_psnr_mask"] == scores["given_psnr_box"] == 100
    assert scores["silhouette_iou"] == pytest.approx(0.8)
    assert scores["psnr_union"] == pytest.approx(missed_db(0.2))
    assert scores["psnr_picture"] == pytest.approx(missed_db(100 / SIZE**2))
    assert scores["psnr_box"] == pytest.approx(missed_db(100 / (24 * 31)))  # 25 + 2 x 3 wide


def test_a_hand_too_small_costs_as_much() -> None:
    scores = driving.score(driving.flat(SKIN, box(10, 30, 10, 26)), PHOTO, GIVEN)
    assert scores["silhouette_iou"] == pytest.approx(0.8)
    assert scores["psnr_union"] == scores["given_psnr_mask"] == pytest.approx(missed_db(0.2))


def test_a_hand_beside_the_mask_misses_all_of_both() -> None:
    scores = driving.score(driving.flat(SKIN, box(10, 30, 30, 40)), PHOTO, GIVEN)
    assert scores["silhouette_iou"] == 0
    assert scores["psnr_union"] == pytest.approx(missed_db(1))


def test_one_gain_of_light_is_found_where_both_have_skin() -> None:
    outline = box(10, 30, 10, 35)
    dark = driving.flat(linear_to_srgb(0.5 * srgb_to_linear(SKIN)), outline)
    matched = driving.expose(dark, PHOTO * GIVEN[..., None], GIVEN)
    np.testing.assert_allclose(matched.picture[outline > 0.5], np.tile(SKIN, (500, 1)), atol=1e-12)
    assert (matched.picture[outline < 0.5] == 0).all()
    assert (matched.outline == dark.outline).all()


def test_hands_that_do_not_meet_keep_their_light() -> None:
    beside = driving.flat(SKIN, box(0, 5, 0, 5))
    assert driving.expose(beside, PHOTO, GIVEN) is beside


def test_targets_have_masks_and_are_in_no_fit(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number:05}.jpg").touch()
        if number != 6:
            (tmp_path / f"{number:05}_mask.png").touch()
    assert driving.target_names(tmp_path, ["00002"]) == ["00000", "00004", "00008"]
    assert driving.target_names(tmp_path, ["00002"], "odd")[0] == "00001"
    assert len(driving.target_names(tmp_path, ["00002"], "all")) == 8
    assert driving.target_names(tmp_path, [], "all", 3) == ["00000", "00004", "00009"]
