"""Merging splats keeps their cover and their colours."""

from __future__ import annotations

import dataclasses

import numpy as np

from hand_toolkit.avatar.levels import merged, thinned
from hand_toolkit.geometry.rotations import covariances
from hand_toolkit.testing.look import laid_avatar


def test_sixteen_merge_into_the_four_that_would_have_been_laid() -> None:
    fine, coarse = (laid_avatar(n).hands[0] for n in (16, 4))
    rng = np.random.default_rng(0)
    fine = dataclasses.replace(fine, albedo=rng.random((len(fine), 3)))
    level = merged(fine, 4)
    assert len(level.hand) == len(coarse) and np.bincount(level.group).tolist() == [4] * len(coarse)
    own = level.hand.binding
    # a quarter is the same of both: match by triangle and place
    order = np.lexsort((*np.round(own.barycentric.T, 4), own.triangle))
    laid = np.lexsort((*np.round(coarse.binding.barycentric.T, 4), coarse.binding.triangle))
    np.testing.assert_allclose(own.barycentric[order], coarse.binding.barycentric[laid], atol=1e-5)
    want = covariances(coarse.binding.quat, coarse.binding.scale)[laid]
    got = covariances(own.quat, own.scale)[order]
    np.testing.assert_allclose(got, want, atol=0.02 * np.abs(want).max())
    first = np.flatnonzero(level.group == 7)
    np.testing.assert_allclose(level.hand.albedo[7], fine.albedo[first].mean(axis=0), rtol=1e-5)
    assert len(merged(fine, 1).hand) == fine.binding.triangle.max() + 1


def test_only_triangles_with_detail_keep_sixteen() -> None:
    hand = laid_avatar(16).hands[0]
    spotted = np.array(hand.color)
    some = hand.binding.triangle < 100
    spotted[some] += np.where(np.arange(some.sum()) // 4 % 2, 0.1, -0.1)[:, None]
    few = thinned(dataclasses.replace(hand, color=spotted))
    members = np.bincount(few.binding.triangle)
    assert (members[:100] == 16).all() and (members[100:] == 4).all()
