"""Gaps between fingers are no skin, walls' light neither, and tone goes on into hidden skin."""

from __future__ import annotations

import numpy as np

from hand_toolkit.skin.complete import CRISP, _finer
from hand_toolkit.skin.folds import MOST, contact_shadow, continued_tone, cuff, spilt_light
from hand_toolkit.skin.nails import unseen_paint
from hand_toolkit.skin.uv_layout import UVLayout, uv_layout
from hand_toolkit.skin.uv_observation import CHANNELS, UVObservation, from_cut

GAP = [-0.5, -1.2, -1.3]
"""Log colour over skin of a gap that light reaches through fingers."""


def layout() -> UVLayout:
    return uv_layout("default", 192)


def observed(count: int, **columns: float) -> UVObservation:
    inputs = np.zeros((count, len(CHANNELS)))
    for name, value in columns.items():
        inputs[:, CHANNELS.index(name)] = value
    flat = np.zeros((count, 3))
    return UVObservation(inputs, flat, np.zeros(3), np.ones(count), np.zeros((9, 3)))


def test_a_red_gap_in_a_fist_is_a_shadow_and_ink_on_an_open_hand_is_not() -> None:
    gap, ink, even = np.array([GAP]), np.array([[-1.6, -1.2, -0.9]]), np.full((1, 3), -0.15)
    fist, flat = observed(1, openness=0.5), observed(1, openness=1.0)
    beside = observed(1, openness=1.0, beside=1.0)
    assert contact_shadow(fist, gap) > 0.8
    assert contact_shadow(beside, gap) > 0.99
    assert contact_shadow(flat, gap) == contact_shadow(flat, ink) == 0
    assert contact_shadow(fist, even) < 0.05


def test_a_walls_green_is_spilt_light_and_ink_freckles_and_pale_patches_are_not() -> None:
    green, blue = [-0.1, 0.2, 0.0], [-0.2, 0.1, 0.3]
    ink, freckle, pale = [-1.5, -1.2, -1.0], [-0.2, -0.4, -0.6], [0.5, 0.85, 1.0]
    found = spilt_light(np.array([green, blue, ink, freckle, pale]))
    assert (found[:2] > 0.9).all()
    assert (found[2:] < 0.05).all()


def test_tone_goes_on_from_believed_skin_and_fades() -> None:
    where = layout()
    count = len(where.index)
    nobody, nowhere = continued_tone(np.ones((count, 3)), np.zeros(count), where)
    np.testing.assert_allclose(nobody, 0, atol=1e-9)
    np.testing.assert_allclose(nowhere, 0, atol=1e-9)
    across = where.rest[:, 0]  # from the wrist to the fingertips
    ends = np.quantile(across, [0.25, 0.3, 0.6])
    belief = (across < ends[0]).astype(float)
    tone, beside = continued_tone(np.full((count, 3), 0.2), belief, where)
    step = tone.mean(axis=1)
    near, far = (across > ends[0]) & (across < ends[1]), across > ends[2]
    assert step[belief > 0].mean() > 0.15
    assert step[belief > 0].mean() > step[near].mean() > 2 * step[far].mean() > 0
    assert beside[belief > 0].mean() > 0.8 and beside[far].mean() < 0.3
    loud, _ = continued_tone(np.full((count, 3), 3.0), np.ones(count), where)
    assert loud.max() <= MOST + 1e-9, "a shadow or a glare is no tone"


def test_invented_detail_is_made_stronger_and_tone_is_not() -> None:
    where = layout()
    fine = np.random.default_rng(0).normal(0, 0.02, (len(where.index), 3))
    broad = np.full_like(fine, -0.4)
    hidden = broad + fine
    added = _finer(hidden, where)
    hand = from_cut(where) == 1
    assert np.abs(added.mean(axis=0)).max() < 1e-3
    ratio = ((hidden + added)[hand].std(0) / fine[hand].std(0)).mean()
    assert 0.7 * CRISP < ratio <= CRISP


def test_no_line_is_invented_around_the_wrists_end() -> None:
    where = layout()
    end = from_cut(where) < 0.01
    line = np.where(end & (np.arange(len(end)) % 3 == 0), -0.3, 0.0)[:, None] * np.ones(3)
    drawn = line + _finer(line, where, own=np.full((len(end), 3), 0.2))
    assert drawn[end].std() < 0.4 * line[end].std()


def test_a_cuffs_colour_is_left_out_at_the_wrist_and_nowhere_else() -> None:
    where = layout()
    red, brown = np.array([0.35, -0.2, -0.15]), np.array([-0.5, -0.6, -0.65])
    found = cuff(np.tile(red, (len(where.index), 1)), where)
    wrist, fingers = from_cut(where, (0.01, 0.012)) == 0, where.rest[:, 0] < -0.1
    assert found[wrist].min() > 0.9 and found[fingers].max() == 0
    assert cuff(np.tile(brown, (len(where.index), 1)), where).max() < 0.05, "a shadow is no cloth"


def test_a_dark_gap_paints_no_nail_red_and_a_lit_red_nail_is_paint() -> None:
    where = layout()
    count = len(where.index)
    nails = np.zeros(count)
    nails[np.abs(where.uv - where.uv[count // 2]).max(axis=1) < 0.02] = 1
    seen = observed(count, seen=1.0, mask=1.0)
    red = np.array([0.1, -0.9, -0.5])
    bank, belief = np.zeros((count, 3)), np.ones((count, 1))
    gap = bank + nails[:, None] * np.array([-0.7, -2.0, -1.4])
    taken = unseen_paint(red, seen, gap, belief, nails, bank, where)
    bare = red - taken
    assert np.abs(bare - bare.mean()).max() < 0.15
    lit = bank + nails[:, None] * red
    left = unseen_paint(red, seen, lit, belief, nails, bank, where)
    assert np.abs(left).max() < 0.05
