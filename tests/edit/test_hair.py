"""Hair as splats of its own."""

from __future__ import annotations

import numpy as np
import pytest

from hand_toolkit.core.errors import InputError
from hand_toolkit.edit import haired
from hand_toolkit.edit.hair import HAIRS, PIECES
from hand_toolkit.edit.zones import zones_of
from hand_toolkit.testing.avatars import procedural_avatar


def test_hair_grows_on_backs_lies_on_the_skin_and_is_dark() -> None:
    before = procedural_avatar(3)
    after = haired(before, 0.5, 4)
    old, new = before.hand("right"), after.hand("right")
    assert 0.8 < (len(new) - len(old)) / (PIECES * round(0.5 * HAIRS)) <= 1
    hair = slice(len(old), None)
    zones = zones_of(after.hand_model, after.level, new)
    assert np.mean(zones.back[hair] > 0.5) > 0.97
    assert np.isin(zones.finger[hair], [-1, 1, 2, 3, 4]).all()
    assert new.binding.offset[hair, 2].min() > -1e-3
    assert np.linalg.norm(new.binding.offset[hair], axis=1).max() < 0.002
    # long and thin
    assert (new.binding.scale[hair, 0] / new.binding.scale[hair, 1] > 4).all()
    assert np.median(new.albedo[hair]) < 0.5 * np.median(old.albedo)
    assert after.provenance["edits"] == "hair 0.5"
    np.testing.assert_array_equal(new.albedo[: len(old)], old.albedo)
    again = haired(before, 0.5, 4).hand("right")
    np.testing.assert_array_equal(again.binding.offset, new.binding.offset)


def test_no_hair_and_too_much() -> None:
    before = procedural_avatar(3)
    assert len(haired(before, 0.0)) == len(before)
    with pytest.raises(InputError, match="0 to 3"):
        haired(before, 4.0)
