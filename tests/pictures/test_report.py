"""The pictures of a report."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np

from hand_toolkit.pictures.report import _evidence
from hand_toolkit.testing.avatars import procedural_avatar


def test_evidence_is_yellow_where_seen_and_blue_where_not() -> None:
    avatar = procedural_avatar()
    shares = []
    for evidence in (0.0, 1.0):
        hands = tuple(
            dataclasses.replace(h, evidence=np.full(len(h), evidence, np.float32))
            for h in avatar.hands
        )
        marked = SimpleNamespace(avatar=dataclasses.replace(avatar, hands=hands))
        picture = _evidence(marked).astype(int)  # type: ignore[arg-type]
        yellow = picture[..., 0] - picture[..., 2] > 60
        blue = picture[..., 2] - picture[..., 0] > 40
        shares.append((yellow.mean(), blue.mean()))
    (seen_0, hidden_0), (seen_1, hidden_1) = shares
    assert seen_0 == 0 and hidden_0 > 0.03
    assert hidden_1 == 0 and seen_1 > 0.03
