"""The splats of hands at three levels of detail, of which a view takes the fewest that it needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..avatar import AvatarHand
from ..avatar.levels import Level, merged
from ..geometry.surfaces import triangle_frames
from ..hand_model import HandModel, rest_hand
from .hand_layout import BoundHand, SplatLayout

SPACING_PX = 0.75
"""Splats up to this far apart in the picture show what any smaller ones would.

At 1.5 the detail of a hand 320 pixels high correlated .85 with its texture's instead of .94
(``benchmarks/look.py``); fitted hands, thinned where they show little, draw as fast either way."""

CELLS = (1, 4)
"""Splats a triangle of the coarser levels, coarsest first."""


class LevelsOfDetail:
    """Layouts of the same hands, coarser ones made when a view first asks for them."""

    def __init__(self, hands: Sequence[BoundHand], first_face: Sequence[int]) -> None:
        self._hands = list(hands)
        self._first_face = first_face
        self._full = SplatLayout(hands, first_face)
        self._colors = [hand.color for hand, _ in hands]
        self._coarse: dict[int, tuple[list[Level], SplatLayout]] = {}
        self._edge_m = max((_spacing(hand, model) for hand, model in hands), default=0.0)

    def at(self, focal_over_depth: float) -> SplatLayout:
        """The layout for a view in which a metre is so many pixels."""
        for cells in CELLS:
            apart = self._edge_m / np.sqrt(cells) * focal_over_depth
            fewer = sum(len(hand) for hand, _ in self._hands) > 1.5 * cells * self._faces()
            if apart <= SPACING_PX and fewer:
                return self._level(cells)[1]
        return self._full

    def recolor(self, number: int, color: np.ndarray) -> None:
        """As ``SplatLayout.recolor``, at every level."""
        self._colors[number] = color
        self._full.recolor(number, color)
        for levels, layout in self._coarse.values():
            layout.recolor(number, levels[number].mean(color))

    def _faces(self) -> int:
        return sum(len(model.faces) for hand, model in self._hands if len(hand))

    def _level(self, cells: int) -> tuple[list[Level], SplatLayout]:
        if cells not in self._coarse:
            levels = [merged(hand, cells) for hand, _ in self._hands]
            bound = [(level.hand, model) for level, (_, model) in zip(levels, self._hands)]
            layout = SplatLayout(bound, self._first_face)
            for number, level in enumerate(levels):
                layout.recolor(number, level.mean(self._colors[number]))
            self._coarse[cells] = levels, layout
        return self._coarse[cells]


def _spacing(hand: AvatarHand, model: HandModel) -> float:
    """Metres between splats when every triangle has one."""
    _, area = triangle_frames(rest_hand(model, hand.shape)[0], model.faces)
    return float(np.sqrt(area.mean()))
